"""The alerts of one rule at all times at once: the state machine is asked only where an alert may change its state."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import field

import numpy as np
import numpy.typing as npt

from trimon.model.histogram import FloatHistogram
from trimon.model.labels import Labels
from trimon.query.execution.budget import Budget
from trimon.query.execution.grid import Grid
from trimon.query.execution.values import Index, Mask
from trimon.query.language.options import QueryOptions
from trimon.records import dataclass
from trimon.rules.alert import Alert, AlertState, AlertValue, FoundAlert, advance, next_change_ms
from trimon.rules.alerting import SAME_LABELS, AlertingRule, template_query, too_many
from trimon.rules.backtest.overlay import Overlay
from trimon.rules.backtest.timeline import Timelines
from trimon.rules.slots import HELD, SlotResults, evaluate_slots
from trimon.templates.errors import TemplateError
from trimon.templates.functions.function import QuerySample


@dataclass(slots=True)
class RuleProblems:
    """What went wrong with a rule: evaluations that failed, by their place among the times, and templates."""

    failures: dict[int, str] = field(default_factory=dict)
    template_errors: int = 0
    template_error: str = ""

    def add_templates(self, errors: Iterable[TemplateError]) -> None:
        """Counts templates that failed; the first one's text is kept."""
        for error in errors:
            self.template_error = self.template_error or str(error)
            self.template_errors += 1


@dataclass(frozen=True, slots=True, eq=False)
class _Findings:
    """Which alert is found at which time. `rows`, where given, is the row of the result that it is found in, else its own."""

    labels: list[Labels]
    found: Mask
    rows: npt.NDArray[np.int32] | None

    def row(self, alert: int, place: int) -> int:
        return alert if self.rows is None else int(self.rows[alert, place])


class AlertRun:
    """One alerting rule over all times.

    An alert that goes on being found, or not being found, changes nothing but its value and annotations until a time that the
    state machine names; between, its evaluations are left out. Before it is missed the last one that found it is made up for.
    """

    def __init__(
        self,
        rule: AlertingRule,
        grid: Grid,
        offset_ms: int,
        limit: int,
        overlay: Overlay,
        options: QueryOptions,
        budget: Budget,
    ) -> None:
        """`grid` has the times of the evaluations; what they read is earlier by the offset."""
        self.timelines = Timelines(rule.spec.alert)
        self.problems = RuleProblems()
        self._rule = rule
        self._times = grid.times_ms()
        self._stamps = self._times - offset_ms
        self._limit = limit
        self._overlay = overlay
        self._options = options
        self._budget = budget
        held = overlay.size_bytes
        stamps = Grid(grid.start_ms - offset_ms, grid.step_ms, grid.count)
        self._results = evaluate_slots(overlay, rule.spec.expr, stamps, options, budget, held)
        self._held_bytes = held + self._results.size_bytes
        self._findings = self._all_findings(self._results)
        self._alerts: dict[Labels, Alert] = {}
        # The place of the evaluation that each alert is as of, by its number.
        self._as_of: dict[int, int] = {}
        self._due: list[tuple[int, int]] = []

    def run(self) -> None:
        """Goes through all times. Raises UserError for too many alerts, QueryError when time or memory is over."""
        evaluated = np.ones(len(self._times), np.bool_)
        evaluated[list(self.problems.failures)] = False
        places = np.flatnonzero(evaluated)
        self._budget.take_bytes(3 * self._findings.found.nbytes, "the changes of alerts")
        changes = _changes(self._findings.found[:, places])
        before = -1
        forgotten = False
        for place, changed in zip(places.tolist(), changes, strict=True):
            time_ms = int(self._times[place])
            if forgotten:
                changed = np.flatnonzero(self._findings.found[:, place])
            if len(changed) or (self._due and self._due[0][0] <= time_ms):
                self._budget.check()
                forgotten = self._evaluate(place, before, self._touched(changed, time_ms))
            before = place

    def _touched(self, changed: Index, time_ms: int) -> list[int]:
        numbers = dict.fromkeys(changed.tolist())
        while self._due and self._due[0][0] <= time_ms:
            numbers[heapq.heappop(self._due)[1]] = None
        return list(numbers)

    def _evaluate(self, place: int, before: int, numbers: list[int]) -> bool:
        """The evaluation at a place, of some alerts; whether there were too many afterwards and all are forgotten."""
        findings = self._findings
        for number in self._budget.watch(numbers):
            is_behind = self._as_of.get(number, before) < before
            if is_behind and findings.found[number, before] and not findings.found[number, place]:
                self._advance(number, before)
        touched = [findings.labels[number] for number in numbers]
        was = {labels: self._alerts[labels] for labels in touched if labels in self._alerts}
        untouched = (
            {labels: alert for labels, alert in self._alerts.items() if labels not in was}
            if self._limit > 0
            else {}
        )
        for number in self._budget.watch(numbers):
            self._advance(number, place)
        time_ms = int(self._times[place])
        active = _active(self._alerts) if self._limit > 0 else 0
        if not 0 < self._limit < active:
            self.timelines.observe(touched, was, self._alerts, time_ms)
            return False
        self.problems.failures[place] = too_many(self._limit, active)
        self._alerts = untouched | was
        self._forget(place, before)
        return True

    def _forget(self, place: int, before: int) -> None:
        """Lets all alerts go, as they are after the evaluation before."""
        findings = self._findings
        for number, labels in enumerate(findings.labels):
            if labels in self._alerts and findings.found[number, before]:
                self._advance(number, before)
        self.timelines.observe(self._alerts, self._alerts, {}, int(self._times[place]))
        self._alerts, self._as_of, self._due = {}, {}, []

    def _advance(self, number: int, place: int) -> None:
        """Lets the state machine see one alert."""
        spec, findings = self._rule.spec, self._findings
        labels, is_found = findings.labels[number], bool(findings.found[number, place])
        known = self._alerts.pop(labels, None)
        active = {} if known is None else {labels: known}
        found = [self._found(number, place)] if is_found else []
        self._alerts |= advance(active, found, int(self._times[place]), spec.for_ms, spec.keep_firing_for_ms)
        self._as_of[number] = place
        alert = self._alerts.get(labels)
        if alert is None:
            return
        due_ms = next_change_ms(alert, spec.for_ms, spec.keep_firing_for_ms, is_found=is_found)
        if due_ms is not None:
            heapq.heappush(self._due, (due_ms, number))

    def _found(self, number: int, place: int) -> FoundAlert:
        row, stamp_ms = self._findings.row(number, place), int(self._stamps[place])
        self._budget.keep_only(self._held_bytes, HELD)
        query = template_query(self._overlay, stamp_ms, self._options, self._budget)
        errors: list[TemplateError] = []
        found = self._rule.found(
            self._results.labels.labels(row), self._value(row, place), query, stamp_ms, errors
        )
        self.problems.add_templates(errors)
        return found

    def _value(self, row: int, place: int) -> AlertValue:
        cell = None if self._results.histograms is None else self._results.histograms[row, place]
        return cell if isinstance(cell, FloatHistogram) else float(self._results.values[row, place])

    def _all_findings(self, results: SlotResults) -> _Findings:
        """Which series are which alerts. Where two are the same one at some time, the evaluation at that time fails."""
        self.problems.failures |= results.failures
        if not self._rule.identity_is_fixed:
            return self._findings_of_samples(results)
        identities = [
            self._rule.identity(results.labels.labels(row), 0.0, _no_query, 0)
            for row in self._budget.watch(range(results.labels.rows))
        ]
        numbers: dict[Labels, int] = {}
        codes = np.array([numbers.setdefault(labels, len(numbers)) for labels in identities], np.intp)
        if len(numbers) == len(identities):
            return _Findings(identities, results.present, None)
        rows, places = np.nonzero(results.present)
        return self._gathered(list(numbers), codes[rows], rows, places)

    def _findings_of_samples(self, results: SlotResults) -> _Findings:
        """As the labels of alerts may be others at every time, each sample's are expanded."""
        places, rows = np.nonzero(results.present.T)
        numbers: dict[Labels, int] = {}
        codes = np.zeros(len(rows), np.intp)
        for at, (place, row) in enumerate(
            self._budget.watch(zip(places.tolist(), rows.tolist(), strict=True))
        ):
            stamp_ms = int(self._stamps[place])
            self._budget.keep_only(self._held_bytes, HELD)
            query = template_query(self._overlay, stamp_ms, self._options, self._budget)
            labels = self._rule.identity(results.labels.labels(row), self._value(row, place), query, stamp_ms)
            codes[at] = numbers.setdefault(labels, len(numbers))
            self.timelines.check_alerts(len(numbers), labels)
        return self._gathered(list(numbers), codes, rows, places)

    def _gathered(self, labels: list[Labels], codes: Index, rows: Index, places: Index) -> _Findings:
        shape = (len(labels), len(self._times))
        self._budget.keep_only(self._held_bytes, HELD)
        size_bytes = 9 * shape[0] * shape[1]
        self._budget.take_bytes(size_bytes, "the alerts of a rule")
        self._held_bytes += size_bytes
        counts = np.zeros(shape, np.int32)
        np.add.at(counts, (codes, places), 1)
        several = (counts > 1).any(axis=0)
        self.problems.failures |= dict.fromkeys(np.flatnonzero(several).tolist(), SAME_LABELS)
        row_of = np.zeros(shape, np.int32)
        row_of[codes, places] = rows
        return _Findings(labels, counts == 1, row_of)


def _active(alerts: Mapping[Labels, Alert]) -> int:
    return sum(alert.state is not AlertState.INACTIVE for alert in alerts.values())


def _no_query(text: str) -> list[QuerySample]:
    raise AssertionError(f"a label that shows labels alone asks {text}")


def _changes(found: Mask) -> Iterator[Index]:
    """At every time the alerts that are found there and were not before, or the other way round."""
    before = np.zeros((found.shape[0], 1), np.bool_)
    alerts, places = np.nonzero(np.diff(found, axis=1, prepend=before))
    order = np.argsort(places, kind="stable")
    ends = np.searchsorted(places[order], np.arange(found.shape[1]), "right").tolist()
    begin = 0
    for end in ends:
        yield alerts[order[begin:end]]
        begin = end
