"""Alerts of one rule and their life: a pure function from what was active and what an evaluation found to what is active now.

                    found                      found, `for` is over
        (nothing) ────────→ PENDING ─────────────────────────────────→ FIRING ←─────┐
            ↑                  │  ↑                                     │    │       │ found again
            │       not found  │  └──── `for` was raised by a reload ───┘    │       │ within `keep_firing_for`
            ├──────────────────┘                                             ├───────┘
            │                                            not found, and kept │
            │   15 minutes later                         firing long enough  ↓
            └────────────────────────────────────────────────────────── INACTIVE
                                                                             │ found again: a new alert, PENDING
                                                                             └→ …

With `for` 0 an alert fires in the evaluation that finds it. An alert is known by its labels. The one that is found again
keeps the time since when it is active; what changes are its value and its annotations. An inactive one was firing
and is kept for a quarter of an hour, so that its end is sent again should a message be lost.

All times are those of evaluations, in milliseconds; 0 stands for never. Nothing here reads a clock, so the server, unit
tests of rules and evaluations of the past share it.

Source: Prometheus, documentation of alerting rules; recorded behaviour of 3.14.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from enum import IntEnum
from typing import Final, TypeAlias

from trimon.model.histogram import FloatHistogram
from trimon.model.labels import Labels
from trimon.records import dataclass

RESOLVED_RETENTION_MS: Final = 15 * 60_000
VALID_INTERVALS: Final = 4

AlertValue: TypeAlias = float | FloatHistogram


class AlertState(IntEnum):
    """In order of severity."""

    INACTIVE = 0
    PENDING = 1
    FIRING = 2

    @property
    def word(self) -> str:
        """As in the label `alertstate`."""
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class FoundAlert:
    """One series of an evaluation's result, its labels and annotations expanded."""

    labels: Labels
    annotations: Labels
    value: AlertValue
    source: Labels = ()
    """The labels of the series itself."""


@dataclass(frozen=True, slots=True)
class Alert:
    """One alert; never changes, a new one takes its place."""

    labels: Labels
    annotations: Labels
    value: AlertValue
    state: AlertState
    active_at_ms: int
    fired_at_ms: int = 0
    resolved_at_ms: int = 0
    keep_firing_since_ms: int = 0
    last_sent_ms: int = 0
    valid_until_ms: int = 0
    source: Labels = ()
    """The labels of the series that it was found as."""


ActiveAlerts: TypeAlias = Mapping[Labels, Alert]


def advance(
    active: ActiveAlerts, found: Sequence[FoundAlert], time_ms: int, for_ms: int, keep_firing_for_ms: int
) -> dict[Labels, Alert]:
    """The alerts after an evaluation; no two of `found` have the same labels. Order: known ones first, then new ones."""
    by_labels = {each.labels: each for each in found}
    out: dict[Labels, Alert] = {}
    for labels, alert in active.items():
        seen = by_labels.pop(labels, None)
        if seen is None:
            left = _missing(alert, time_ms, keep_firing_for_ms)
        elif alert.state is AlertState.INACTIVE:
            left = _new(seen, time_ms)
        else:
            left = replace(alert, value=seen.value, annotations=seen.annotations, keep_firing_since_ms=0)
        if left is not None:
            out[labels] = _aged(left, time_ms, for_ms)
    for seen in by_labels.values():
        out[seen.labels] = _aged(_new(seen, time_ms), time_ms, for_ms)
    return out


def _new(seen: FoundAlert, time_ms: int) -> Alert:
    return Alert(seen.labels, seen.annotations, seen.value, AlertState.PENDING, time_ms, source=seen.source)


def _missing(alert: Alert, time_ms: int, keep_firing_for_ms: int) -> Alert | None:
    """What becomes of an alert that was not found; None when it is forgotten."""
    if alert.state is AlertState.PENDING:
        return None
    if alert.state is AlertState.INACTIVE:
        return alert if time_ms - alert.resolved_at_ms <= RESOLVED_RETENTION_MS else None
    if keep_firing_for_ms:
        since_ms = alert.keep_firing_since_ms or time_ms
        if time_ms - since_ms < keep_firing_for_ms:
            return replace(alert, keep_firing_since_ms=since_ms)
    return replace(alert, state=AlertState.INACTIVE, resolved_at_ms=time_ms)


def _aged(alert: Alert, time_ms: int, for_ms: int) -> Alert:
    """Pending or firing by how long an alert is active; one that fires falls back when `for` was raised."""
    long_enough = time_ms - alert.active_at_ms >= for_ms
    if alert.state is AlertState.PENDING and long_enough:
        return replace(alert, state=AlertState.FIRING, fired_at_ms=time_ms)
    if alert.state is AlertState.FIRING and not long_enough:
        return replace(alert, state=AlertState.PENDING, fired_at_ms=0, last_sent_ms=0)
    return alert


def next_change_ms(alert: Alert, for_ms: int, keep_firing_for_ms: int, *, is_found: bool) -> int | None:
    """The first time at which an evaluation may do more to an alert than give it a value and annotations; None: never.

    It holds for an alert as `advance` left it, while every evaluation goes on finding it, or goes on not finding it.
    """
    if alert.state is AlertState.PENDING:
        return alert.active_at_ms + for_ms if is_found else 0
    if alert.state is AlertState.INACTIVE:
        return 0 if is_found else alert.resolved_at_ms + RESOLVED_RETENTION_MS + 1
    if is_found:
        return None
    return alert.keep_firing_since_ms + keep_firing_for_ms if alert.keep_firing_since_ms else 0


def is_due(alert: Alert, time_ms: int, resend_delay_ms: int) -> bool:
    """Whether the Alertmanagers are to hear of an alert now: its end at once, everything else once a while."""
    if alert.state is AlertState.PENDING:
        return False
    return alert.resolved_at_ms > alert.last_sent_ms or alert.last_sent_ms + resend_delay_ms < time_ms


def sent(alert: Alert, time_ms: int, interval_ms: int, resend_delay_ms: int) -> Alert:
    """The alert once it is handed over: valid for a few more evaluations, should the next messages be lost."""
    valid_ms = VALID_INTERVALS * max(interval_ms, resend_delay_ms)
    return replace(alert, last_sent_ms=time_ms, valid_until_ms=time_ms + valid_ms)


def restored_active_ms(last_ms: int, active_at_ms: int, now_ms: int, for_ms: int, grace_ms: int) -> int:
    """Since when an alert counts as active after a restart.

    `last_ms` is when its time was stored last, `active_at_ms` that time. The time without a server does not count as
    pending; what has hardly any time left waits for at least the grace period.
    """
    remaining_ms = for_ms - (last_ms - active_at_ms)
    if remaining_ms <= 0:
        return active_at_ms
    if remaining_ms < grace_ms:
        return now_ms + grace_ms - for_ms
    return active_at_ms + (now_ms - last_ms)
