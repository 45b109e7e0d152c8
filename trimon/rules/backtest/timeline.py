"""How an alert went in a backtest: each change of its state, and from when to when it was active."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import field

from trimon import limits
from trimon.errors import UserError
from trimon.model.labels import Labels, format_label_set
from trimon.records import dataclass
from trimon.rules.alert import ActiveAlerts
from trimon.rules.changes import AlertEvent, Change, change_between


@dataclass(frozen=True, slots=True)
class Episode:
    """A time in which an alert was active; None for what did not happen until the end of the range."""

    began_ms: int
    fired_ms: int | None
    ended_ms: int | None

    def firing_ms(self, end_ms: int) -> int:
        """For how long it fired, up to the end of the range."""
        return (
            0
            if self.fired_ms is None
            else (end_ms if self.ended_ms is None else self.ended_ms) - self.fired_ms
        )

    def overlaps(self, other: Episode) -> bool:
        """Whether both were active at some time."""
        begins = self.ended_ms is None or other.began_ms < self.ended_ms
        return begins and (other.ended_ms is None or self.began_ms < other.ended_ms)


@dataclass(slots=True)
class Timelines:
    """The changes of all alerts of one rule, in order of time."""

    rule: str
    events: dict[Labels, list[AlertEvent]] = field(default_factory=dict)
    count: int = 0
    text_bytes: int = 0

    def observe(
        self, labels: Iterable[Labels], before: ActiveAlerts, after: ActiveAlerts, at_ms: int
    ) -> None:
        """Takes in what an evaluation did to some alerts. Raises UserError when there are too many of them, or of changes."""
        for each in labels:
            event = change_between(before.get(each), after.get(each), at_ms)
            if event is None:
                continue
            events = self.events.get(each)
            if events is None:
                self.check_alerts(len(self.events) + 1, each)
                events = self.events[each] = []
            self.count += 1
            if self.count > limits.BACKTEST_EVENTS_MAX:
                raise UserError(
                    f"rule {self.rule}: its alerts change their state more than {limits.BACKTEST_EVENTS_MAX} times, the limit "
                    "of a rule in a backtest; a shorter range has fewer"
                )
            self.text_bytes += sum(len(name) + len(text) for name, text in event.annotations)
            if self.text_bytes > limits.BACKTEST_TEXT_BYTES_MAX:
                raise UserError(
                    f"rule {self.rule}: its annotations have more than {limits.BACKTEST_TEXT_BYTES_MAX} bytes, the limit of a "
                    "rule in a backtest; a shorter range has fewer"
                )
            events.append(event)

    def check_alerts(self, count: int, labels: Labels) -> None:
        """Raises UserError when these are too many different alerts."""
        if count > limits.BACKTEST_ALERTS_MAX:
            raise UserError(
                f"rule {self.rule}: more than {limits.BACKTEST_ALERTS_MAX} different alerts, the limit of a rule in a "
                f"backtest; one is {format_label_set(labels)}"
            )


def episodes_of(events: Iterable[AlertEvent]) -> list[Episode]:
    """From when to when an alert was active."""
    out: list[Episode] = []
    for event in events:
        match event.change:
            case Change.PENDING:
                out.append(Episode(event.at_ms, None, None))
            case Change.FIRING:
                going = out.pop() if out and out[-1].ended_ms is None else Episode(event.at_ms, None, None)
                out.append(Episode(going.began_ms, event.at_ms, None))
            case _:
                going = out.pop()
                out.append(Episode(going.began_ms, going.fired_ms, event.at_ms))
    return out
