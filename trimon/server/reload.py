"""Reload: a configuration is read, and the parts take it over; when the file itself is bad all stays as it was."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import trio

from trimon.config.yaml.faults import and_more
from trimon.discovery.providers import consumer_of
from trimon.errors import TrimonError, UserError
from trimon.server.configuration import CurrentConfiguration, LoadedConfiguration, warn_of
from trimon.server.jobs import job_config
from trimon.server.parts.serverparts import ServerParts
from trimon.server.settings import Seams
from trimon.web.notifications import RELOAD_FAILED, UNSUPPORTED, Notifications

SETTINGS_TOLD_MAX: Final = 10


class ApplyError(UserError):
    """Some parts could not take over a configuration; the log says which and why."""

    def __init__(self, file: str) -> None:
        super().__init__(
            f'one or more errors occurred while applying the new configuration (--config.file="{file}")'
        )


def _refuse_certificates(loaded: LoadedConfiguration, part: str) -> None:
    error = loaded.certificate_errors.get(part)
    if error is not None:
        raise error


class Reload:
    """Brings a configuration to the parts; one reload at a time."""

    def __init__(
        self,
        parts: ServerParts,
        current: CurrentConfiguration,
        seams: Seams,
        load: Callable[[], LoadedConfiguration],
        notifications: Notifications,
    ) -> None:
        self.ok = True
        self.succeeded_ms = seams.clock.now_ms()
        self._parts = parts
        self._current = current
        self._seams = seams
        self._load = load
        self._notifications = notifications
        self._lock = trio.Lock()
        self._unsupported = ""
        ok = seams.metrics.gauge(
            "prometheus_config_last_reload_successful",
            "Whether the last configuration reload attempt was successful.",
        )
        at = seams.metrics.gauge(
            "prometheus_config_last_reload_success_timestamp_seconds",
            "Timestamp of the last successful configuration reload.",
        )
        unsupported = seams.metrics.gauge(
            "trimon_config_unsupported_settings",
            "Settings of the configuration on which nothing acts in this version.",
        )
        unsupported.set_function(lambda: float(len(self._current.loaded.config.unsupported)))
        ok.set_function(lambda: float(self.ok))
        at.set_function(lambda: self.succeeded_ms / 1000)

    async def run(self) -> None:
        """Takes over the configuration file as it is now.

        Raises UserError and changes nothing when the file is bad. Raises ApplyError when a part refuses it: the
        others have taken it over, and the new configuration is the one that is shown.
        """
        seams = self._seams
        async with self._lock:
            began_s = seams.clock.monotonic_s()
            try:
                loaded = await seams.parse_threads.run(self._load)
                warn_of(loaded, seams.log)
                self.apply(loaded)
            except TrimonError as error:
                self._failed()
                place = {"at": error.position} if isinstance(error, UserError) and error.position.line else {}
                seams.log.error("reloading the configuration failed", err=str(error), **place)
                raise
            except Exception as error:
                self._failed()
                seams.log.error("reloading the configuration failed by a bug", err=repr(error))
                raise
            self.ok = True
            self._notifications.remove(RELOAD_FAILED)
            self.succeeded_ms = seams.clock.now_ms()
            took_s = round(seams.clock.monotonic_s() - began_s, 3)
            seams.log.info("completed loading of configuration", file=str(loaded.config.path), took_s=took_s)

    def _failed(self) -> None:
        self.ok = False
        self._notifications.add(RELOAD_FAILED)

    async def run_quietly(self) -> None:
        """The same for a signal, which has nobody to tell."""
        try:
            await self.run()
        except Exception:  # noqa: BLE001 # told in the log and the metric, and no reason for the server to end
            return

    def apply(self, loaded: LoadedConfiguration) -> None:
        """Hands a configuration to all parts. Raises ApplyError when one of them keeps what it had."""
        self._current.loaded = loaded
        self._tell_unsupported(loaded)
        failed = False
        for part, take_over in self._steps():
            try:
                _refuse_certificates(loaded, part)
                take_over(loaded)
            except UserError as error:
                failed = True
                self._seams.log.error("Failed to apply configuration", component=part, err=error.message)
        if failed:
            raise ApplyError(str(loaded.config.path))

    def _tell_unsupported(self, loaded: LoadedConfiguration) -> None:
        """What the configuration asks for in vain holds until a reload of one that does not."""
        self._notifications.remove(self._unsupported)
        settings = [f"{each.name} ({each.place})" for each in loaded.config.unsupported]
        self._unsupported = f"{UNSUPPORTED} {', '.join(settings[:SETTINGS_TOLD_MAX])}"
        if len(settings) > SETTINGS_TOLD_MAX:
            self._unsupported += f" {and_more(len(settings) - SETTINGS_TOLD_MAX)}"
        if settings:
            self._notifications.add(self._unsupported)

    def _steps(self) -> tuple[tuple[str, Callable[[LoadedConfiguration], None]], ...]:
        """Every part with the way it takes over a configuration, in the order of a reload."""
        return (
            ("db_storage", self._storage),
            ("logs", self._logs),
            ("scrape", self._scraping),
            ("remote_storage", self._remote_storage),
            ("query_backends", self._query_backends),
            ("receivers", self._receivers),
            ("block_shipper", self._shipper),
            ("notify", self._notify),
            ("rules", self._rules),
            ("tracing", self._tracing),
        )

    def _storage(self, loaded: LoadedConfiguration) -> None:
        self._parts.storage.configure(loaded.config.storage)

    def _remote_storage(self, loaded: LoadedConfiguration) -> None:
        """Both sections, as Prometheus has it: each of them keeps what it had where it is refused."""
        try:
            _refuse_certificates(loaded, "remote_read")
            self._parts.remote_read.configure(loaded.config)
        finally:
            _refuse_certificates(loaded, "remote_write")
            self._parts.remote_write.configure(loaded.config)

    def _logs(self, loaded: LoadedConfiguration) -> None:
        if loaded.logs_error is not None:
            raise loaded.logs_error
        config, queries = loaded.config, self._parts.queries
        queries.query_log.path = config.global_.query_log_file
        failure_logs = {job.scrape_failure_log_file for job in config.scrape_configs}
        queries.lines.configure({queries.query_log.path, *failure_logs})

    def _scraping(self, loaded: LoadedConfiguration) -> None:
        config, scraping = loaded.config, self._parts.scraping
        if config.scrape_files_error is not None:
            raise config.scrape_files_error
        features = self._current.query_options().features
        jobs = [job_config(job, features) for job in config.scrape_configs]
        scraping.manager.configure(jobs)
        scraping.discovery.configure([consumer_of(job) for job in config.scrape_configs])

    def _receivers(self, loaded: LoadedConfiguration) -> None:
        self._parts.receivers.configure(loaded.config)

    def _shipper(self, loaded: LoadedConfiguration) -> None:
        self._parts.shipper.configure(loaded.config)

    def _query_backends(self, loaded: LoadedConfiguration) -> None:
        self._parts.queries.configure(loaded.config)

    def _notify(self, loaded: LoadedConfiguration) -> None:
        self._parts.notify.configure(loaded.config)

    def _tracing(self, loaded: LoadedConfiguration) -> None:
        self._parts.tracing.configure(loaded.config.main.tracing)

    def _rules(self, loaded: LoadedConfiguration) -> None:
        if loaded.rules_error is not None:
            self._seams.log.error("loading rule files failed", err=str(loaded.rules_error.cause))
            raise loaded.rules_error
        self._parts.rules.manager.configure(loaded.rules, loaded.config.path.parent)
