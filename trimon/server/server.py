"""The server: runs the tree, listens to signals, and stops in order."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable, Sequence
from types import FrameType
from typing import TypeAlias

import trio

from trimon.actors.kernel.report import CrashReport, CrashReports
from trimon.actors.kernel.supervisor import BudgetExhausted
from trimon.actors.metrics.actors import actor_metrics
from trimon.actors.metrics.scraping import kernel_metrics
from trimon.fetch.budget import OUTGOING
from trimon.redaction import redacted
from trimon.server.autoreload import AutoReload
from trimon.server.configuration import ConfigurationFile, CurrentConfiguration, LoadedConfiguration
from trimon.server.descriptors import OutgoingConnections
from trimon.server.forcedstop import ForcedStop
from trimon.server.frontend import Frontend
from trimon.server.parts.serverparts import ServerParts
from trimon.server.planning.apply import ConfigApply
from trimon.server.planning.plan import Planner
from trimon.server.reload import ApplyError, Reload
from trimon.server.servicemanager import ServiceManager
from trimon.server.settings import Seams, Settings
from trimon.server.tree import STOP_S, supervision_tree
from trimon.storage.store import Store
from trimon.web.app import create_app
from trimon.web.auth.watch import WebConfigWatch
from trimon.web.grpc.calls import Calls
from trimon.web.grpc.server import GrpcActor
from trimon.web.http.wire.server import WebActor
from trimon.web.notifications import STARTING, STOPPING, Notifications

Handler: TypeAlias = Callable[[int, FrameType | None], object]


class Server:
    """Everything wired together. `run` returns the exit code."""

    def __init__(
        self,
        settings: Settings,
        seams: Seams,
        store: Store,
        sockets: list[socket.socket],
        loaded: LoadedConfiguration,
        source: ConfigurationFile,
        grpc_sockets: Sequence[socket.socket] = (),
    ) -> None:
        self._log = seams.log
        self._scrape_threads = seams.scrape_threads
        self._parse_threads = seams.parse_threads
        self._registry = seams.registry
        self._stopping = False
        self._current = CurrentConfiguration(loaded, settings.query)
        self.reports = CrashReports(self._log_crash, shown=redacted)
        seams.metrics.process()
        seams.metrics.collect(kernel_metrics(self.reports))
        self.parts = ServerParts(store, self._current, settings, seams, self.reports)
        self.notifications = Notifications(seams.clock, settings.web.notification_subscribers_max)
        self.reload = Reload(self.parts, self._current, seams, source.at_reload, self.notifications)
        planner = Planner(self.parts, self._current, source.draft, seams.parse_threads)
        changes = ConfigApply(source, planner, self.parts, self.reload.run, seams)
        frontend = Frontend(
            self.parts, self._current, self.reload, settings, seams, self.notifications, planner, changes
        )
        app = create_app(frontend.context(lambda: self.root, self.quit))
        web = WebActor(
            app,
            sockets,
            settings.descriptors.connections_max,
            self.reports,
            settings.descriptors.connections_kept,
            settings.security,
            settings.read_timeout_s,
        )
        calls = Calls(app, settings.web.route_prefix)
        grpc = GrpcActor(calls, grpc_sockets, self.reports, settings.security, web.handshakes)
        seams.metrics.collect(web.connections.metrics)
        seams.metrics.collect(web.handshakes.metrics)
        seams.metrics.collect(settings.security.metrics)
        web_watch = WebConfigWatch(settings.security, seams.parse_threads, seams.log)
        self._manager = ServiceManager(settings.notify_socket)
        seams.metrics.collect(OutgoingConnections(settings.descriptors, OUTGOING, self._log).metrics)
        self.root = supervision_tree(
            self.parts,
            web,
            grpc if grpc_sockets else None,
            web_watch,
            self._watch(settings, seams),
            self.reports,
            agent=settings.agent,
        )
        seams.metrics.collect(actor_metrics(lambda: self.root))
        self._forced = ForcedStop(self.root, STOP_S, seams.clock, self._log)

    def _watch(self, settings: Settings, seams: Seams) -> AutoReload | None:
        if not settings.auto_reload_s:
            return None
        return AutoReload(
            lambda: self._current.config, self.reload.run_quietly, seams.parse_threads, settings.auto_reload_s
        )

    def _log_crash(self, report: CrashReport) -> None:
        self._log.error(
            "actor crashed",
            path=report.path,
            attempt=report.attempt,
            err=report.error,
            in_hand=report.in_hand,
        )

    async def run(self) -> int:
        """Serves until a signal, `/-/quit` or the fall of storage; the exit code."""
        try:
            self.reload.apply(self._current.loaded)
        except ApplyError as error:
            self._log.error("the configuration cannot be applied", err=str(error))
            return 1
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._signals)
            nursery.start_soon(self._tell_of_start)
            nursery.start_soon(self._find_plugins)
            nursery.start_soon(self._manager.tell_ready, self.parts.storage.actor.replayed)
            try:
                await self.root.run()
            except BudgetExhausted as error:
                self._log.error("the server cannot go on", err=str(error))
                return 1
            finally:
                self._forced.disarm()
                nursery.cancel_scope.cancel()
        self._log.info("stopped")
        return 0

    async def _tell_of_start(self) -> None:
        replayed = self.parts.storage.actor.replayed
        if not replayed.is_set():
            self.notifications.add(STARTING)
            await replayed.wait()
            self.notifications.remove(STARTING)

    async def _find_plugins(self) -> None:
        await self.parts.storage.actor.replayed.wait()
        await self._parse_threads.run(self._registry.find)

    async def _signals(self) -> None:
        async with trio.open_nursery() as nursery:
            with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT, signal.SIGHUP) as received:
                self._arm_on_signals()
                async for number in received:
                    if number == signal.SIGHUP:
                        nursery.start_soon(self.reload.run_quietly)
                        continue
                    self._log.info("received a signal, stopping", signal=signal.Signals(number).name)
                    nursery.start_soon(self._stop)

    def _arm_on_signals(self) -> None:
        """Arm the last resort in the handlers themselves: they run even while something holds the event loop."""
        for number in (signal.SIGTERM, signal.SIGINT):
            listener = signal.getsignal(number)
            assert callable(listener)

            def handle(got: int, frame: FrameType | None, listener: Handler = listener) -> None:
                self._forced.arm()
                listener(got, frame)

            signal.signal(number, handle)

    async def _stop(self) -> None:
        self._stopping = True
        self.notifications.add(STOPPING)
        self.notifications.close()
        self._manager.tell("STOPPING=1")
        self.parts.stopping()
        self._scrape_threads.abandon()
        await self.root.stop(STOP_S)

    def quit(self) -> bool:
        """Begins the stop as a SIGTERM does; False when it had begun before."""
        if self._stopping:
            return False
        self._stopping = True
        os.kill(os.getpid(), signal.SIGTERM)
        return True
