"""Sums over window functions without the series between: results are added up matrix by matrix, while they are in the cache.

`sum by (mode) (rate(x[5m]))` over many series and steps would else write and read again a matrix that nobody wants to
see. Only sums without cancellation are folded: everything must be a number that is not negative.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from trimon.model.table import LabelTable
from trimon.query.execution.exactsums import HUGE, ExactSums
from trimon.query.execution.labelcodes import METADATA, Groups, drop_metric, drop_names, group, select_names
from trimon.query.execution.values import Index, Mask, Matrix, Vector
from trimon.query.windows.windowmatrix import WindowMatrix
from trimon.records import dataclass

# Fewer cells than these fit the cache anyhow.
_CELLS_MIN: Final = 1 << 17


@dataclass(frozen=True, slots=True)
class Folded(Vector):
    """An aggregated vector: what the aggregation above a window function has to hand on."""


@dataclass(frozen=True, slots=True)
class Fold:
    """The aggregation that a window function may do on its way: `op` is `sum` or `avg`."""

    op: str
    grouping: Sequence[str]
    without: bool

    def begin(self, labels: LabelTable, steps: int) -> Folding | None:
        """An accumulator for series that lose their names; None where folding does not pay or could hide an error."""
        if labels.rows * steps < _CELLS_MIN:
            return None
        for name in METADATA.intersection(labels.names):
            codes, _ = labels.column(name)
            if codes.min() != codes.max():
                # Without their names two series might be the same, which is an error.
                return None
        nameless = drop_metric(labels)
        table = drop_names(nameless, self.grouping) if self.without else select_names(nameless, self.grouping)
        groups = group(table)
        if 2 * groups.count > labels.rows:
            return None
        return Folding(self.op, table, groups, steps)


class Folding:
    """Sums per group and step; takes a window matrix at a time."""

    def __init__(self, op: str, table: LabelTable, groups: Groups, steps: int) -> None:
        self._op = op
        self._table = table
        self._groups = groups
        self._sums = ExactSums(groups.count, steps)
        self._counts = np.zeros((groups.count, steps), np.intp)
        self.seen = np.zeros(table.rows, np.bool_)

    def add(self, windows: WindowMatrix, steps: slice, cells: Matrix, shown: Mask) -> bool:
        """Add a window matrix's results; False when they can not be folded, and all that was added is void."""
        rows, common = len(windows.rows), shown.ndim == 1
        if not shown.all():
            cells = np.where(shown, cells, 0.0) if not common else _blanked(cells, shown)
        largest = float(cells.max(initial=0.0))
        if not (cells.min(initial=0.0) >= 0 and largest < HUGE):
            return False
        codes = self._groups.codes[windows.rows]
        cells = np.broadcast_to(cells, (rows, cells.shape[-1]))
        order: Index | None = None
        if (codes[1:] < codes[:-1]).any():
            order = np.argsort(codes, kind="stable")
            codes = codes[order]
            shown = shown if common else shown[order]
        bounds = np.flatnonzero(np.concatenate([[True], codes[1:] != codes[:-1]]))
        chosen = codes[bounds]
        self._sums.add(cells, largest, bounds, chosen, steps, order)
        if common:
            sizes = np.diff(np.append(bounds, rows))
            self._counts[chosen, steps] += sizes[:, None] * shown
            self.seen[windows.rows] |= shown.any()
        else:
            self._counts[chosen, steps] += np.add.reduceat(shown, bounds, axis=0, dtype=np.intp)
            self.seen[windows.rows] |= shown.any(axis=1)
        return True

    def result(self) -> Folded | None:
        """The aggregated vector; None when a sum went out of bounds."""
        doubtful = self._sums.doubtful()
        values = self._sums.total()
        # Numbers that are not negative are all zeros where their sum is.
        if doubtful is not None and (doubtful & (values != 0)).any():
            return None
        if self._op == "avg":
            values = self._sums.mean(self._counts)
        vector = Vector(self._table.take(self._groups.first), values, self._counts > 0).compact()
        return Folded(vector.labels, vector.values, vector.present)


def _blanked(cells: Matrix, shown: Mask) -> Matrix:
    """The cells with 0 at the steps that show nothing."""
    out = cells if cells.flags.owndata and cells.flags.writeable else cells.copy()
    out[..., ~shown] = 0.0
    return out


def seen_rows(labels: LabelTable, seen: Mask) -> LabelTable:
    """The series that had any result."""
    rows: Index = np.flatnonzero(seen)
    return labels if len(rows) == labels.rows else labels.take(rows)
