"""The part that asks other servers for samples: the endpoints of remote read."""

from __future__ import annotations

from trimon.actors.metrics.remoteread import remote_read_metrics
from trimon.actors.remoteread.reader import RemoteReader
from trimon.config.configuration import Config
from trimon.config.remote import RemoteReadConfig
from trimon.fetch.client import HttpFetch
from trimon.fetch.request import Fetch
from trimon.model.labels import labels_of
from trimon.peers.options import client_options
from trimon.server.parts.storage import StoragePart
from trimon.server.settings import Seams


class RemoteReadPart:
    """From the section `remote_read` to whom queries ask."""

    def __init__(self, storage: StoragePart, seams: Seams) -> None:
        self._store, self._clock = storage.store, seams.clock
        self.reader = RemoteReader(self._local_start_ms, _connect, seams.clock)
        seams.metrics.collect(remote_read_metrics(lambda: list(self.reader.endpoints.values())))

    def _local_start_ms(self) -> int:
        """Since when local storage has everything: two windows of a head behind its first block, as Prometheus reckons."""
        blocks = self._store.blocks()
        first_ms = min((meta.min_ms for meta, _ in blocks), default=self._clock.now_ms())
        return first_ms + 2 * self._store.options.min_block_ms

    def configure(self, config: Config) -> None:
        """The endpoints of a configuration. Raises UserError."""
        self.reader.configure(config.main.remote_read, labels_of(config.global_.external_labels))


def _connect(config: RemoteReadConfig) -> Fetch:
    return HttpFetch(client_options(config))
