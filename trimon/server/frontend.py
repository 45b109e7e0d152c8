"""The front end: the web actor, and what its pages and routes see of the other parts."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Mapping
from pathlib import Path

import trio

from trimon.actors.kernel.group import Group
from trimon.config.configuration import Config
from trimon.config.dump import effective_yaml
from trimon.gotext.times import rfc3339
from trimon.server.configuration import CurrentConfiguration
from trimon.server.parts.serverparts import ServerParts
from trimon.server.planning.apply import ConfigApply
from trimon.server.planning.plan import Planner
from trimon.server.reload import Reload
from trimon.server.settings import Seams, Settings
from trimon.units import format_duration, format_size
from trimon.web.context import WebContext
from trimon.web.notifications import Notifications


class Frontend:
    """The door from web to the rest."""

    def __init__(
        self,
        parts: ServerParts,
        current: CurrentConfiguration,
        reload: Reload,
        settings: Settings,
        seams: Seams,
        notifications: Notifications,
        planner: Planner,
        changes: ConfigApply,
    ) -> None:
        self._notifications = notifications
        self._parts = parts
        self._current = current
        self._reload = reload
        self._planner = planner
        self._changes = changes
        self._settings = settings
        self._seams = seams
        self._yaml = ""
        self._yaml_of: Config | None = None
        self._started_ms = seams.clock.now_ms()

    def context(self, tree: Callable[[], Group], quit_: Callable[[], bool]) -> WebContext:
        """What the application is made over; `tree` gives the root, `quit_` begins the stop."""
        parts, seams = self._parts, self._seams
        storage, scraping = parts.storage, parts.scraping
        return WebContext(
            options=self._settings.web,
            log=seams.log,
            clock=seams.clock,
            offload=seams.parse_threads,
            metrics=seams.metrics,
            queries=parts.queries.queries,
            query_options=self._current.query_options,
            snapshot=storage.actor.snapshot,
            store=storage.store,
            writer=storage.writer,
            clean_tombstones=storage.compactor.clean_tombstones,
            ready=storage.actor.replayed.is_set,
            scrape_pools=lambda: scraping.manager.scrape_pools,
            rules=lambda: list(parts.rules.manager.groups.values()),
            rule_defaults=self._current.rule_defaults,
            otlp=lambda: self._current.config.main.otlp,
            backends=parts.queries.backends,
            pushes=lambda: parts.receivers.pushes,
            receivers=lambda: self._current.config.main.trimon_receivers,
            alert_origin=parts.rules.origin,
            alert_history=parts.rules.history,
            alertmanagers=lambda: (parts.notify.notifier.active, parts.notify.notifier.dropped),
            tree=tree,
            plugins=scraping.discovery.plugins,
            reload=self._reload.run,
            plan_config=self._plan,
            apply_config=self._apply,
            quit=quit_,
            config_yaml=self._config_yaml,
            flags=self._settings.flags,
            described_flags=self._settings.described_flags,
            runtime=self._runtime,
            mask=scraping.discovery.mask,
            remote_write=parts.remote_write.writer.states,
            remote_read=parts.remote_read.reader.states,
            memory=parts.memory.describe,
            bodies=parts.memory.memory.bodies,
            notifications=self._notifications,
            problems=seams.problems,
            scrape_config=self._current.scrape_config,
            discoveries=lambda: (scraping.discovery, parts.notify.discovery),
            kept_bodies=parts.memory.memory.kept,
            scrape_now=scraping.manager.scrape_now,
            security=self._settings.security,
            password_threads=seams.password_threads,
        )

    async def _plan(self, text: str, name: str) -> Mapping[str, object]:
        return (await self._planner.plan(text, name)).shown()

    async def _apply(self, text: str, name: str, watch_s: float) -> Mapping[str, object]:
        return (await self._changes.apply(text, name, watch_s)).shown()

    def _config_yaml(self) -> str:
        """The effective configuration; a long one takes a while to be written, so it is written once."""
        config = self._current.config
        if self._yaml_of is not config:
            self._yaml, self._yaml_of = effective_yaml(config), config
        return self._yaml

    def _runtime(self) -> Mapping[str, object]:
        store = self._parts.storage.store
        options = store.options
        kept = [format_duration(options.retention_ms)] if options.retention_ms else []
        kept += [format_size(options.retention_bytes)] if options.retention_bytes else []
        return {
            "startTime": rfc3339(self._started_ms),
            "CWD": str(Path.cwd()),
            "hostname": socket.gethostname(),
            "serverTime": rfc3339(self._seams.clock.now_ms()),
            "reloadConfigSuccess": self._reload.ok,
            "lastConfigTime": rfc3339(self._reload.succeeded_ms),
            "corruptionCount": len(store.problems),
            "goroutineCount": trio.lowlevel.current_statistics().tasks_living,
            "GOMAXPROCS": os.cpu_count() or 1,
            "GOMEMLIMIT": 0,
            "GOGC": "",
            "GODEBUG": "",
            "storageRetention": " or ".join(kept),
        }
