"""StatsD: lines are counted, and what they add up to is stored at every flush."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import trio

from trimon.actors.loop.schedule import Schedule
from trimon.actors.receivers.lines import LineCounts, LineFaults, LineSockets
from trimon.actors.receivers.taken import naming_of, shown, store
from trimon.actors.storage.writer import Writer
from trimon.clock import Clock
from trimon.config.own.receivers import StatsdConfig
from trimon.errors import UserError
from trimon.log import Log
from trimon.remote.pushed.aggregate import StatsdAggregate
from trimon.remote.pushed.statsd import StatsdReader


class StatsdReceiver:
    """Receives StatsD's lines over UDP and TCP.

    Owns: the sockets, the connections, the state of all series since the start.
    Receives: nothing; lines come from the network.
    Sends: SampleBatch to storage, at every flush.
    Crashes when: it has a bug. Lines and samples that are refused are counted and told.
    On restart: the state is kept, it belongs to the tree: counters go on.
    """

    def __init__(
        self,
        config: StatsdConfig,
        state: StatsdAggregate,
        writer: Writer,
        clock: Clock,
        log: Log,
        counts: LineCounts,
    ) -> None:
        self.counts = counts
        self._state = state
        self._reader = StatsdReader(naming_of(config))
        self._writer = writer
        self._clock = clock
        self._faults = LineFaults("statsd", counts, log)
        self._schedule = Schedule(clock, config.flush_interval, 0, lambda _: None)
        self.sockets = LineSockets(config.listen_address, self.take, counts, self._faults)

    def drain(self) -> None:
        """No more lines are taken; what is known is stored once more."""
        self.sockets.close()
        self._schedule.drain()

    async def run(self) -> None:
        """Listens and flushes until it is told to stop."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.sockets.run)
            while (slot_ms := await self._schedule.wait()) is not None:
                await self._flush(slot_ms)
        await self._flush(self._clock.now_ms())
        self._faults.tell_rest()

    async def _flush(self, time_ms: int) -> None:
        for batch in self._state.flush(time_ms):
            if batch is not None:
                await store(batch, len(batch.values), self._writer, self._faults)
            await trio.lowlevel.checkpoint()

    async def take(self, lines: Sequence[bytes]) -> None:
        """Counts what lines say."""
        now_ms = self._clock.now_ms()
        for line in lines:
            try:
                for seen in self._reader.observations(line):
                    self._state.take(seen, now_ms)
            except UserError as error:
                self._faults.line(line, error)
        await trio.lowlevel.checkpoint()

    def inspect(self) -> Mapping[str, object]:
        """Where it listens, what came, and how many series there are."""
        return {"address": self.sockets.bound, "series": len(self._state), **shown(self.counts)}
