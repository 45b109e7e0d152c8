"""The server: the supervision tree in reading order, reload, and the stop.

trimon
├── storage            the single writer
├── line-files         query log, logs of failed scrapes
├── compactor          cuts and merges blocks, retention
├── discovery          one provider a source of targets, and the hub that coalesces
├── scrape-manager     from label sets to targets
├── scrape/<job>/<target>
├── rule-manager       ends the series of removed rule groups
├── rules/<file>/<group>
├── lag                the event loop's pulse
└── web
"""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import trio

from trimon.actors.activefile import ActiveFile, left_over
from trimon.actors.compactor import Compactor
from trimon.actors.discovery import Discovery
from trimon.actors.discovery_readings import discovery_readings
from trimon.actors.jobs import job_config
from trimon.actors.kernel.budget import RestartPolicy
from trimon.actors.kernel.group import Group
from trimon.actors.kernel.pool import Pool
from trimon.actors.kernel.report import CrashReport, CrashReports
from trimon.actors.kernel.spec import ChildSpec, Restart
from trimon.actors.kernel.supervisor import BudgetExhausted
from trimon.actors.lag import LagMonitor
from trimon.actors.linefiles import LineFiles, line_mailbox
from trimon.actors.queries import Queries
from trimon.actors.querylog import QueryLog
from trimon.actors.readings import kernel_readings, query_readings, scrape_readings
from trimon.actors.rule_readings import rule_readings
from trimon.actors.rules import RuleManager, RuleSeams
from trimon.actors.scrape import ScrapeManager, discovered_mailbox
from trimon.actors.storage import StorageActor, Writer, storage_mailbox
from trimon.actors.storage_readings import storage_readings
from trimon.clock import Clock
from trimon.config.dump import effective_yaml
from trimon.config.load import Config
from trimon.discovery.registry import Registry, check_plugins
from trimon.errors import OperatingError, TrimonError
from trimon.log import Log
from trimon.model.labels import Labels, labels_of
from trimon.offload import Offload
from trimon.query.options import QueryOptions
from trimon.rules.file import GroupSpec, RuleDefaults, load_rules
from trimon.scrape.target import schedule_seed
from trimon.selfmetrics import SelfMetrics
from trimon.storage.store import Store
from trimon.units import format_duration, format_size, rfc3339
from trimon.web.app import create_app
from trimon.web.context import WebContext, WebOptions
from trimon.web.server import WebActor

STOP_S: Final = 30.0
# Rules evaluated at once; the rules of one group go one after the other.
RULES_MAX: Final = 4
# Storage and web workers, so that a storm of queries never keeps the writer waiting for a thread.
NEVER_AGAIN: Final = RestartPolicy(restarts_max=0)


@dataclass(frozen=True, slots=True)
class Settings:
    """What flags say, beyond the configuration file."""

    web: WebOptions
    query: QueryOptions
    queries_max: int
    connections_max: int
    discovery_interval_s: float
    flags: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Seams:
    """The outside world."""

    clock: Clock
    log: Log
    metrics: SelfMetrics
    writer_threads: Offload
    query_threads: Offload
    parse_threads: Offload
    rule_threads: Offload
    registry: Registry


@dataclass(frozen=True, slots=True)
class Loaded:
    """All that a (re)load reads: the configuration and the rule files it names."""

    config: Config
    rules: tuple[GroupSpec, ...] = ()


def complete(config: Config, query: QueryOptions, registry: Registry) -> Loaded:
    """The configuration with its rules, when its plug-ins can be loaded. Blocks on the disk. Raises UserError."""
    for error in check_plugins(config, registry):
        raise error
    main = config.global_
    defaults = RuleDefaults(main.evaluation_interval, main.rule_query_offset, query)
    return Loaded(config, load_rules(config.rule_paths, defaults))


class Server:
    """Everything wired together. `run` returns the exit code."""

    def __init__(
        self,
        settings: Settings,
        seams: Seams,
        store: Store,
        sockets: list[socket.socket],
        loaded: Loaded,
        load: Callable[[], Loaded],
    ) -> None:
        config = loaded.config
        self._settings = settings
        self._seams = seams
        self._store = store
        self._load = load
        self.config = config
        self._loaded = loaded
        self._started_ms = seams.clock.now_ms()
        self._reloaded_ms = self._started_ms
        self._reload_ok = True
        self._stopping = False
        self._reload_lock = trio.Lock()
        self.reports = CrashReports(self._log_crash)
        mailbox = storage_mailbox()
        self.writer = Writer(mailbox)
        self.storage = StorageActor(store, mailbox, seams.writer_threads, seams.log)
        line_box = line_mailbox()
        self.lines = LineFiles(line_box, seams.clock, seams.parse_threads, seams.log)
        self.query_log = QueryLog(self.lines)
        journal = self._open_journal(settings.queries_max + RULES_MAX)
        self.queries = Queries(
            self.storage.snapshot,
            seams.query_threads,
            seams.clock,
            concurrency_max=settings.queries_max,
            journal=journal,
            query_log=self.query_log,
        )
        # rules have threads of their own: a storm of queries never keeps them waiting
        rule_queries = Queries(
            self.storage.snapshot,
            seams.rule_threads,
            seams.clock,
            concurrency_max=RULES_MAX,
            journal=journal,
            query_log=self.query_log,
        )
        rule_pool: Pool[str] = Pool("rules", reports=self.reports)
        self.rules = RuleManager(
            rule_pool,
            RuleSeams(
                rule_queries,
                self.writer,
                seams.clock,
                seams.log,
                self.storage.replayed,
                self._query_options,
                seams.metrics.summary(
                    "prometheus_rule_evaluation_duration_seconds", "The duration for a rule to execute."
                ).observe,
                seams.metrics.summary(
                    "prometheus_rule_group_duration_seconds", "The duration of rule group evaluations."
                ).observe,
            ),
        )
        discovered = discovered_mailbox()
        pools: Pool[str] = Pool("scrape", reports=self.reports)
        self.manager = ScrapeManager(
            pools,
            discovered,
            self.writer,
            seams.clock,
            seams.parse_threads,
            seams.log,
            seed=schedule_seed(socket.gethostname(), _external(config)),
            reports=self.reports,
            lines=self.lines,
        )
        self.discovery = Discovery(
            discovered,
            seams.clock,
            seams.parse_threads,
            seams.log,
            settings.discovery_interval_s,
            self.reports,
            seams.registry,
        )
        web = WebActor(create_app(self._context_of(lambda: self.root)), sockets, settings.connections_max)
        compactor = Compactor(
            store, self.writer, self.storage.replayed, seams.clock, seams.parse_threads, seams.log
        )
        lag = LagMonitor(seams.metrics)
        self.root = Group(
            "trimon",
            [
                ChildSpec(
                    "storage", lambda: self.storage, mailbox, Restart.NEVER, drain_s=20.0, policy=NEVER_AGAIN
                ),
                ChildSpec("line-files", lambda: self.lines, line_box, Restart.ALWAYS, drain_s=2.0),
                ChildSpec("compactor", lambda: compactor, drain_s=5.0),
                ChildSpec("discovery", lambda: self.discovery.group, restart=Restart.ALWAYS, drain_s=5.0),
                ChildSpec("scrape-manager", lambda: self.manager, discovered, Restart.ALWAYS, drain_s=2.0),
                ChildSpec("scrape", lambda: pools, restart=Restart.ALWAYS, drain_s=12.0),
                ChildSpec("rule-manager", lambda: self.rules, restart=Restart.ALWAYS, drain_s=2.0),
                ChildSpec("rules", lambda: rule_pool, restart=Restart.ALWAYS, drain_s=12.0),
                ChildSpec("lag", lambda: lag, restart=Restart.ALWAYS),
                ChildSpec("web", lambda: web, restart=Restart.ALWAYS, drain_s=12.0),
            ],
            reports=self.reports,
        )
        self._register_metrics()

    def _open_journal(self, slots: int) -> ActiveFile | None:
        """The journal of running queries; what the last run left in it is told."""
        path = self._store.options.path / "queries.active"
        if unfinished := left_over(path):
            self._seams.log.warning(
                "these queries did not finish in the last run",
                queries=[{"query": query, "started": rfc3339(time_s * 1000)} for query, time_s in unfinished],
            )
        try:
            return ActiveFile(path, slots)
        except OperatingError as error:
            self._seams.log.error("running queries are not journaled", err=str(error))
            return None

    def _register_metrics(self) -> None:
        metrics = self._seams.metrics
        metrics.process()
        metrics.collect(scrape_readings(self.manager))
        metrics.collect(discovery_readings(self.discovery))
        metrics.collect(query_readings(self.queries, self.query_log, self.lines))
        metrics.collect(rule_readings(lambda: self.rules.groups))
        metrics.collect(kernel_readings(self.reports))
        metrics.collect(storage_readings(self._store))
        ok = metrics.gauge(
            "prometheus_config_last_reload_successful",
            "Whether the last configuration reload attempt was successful.",
        )
        at = metrics.gauge(
            "prometheus_config_last_reload_success_timestamp_seconds",
            "Timestamp of the last successful configuration reload.",
        )
        ok.set_function(lambda: float(self._reload_ok))
        at.set_function(lambda: self._reloaded_ms / 1000)
        metrics.gauge("prometheus_ready", "Whether the server is ready to answer queries.").set_function(
            lambda: float(self.storage.replayed.is_set())
        )

    def _context_of(self, tree: Callable[[], Group]) -> WebContext:
        seams, settings = self._seams, self._settings
        return WebContext(
            options=settings.web,
            log=seams.log,
            clock=seams.clock,
            offload=seams.parse_threads,
            metrics=seams.metrics,
            queries=self.queries,
            query_options=self._query_options,
            snapshot=self.storage.snapshot,
            store=self._store,
            writer=self.writer,
            ready=self.storage.replayed.is_set,
            jobs=lambda: self.manager.jobs,
            rules=lambda: list(self.rules.groups.values()),
            tree=tree,
            plugins=self.discovery.plugins,
            reload=self.reload,
            quit=self.quit,
            config_yaml=lambda: effective_yaml(self.config),
            flags=settings.flags,
            runtime=self._runtime,
            mask=self.discovery.mask,
        )

    def _query_options(self) -> QueryOptions:
        return replace(self._settings.query, subquery_step_ms=self.config.global_.evaluation_interval)

    def _log_crash(self, report: CrashReport) -> None:
        self._seams.log.error(
            "actor crashed",
            path=report.path,
            attempt=report.attempt,
            err=report.error,
            in_hand=report.in_hand,
        )

    async def run(self) -> int:
        """Serves until a signal, `/-/quit` or the fall of storage; the exit code."""
        self._apply(self._loaded)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._signals)
            try:
                await self.root.run()
            except BudgetExhausted as error:
                self._seams.log.error("the server cannot go on", err=str(error))
                return 1
            finally:
                nursery.cancel_scope.cancel()
        self._seams.log.info("stopped")
        return 0

    async def _signals(self) -> None:
        async with trio.open_nursery() as nursery:
            with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT, signal.SIGHUP) as received:
                async for number in received:
                    if number == signal.SIGHUP:
                        nursery.start_soon(self._reload_quietly)
                        continue
                    self._seams.log.info("received a signal, stopping", signal=signal.Signals(number).name)
                    nursery.start_soon(self._stop)

    async def _stop(self) -> None:
        self._stopping = self.manager.stopping = self.rules.stopping = True
        await self.root.stop(STOP_S)

    def quit(self) -> bool:
        """Begins the stop as a SIGTERM does; False when it had begun before."""
        if self._stopping:
            return False
        self._stopping = True
        os.kill(os.getpid(), signal.SIGTERM)
        return True

    async def _reload_quietly(self) -> None:
        try:
            await self.reload()
        except TrimonError:
            return  # told in the log and the metric; the old configuration goes on

    async def reload(self) -> None:
        """Takes over the configuration file as it is now. Raises UserError and changes nothing when it is bad."""
        async with self._reload_lock:
            began_s = time.monotonic()
            try:
                loaded = await self._seams.parse_threads.run(self._load)
            except TrimonError as error:
                self._reload_ok = False
                self._seams.log.error(
                    "reloading the configuration failed, the old one goes on", err=str(error)
                )
                raise
            config = loaded.config
            for warning in config.warnings:
                self._seams.log.warning(warning)
            self._apply(loaded)
            self._reload_ok = True
            self._reloaded_ms = self._seams.clock.now_ms()
            took_s = round(time.monotonic() - began_s, 3)
            self._seams.log.info("completed loading of configuration", file=str(config.path), took_s=took_s)

    def _apply(self, loaded: Loaded) -> None:
        self.config = config = loaded.config
        self.query_log.path = config.global_.query_log_file
        failure_logs = {job.scrape_failure_log_file for job in config.scrape_configs}
        self.lines.configure({self.query_log.path, *failure_logs})
        self.manager.configure([job_config(job) for job in config.scrape_configs])
        self.discovery.configure(config.scrape_configs)
        self.rules.configure(loaded.rules, config.path.parent)

    def _runtime(self) -> Mapping[str, object]:
        options = self._store.options
        kept = [format_duration(options.retention_ms)] if options.retention_ms else []
        kept += [format_size(options.retention_bytes)] if options.retention_bytes else []
        return {
            "startTime": rfc3339(self._started_ms),
            "CWD": str(Path.cwd()),
            "hostname": socket.gethostname(),
            "serverTime": rfc3339(self._seams.clock.now_ms()),
            "reloadConfigSuccess": self._reload_ok,
            "lastConfigTime": rfc3339(self._reloaded_ms),
            "corruptionCount": len(self._store.problems),
            "goroutineCount": trio.lowlevel.current_statistics().tasks_living,
            "GOMAXPROCS": os.cpu_count() or 1,
            "GOMEMLIMIT": 0,
            "GOGC": "",
            "GODEBUG": "",
            "storageRetention": " or ".join(kept),
        }


def _external(config: Config) -> Labels:
    return labels_of(config.global_.external_labels)
