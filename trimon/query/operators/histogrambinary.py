"""Binary operators where a side is a native histogram: one pair of samples after the other."""

from __future__ import annotations

from dataclasses import field
from typing import Final

import numpy as np

from trimon.model.histogram import FloatHistogram
from trimon.query.execution.annotations import Annotations
from trimon.query.execution.values import Cells, Mask, Matrix
from trimon.query.histograms.arithmetic import IncompatibleError, added, divided, equal, scaled
from trimon.query.histograms.trim import trimmed
from trimon.records import dataclass

PairOperand = float | FloatHistogram
_NAMES: Final = {"+": "addition", "-": "subtraction"}


@dataclass(slots=True)
class PairResult:
    """Samples of pairs that hold a histogram: float values, histograms, where the result is kept, and where there is none."""

    values: Matrix
    cells: Cells
    kept: Mask
    void: Mask
    """Pairs for which the operator means nothing: they are as if they had not met."""
    notes: set[tuple[str, str]] = field(default_factory=set)


def pair_value(
    op: str, left: PairOperand, right: PairOperand, notes: set[tuple[str, str]], *, return_bool: bool
) -> tuple[PairOperand, bool] | None:
    """The value of one pair and whether a comparison holds; None where the operator means nothing."""
    match left, right:
        case FloatHistogram(), FloatHistogram():
            found = _two_histograms(op, left, right, notes, return_bool=return_bool)
        case FloatHistogram(), float():
            found = _histogram_and_float(op, left, right)
        case float(), FloatHistogram() if op == "*":
            found = scaled(right, left), True
        case _:
            found = None
    if found is None and not any(kind == "dropped" for kind, _ in notes):
        shown = " ".join(
            ("histogram" if isinstance(side, FloatHistogram) else "float")
            if isinstance(side, (float, FloatHistogram))
            else side
            for side in (left, op, right)
        )
        notes.add(("info", f'incompatible sample types encountered for binary operator "{op}": {shown}'))
    notes.discard(("dropped", ""))
    return found


def _two_histograms(
    op: str, left: FloatHistogram, right: FloatHistogram, notes: set[tuple[str, str]], *, return_bool: bool
) -> tuple[PairOperand, bool] | None:
    if op in ("==", "!="):
        holds = equal(left, right) == (op == "==")
        return (float(holds), True) if return_bool else (left, holds)
    if op not in _NAMES:
        return None
    try:
        total = added(left, right, subtract=op == "-")
    except IncompatibleError:
        notes.add(("warn", f"incompatible bucket layout encountered for binary operator {op}"))
        notes.add(("dropped", ""))
        return None
    if total.reconciled:
        notes.add(("info", f"mismatched custom buckets were reconciled during {_NAMES[op]}"))
    if total.conflict:
        notes.add(("warn", f"conflicting counter resets during histogram {_NAMES[op]}"))
        notes.add(("dropped", ""))
        return None
    return total.histogram.compact(), True


def _histogram_and_float(op: str, left: FloatHistogram, right: float) -> tuple[PairOperand, bool] | None:
    match op:
        case "*":
            return scaled(left, right), True
        case "/":
            return divided(left, right), True
        case "</" | ">/":
            return trimmed(left, right, keep_below=op == "</"), True
        case _:
            return None


def combine(
    op: str,
    left: tuple[Matrix, Cells | None],
    right: tuple[Matrix, Cells | None],
    wanted: Mask,
    *,
    return_bool: bool,
) -> PairResult:
    """Go through the wanted cells of two sides of equal shape; cells without a result are not kept."""
    out = PairResult(
        np.zeros(wanted.shape),
        np.full(wanted.shape, None, np.object_),
        np.zeros(wanted.shape, np.bool_),
        np.zeros(wanted.shape, np.bool_),
    )
    for row, step in zip(*np.nonzero(wanted), strict=True):
        a = _sample(left, row, step)
        b = _sample(right, row, step)
        found = pair_value(op, a, b, out.notes, return_bool=return_bool)
        if found is None:
            out.void[row, step] = True
            continue
        value, holds = found
        out.kept[row, step] = holds
        if isinstance(value, FloatHistogram):
            out.cells[row, step] = value
        else:
            out.values[row, step] = value
    return out


def _sample(side: tuple[Matrix, Cells | None], row: int, step: int) -> PairOperand:
    values, cells = side
    cell = None if cells is None else cells[row, step]
    return float(values[row, step]) if cell is None else cell


def announce(annotations: Annotations, outcome: PairResult, start: int) -> None:
    """Hand the remarks on."""
    for kind, text in sorted(outcome.notes):
        (annotations.info if kind == "info" else annotations.warn)(text, start)
