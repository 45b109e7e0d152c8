"""Graphite: each line is a sample, stored with all that came with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from trimon.actors.receivers.lines import LineCounts, LineFaults, LineSockets
from trimon.actors.receivers.taken import naming_of, shown, store
from trimon.actors.storage.writer import Writer
from trimon.clock import Clock
from trimon.config.own.receivers import GraphiteConfig
from trimon.errors import UserError
from trimon.log import Log
from trimon.model.labels import Labels
from trimon.model.rows import SampleBatch
from trimon.remote.pushed.graphite import GraphiteReader


class GraphiteReceiver:
    """Receives Graphite's lines over TCP and UDP.

    Owns: the sockets and the connections.
    Receives: nothing; lines come from the network.
    Sends: SampleBatch to storage, one for the lines that came together; a sender waits until they are stored.
    Crashes when: it has a bug. Lines and samples that are refused are counted and told.
    On restart: listens again; connections are gone.
    """

    def __init__(
        self, config: GraphiteConfig, writer: Writer, clock: Clock, log: Log, counts: LineCounts
    ) -> None:
        self.counts = counts
        self._reader = GraphiteReader(naming_of(config))
        self._writer = writer
        self._clock = clock
        self._faults = LineFaults("graphite", counts, log)
        self.sockets = LineSockets(config.listen_address, self.take, counts, self._faults)

    def drain(self) -> None:
        """No more lines are taken."""
        self.sockets.close()

    async def run(self) -> None:
        """Listens until it is told to stop."""
        await self.sockets.run()

    async def take(self, lines: Sequence[bytes]) -> None:
        """Stores what lines say."""
        now_ms = self._clock.now_ms()
        samples: list[tuple[Labels, int, float]] = []
        for line in lines:
            try:
                sample = self._reader.sample(line, now_ms)
            except UserError as error:
                self._faults.line(line, error)
                continue
            if sample is not None:
                samples.append(sample)
        if samples:
            await store(_batch(samples), len(samples), self._writer, self._faults)

    def inspect(self) -> Mapping[str, object]:
        """Where it listens, and what came."""
        return {"address": self.sockets.bound, **shown(self.counts)}


def _batch(samples: Sequence[tuple[Labels, int, float]]) -> SampleBatch:
    places: dict[Labels, int] = {}
    numbers = [places.setdefault(labels, len(places)) for labels, _, _ in samples]
    return SampleBatch(
        tuple(places),
        np.array(numbers, np.int32),
        np.array([time_ms for _, time_ms, _ in samples], np.int64),
        np.array([value for _, _, value in samples]),
    )
