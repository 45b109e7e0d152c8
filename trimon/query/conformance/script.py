"""Runs scripts against the engine: every eval is a case that passes, fails, or is left for later."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np

from trimon.errors import TrimonError, UserError
from trimon.model.labels import METRIC_NAME, Labels, format_labels
from trimon.query import engine
from trimon.query.budget import Budget
from trimon.query.conformance.commands import Clear, Eval, Load, Message, parse_script
from trimon.query.conformance.literal import HistogramLiteral
from trimon.query.conformance.memory import MemoryStore
from trimon.query.nodes import (
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
from trimon.query.options import ALL_LANGUAGE_FEATURES, QueryOptions
from trimon.query.printer import print_expr
from trimon.query.result import QueryResult
from trimon.query.signatures import STEP_VARIANT

_MINUTE_MS: Final = 60_000
_EPSILON: Final = 1e-6
_SMALLEST_NORMAL: Final = 2.2250738585072014e-308
SCRIPT_OPTIONS: Final = QueryOptions(features=ALL_LANGUAGE_FEATURES, timeout_s=100)


class Mismatch(Exception):
    """What a case gave is not what it should give."""


@dataclass(frozen=True, slots=True)
class CaseResult:
    """One eval: `status` is `passed`, `failed` or `deferred`, and `reason` says why."""

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

    @property
    def deferred(self) -> list[CaseResult]:
        """Cases that involve native histograms."""
        return [case for case in self.cases if case.status == "deferred"]

    def render(self) -> str:
        """The failures and deferrals by name, and a last line `N passed, N failed`."""
        lines = [
            f"{case.status} {case.name}: {case.reason}" for case in self.cases if case.status != "passed"
        ]
        return "\n".join([*lines, f"{self.passed} passed, {self.failed} failed"])


def run_script(text: str, options: QueryOptions = SCRIPT_OPTIONS) -> Report:
    """Run a whole script. Raises UserError when the script itself is wrong."""
    report = Report()
    store = MemoryStore()
    for command in parse_script(text):
        match command:
            case Clear():
                store = MemoryStore()
            case Load():
                load(store, command)
            case Eval():
                report.cases.append(run_case(store, command, options))
    return report


def load(store: MemoryStore, command: Load) -> None:
    """Append the samples of a load command; series with native histograms are noted by name."""
    # Of two lines for the same series the later one counts.
    for series in {series.described.labels: series for series in command.series}.values():
        labels = series.described.labels
        for index, item in enumerate(series.described.items):
            time_ms = index * command.step_ms
            if isinstance(item, HistogramLiteral):
                store.native.add(labels)
            elif item is not None:
                offset = series.starts[index] if series.starts else None
                store.append(labels, time_ms, item, 0 if offset is None else time_ms + offset)
        if command.with_nhcb:
            store.native.update(_custom_bucket_series(labels))


def _custom_bucket_series(labels: Labels) -> Iterator[Labels]:
    name = dict(labels).get(METRIC_NAME, "")
    for suffix in ("_bucket", "_count", "_sum"):
        if name.endswith(suffix):
            base = dict(labels) | {METRIC_NAME: name.removesuffix(suffix)}
            base.pop("le", None)
            yield tuple(sorted(base.items()))


def run_case(store: MemoryStore, case: Eval, options: QueryOptions) -> CaseResult:
    """Run one eval in all its forms."""
    try:
        expr = engine.parse(case.query, options)
    except UserError as error:
        return CaseResult(case.name, "failed", f"does not parse: {error}")
    if _involves_histograms(store, case, expr):
        return CaseResult(case.name, "deferred", "native histograms")
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


def _involves_histograms(store: MemoryStore, case: Eval, expr: Expr) -> bool:
    if any(isinstance(item, HistogramLiteral) for series in case.expected for item in series.items):
        return True
    return any(
        all(matcher.matches(dict(labels).get(matcher.name, "")) for matcher in selector.matchers)
        for selector in _selectors(expr)
        for labels in store.native
    )


def _selectors(expr: Expr) -> Iterator[VectorSelector]:
    if isinstance(expr, VectorSelector):
        yield expr
    for child in children(expr):
        yield from _selectors(child)


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
        if result.type == "matrix":
            if case.matrix_grid is None:
                raise Mismatch(f"{query}: the result is a matrix")
            _compare_matrix(case, result, case.matrix_grid)
        else:
            _compare_instant(case, result, at_ms, query)
        if case.text is None and case.matrix_grid is None and not _uses_ends(case.query):
            _run_around(store, case, query, at_ms, options)


def _run_around(store: MemoryStore, case: Eval, query: str, at_ms: int, options: QueryOptions) -> None:
    """The same query over a short range: the step at the instant must show the same."""
    result = engine.range_(
        store, query, at_ms - _MINUTE_MS, at_ms + _MINUTE_MS, _MINUTE_MS, options, Budget(options)
    )
    if case.ordered:
        return
    shown = result.present[:, 1]
    rows = np.flatnonzero(shown)
    kind = "scalar" if case.scalar is not None else "vector"
    middle = QueryResult(
        kind,
        result.labels.take(rows),
        result.times_ms[1:2],
        result.values[rows, 1:2],
        result.present[rows, 1:2],
        result.stats,
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


def _check_annotations(kind: str, actual: tuple[str, ...], expected: list[Message], *, none: bool) -> None:
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
    if case.text is not None:
        if result.text != case.text:
            raise Mismatch(f"{query}: got string {result.text!r}, expected {case.text!r}")
        return
    if case.scalar is not None:
        if result.values.shape[0] != 1 or not almost_equal(case.scalar, float(result.values[0, 0])):
            raise Mismatch(f"{query}: got {result.values.tolist()}, expected {case.scalar}")
        return
    if result.type == "scalar":
        raise Mismatch(f"{query}: unexpected scalar {result.values[0, 0]}")
    wanted = {series.labels: series.items for series in case.expected}
    for place, row in enumerate(range(result.series)):
        labels = result.labels.labels(row)
        shown = f"{query} at {at_ms} ms: {format_labels(labels)}"
        if labels not in wanted:
            raise Mismatch(f"{shown} is not expected, value {result.values[row, 0]}")
        expected = wanted[labels][0]
        assert isinstance(expected, float)
        if not almost_equal(expected, float(result.values[row, 0])):
            raise Mismatch(f"{shown} is {result.values[row, 0]!r}, expected {expected!r}")
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
        points = {
            start_ms + index * step_ms: item for index, item in enumerate(series.items) if item is not None
        }
        if any(at > end_ms for at in points):
            raise Mismatch(f"{format_labels(series.labels)}: more values expected than there are steps")
        if points:
            wanted[series.labels] = points
    samples = result.flat()
    for row in range(result.series):
        labels = result.labels.labels(row)
        shown = format_labels(labels)
        begin, stop = int(samples.offsets[row]), int(samples.offsets[row + 1])
        times, values = samples.times_ms[begin:stop].tolist(), samples.values[begin:stop].tolist()
        if labels not in wanted:
            raise Mismatch(f"{shown} is not expected: {values}")
        expected = wanted.pop(labels)
        if times != sorted(expected):
            raise Mismatch(f"{shown} has samples at {times}, expected {sorted(expected)}")
        for time_ms, value in zip(times, values, strict=True):
            item = expected[time_ms]
            if not isinstance(item, float) or not almost_equal(item, value):
                raise Mismatch(f"{shown} at {time_ms} ms is {value!r}, expected {item!r}")
    if wanted:
        raise Mismatch(f"{format_labels(next(iter(wanted)))} is missing")


def almost_equal(left: float, right: float) -> bool:
    """Equality as the scripts mean it: to six digits, NaN equal to NaN."""
    if left != left or right != right:  # noqa: PLR0124 - NaN
        return left != left and right != right  # noqa: PLR0124 - NaN
    if left == right:
        return True
    total = abs(left) + abs(right)
    difference = abs(left - right)
    if left == 0 or right == 0 or total < _SMALLEST_NORMAL:
        return difference < _EPSILON * _SMALLEST_NORMAL
    return difference / min(total, 1.7976931348623157e308) < _EPSILON
