"""The world of one unit test: its input arrives as time goes on, and rules are evaluated in it as a server would.

Nothing here waits: an evaluation is a step of time. The rules are those of the server, with samples in memory below them.
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import itemgetter

from trimon.errors import Position, UserError
from trimon.gotext.times import format_go_duration
from trimon.model.histogram import FloatHistogram
from trimon.model.labels import Labels
from trimon.model.sample import STALE_NAN
from trimon.query.conformance.histograms import histogram_of
from trimon.query.conformance.literal import HistogramLiteral
from trimon.query.conformance.memory import MemoryStore
from trimon.query.conformance.series import Item, SeriesError, parse_described
from trimon.query.execution.budget import Budget
from trimon.query.language.errors import ParseError, QueryError
from trimon.query.language.options import QueryOptions
from trimon.rules.alert import AlertState
from trimon.rules.alertsession import AlertingSession
from trimon.rules.group import RuleGroup
from trimon.rules.session import Evaluation, RuleSession
from trimon.rules.spec import GroupSpec
from trimon.rules.testing.coverage import CoveredRule, covered_rule
from trimon.rules.testing.file import UnitTest
from trimon.rules.testing.text import FiringAlert

SampleValue = float | FloatHistogram


def input_samples(test: UnitTest, interval_ms: int) -> list[tuple[int, Labels, SampleValue]]:
    """All samples of the input, by time. Raises UserError with the place in the notation, as promtool counts it."""
    samples: list[tuple[int, Labels, SampleValue]] = []
    for number, series in enumerate(test.input_series):
        try:
            described = parse_described(f"{series.series} {series.values}")
        except (SeriesError, ParseError) as error:
            # The series stand indented below the line of a load command.
            place = Position(number + 2, error.position.column + 2)
            raise UserError(f"{place}: parse error: {_reason(error)}") from None
        for step, item in enumerate(described.items):
            if item is not None:
                time_ms = test.start_timestamp + step * interval_ms
                samples.append((time_ms, described.labels, _sample(item)))
    samples.sort(key=itemgetter(0))
    return samples


def _reason(error: UserError) -> str:
    return error.message.removeprefix("parse error: ")


def _sample(item: Item) -> SampleValue:
    assert item is not None
    return histogram_of(item) if isinstance(item, HistogramLiteral) else item


class World:
    """Samples and rule groups of one test."""

    def __init__(
        self,
        samples: Sequence[tuple[int, Labels, SampleValue]],
        groups: Sequence[RuleGroup],
        options: QueryOptions,
    ) -> None:
        self.store = MemoryStore()
        self.groups = groups
        self.options = options
        # The series that each rule wrote last.
        self._written: dict[RuleSession, frozenset[Labels]] = {}
        self.tried: set[CoveredRule] = set()
        """The rules that have recorded something, or fired."""
        self._samples = samples
        self._arrived = 0

    def step(self, time_ms: int) -> list[str]:
        """Lets the input arrive up to a time and evaluates all rules at it; what went wrong, a text a rule."""
        while self._arrived < len(self._samples) and self._samples[self._arrived][0] <= time_ms:
            stamp_ms, labels, sample = self._samples[self._arrived]
            self.store.append(labels, stamp_ms, sample)
            self._arrived += 1
        failures: list[str] = []
        for group in self.groups:
            for place, session in enumerate(group.rules):
                try:
                    if self._evaluate(group.spec, session, time_ms):
                        self.tried.add(covered_rule(group.spec, place))
                except (UserError, QueryError) as error:
                    when = format_go_duration(time_ms)
                    failures.append(f"    rule: {session.spec.name}, time: {when}, err: {error}")
        return failures

    def _evaluate(self, spec: GroupSpec, session: RuleSession, time_ms: int) -> bool:
        """Evaluates a rule; whether it has recorded something, or fires."""
        stamp_ms = time_ms - spec.query_offset_ms
        evaluation = Evaluation(time_ms, stamp_ms, self.options, Budget(self.options), spec.limit)
        recorded = session.recorded(self.store, evaluation)
        session.last_evaluation_ms = time_ms
        cells = [None] * len(recorded.values) if recorded.histograms is None else recorded.histograms.tolist()
        written = set()
        for row, (value, cell) in enumerate(zip(recorded.values.tolist(), cells, strict=True)):
            labels = recorded.labels.labels(row)
            written.add(labels)
            self._store(labels, stamp_ms, value if cell is None else cell)
        for labels in self._written.get(session, frozenset()) - written:
            self._store(labels, stamp_ms, STALE_NAN)
        self._written[session] = frozenset(written)
        if isinstance(session, AlertingSession):
            return any(alert.state is AlertState.FIRING for alert in session.alerts.values())
        return bool(written)

    def _store(self, labels: Labels, stamp_ms: int, sample: SampleValue) -> None:
        """Stores a sample of a rule; one that is there already stays, as in a server."""
        try:
            self.store.append(labels, stamp_ms, sample)
        except UserError:
            return

    def firing(self, name: str) -> list[FiringAlert]:
        """The alerts of a name that fire now, sorted by labels."""
        return sorted(
            FiringAlert(alert.labels, alert.annotations)
            for group in self.groups
            for session in group.alerting
            if session.spec.alert == name
            for alert in session.alerts.values()
            if alert.state is AlertState.FIRING
        )
