"""The state of one alerting rule between evaluations: its alerts, and the series that show them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from trimon.model.labels import METRIC_NAME, Labels
from trimon.model.matcher import equal_to
from trimon.model.sample import is_stale
from trimon.model.snapshot import Snapshot
from trimon.query.language.errors import QueryError
from trimon.rules.alert import (
    ActiveAlerts,
    Alert,
    AlertState,
    advance,
    is_due,
    restored_active_ms,
    sent,
)
from trimon.rules.alerting import ALERT_NAME, ALERTS_FOR_STATE, AlertingRule, too_many
from trimon.rules.changes import AlertEvent, change_between
from trimon.rules.recording import Recorded
from trimon.rules.session import Evaluation, RuleSession
from trimon.rules.spec import AlertingSpec
from trimon.templates.errors import TemplateError


class AlertingSession(RuleSession):
    """The state of an alerting rule.

    `alerts` is replaced as a whole, so that others may read it while an evaluation makes the next one in a thread. Until the
    alerts are restored after a start nothing of them is stored: what is there from before must not be overwritten.
    """

    def __init__(self, rule: AlertingRule, group: str, *, restored: bool = True) -> None:
        super().__init__(group, rule.selectors)
        self.rule = rule
        self.alerts: ActiveAlerts = {}
        self.restored = restored
        self.expansions = 0
        """How many templates the last evaluation expanded."""
        self.template_errors: tuple[TemplateError, ...] = ()
        self._changes: tuple[tuple[Alert, AlertEvent], ...] = ()

    @property
    def spec(self) -> AlertingSpec:
        """What the rule file says."""
        return self.rule.spec

    @property
    def query(self) -> str:
        """The expression as the API shows it."""
        return self.rule.query

    @property
    def state(self) -> str:
        """The severest state of its alerts; `unknown` before the first evaluation."""
        if not self.last_evaluation_ms:
            return "unknown"
        states = (alert.state for alert in self.alerts.values())
        return max(states, default=AlertState.INACTIVE).word

    def recorded(self, snapshot: Snapshot, evaluation: Evaluation) -> Recorded:
        """The series that show the alerts after an evaluation. In a thread. Raises ParseError or QueryError.

        A failed evaluation leaves the alerts as they were, but too many of them are all forgotten.
        """
        told = evaluation.stamp_ms, evaluation.options, evaluation.budget
        found = self.rule.completed(self.rule.evaluate(snapshot, *told), self.alerts, snapshot, *told)
        self.expansions, self.template_errors = found.expansions, found.template_errors
        spec = self.spec
        alerts = advance(self.alerts, found.alerts, evaluation.time_ms, spec.for_ms, spec.keep_firing_for_ms)
        active = sum(alert.state is not AlertState.INACTIVE for alert in alerts.values())
        if 0 < evaluation.limit < active:
            self._replace({}, evaluation.time_ms)
            raise QueryError(too_many(evaluation.limit, active))
        self._replace(alerts, evaluation.time_ms)
        shown = alerts.values() if self.restored else ()
        return self.rule.recorded(shown, found.stats)

    def _replace(self, alerts: ActiveAlerts, time_ms: int) -> None:
        before, self.alerts = self.alerts, alerts
        changed = [
            labels
            for labels, alert in alerts.items()
            if labels not in before or before[labels].state is not alert.state
        ]
        changed += [labels for labels in before if labels not in alerts]
        events = (
            (labels, change_between(before.get(labels), alerts.get(labels), time_ms)) for labels in changed
        )
        # What ends is told of as it was; one that comes back is a new alert.
        self._changes = tuple(
            (before[labels] if event.is_end else alerts[labels], event)
            for labels, event in events
            if event is not None
        )

    def take_changes(self) -> tuple[tuple[Alert, AlertEvent], ...]:
        """What the last evaluation changed, each told once."""
        changes, self._changes = self._changes, ()
        return changes

    def take_due(self, time_ms: int, interval_ms: int, resend_delay_ms: int) -> list[Alert]:
        """The alerts that the Alertmanagers are to hear of now; they count as sent."""
        due = {
            labels: sent(alert, time_ms, interval_ms, resend_delay_ms)
            for labels, alert in self.alerts.items()
            if is_due(alert, time_ms, resend_delay_ms)
        }
        if due:
            self.alerts = {**self.alerts, **due}
        return list(due.values())

    def restore(self, snapshot: Snapshot, now_ms: int, outage_ms: int, grace_ms: int) -> int:
        """Takes over since when alerts are active from what was stored before a restart; how many were. In a thread.

        Rules with a shorter `for` than the grace period begin anew. Raises OperatingError when the samples cannot be read.
        """
        self.restored = True
        for_ms = self.spec.for_ms
        if not self.alerts or for_ms < grace_ms:
            return 0
        stored = self._stored(snapshot, now_ms - outage_ms, now_ms)
        changed: dict[Labels, Alert] = {}
        for labels, alert in self.alerts.items():
            if labels in stored:
                last_ms, active_at_ms = stored[labels]
                since_ms = restored_active_ms(last_ms, active_at_ms, now_ms, for_ms, grace_ms)
                changed[labels] = replace(alert, active_at_ms=since_ms)
        self.alerts = {**self.alerts, **changed}
        return len(changed)

    def _stored(self, snapshot: Snapshot, start_ms: int, end_ms: int) -> dict[Labels, tuple[int, int]]:
        """By label set when its state was stored last, and since when it was active then."""
        wanted = [(METRIC_NAME, ALERTS_FOR_STATE), (ALERT_NAME, self.spec.alert)]
        wanted += [(name, value) for name, value in self.spec.labels if "{{" not in value]
        selection = snapshot.select(equal_to(wanted), start_ms, end_ms)
        frame = selection.frame(start_ms, end_ms)
        out: dict[Labels, tuple[int, int]] = {}
        for row in np.flatnonzero(frame.lengths).tolist():
            last = int(frame.offsets[row] + frame.lengths[row] - 1)
            value = frame.values[last : last + 1]
            # Whoever may push can push this metric: what is no time up to now is left out.
            if is_stale(value).any() or not 0 <= value[0] * 1000 <= end_ms:
                continue
            labels = tuple(pair for pair in selection.labels.labels(row) if pair[0] != METRIC_NAME)
            last_ms = int(frame.times[frame.time_offsets[frame.time_of_row[row] + 1] - 1])
            out[labels] = last_ms, int(value[0]) * 1000
        return out

    def inherit(self, predecessor: RuleSession) -> None:
        """Goes on where a session of the same rule ended: its series and its alerts."""
        super().inherit(predecessor)
        if isinstance(predecessor, AlertingSession):
            self.alerts, self.restored = predecessor.alerts, predecessor.restored
