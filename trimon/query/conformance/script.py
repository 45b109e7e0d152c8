"""Runs scripts against the engine: every eval is a case that passes or fails."""

from __future__ import annotations

from dataclasses import field, replace
from typing import Final

import numpy as np

from trimon.errors import TrimonError, UserError
from trimon.model.histogram import FloatHistogram
from trimon.model.histogramtext import histogram_text
from trimon.model.labels import format_labels
from trimon.query import engine
from trimon.query.answer.result import QueryResult
from trimon.query.conformance.commands import (
    Clear,
    Eval,
    ExpectedMessage,
    Load,
    Unreadable,
    parse_script,
)
from trimon.query.conformance.histograms import ClassicLoad, almost_equal, histogram_of, same_histogram
from trimon.query.conformance.literal import HistogramLiteral
from trimon.query.conformance.memory import MemoryStore
from trimon.query.conformance.series import Item
from trimon.query.execution.budget import Budget
from trimon.query.language.nodes import (
    Aggregation,
    Binary,
    Call,
    Expr,
    MatrixSelector,
    Modifiers,
    Paren,
    Subquery,
    Unary,
    VectorSelector,
    children,
)
from trimon.query.language.options import ALL_LANGUAGE_FEATURES, QueryOptions
from trimon.query.language.printer import print_expr
from trimon.query.language.signatures import STEP_VARIANT
from trimon.records import dataclass

_MINUTE_MS: Final = 60_000
SCRIPT_OPTIONS: Final = QueryOptions(features=ALL_LANGUAGE_FEATURES, timeout_s=100)


class Mismatch(Exception):
    """What a case gave is not what it should give."""


@dataclass(frozen=True, slots=True)
class CaseResult:
    """One eval: `status` is `passed` or `failed`, and `reason` says why."""

    name: str
    status: str
    reason: str = ""


@dataclass(slots=True)
class Report:
    """All cases of a script, in their order."""

    cases: list[CaseResult] = field(default_factory=list)

    def count(self, status: str) -> int:
        """How many cases have a status."""
        return sum(case.status == status for case in self.cases)

    @property
    def passed(self) -> int:
        """Cases that gave what was expected."""
        return self.count("passed")

    @property
    def failed(self) -> int:
        """Cases that did not."""
        return self.count("failed")

    def render(self) -> str:
        """The failures by name, and a last line `N passed, N failed`."""
        lines = [
            f"{case.status} {case.name}: {case.reason}" for case in self.cases if case.status != "passed"
        ]
        return "\n".join([*lines, f"{self.passed} passed, {self.failed} failed"])


def run_script(text: str, options: QueryOptions = SCRIPT_OPTIONS, *, columns: bool = False) -> Report:
    """Run a whole script; an eval that cannot be read is a failed case. Raises UserError for other mistakes.

    With `columns` the engine gets histograms as storage hands them out.
    """
    report = Report()
    store = MemoryStore(columns=columns)
    for command in parse_script(text):
        match command:
            case Clear():
                store = MemoryStore(columns=columns)
            case Load():
                load(store, command)
            case Unreadable():
                name = f"line {command.line}: {command.text}"
                report.cases.append(CaseResult(name, "failed", command.reason))
            case Eval():
                report.cases.append(run_case(store, command, options))
    return report


def load(store: MemoryStore, command: Load) -> None:
    """Append the samples of a load command. Raises UserError with its line."""
    try:
        _append(store, command)
    except UserError as error:
        raise UserError(f"line {command.line}: {error}") from None


def _append(store: MemoryStore, command: Load) -> None:
    classic = ClassicLoad()
    # Of two lines for the same series the later one counts.
    for series in {series.described.labels: series for series in command.series}.values():
        labels = series.described.labels
        for index, item in enumerate(series.described.items):
            if item is None:
                continue
            time_ms = index * command.step_ms
            offset = series.starts[index] if series.starts else None
            sample = histogram_of(item) if isinstance(item, HistogramLiteral) else item
            store.append(labels, time_ms, sample, 0 if offset is None else time_ms + offset)
            if command.with_nhcb and isinstance(sample, float):
                classic.add(labels, time_ms, sample)
    for labels, time_ms, histogram in classic.histograms():
        store.append(labels, time_ms, histogram)


def run_case(store: MemoryStore, case: Eval, options: QueryOptions) -> CaseResult:
    """Run one eval in all its forms."""
    try:
        expr = engine.parse(case.query, options)
    except UserError as error:
        return CaseResult(case.name, "failed", f"does not parse: {error}")
    try:
        if case.ranged:
            _run_range(store, case, case.query, options)
        else:
            _run_instant(store, case, expr, options)
    except Mismatch as mismatch:
        return CaseResult(case.name, "failed", str(mismatch))
    except TrimonError as error:
        return CaseResult(case.name, "failed", f"{type(error).__name__}: {error}")
    return CaseResult(case.name, "passed")


def _run_range(store: MemoryStore, case: Eval, query: str, options: QueryOptions) -> None:
    try:
        result = engine.range_(
            store, query, case.start_ms, case.end_ms, case.step_ms, options, Budget(options)
        )
    except TrimonError as error:
        _check_failure(case, error)
        return
    _check_outcome(case, result)
    _compare_matrix(case, result, (case.start_ms, case.end_ms, case.step_ms))


def _run_instant(store: MemoryStore, case: Eval, expr: Expr, options: QueryOptions) -> None:
    time_ms = case.start_ms
    runs = [(case.query, time_ms)]
    if not _uses(expr, STEP_VARIANT):
        fixed = print_expr(_at(expr, time_ms))
        around = (-10 * time_ms, 0, time_ms // 5, time_ms, 10 * time_ms) if time_ms else (-1000, 0, 1000)
        runs += [(fixed, at) for at in around]
    for query, at_ms in runs:
        try:
            result = engine.instant(store, query, at_ms, options, Budget(options))
        except TrimonError as error:
            _check_failure(case, error, query)
            continue
        _check_outcome(case, result, query)
        if (result.type == "matrix") is not (case.matrix_grid is not None):
            raise Mismatch(f"{query}: the result is a {result.type}")
        if case.matrix_grid is not None:
            _compare_matrix(case, result, case.matrix_grid)
        else:
            _compare_instant(case, result, at_ms, query)
        if case.text is None and case.matrix_grid is None and not _uses_ends(case.query):
            _run_around(store, case, query, at_ms, result.type, options)


def _run_around(
    store: MemoryStore, case: Eval, query: str, at_ms: int, kind: str, options: QueryOptions
) -> None:
    """The same query over a short range: the step at the instant must show the same."""
    result = engine.range_(
        store, query, at_ms - _MINUTE_MS, at_ms + _MINUTE_MS, _MINUTE_MS, options, Budget(options)
    )
    if case.ordered:
        return
    shown = result.present[:, 1]
    rows = np.flatnonzero(shown)
    middle = QueryResult(
        kind,
        result.labels.take(rows),
        result.times_ms[1:2],
        result.values[rows, 1:2],
        result.present[rows, 1:2],
        result.stats,
        cells=None if result.histograms is None else result.histograms[rows, 1:2],
    )
    _compare_instant(case, middle, at_ms, f"{query} (in a range)")


def _uses_ends(query: str) -> bool:
    return any(word in query for word in ("start()", "end()", "range()", "step()"))


def _uses(expr: Expr, functions: frozenset[str]) -> bool:
    here = isinstance(expr, Call) and expr.function in functions
    return here or any(_uses(child, functions) for child in children(expr))


def _at(expr: Expr, at_ms: int) -> Expr:
    """The expression with `@ at` on every selector and subquery that has none."""
    match expr:
        case VectorSelector(modifiers=modifiers):
            return replace(expr, modifiers=_fixed(modifiers, at_ms))
        case MatrixSelector(vector=vector):
            return replace(expr, vector=replace(vector, modifiers=_fixed(vector.modifiers, at_ms)))
        case Subquery(modifiers=modifiers):
            return replace(expr, modifiers=_fixed(modifiers, at_ms))
        case Paren(expr=inner) | Unary(expr=inner):
            return replace(expr, expr=_at(inner, at_ms))
        case Binary(lhs=lhs, rhs=rhs):
            return replace(expr, lhs=_at(lhs, at_ms), rhs=_at(rhs, at_ms))
        case Aggregation(expr=inner, param=param):
            fixed_param = None if param is None else _at(param, at_ms)
            return replace(expr, expr=_at(inner, at_ms), param=fixed_param)
        case Call(function=function, args=args):
            # The second argument of info is a set of matchers, not a selector that is evaluated.
            args = tuple(
                arg if function == "info" and index else _at(arg, at_ms) for index, arg in enumerate(args)
            )
            return replace(expr, args=args)
        case _:
            return expr


def _fixed(modifiers: Modifiers, at_ms: int) -> Modifiers:
    return modifiers if modifiers.fixed else replace(modifiers, at_ms=at_ms)


def _check_failure(case: Eval, error: TrimonError, query: str = "") -> None:
    if case.fail is None:
        raise Mismatch(f"{query or case.query} failed: {error}")
    if not case.fail.fits(str(error)):
        raise Mismatch(f"failed with {str(error)!r}, expected {case.fail.text!r}")


def _check_outcome(case: Eval, result: QueryResult, query: str = "") -> None:
    if case.fail is not None:
        raise Mismatch(f"{query or case.query} should fail")
    _check_annotations("warning", result.warnings, case.warnings, none=case.no_warnings)
    _check_annotations("info", result.infos, case.infos, none=case.no_infos)


def _check_annotations(
    kind: str, actual: tuple[str, ...], expected: list[ExpectedMessage], *, none: bool
) -> None:
    if none and actual:
        raise Mismatch(f"unexpected {kind}: {actual[0]}")
    if not expected:
        return
    if not actual:
        raise Mismatch(f"expected a {kind}, there is none")
    for message in expected:
        if not any(message.fits(text) for text in actual):
            raise Mismatch(f"expected {kind} {message.text!r}, got {list(actual)}")
    for text in actual:
        if not any(message.fits(text) for message in expected):
            raise Mismatch(f"unexpected {kind}: {text}")


def _compare_instant(case: Eval, result: QueryResult, at_ms: int, query: str) -> None:
    wanted_type = "string" if case.text is not None else "vector" if case.scalar is None else "scalar"
    if case.scalar is not None and case.expected:
        raise Mismatch(f"{query}: a number is expected beside series")
    if result.type != wanted_type:
        got = result.values.tolist() if result.type != "string" else result.text
        raise Mismatch(f"{query}: got a {result.type}, {got!r}, expected a {wanted_type}")
    if case.text is not None:
        if result.text != case.text:
            raise Mismatch(f"{query}: got string {result.text!r}, expected {case.text!r}")
        return
    if case.scalar is not None:
        if not almost_equal(case.scalar, float(result.values[0, 0])):
            raise Mismatch(f"{query}: got {float(result.values[0, 0])!r}, expected {case.scalar!r}")
        return
    wanted = {series.labels: series.items for series in case.expected}
    for place, row in enumerate(range(result.series)):
        labels = result.labels.labels(row)
        shown = f"{query} at {at_ms} ms: {format_labels(labels)}"
        cell = None if result.histograms is None else result.histograms[row, 0]
        value = float(result.values[row, 0]) if cell is None else cell
        if labels not in wanted:
            raise Mismatch(f"{shown} is not expected, value {_shown(value)}")
        if not _same(wanted[labels][0], value):
            raise Mismatch(f"{shown} is {_shown(value)}, expected {wanted[labels][0]!r}")
        if case.ordered and place != list(wanted).index(labels):
            raise Mismatch(f"{shown} is at place {place}")
    if result.series < len(wanted):
        have = {result.labels.labels(row) for row in range(result.series)}
        missing = next(labels for labels in wanted if labels not in have)
        raise Mismatch(f"{query} at {at_ms} ms: {format_labels(missing)} is missing")


def _compare_matrix(case: Eval, result: QueryResult, grid: tuple[int, int, int]) -> None:
    start_ms, end_ms, step_ms = grid
    wanted = {}
    for series in case.expected:
        if start_ms + (len(series.items) - 1) * step_ms > end_ms:
            raise Mismatch(f"{format_labels(series.labels)}: more values expected than there are steps")
        wanted[series.labels] = {
            start_ms + index * step_ms: item for index, item in enumerate(series.items) if item is not None
        }
    samples = result.flat()
    for row in range(result.series):
        labels = result.labels.labels(row)
        shown = format_labels(labels)
        begin, stop = int(samples.offsets[row]), int(samples.offsets[row + 1])
        times, values = samples.times_ms[begin:stop].tolist(), samples.values[begin:stop].tolist()
        if samples.histograms is not None:
            cells = samples.histograms[begin:stop].tolist()
            values = [value if cell is None else cell for value, cell in zip(values, cells, strict=True)]
        if labels not in wanted:
            raise Mismatch(f"{shown} is not expected: {values}")
        expected = wanted.pop(labels)
        if times != sorted(expected):
            raise Mismatch(f"{shown} has samples at {times}, expected {sorted(expected)}")
        for time_ms, value in zip(times, values, strict=True):
            item = expected[time_ms]
            if not _same(item, value):
                raise Mismatch(f"{shown} at {time_ms} ms is {_shown(value)}, expected {item!r}")
    if wanted:
        raise Mismatch(f"{format_labels(next(iter(wanted)))} is missing")


def _same(expected: Item, got: float | FloatHistogram) -> bool:
    if isinstance(expected, HistogramLiteral):
        return isinstance(got, FloatHistogram) and same_histogram(expected, got)
    return isinstance(got, float) and isinstance(expected, float) and almost_equal(expected, got)


def _shown(value: float | FloatHistogram) -> str:
    return f"{histogram_text(value)} {value.hint.value}" if isinstance(value, FloatHistogram) else repr(value)
