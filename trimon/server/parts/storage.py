"""The part that stores: the single writer, the door to it, and the compactor."""

from __future__ import annotations

from typing import Final

from trimon.actors.metrics.storage import storage_metrics, writer_metrics
from trimon.actors.storage.actor import StorageActor
from trimon.actors.storage.compactor import Compactor
from trimon.actors.storage.messages import storage_mailbox
from trimon.actors.storage.writer import Writer
from trimon.config.storage import RetentionConfig, StorageConfig
from trimon.server.settings import Seams, Settings
from trimon.storage.options import StoreLimits
from trimon.storage.store import Store

# From a second to more than two hours, as Prometheus counts them.
COMPACTION_BUCKETS_S: Final = tuple(2.0**exponent for exponent in range(14))


class StoragePart:
    """The actors around a store."""

    def __init__(self, store: Store, settings: Settings, seams: Seams) -> None:
        self.store = store
        self.mailbox = storage_mailbox()
        self.writer = Writer(self.mailbox)
        self.actor = StorageActor(store, self.mailbox, seams.writer_threads, seams.log)
        self.compactor = Compactor(
            store,
            self.writer,
            self.actor.replayed,
            seams.clock,
            seams.parse_threads,
            seams.log,
            compaction_s=seams.metrics.histogram(
                "prometheus_tsdb_compaction_duration_seconds",
                "Duration of compaction runs.",
                (),
                COMPACTION_BUCKETS_S,
            ).observe,
        )
        seams.metrics.collect(storage_metrics(store))
        seams.metrics.collect(writer_metrics(self.actor, self.compactor))
        self._exemplars = settings.exemplars
        ready = seams.metrics.gauge("prometheus_ready", "Whether the server is ready to answer queries.")
        ready.set_function(lambda: float(self.actor.replayed.is_set()))

    def configure(self, config: StorageConfig) -> None:
        """Takes over the section `storage`: what is kept, for how long, and how late samples may come."""
        self.store.configure(limits_of(config, exemplars=self._exemplars))


def limits_of(config: StorageConfig, *, exemplars: bool) -> StoreLimits:
    """The limits of a store that the section `storage` sets; `exemplars`: whether any are kept at all."""
    retention = config.retention or RetentionConfig()
    return StoreLimits(
        out_of_order_window_ms=config.out_of_order_ms,
        retention_ms=retention.time,
        retention_bytes=retention.size,
        retention_percentage=retention.percentage,
        exemplars_max=config.exemplars_max if exemplars else 0,
    )
