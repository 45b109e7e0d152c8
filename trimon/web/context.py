"""What the pages and API routes may see of the server: the only door from web to the rest."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import field
from pathlib import Path
from typing import Final

import trio

from trimon.actors.discovery.manager import DiscoveryManager
from trimon.actors.kernel.supervisor import Supervisor
from trimon.actors.querying.backends import QueryBackends
from trimon.actors.querying.gate import Queries
from trimon.actors.receivers.pushgroups import PushGroups
from trimon.actors.rules.history import AlertHistory
from trimon.actors.scraping.scrapepool import ScrapePool
from trimon.actors.storage.writer import Writer
from trimon.clock import Clock, WallClock
from trimon.config.otlp import OtlpConfig
from trimon.config.own.receivers import ReceiversConfig
from trimon.config.scrape import ScrapeConfig
from trimon.log import Log
from trimon.memory.bodies import BodyMemory
from trimon.model.labels import Labels
from trimon.model.snapshot import Snapshot
from trimon.offload import Offload
from trimon.problems import RecentProblems
from trimon.query.language.options import QueryOptions
from trimon.records import dataclass
from trimon.rules.alerting import AlertOrigin
from trimon.rules.group import RuleGroup
from trimon.rules.spec import RuleDefaults
from trimon.scrape.records import KeptBodies
from trimon.scrape.session import ScrapeSession
from trimon.selfmetrics import SelfMetrics
from trimon.storage.protocols import ServedStore
from trimon.web.auth.security import CurrentSecurity
from trimon.web.externalurl import ExternalUrl
from trimon.web.http.answer import Answer
from trimon.web.notifications import SUBSCRIBERS_MAX, Notifications

# Those of 1.0 and 2.0.
REMOTE_WRITE_MESSAGES: Final = ("prometheus.WriteRequest", "io.prometheus.write.v2.Request")


@dataclass(frozen=True, slots=True)
class WebOptions:
    """What flags say about the front end."""

    external: ExternalUrl = field(default_factory=ExternalUrl)
    route_prefix: str = ""
    agent: bool = False
    """Whether the server is an agent: it has neither queries nor rules."""
    cors_origin: str = ".*"
    enable_lifecycle: bool = False
    enable_admin_api: bool = False
    enable_remote_write: bool = False
    remote_write_messages: tuple[str, ...] = REMOTE_WRITE_MESSAGES
    """The messages of remote write that are accepted, 1.0 before 2.0."""
    allow_remote_debug: bool = False
    notification_subscribers_max: int = SUBSCRIBERS_MAX
    search_limit_max: int = 10_000
    enable_otlp: bool = False
    page_title: str = ""
    user_assets: Path | None = None
    """Directory of files served under /user."""
    console_templates: Path | None = None
    """Directory of console templates; None where the server has none."""
    console_libraries: Path | None = None
    allowed_hosts: tuple[str, ...] | None = None
    """Hosts that requests may name, beside this machine's own and the external URL's; None: every host."""
    changing_origin: str = ""
    """Regular expression of origins whose pages may change something; empty: none but the server's own."""
    query_cost_max: int = 0
    """Samples that an instant query of a client may look at; 0: any number. Rules have no such limit."""
    query_range_cost_max: int = 0
    remote_read_samples_max: int = 50_000_000
    """Samples that one query of a remote read may give; 0: any number."""
    remote_read_concurrent_max: int = 10
    """Remote reads at once; 0: any number."""
    remote_read_frame_bytes_max: int = 1 << 20

    @property
    def link_prefix(self) -> str:
        """What stands before every route in links: the path under which people elsewhere find the server."""
        return self.external.path or self.route_prefix


@dataclass(frozen=True, slots=True)
class WebContext:
    """Live views and actions; everything is called on the loop's thread."""

    options: WebOptions
    log: Log
    clock: Clock
    offload: Offload
    metrics: SelfMetrics
    queries: Queries
    query_options: Callable[[], QueryOptions]
    snapshot: Callable[[], Snapshot]
    """Raises NotReady while the log is replayed."""
    store: ServedStore
    writer: Writer
    clean_tombstones: Callable[[], Awaitable[None]]
    """Rewrites every block that has deletions; waits for its turn. Raises OperatingError."""
    ready: Callable[[], bool]
    scrape_pools: Callable[[], Mapping[str, ScrapePool]]
    rules: Callable[[], Sequence[RuleGroup]]
    alert_history: AlertHistory
    alertmanagers: Callable[[], tuple[Sequence[str], Sequence[str]]]
    """URLs of those that get alerts, and of those that relabeling dropped."""
    tree: Callable[[], Supervisor]
    plugins: Callable[[], Sequence[Mapping[str, object]]]
    reload: Callable[[], Awaitable[None]]
    """Raises UserError when the new configuration is refused; the old one goes on."""
    plan_config: Callable[[str, str], Awaitable[Mapping[str, object]]]
    """What a configuration would change, as JSON; errors call it by the name. Raises UserError."""
    apply_config: Callable[[str, str, float], Awaitable[Mapping[str, object]]]
    """Takes a configuration over and watches it for so many seconds. Raises UserError, OperatingError."""
    quit: Callable[[], bool]
    """Begins the stop; False when it had begun before."""
    config_yaml: Callable[[], str]
    flags: Mapping[str, str]
    runtime: Callable[[], Mapping[str, object]]
    mask: Callable[[Labels], Labels]
    """Hides the values of discovered labels that look like secrets."""
    rule_defaults: Callable[[], RuleDefaults] = RuleDefaults
    """How the text of a rule file is read."""
    otlp: Callable[[], OtlpConfig] = OtlpConfig
    receivers: Callable[[], ReceiversConfig] = ReceiversConfig
    backends: QueryBackends | None = None
    """The engines that queries of clients may ask."""
    pushes: Callable[[], PushGroups | None] = lambda: None
    """The groups of metrics that batch jobs push; None where they are not received."""
    """How OTLP metrics become series."""
    alert_origin: AlertOrigin = field(default_factory=AlertOrigin)
    """What templates of alerts know of the server."""
    remote_write: Callable[[], Sequence[Mapping[str, object]]] = list
    """The state of the queues of remote write."""
    remote_read: Callable[[], Sequence[Mapping[str, object]]] = list
    """The state of the endpoints of remote read."""
    memory: Callable[[], Mapping[str, object]] = dict
    """The budget of memory, its owners, and what the kernel counts."""
    security: CurrentSecurity = field(default_factory=CurrentSecurity)
    """What the web config file says."""
    password_threads: Offload | None = None
    """Where passwords are compared; None: where other work is done."""
    bodies: BodyMemory = field(default_factory=lambda: BodyMemory(sys.maxsize))
    """The memory of big requests and answers."""
    notifications: Notifications = field(default_factory=lambda: Notifications(WallClock()))
    """What is told to everybody."""
    problems: RecentProblems = field(default_factory=RecentProblems)
    """The last warnings and errors of the log."""
    described_flags: Sequence[Mapping[str, object]] = ()
    """Every flag with its value, its default, and what it is for."""
    scrape_config: Callable[[str], ScrapeConfig | None] = lambda _: None
    """The section of the configuration that a scrape pool is made of."""
    discoveries: Callable[[], Sequence[DiscoveryManager]] = tuple
    """Where targets and Alertmanagers come from."""
    kept_bodies: KeptBodies = field(default_factory=lambda: KeptBodies(0))
    """Bodies of last scrapes."""
    scrape_now: Callable[[ScrapeSession], trio.Event | None] = lambda _: None
    """Scrapes a target beside its slots; what is set when that is stored. None when it is not scraped now."""

    def held(self, answer: Answer) -> Answer:
        """An answer, whose memory is counted until it has gone."""
        self.bodies.hold_while_alive(answer, answer.size_bytes)
        return answer
