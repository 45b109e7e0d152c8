"""What rule groups work with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import field
from typing import Final

import trio

from trimon.actors.loop.alarms import Alarms
from trimon.actors.querying.gate import Queries
from trimon.actors.rules.history import RuleChanges
from trimon.actors.storage.writer import Writer
from trimon.clock import Clock
from trimon.log import Log
from trimon.query.language.options import QueryOptions
from trimon.records import dataclass
from trimon.rules.alert import Alert
from trimon.rules.alerting import AlertOrigin

# Groups that catch up at once: those that rules are evaluated in at once as well.
CATCHING_UP_MAX: Final = 4


def _ignore(_: float) -> None:
    """Does nothing with a duration."""


@dataclass(slots=True)
class TemplateCounts:
    """How many templates were expanded since the start, and in how many that failed."""

    expansions: int = 0
    failures: int = 0


@dataclass(frozen=True, slots=True)
class AlertingSeams:
    """What alerting rules work with, and where their alerts go."""

    origin: AlertOrigin = field(default_factory=AlertOrigin)
    notify: Callable[[Sequence[Alert], str], object] = lambda _alerts, _expression: None
    """Hears of alerts that the Alertmanagers are to hear of, and of their rule's expression."""
    changed: Callable[[RuleChanges], object] = lambda _changes: None
    """Hears of changes of the states of alerts."""
    templates: TemplateCounts = field(default_factory=TemplateCounts)
    resend_delay_ms: int = 60_000
    outage_tolerance_ms: int = 3_600_000
    grace_period_ms: int = 600_000


@dataclass(slots=True)
class CatchUps:
    """All groups that catch up after a start, some at a time, and what came of them."""

    most_ms: int = 0
    """How far back; 0: not at all."""
    places: trio.CapacityLimiter = field(default_factory=lambda: trio.CapacityLimiter(CATCHING_UP_MAX))
    groups: int = 0
    """Groups that are not done yet."""
    caught_up: int = 0
    """Groups that had missed something and caught up, since the last summary."""
    iterations: int = 0
    skipped: int = 0
    failed: int = 0
    """Groups that could not, or not with all of it."""
    left: int = 0
    """Iterations of these that were left out, as far as is known."""
    unknown: int = 0
    """Those of these of which it is not known."""
    problem: str = ""
    """Of the first of them."""


@dataclass(frozen=True, slots=True)
class RuleSeams:
    """What groups work with. `options` gives the limits of a query as they are now."""

    queries: Queries
    writer: Writer
    clock: Clock
    log: Log
    replayed: trio.Event
    options: Callable[[], QueryOptions]
    on_rule: Callable[[float], object] = _ignore
    """Hears how many seconds a rule took."""
    on_group: Callable[[float], object] = _ignore
    """Hears how many seconds an iteration of a group took."""
    alerting: AlertingSeams = field(default_factory=AlertingSeams)
    at_once: trio.CapacityLimiter | None = None
    """How many rules are evaluated beside others of their group; None: they go one after the other."""
    catch_ups: CatchUps = field(default_factory=CatchUps)
    """Iterations that were missed before the start."""
    alarms: Alarms = field(default_factory=Alarms)
    """Wakes the groups for their slots."""
