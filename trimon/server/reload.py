"""Reload: a configuration is read, and the parts take it over, or all stays as it was."""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain

import trio

from trimon.discovery.providers import consumer_of
from trimon.errors import TrimonError
from trimon.query.language.options import TYPE_AND_UNIT
from trimon.server.configuration import Current, Loaded
from trimon.server.jobs import job_config, job_warnings
from trimon.server.parts import Parts
from trimon.server.settings import Seams


class Reload:
    """Brings a configuration to the parts; one reload at a time."""

    def __init__(self, parts: Parts, current: Current, seams: Seams, load: Callable[[], Loaded]) -> None:
        self.ok = True
        self.succeeded_ms = seams.clock.now_ms()
        self._parts = parts
        self._current = current
        self._seams = seams
        self._load = load
        self._lock = trio.Lock()
        ok = seams.metrics.gauge(
            "prometheus_config_last_reload_successful",
            "Whether the last configuration reload attempt was successful.",
        )
        at = seams.metrics.gauge(
            "prometheus_config_last_reload_success_timestamp_seconds",
            "Timestamp of the last successful configuration reload.",
        )
        ok.set_function(lambda: float(self.ok))
        at.set_function(lambda: self.succeeded_ms / 1000)

    async def run(self) -> None:
        """Takes over the configuration file as it is now. Raises UserError and changes nothing when it is bad."""
        seams = self._seams
        async with self._lock:
            began_s = seams.clock.monotonic_s()
            try:
                loaded = await seams.parse_threads.run(self._load)
            except TrimonError as error:
                self.ok = False
                seams.log.error("reloading the configuration failed, the old one goes on", err=str(error))
                raise
            config = loaded.config
            for warning in config.warnings:
                seams.log.warning(warning)
            self.apply(loaded)
            self.ok = True
            self.succeeded_ms = seams.clock.now_ms()
            took_s = round(seams.clock.monotonic_s() - began_s, 3)
            seams.log.info("completed loading of configuration", file=str(config.path), took_s=took_s)

    async def run_quietly(self) -> None:
        """The same for a signal, which has nobody to tell."""
        try:
            await self.run()
        except TrimonError:
            return  # told in the log and the metric; the old configuration goes on

    def apply(self, loaded: Loaded) -> None:
        """Hands a good configuration to all parts."""
        self._current.loaded = loaded
        config = loaded.config
        queries, scraping = self._parts.queries, self._parts.scraping
        queries.query_log.path = config.global_.query_log_file
        failure_logs = {job.scrape_failure_log_file for job in config.scrape_configs}
        queries.lines.configure({queries.query_log.path, *failure_logs})
        labelled = self._current.query_options().has(TYPE_AND_UNIT)
        jobs = [job_config(job, type_and_unit_labels=labelled) for job in config.scrape_configs]
        for warning in chain.from_iterable(map(job_warnings, config.scrape_configs)):
            self._seams.log.warning(warning)
        scraping.manager.configure(jobs)
        scraping.discovery.configure([consumer_of(job) for job in config.scrape_configs])
        self._parts.rules.manager.configure(loaded.rules, config.path.parent)
