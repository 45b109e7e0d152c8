"""One life of the server: real actors, storage, scrape sessions, rules and web handlers, from its start to whatever ends it.

    network ── targets, scrape manager ─┐
    client ─── web handlers ────────────┼─ writer ── storage actor ── RecordedStore ── store ── SimulatedDisk
    rules ──── queries ─────────────────┘              (one writer)         │
                                                                         History

Only the outside is simulated: disk, network, time, randomness. What stands between the storage actor and the store is a
wrapper that tells the history what was handed over, and what was acknowledged.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import trio

from tests.simulation.disk import SimulatedDisk
from tests.simulation.history import History
from tests.simulation.network import Network
from tests.support.asgi import Client
from tests.support.store_world import World
from tests.support.web_world import context_of
from trimon.actors.discovery.discovered import Discovered, discovered_mailbox
from trimon.actors.kernel.group import Group
from trimon.actors.kernel.pool import Pool
from trimon.actors.kernel.report import CrashReports
from trimon.actors.kernel.spec import ChildSpec, Restart
from trimon.actors.querying.gate import Queries
from trimon.actors.rules.manager import RuleManager
from trimon.actors.rules.seams import AlertingSeams, CatchUps, RuleSeams
from trimon.actors.scraping.manager import ScrapeManager
from trimon.actors.scraping.scrapepool import JobConfig
from trimon.actors.storage.actor import StorageActor
from trimon.actors.storage.compactor import Compactor
from trimon.actors.storage.messages import storage_mailbox
from trimon.actors.storage.writer import Writer
from trimon.errors import OperatingError
from trimon.log import LogBuffer
from trimon.model.matcher import Matcher
from trimon.model.rows import Appended, Exemplars, Metadata, Row, SampleBatch
from trimon.offload import InlineOffload
from trimon.query.language.options import QueryOptions
from trimon.random import SeededRandomness
from trimon.rules.alert import Alert
from trimon.rules.file import read_rules
from trimon.rules.spec import RuleDefaults
from trimon.scrape.options import PoolOptions
from trimon.selfmetrics import SelfMetrics
from trimon.storage.options import StoreOptions
from trimon.storage.store import Store
from trimon.virtualclock import VirtualClock
from trimon.web.app import all_endpoints
from trimon.web.context import WebOptions
from trimon.web.http.pipeline import pipeline

RULES = """
groups:
  - name: g
    interval: 10s
    rules:
      - record: total
        expr: sum(a)
      - alert: High
        expr: a > 40
        for: 20s
"""
RULES_FILE = Path("/rules.yml")
SCRAPE_INTERVAL_MS = 5_000
# The endpoints that a world asks: a framework of all of them takes as long to make as a life lasts.
ASKED = {
    f"/api/v1/{name}"
    for name in ("write", "query", "admin/tsdb/delete_series", "admin/tsdb/clean_tombstones")
}


class RecordedStore:
    """A store that tells a history what it is given and what it acknowledges."""

    def __init__(self, store: Store, history: History, clock: VirtualClock) -> None:
        self._store = store
        self._history = history
        self._clock = clock

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def append(self, messages: Sequence[Row | SampleBatch | Metadata | Exemplars]) -> list[Appended]:
        """As the store's; recorded."""
        self._history.attempt(messages)
        pending = self._history.pending()
        try:
            answers = self._store.append(messages)
        except OperatingError:
            self._history.refused(messages)
            raise
        self._history.take(messages, answers, self._clock.now_ms())
        if self._store.options.fsync == "always":
            self._history.synced(pending | self._history.pending())
        return answers

    def sync(self) -> None:
        """As the store's; recorded."""
        pending = self._history.pending()
        self._store.sync()
        self._history.synced(pending)

    def delete_series(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> int:
        """As the store's; recorded."""
        self._history.delete(matchers, start_ms, end_ms)
        hit = self._store.delete_series(matchers, start_ms, end_ms)
        self._history.deleted(matchers, start_ms, end_ms)
        return hit


@dataclass
class Machine:
    """The running server, as the world's events see it."""

    store: Store
    writer: Writer
    storage: StorageActor
    manager: ScrapeManager
    rules: RuleManager
    network: Network
    client: Client
    root: Group
    reports: CrashReports
    log: LogBuffer
    alerts: list[str]

    def scrape(self, *addresses: str) -> None:
        """The targets from now on."""
        options = PoolOptions("j", interval_ms=SCRAPE_INTERVAL_MS, timeout_ms=SCRAPE_INTERVAL_MS - 1000)
        self.manager.configure([JobConfig(options, "1", self.network.client)])
        found = tuple({"__address__": address} for address in addresses)
        self.manager._mailbox.send_nowait(Discovered("j", found))

    def rule(self, text: str = RULES) -> None:
        """The rules from now on."""
        self.rules.configure(read_rules(text, RULES_FILE, RuleDefaults(10_000)), RULES_FILE.parent)

    async def stop(self) -> None:
        """An end in order."""
        self.manager.stopping = True
        self.rules.stopping = True
        await self.root.stop(within_s=60)


def build(
    options: StoreOptions,
    disk: SimulatedDisk,
    history: History,
    clock: VirtualClock,
    network: Network,
    seed: int,
) -> Machine:
    """A server over what the disk holds; `root.run` starts it. Raises OperatingError when it cannot."""
    log, reports, alerts = LogBuffer(), CrashReports(), list[str]()
    store = Store.open(options, disk, clock, SeededRandomness(seed))
    recorded: Any = RecordedStore(store, history, clock)
    mailbox, discovered = storage_mailbox(), discovered_mailbox("scrape-manager")
    writer, offload = Writer(mailbox), InlineOffload()
    storage = StorageActor(recorded, mailbox, offload, log)
    pools: Pool[str] = Pool("scrape", reports=reports)
    manager = ScrapeManager(pools, discovered, writer, clock, offload, log, seed=1, reports=reports)
    compactor = Compactor(recorded, writer, storage.replayed, clock, offload, log, release=lambda: None)
    queries = Queries(storage.snapshot, offload, clock, concurrency_max=4)

    def notify(found: Sequence[Alert], _expression: str) -> None:
        alerts.extend(str(alert.labels) for alert in found)

    seams = RuleSeams(
        queries,
        writer,
        clock,
        log,
        storage.replayed,
        QueryOptions,
        alerting=AlertingSeams(notify=notify),
        catch_ups=CatchUps(60_000),
    )
    rule_pool: Pool[str] = Pool("rules", reports=reports)
    rules = RuleManager(rule_pool, seams)
    root = Group(
        "machine",
        [
            ChildSpec("storage", lambda: storage, mailbox, Restart.NEVER),
            ChildSpec("compactor", lambda: compactor, restart=Restart.ALWAYS),
            ChildSpec("scrape-manager", lambda: manager, discovered, Restart.ALWAYS),
            ChildSpec("scrape", lambda: pools, restart=Restart.ALWAYS),
            ChildSpec("rule-manager", lambda: rules, restart=Restart.ALWAYS),
            ChildSpec("rules", lambda: rule_pool, restart=Restart.ALWAYS, drain_s=12.0),
        ],
        reports=reports,
    )
    world = World(store, writer, storage, manager, network, clock, root, reports, log)  # type: ignore[arg-type]  # a network of another kind
    context = replace(
        context_of(world, SelfMetrics(), WebOptions(enable_remote_write=True, enable_admin_api=True)),
        store=recorded,
        queries=queries,
    )
    client = Client(pipeline(context, [each for each in all_endpoints(context) if each.path in ASKED]))
    return Machine(store, writer, storage, manager, rules, network, client, root, reports, log, alerts)


async def run(machine: Machine, scope: trio.CancelScope) -> None:
    """The server's life, until it stops or `scope` is cancelled: then whatever it still says does not matter."""
    with scope:
        await machine.root.run()
