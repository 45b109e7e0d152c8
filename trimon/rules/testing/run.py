"""Running a file of unit tests."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import field
from pathlib import Path

from trimon.errors import UserError
from trimon.gotext.strings import go_quote
from trimon.model.histogram import FloatHistogram
from trimon.model.histogramtext import histogram_expression
from trimon.model.labels import Labels
from trimon.query.conformance.histograms import histogram_of
from trimon.query.conformance.literal import HistogramLiteral
from trimon.query.conformance.series import parse_items, parse_metric
from trimon.query.engine import instant
from trimon.query.execution.budget import Budget
from trimon.query.language.errors import QueryError
from trimon.query.language.options import QueryOptions
from trimon.records import dataclass
from trimon.rules.alerting import ALERT_NAME, AlertOrigin, samples_of
from trimon.rules.file import RuleFileErrors, load_rules
from trimon.rules.group import RuleGroup
from trimon.rules.slots import NOT_A_VECTOR
from trimon.rules.spec import GroupSpec, RuleDefaults
from trimon.rules.testing.coverage import Coverage, rules_of
from trimon.rules.testing.difference import difference
from trimon.rules.testing.file import (
    AlertTest,
    ExpectedSample,
    ExpressionTest,
    UnitTest,
    UnitTestFile,
    load_unit_tests,
    rule_files_of,
)
from trimon.rules.testing.text import FiringAlert, Sample, alerts_text, samples_text
from trimon.rules.testing.world import World, input_samples
from trimon.units import format_duration

_INDENT = " " * 12


@dataclass(frozen=True, slots=True)
class RunOptions:
    """What the command line asks for."""

    features: frozenset[str] = frozenset()
    """What expressions have besides, by the names of feature flags."""
    selected: tuple[re.Pattern[str], ...] = ()
    """Only tests with a matching name run; empty: all."""
    shows_difference: bool = False
    ignore_unknown_fields: bool = False
    strict: bool = False


@dataclass(frozen=True, slots=True)
class TestOutcome:
    """What a test came to."""

    name: str
    failures: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FileOutcome:
    """What the tests of a file came to. `error` is what made the whole file fail; then there are no tests."""

    path: Path
    tests: tuple[TestOutcome, ...] = ()
    error: str = ""
    unmatched: tuple[str, ...] = ()
    coverage: Coverage = field(default_factory=Coverage)

    @property
    def failures(self) -> list[str]:
        """All that is wrong."""
        own = [self.error] if self.error else []
        return own + [failure for test in self.tests for failure in test.failures]


def run_file(path: Path, options: RunOptions) -> FileOutcome:
    """Runs the tests of a file. Blocks; to be run in a thread or a process of its own."""
    try:
        file = load_unit_tests(path)
        rule_files, unmatched = rule_files_of(file, path.parent)
    except UserError as error:
        return FileOutcome(path, error=error.message, coverage=Coverage(unread={str(path)}))
    coverage = Coverage()
    tests = tuple(
        _run(path, file, number, test, rule_files, options, coverage)
        for number, test in enumerate(file.tests)
        if not options.selected or any(each.search(test.name) for each in options.selected)
    )
    return FileOutcome(path, tests, unmatched=tuple(unmatched), coverage=coverage)


def _run(
    path: Path,
    file: UnitTestFile,
    number: int,
    test: UnitTest,
    rule_files: Sequence[Path],
    options: RunOptions,
    coverage: Coverage,
) -> TestOutcome:
    name = test.name or f"unnamed#{number}"
    run: UnitTestRun | None = None
    try:
        run = UnitTestRun(file, test, rule_files, options)
        failures = tuple(run.failures())
    except RuleFileErrors as error:
        failures = tuple(f"{error.file}: {text}" for text in error.texts)
    except UserError as error:
        named = error.position.file if error.position.file in map(str, rule_files) else ""
        failures = (f"{named}: {error.message}" if named else error.message,)
    coverage.add(Coverage(unread={str(path)}) if run is None else run.coverage)
    return TestOutcome(name, failures)


class UnitTestRun:
    """One test, run once."""

    def __init__(
        self, file: UnitTestFile, test: UnitTest, rule_files: Sequence[Path], options: RunOptions
    ) -> None:
        """Reads rules and input. Raises UserError."""
        self._file = file
        self._test = test
        self._options = options
        interval_ms = test.interval or file.interval_ms
        query = QueryOptions(features=options.features, subquery_step_ms=file.interval_ms)
        samples = input_samples(test, interval_ms)
        defaults = RuleDefaults(interval_ms, 0, query, options.ignore_unknown_fields, options.strict)
        groups = in_order(load_rules(rule_files, defaults), file.group_eval_order)
        origin = AlertOrigin(lambda: test.external_labels, test.external_url)
        self._world = World(samples, [RuleGroup(group, query, origin) for group in groups], query)
        self._equal = _nearly_equal if file.fuzzy_compare else float.__eq__

    @property
    def coverage(self) -> Coverage:
        """The rules, and those that have recorded something or fired up to now."""
        return Coverage(rules_of(group.spec for group in self._world.groups), self._world.tried)

    def failures(self) -> Iterator[str]:
        """Evaluates all rules step by step; what is not as expected."""
        test, step_ms = self._test, self._file.interval_ms
        named = f" (in TestGroup {test.name})" if test.name else ""
        for alert in test.alert_rule_test:
            if not alert.alertname:
                raise UserError(
                    "an item under alert_rule_test misses required attribute alertname at eval_time "
                    f"{format_duration(alert.eval_time)}{named}"
                )
        waiting = sorted(test.alert_rule_test, key=lambda each: each.eval_time)
        for elapsed_ms in range(0, test.end_ms + 1, step_ms):
            failed = self._world.step(test.start_timestamp + elapsed_ms)
            yield from failed
            if failed:
                return
            while waiting and waiting[0].eval_time < elapsed_ms + step_ms:
                yield from self._alerts(waiting.pop(0))
        for expression in test.promql_expr_test:
            yield from self._expression(expression)

    def _alerts(self, case: AlertTest) -> Iterator[str]:
        got = self._world.firing(case.alertname)
        expected = sorted(
            FiringAlert(
                tuple(sorted({**dict(alert.exp_labels), ALERT_NAME: case.alertname}.items())),
                alert.exp_annotations,
            )
            for alert in case.exp_alerts
        )
        if got == expected:
            return
        named = f"    name: {self._test.name},\n" if self._test.name else ""
        where = f"{named}    alertname: {case.alertname}, time: {format_duration(case.eval_time)}, \n"
        if self._options.shows_difference:
            nothing = FiringAlert((), ())
            tree = difference(
                [alert.data() for alert in expected or [nothing]],
                [alert.data() for alert in got or [nothing]],
            )
            yield f"{where}        diff: {tree.replace(chr(10), chr(10) + _INDENT)}"
        else:
            yield (
                f"{where}        exp:{alerts_text(expected, _INDENT)}, \n"
                f"        got:{alerts_text(got, _INDENT)}"
            )

    def _expression(self, case: ExpressionTest) -> Iterator[str]:
        where = f"    expr: {go_quote(case.expr)}, time: {format_duration(case.eval_time)},"
        try:
            got = self._query(case)
            expected = sorted(map(_expected, case.exp_samples), key=_by_labels)
        except (UserError, QueryError) as error:
            yield f"{where} err: {error}"
            return
        if len(got) != len(expected) or not all(map(self._same, expected, got)):
            yield f"{where}\n        exp: {samples_text(expected)}\n        got: {samples_text(got)}"

    def _query(self, case: ExpressionTest) -> list[Sample]:
        world = self._world
        time_ms = self._test.start_timestamp + case.eval_time
        result = instant(world.store, case.expr, time_ms, world.options, Budget(world.options))
        if result.type not in ("vector", "scalar"):
            raise QueryError(NOT_A_VECTOR)
        samples = [
            Sample(labels, 0.0, histogram_expression(value))
            if isinstance(value, FloatHistogram)
            else Sample(labels, value)
            for labels, value in samples_of(result)
        ]
        return sorted(samples, key=_by_labels)

    def _same(self, expected: Sample, got: Sample) -> bool:
        if (expected.labels, expected.histogram) != (got.labels, got.histogram):
            return False
        return self._equal(expected.value, got.value)


def in_order(groups: Sequence[GroupSpec], order: Sequence[str]) -> list[GroupSpec]:
    """The groups as the file orders them; those that it does not name come first."""
    places = {name: place for place, name in enumerate(order)}
    return sorted(groups, key=lambda group: places.get(group.name, 0))


def _by_labels(sample: Sample) -> Labels:
    return sample.labels


def _expected(sample: ExpectedSample) -> Sample:
    try:
        labels = parse_metric(sample.labels or "{}")
        if not sample.histogram:
            return Sample(labels, sample.value)
        items = list(parse_items(sample.histogram))
        if len(items) != 1:
            raise UserError(f"expected 1 value, got {len(items)}")
        if not isinstance(items[0], HistogramLiteral):
            raise UserError(f"expected histogram, got {sample.histogram}")
        return Sample(labels, sample.value, histogram_expression(histogram_of(items[0])))
    except UserError as error:
        raise UserError(f"labels {go_quote(sample.labels)}: {error}") from None


def _nearly_equal(left: float, right: float) -> bool:
    """Whether two numbers are equal or neighbours among the floats."""
    return left == right or right in (math.nextafter(left, -math.inf), math.nextafter(left, math.inf))
