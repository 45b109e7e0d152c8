"""The part that scrapes: discovery, the manager of targets, and the pools they run in."""

from __future__ import annotations

import socket

from trimon.actors.discovery.discovered import discovered_mailbox
from trimon.actors.discovery.manager import DiscoveryManager
from trimon.actors.kernel.pool import Pool
from trimon.actors.kernel.report import CrashReports
from trimon.actors.metrics.scraping import scrape_metrics
from trimon.actors.scraping.manager import ScrapeManager
from trimon.actors.scraping.scrapepool import ScrapeTimes
from trimon.model.labels import labels_of
from trimon.scrape.target import schedule_seed
from trimon.server.configuration import CurrentConfiguration
from trimon.server.parts.memory import MemoryPart
from trimon.server.parts.queries import QueryPart
from trimon.server.parts.storage import StoragePart
from trimon.server.settings import Seams, Settings


class ScrapingPart:
    """From sources of targets to rows for storage."""

    def __init__(
        self,
        storage: StoragePart,
        queries: QueryPart,
        memory: MemoryPart,
        current: CurrentConfiguration,
        settings: Settings,
        seams: Seams,
        reports: CrashReports,
    ) -> None:
        self.mailbox = discovered_mailbox("scrape-manager")
        self.pools: Pool[str] = Pool("scrape", reports=reports)
        self.manager = ScrapeManager(
            self.pools,
            self.mailbox,
            storage.writer,
            seams.clock,
            seams.scrape_threads,
            seams.log,
            seed=schedule_seed(socket.gethostname(), labels_of(current.config.global_.external_labels)),
            reports=reports,
            lines=queries.lines,
            times=ScrapeTimes(seams.metrics),
            memory=memory.memory,
            settled=storage.compactor.settled,
        )
        self.discovery = DiscoveryManager(
            "scrape",
            self.mailbox,
            seams.clock,
            seams.discovery_threads,
            seams.log,
            settings.discovery_interval_s,
            reports,
            seams.registry,
        )
        self.discovery.on_send = self.manager.confirm
        seams.metrics.collect(scrape_metrics(self.manager))
