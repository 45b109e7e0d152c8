"""All parts of a server, made in the order in which they need one another."""

from __future__ import annotations

from trimon.actors.kernel.report import CrashReports
from trimon.actors.loop.lag import LagMonitor
from trimon.actors.loop.watchdog import Watchdog
from trimon.actors.metrics.discovery import discovery_metrics
from trimon.actors.metrics.tracing import tracing_metrics
from trimon.actors.tracing import SpanExporter
from trimon.server.configuration import CurrentConfiguration
from trimon.server.parts.memory import MemoryPart
from trimon.server.parts.notify import NotifyPart
from trimon.server.parts.queries import QueryPart
from trimon.server.parts.receivers import ReceiversPart
from trimon.server.parts.remoteread import RemoteReadPart
from trimon.server.parts.remotewrite import RemoteWritePart
from trimon.server.parts.rules import RulePart
from trimon.server.parts.scraping import ScrapingPart
from trimon.server.parts.shipper import ShipperPart
from trimon.server.parts.storage import StoragePart
from trimon.server.settings import Seams, Settings
from trimon.storage.store import Store
from trimon.tracing.tracer import TRACER


class ServerParts:
    """What hangs in the tree, but for the front end, which sees all of it."""

    def __init__(
        self,
        store: Store,
        current: CurrentConfiguration,
        settings: Settings,
        seams: Seams,
        reports: CrashReports,
    ) -> None:
        self.storage = StoragePart(store, settings, seams)
        self.memory = MemoryPart(store, settings, seams)
        self.remote_read = RemoteReadPart(self.storage, seams)
        self.queries = QueryPart(
            self.storage,
            self.memory,
            self.remote_read.reader,
            seams,
            settings.queries_max,
            settings.rules_max,
        )
        self.remote_write = RemoteWritePart(self.storage, settings, seams, reports)
        self.shipper = ShipperPart(self.storage, seams, reports)
        self.receivers = ReceiversPart(self.storage, seams, reports)
        self.notify = NotifyPart(settings, seams, reports)
        self.rules = RulePart(self.storage, self.queries, self.notify, current, settings, seams, reports)
        self.scraping = ScrapingPart(
            self.storage, self.queries, self.memory, current, settings, seams, reports
        )
        self.tracing = SpanExporter(TRACER, seams.parse_threads, seams.log)
        seams.metrics.collect(tracing_metrics(TRACER, self.tracing))
        self.memory.collect(self.scraping.manager, seams)
        seams.metrics.collect(discovery_metrics([self.scraping.discovery, self.notify.discovery]))
        self.lag = LagMonitor(seams.metrics, Watchdog(seams.log), self.queries.loop_pass)

    def stopping(self) -> None:
        """The server is about to stop: series stay open, a restart goes on with them."""
        self.scraping.manager.stopping = self.rules.manager.stopping = True
