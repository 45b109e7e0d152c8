"""Changes of the state of alerts: what an evaluation did to them."""

from __future__ import annotations

from enum import Enum

from trimon.model.labels import Labels
from trimon.records import dataclass
from trimon.rules.alert import Alert, AlertState, AlertValue


class Change(Enum):
    """What became of an alert; the value is the word that people read."""

    PENDING = "pending"
    FIRING = "firing"
    RESOLVED = "resolved"
    """It was firing and is over: Alertmanagers would hear of its end."""
    INACTIVE = "inactive"
    """It was pending and is over, or it was forgotten: with its rule, or as there were more than the limit."""


@dataclass(frozen=True, slots=True)
class AlertEvent:
    """A change of state, with the value and the annotations of the alert at that time, or of the last time it was found."""

    change: Change
    at_ms: int
    value: AlertValue
    annotations: Labels

    @property
    def is_end(self) -> bool:
        """Whether the alert is over."""
        return self.change in (Change.RESOLVED, Change.INACTIVE)


def change_between(before: Alert | None, after: Alert | None, at_ms: int) -> AlertEvent | None:
    """What an evaluation did to an alert; None if its state is the same."""
    was = AlertState.INACTIVE if before is None else before.state
    now = AlertState.INACTIVE if after is None else after.state
    if was is now:
        return None
    if now is AlertState.INACTIVE:
        assert before is not None
        change = Change.INACTIVE if after is None else Change.RESOLVED
        return AlertEvent(change, at_ms, before.value, before.annotations)
    assert after is not None
    change = Change.FIRING if now is AlertState.FIRING else Change.PENDING
    return AlertEvent(change, at_ms, after.value, after.annotations)
