"""Settings and seams of a server: what flags make, and the outside world."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import Final

from trimon.actors.alertsender import NotifierSettings
from trimon.actors.remotewrite.manager import KeptBounds
from trimon.clock import Clock
from trimon.discovery.registry import Registry
from trimon.log import Log
from trimon.memory.limit import MemoryLimit
from trimon.offload import Offload, OffloadLanes, ThreadOffload
from trimon.problems import RecentProblems
from trimon.query.language.options import QueryOptions
from trimon.records import dataclass
from trimon.selfmetrics import SelfMetrics
from trimon.server.descriptors import DescriptorPlan
from trimon.web.auth.security import CurrentSecurity
from trimon.web.context import WebOptions

# Rules evaluated at once, of all groups.
RULES_MAX: Final = 4


@dataclass(frozen=True, slots=True)
class AlertSettings:
    """What flags say of alerting rules."""

    resend_delay_ms: int = 60_000
    outage_tolerance_ms: int = 3_600_000
    grace_period_ms: int = 600_000


@dataclass(frozen=True, slots=True)
class RuleSettings:
    """What flags say of all rules."""

    at_once: int = 0
    """How many rules are evaluated beside others of their own group; 0: they go one after the other."""
    catch_up_ms: int = 3_600_000
    """How far back missed iterations are caught up with after a start; 0: not at all."""
    history_bytes: int = 64 << 20
    """How much of the history of alerts is kept; 0: none."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What flags say, beyond the configuration file."""

    web: WebOptions
    query: QueryOptions
    queries_max: int
    descriptors: DescriptorPlan
    discovery_interval_s: float
    exemplars: bool
    """Whether exemplars are kept."""
    auto_reload_s: float
    """How often the files of the configuration are looked at; 0 for never."""
    flags: Mapping[str, str]
    described_flags: Sequence[Mapping[str, object]] = ()
    """The flags with what each is for."""
    notifier: NotifierSettings = field(default_factory=NotifierSettings)
    alerts: AlertSettings = field(default_factory=AlertSettings)
    rules: RuleSettings = field(default_factory=RuleSettings)
    agent: bool = False
    """Whether it scrapes, keeps a log and sends it, and nothing else: neither rules nor alerts, and no queries."""

    @property
    def rules_max(self) -> int:
        """How many rules are evaluated at once, of all groups."""
        return max(RULES_MAX, self.rules.at_once)

    memory: MemoryLimit | None = None
    """The most memory of the process; None for what the system says."""
    kept_log: KeptBounds = field(default_factory=KeptBounds)
    """How much of the log is kept for receivers of remote write."""
    keep_bodies: bool = True
    """Whether bodies of last scrapes are kept."""
    security: CurrentSecurity = field(default_factory=CurrentSecurity)
    """What the web config file says."""
    read_timeout_s: float = math.inf
    """The longest that a request may take to come."""
    notify_socket: str = ""
    """Where the service manager hears that the server is ready, and that it stops; empty: it does not ask."""


@dataclass(frozen=True, slots=True)
class Seams:
    """The outside world.

    Every kind of work has threads of its own: a storm of queries never keeps the writer or the rules waiting.
    """

    clock: Clock
    log: Log
    metrics: SelfMetrics
    writer_threads: Offload
    query_threads: Offload
    parse_threads: Offload
    scrape_threads: ThreadOffload
    """Left behind at a stop: what a target sent is of no use any more."""
    discovery_threads: OffloadLanes
    rule_threads: Offload
    password_threads: Offload
    """Comparing passwords takes long: whoever guesses keeps nothing else waiting."""
    sending_threads: Offload
    """Reading the log and making requests of remote write."""
    registry: Registry
    problems: RecentProblems = field(default_factory=RecentProblems)
    """What the log keeps of its warnings and errors."""
