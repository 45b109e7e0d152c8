"""The part that stores: the single writer, the door to it, and the compactor."""

from __future__ import annotations

from typing import Final

from trimon.actors.compactor import Compactor
from trimon.actors.metrics.storage import storage_readings, writer_readings
from trimon.actors.storage import StorageActor, Writer, storage_mailbox
from trimon.server.settings import Seams
from trimon.storage.store import Store

# From a second to more than two hours, as Prometheus counts them.
COMPACTION_BUCKETS_S: Final = tuple(2.0**exponent for exponent in range(14))


class StoragePart:
    """The actors around a store."""

    def __init__(self, store: Store, seams: Seams) -> None:
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
        seams.metrics.collect(storage_readings(store))
        seams.metrics.collect(writer_readings(self.actor, self.compactor))
        ready = seams.metrics.gauge("prometheus_ready", "Whether the server is ready to answer queries.")
        ready.set_function(lambda: float(self.actor.replayed.is_set()))
