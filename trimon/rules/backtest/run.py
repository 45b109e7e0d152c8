"""Running a backtest: which rules, at which times, in which order; and what comes of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field

from trimon import limits
from trimon.errors import UserError
from trimon.gotext.strings import go_quote
from trimon.gotext.times import FIRST_MS, LAST_MS, json_time
from trimon.model.snapshot import Snapshot
from trimon.query.execution.budget import Budget
from trimon.query.execution.grid import Grid
from trimon.query.language.errors import FailureKind, QueryError
from trimon.query.language.options import QueryOptions
from trimon.records import dataclass
from trimon.rules.alert import ActiveAlerts
from trimon.rules.alerting import AlertingRule, AlertOrigin
from trimon.rules.alertsession import AlertingSession
from trimon.rules.backtest.alerts import AlertRun, RuleProblems
from trimon.rules.backtest.alertseries import alert_series
from trimon.rules.backtest.order import Dependencies, PlacedRule
from trimon.rules.backtest.overlay import Overlay
from trimon.rules.backtest.series import RecordedSeries
from trimon.rules.backtest.timeline import Timelines
from trimon.rules.recording import RecordingRule
from trimon.rules.session import Evaluation, RecordingSession, RuleSession
from trimon.rules.slots import HELD
from trimon.rules.spec import AlertingSpec, GroupSpec, RecordingSpec
from trimon.units import format_duration


@dataclass(frozen=True, slots=True)
class Span:
    """From when to when, and in which interval; 0: each group's own. `rules` are the names of those that matter, none: all."""

    start_ms: int
    end_ms: int
    interval_ms: int = 0
    rules: frozenset[str] = frozenset()
    phase_ms: int = 0
    """How far into an interval, counted from the epoch, the times are."""

    def __post_init__(self) -> None:
        """Raises UserError for times that cannot be written as dates."""
        for time_ms in (self.start_ms, self.end_ms):
            if not FIRST_MS <= time_ms <= LAST_MS:
                raise UserError(f"the time {time_ms / 1000} is not within the years 1 to 9999")

    def grid(self, group: GroupSpec) -> Grid:
        """The times at which a group is evaluated: multiples of its interval. Raises UserError for too many and for none."""
        interval_ms = self.interval_ms or group.interval_ms
        first_ms = self.start_ms + (self.phase_ms - self.start_ms) % interval_ms
        grid = Grid.between(first_ms, self.end_ms, interval_ms)
        shown = f"{json_time(self.start_ms)} to {json_time(self.end_ms)}"
        if not grid.count:
            raise UserError(
                f"group {go_quote(group.name)}: no multiple of its interval of {format_duration(interval_ms)} lies in {shown}"
            )
        if grid.count > limits.BACKTEST_TIMES_MAX:
            raise UserError(
                f"group {go_quote(group.name)}: {grid.count} evaluations in {shown}, one each {format_duration(interval_ms)}, "
                f"exceed the limit of {limits.BACKTEST_TIMES_MAX}; a longer interval or a shorter range has fewer"
            )
        return grid


@dataclass(slots=True, eq=False)
class RuleOutcome:
    """What came of one rule: `timelines` of an alerting one, `recorded` of a recording one."""

    rule: PlacedRule
    grid: Grid
    problems: RuleProblems = field(default_factory=RuleProblems)
    timelines: Timelines | None = None
    recorded: RecordedSeries | None = None

    @property
    def size_bytes(self) -> int:
        """The memory it takes, about; that of alerts is bounded by their number."""
        return 0 if self.recorded is None else self.recorded.size_bytes


def backtest(
    snapshot: Snapshot,
    groups: Sequence[GroupSpec],
    span: Span,
    options: QueryOptions,
    origin: AlertOrigin,
    budget: Budget,
    held_bytes: int = 0,
    *,
    continues: bool = False,
) -> list[RuleOutcome]:
    """What the rules of the groups would have done, in their order. To be run in a thread.

    When it `continues`, the rules see what is stored under their own results from before. `held_bytes` is what the caller
    keeps of other backtests within the same budget.
    Raises UserError for what does not fit into the limits, QueryError when time or memory is over.
    """
    rules = [PlacedRule(group, place) for group in groups for place in range(len(group.rules))]
    wanted = [at for at, rule in enumerate(rules) if not span.rules or rule.spec.name in span.rules]
    needed = Dependencies(rules, options, budget.check).needed(wanted)
    run = _Run(
        snapshot, [rules[at] for at in needed], span, options, origin, budget, held_bytes, continues=continues
    )
    outcomes = dict(zip(needed, run.outcomes(), strict=True))
    return [outcomes[at] for at in wanted]


class _Run:
    """One run over some rules."""

    def __init__(
        self,
        snapshot: Snapshot,
        rules: Sequence[PlacedRule],
        span: Span,
        options: QueryOptions,
        origin: AlertOrigin,
        budget: Budget,
        held_bytes: int,
        *,
        continues: bool,
    ) -> None:
        self._rules = rules
        self._options = options
        self._origin = origin
        self._budget = budget
        self._overlay = Overlay(snapshot, [rule.spec for rule in rules], held_bytes, hides=not continues)
        self._outcomes = [RuleOutcome(rule, span.grid(rule.group)) for rule in rules]

    def outcomes(self) -> list[RuleOutcome]:
        """Evaluates all."""
        dependencies = Dependencies(self._rules, self._options, self._budget.check)
        read = dependencies.read()
        for turn in dependencies.turns():
            some = [self._outcomes[at] for at in turn.rules]
            if turn.at_once:
                self._at_once(some[0], is_read=turn.rules[0] in read)
            else:
                self._in_turn(some)
        return self._outcomes

    def _at_once(self, outcome: RuleOutcome, *, is_read: bool) -> None:
        rule, group, grid = outcome.rule.spec, outcome.rule.group, outcome.grid
        overlay, options, budget = self._overlay, self._options, self._budget
        if isinstance(rule, AlertingSpec):
            alerting = AlertingRule(rule, options, self._origin)
            run = AlertRun(alerting, grid, group.query_offset_ms, group.limit, overlay, options, budget)
            run.run()
            outcome.timelines, outcome.problems = run.timelines, run.problems
            if is_read:
                budget.keep_only(overlay.size_bytes, HELD)
                series = RecordedSeries(_stamps(outcome))
                series.fill(alert_series(alerting, run.timelines, grid, run.problems.failures, budget))
                overlay.recorded.append(series)
            return
        stamps = _stamps(outcome)
        results = RecordingRule(rule, options).over(
            overlay, stamps, options, budget, group.limit, overlay.size_bytes
        )
        outcome.recorded = RecordedSeries(stamps)
        outcome.recorded.fill(results)
        outcome.problems.failures |= results.failures
        overlay.recorded.append(outcome.recorded)

    def _in_turn(self, outcomes: Sequence[RuleOutcome]) -> None:
        steps = []
        for outcome in outcomes:
            step = _Step(outcome, self._options, self._origin)
            self._overlay.recorded.append(step.series)
            steps.append(step)
        # of rules of one time those that come first in the file are first
        times = sorted((time_ms, at) for at, step in enumerate(steps) for time_ms in step.times_ms)
        for time_ms, at in times:
            self._budget.keep_only(self._overlay.size_bytes, HELD)
            steps[at].evaluate(self._overlay, time_ms, self._options, self._budget)


class _Step:
    """A rule that is evaluated one time after the other, by the session that a server has for it."""

    def __init__(self, outcome: RuleOutcome, options: QueryOptions, origin: AlertOrigin) -> None:
        self.series = RecordedSeries(_stamps(outcome))
        self.times_ms = outcome.grid.times_ms().tolist()
        self._outcome = outcome
        self._alerting: AlertingSession | None = None
        self._session: RuleSession
        spec = outcome.rule.spec
        if isinstance(spec, RecordingSpec):
            self._session = RecordingSession(RecordingRule(spec, options), "")
            outcome.recorded = self.series
        else:
            self._session = self._alerting = AlertingSession(AlertingRule(spec, options, origin), "")
            outcome.timelines = Timelines(spec.alert)

    def evaluate(self, overlay: Overlay, time_ms: int, options: QueryOptions, budget: Budget) -> None:
        """One evaluation; later rules see what it records."""
        outcome, group = self._outcome, self._outcome.rule.group
        place = (time_ms - outcome.grid.start_ms) // outcome.grid.step_ms
        evaluation = Evaluation(time_ms, time_ms - group.query_offset_ms, options, budget, group.limit)
        before: ActiveAlerts = {}
        if self._alerting is not None:
            before, self._alerting.template_errors = self._alerting.alerts, ()
        try:
            self.series.put(place, self._session.recorded(overlay, evaluation))
        except QueryError as error:
            if error.kind is not FailureKind.EXECUTION:
                raise
            outcome.problems.failures[place] = str(error)
        if self._alerting is not None:
            assert outcome.timelines is not None
            after = self._alerting.alerts
            outcome.problems.add_templates(self._alerting.template_errors)
            if after is not before:
                outcome.timelines.observe({**before, **after}, before, after, time_ms)


def _stamps(outcome: RuleOutcome) -> Grid:
    """The times at which a rule reads and records."""
    grid = outcome.grid
    return Grid(grid.start_ms - outcome.rule.group.query_offset_ms, grid.step_ms, grid.count)
