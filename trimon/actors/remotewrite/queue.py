"""The actor of one receiver: reads the log, sends what it says, and writes down how far it has come."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import reduce
from pathlib import Path
from typing import Final, Protocol

import trio

from trimon.actors.remotewrite.savepointfile import SavepointFile
from trimon.actors.remotewrite.shard import QueueCounts, Sender
from trimon.clock import Clock
from trimon.config.remote import RemoteWriteConfig
from trimon.errors import OperatingError
from trimon.fetch.request import Fetch
from trimon.files import Files
from trimon.log import Log
from trimon.model.labels import Labels
from trimon.model.relabel import Relabeling
from trimon.offload import Offload
from trimon.records import dataclass
from trimon.redaction import shown_url
from trimon.remote.sending.backlog import Backlog, spread
from trimon.remote.sending.entries import Counted, Entries, Sifter
from trimon.remote.sending.resharding import INTERVAL_S
from trimon.remote.sending.savepoint import Savepoint
from trimon.remote.sending.series import SeriesTable
from trimon.storage.wal.kept import KeptLog
from trimon.storage.wal.tail import FollowedLog, LogPosition, LogTail

READ_SAMPLES: Final = 10_000
# Appends that follow one another are read together, and sent one request after the other: that takes a third of the
# processor's time that a read for each append takes. The first one after a quiet time is read at once.
READ_PAUSE_S: Final = 0.5
WAIT_S: Final = 15.0
DISK_RETRY_S: Final = 5.0
# A queue that is cancelled waits so long for its savepoint to be closed.
CLOSE_S: Final = 5.0
NEVER_TAKEN: Final = -1.0


class SentStore(FollowedLog, Protocol):
    """A store as those see it who send what it stores."""

    @property
    def kept_log(self) -> KeptLog:
        """The segments of the log."""
        ...

    @property
    def metadata(self) -> dict[str, tuple[str, str, str]]:
        """(type, help, unit) by metric family."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class QueueSettings:
    """One receiver: its section, names, what stands for its rules, and where its savepoint is."""

    config: RemoteWriteConfig
    name: str
    external: Labels
    rules: str
    path: Path


class RemoteWriteQueue:
    """Sends what storage has stored to one receiver.

    Owns: its position in the log, the savepoint file, what of the log is on its way.
    Receives: nothing; it hears that something was appended.
    Sends: POST to the receiver, on as many connections as it has shards.
    Crashes when: it has a bug; trouble with disk and network is waited out.
    On restart: goes on at its savepoint.
    """

    def __init__(
        self,
        settings: QueueSettings,
        store: SentStore,
        replayed: trio.Event,
        appended: Callable[[], trio.Event],
        connect: Callable[[RemoteWriteConfig], Fetch],
        files: Files,
        clock: Clock,
        offload: Offload,
        log: Log,
        counts: QueueCounts,
    ) -> None:
        self.settings = settings
        self._savepoint = SavepointFile(settings.path, files, offload, self._disk)
        self.sender = Sender(settings.config, settings.name, clock, offload, log, counts, self._savepoint)
        self.counts = counts
        self.position: LogPosition | None = None
        self.shards = settings.config.queue_config.min_shards
        self.disk_error = ""
        self._store = store
        self._replayed = replayed
        self._appended = appended
        self._connect = connect
        self._clock = clock
        self._offload = offload
        self._log = log
        self._stopping = False
        self._stop = trio.Event()
        self._in_doubt: set[int] = set()
        self._wanted_shards = self.shards
        self._changed = trio.Event()
        self._has_read_all = False
        self._backlog: Backlog[LogPosition] = Backlog(1, LogPosition("", -1, {}))

    # ---- life

    def drain(self) -> None:
        """Read what is there, send what the receiver takes, and end; the rest is sent after the next start."""
        self._stopping = True
        self._stop.set()
        self._tell()

    async def run(self) -> None:
        """Sends until it is told to end."""
        await self._first_of(self._replayed, self._stop, math.inf)
        if not self._replayed.is_set():
            return
        try:
            await self._follow(await self._load())
        finally:
            with trio.move_on_after(CLOSE_S, shield=True):
                await self._savepoint.aclose()

    async def _follow(self, savepoint: Savepoint) -> None:
        """Send from a savepoint on."""
        position = LogPosition(savepoint.log_id, savepoint.done, savepoint.places)
        skip = savepoint.beyond if savepoint.rules == self.settings.rules else ()
        if skip:
            self.shards = self._wanted_shards = len(skip)
        # What the process before sent last may be there, though nobody saw the answer.
        self._in_doubt = set(range(self.shards)) if savepoint.beyond else set()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._reshard)
            if self.settings.config.metadata_config.send and not self.sender.is_second:
                nursery.start_soon(self._tell_metadata)
            while True:
                self._backlog = Backlog(self.shards, position, skip)
                self._savepoint.note(self._present())
                await self._savepoint.save()
                await self._generation(position)
                position, skip = self._backlog.position, ()
                if self._stopping:
                    break
                self.shards = self._wanted_shards
            nursery.cancel_scope.cancel()

    async def _first_of(self, one: trio.Event, other: trio.Event, wait_s: float) -> None:
        """Wait until one of both is set, or so long."""
        async with trio.open_nursery() as nursery:

            async def until(event: trio.Event) -> None:
                await event.wait()
                nursery.cancel_scope.cancel()

            nursery.cancel_scope.deadline = trio.current_time() + wait_s
            nursery.start_soon(until, one)
            nursery.start_soon(until, other)

    async def _generation(self, position: LogPosition) -> None:
        """Read and send with one number of shards, until that changes or the queue ends."""
        config = self.settings.config
        self._has_read_all = False
        table = SeriesTable(
            self.settings.external,
            Relabeling(config.write_relabel_configs),
            histograms=config.send_native_histograms,
            symbols=self.sender.is_second,
        )
        async with trio.open_nursery() as nursery:
            for shard in range(self.shards):
                nursery.start_soon(self._send, shard, table)
            tail = LogTail(self._store, self._store.kept_log.open, position, table)
            try:
                await self._read(tail, table)
            finally:
                tail.close()
            self._has_read_all = True
            self._tell()

    def _is_ending(self) -> bool:
        return self._stopping or self._wanted_shards != self.shards

    def _tell(self) -> None:
        self._changed.set()
        self._changed = trio.Event()

    # ---- reading

    async def _read(self, tail: LogTail, table: SeriesTable) -> None:
        config, backlog = self.settings.config, self._backlog
        sifter = Sifter(table, histograms=config.send_native_histograms, exemplars=config.send_exemplars)
        finished = tail.finished
        while True:
            if tail.finished != finished and not backlog.unsent:
                finished = tail.finished
                # nothing is on its way, so that nobody holds a number that is given to another series
                sifter.forget(await self._offload.run(lambda: table.forget(tail.series)))
            while backlog.fullest >= config.queue_config.capacity:
                if self._is_ending():
                    return
                self.counts.full += 1
                await self._changed.wait()
            if self._wanted_shards != self.shards:
                return
            heard = self._appended()

            def step() -> tuple[LogPosition, list[Entries], int, bool]:
                read = tail.read(READ_SAMPLES)
                entries = sifter.sift(read.series, read.times_ms, read.values, read.exemplars)
                return read.position, spread(table, entries, self.shards), len(read.series), read.is_end

            try:
                position, parts, came, is_end = await self._offload.run(step)
            except (OSError, OperatingError) as error:
                self._disk(error)
                if self._stopping:
                    return
                with trio.move_on_after(DISK_RETRY_S):
                    await self._stop.wait()
                continue
            self._count(sifter, parts, came)
            backlog.add(position, parts)
            self.position = position
            self._tell()
            if is_end and not await self._pause(heard):
                return

    def _count(self, sifter: Sifter, parts: list[Entries], came: int) -> None:
        demand, counts = self.sender.demand, self.counts
        dropped, sifter.dropped = sifter.dropped, type(sifter.dropped)()
        counts.ruled_out = counts.ruled_out.plus(dropped)
        counts.came = reduce(Counted.plus, (part.counted for part in parts), counts.came.plus(dropped))
        demand.came.add(came)
        demand.dropped.add(dropped.samples)
        counts.newest_read_ms = max([counts.newest_read_ms, *(part.newest_ms for part in parts)])
        if not counts.first_read_ms:
            counts.first_read_ms = min((each for part in parts if (each := part.oldest_ms)), default=0)

    async def _pause(self, heard: trio.Event) -> bool:
        """Wait until there is more to read; False when the queue ends."""
        if self._stopping:
            return False
        with trio.move_on_after(READ_PAUSE_S):
            await self._stop.wait()
        if not heard.is_set():
            await self._first_of(heard, self._stop, WAIT_S)
        return True

    def _disk(self, error: Exception | None) -> None:
        """Trouble with the disk, or None when it is over."""
        text = str(error or "")
        if text and text != self.disk_error:
            self._log.error(
                "remote write cannot read the log or save", remote_name=self.settings.name, err=text
            )
        self.disk_error = text

    # ---- sending

    async def _send(self, shard: int, table: SeriesTable) -> None:
        config, backlog = self.settings.config.queue_config, self._backlog
        fetch = self._connect(self.settings.config)
        try:
            while await self._has_batch(shard):
                batch = backlog.take(shard, config.max_samples_per_send)
                if batch is None:
                    continue
                send = self.sender.repeat if shard in self._in_doubt else self.sender.deliver
                if not await send(fetch, table, batch.entries, lambda: self._stopping):
                    return
                self._in_doubt.discard(shard)
                backlog.done(batch)
                self._tell()
                self._savepoint.note(self._present())
                # Otherwise whoever makes the next request writes it down before.
                is_last = backlog.pending(shard) < config.max_samples_per_send
                if is_last and not self._savepoint.try_write():
                    await self._savepoint.save()
        finally:
            await fetch.aclose()

    async def _has_batch(self, shard: int) -> bool:
        """Wait for a whole batch, or as long as one may take to become whole; False when nothing comes any more."""
        config, backlog = self.settings.config.queue_config, self._backlog
        with trio.move_on_after(config.batch_send_deadline / 1000):
            while backlog.pending(shard) < config.max_samples_per_send:
                if self._has_read_all:
                    return backlog.pending(shard) > 0
                await self._changed.wait()
        return True

    async def _tell_metadata(self) -> None:
        fetch = self._connect(self.settings.config)
        try:
            while True:
                await trio.sleep(self.settings.config.metadata_config.send_interval / 1000)
                known = self._store.metadata
                families = [(name, kind, text, unit) for name, (kind, text, unit) in sorted(known.items())]
                if families:
                    await self.sender.tell_metadata(fetch, families)
        finally:
            await fetch.aclose()

    async def _reshard(self) -> None:
        queue, sender = self.settings.config.queue_config, self.sender
        while True:
            await trio.sleep(INTERVAL_S)
            sender.demand.tick()
            quiet_s = max(INTERVAL_S, 2 * sender.backoff_s)
            if sender.last_taken_s == NEVER_TAKEN or trio.current_time() - sender.last_taken_s > quiet_s:
                continue
            wanted = sender.demand.shards(self.shards, self.behind_s, queue.min_shards, queue.max_shards)
            if wanted != self.shards and not self._stopping:
                self._log.info(
                    "remote write changes its number of shards",
                    remote_name=self.settings.name,
                    before=self.shards,
                    after=wanted,
                )
                self._wanted_shards = wanted
                self._tell()

    # ---- savepoint

    async def _load(self) -> Savepoint:
        """The savepoint; the end of the log where there is none, or one of another log."""
        found = await self._savepoint.load(self._store.log_id)
        if found is not None:
            return found
        end = await self._offload.run(lambda: LogTail.at_end(self._store))
        return Savepoint(end.log_id, end.done, end.places, self.settings.rules)

    def _present(self) -> Savepoint:
        position, beyond = self._backlog.position, tuple(self._backlog.beyond())
        return Savepoint(self._store.log_id, position.done, position.places, self.settings.rules, beyond)

    # ---- for people

    @property
    def needed(self) -> set[int] | None:
        """The runs of the log that are not sent yet; None when all may be needed."""
        if self.position is None:
            return None
        return set(self._backlog.position.places)

    @property
    def done_until(self) -> int:
        """Runs up to this one that are not needed are done."""
        return self._backlog.position.done

    @property
    def pending(self) -> int:
        """Entries that were read and are not at the receiver."""
        return self._backlog.unsent

    @property
    def waiting(self) -> Counted:
        """The same by kind."""
        return self._backlog.waiting

    @property
    def lag_s(self) -> float:
        """The age of what is not sent: since the newest sample that was, or the first that was read."""
        since_ms = self.counts.newest_sent_ms or self.counts.first_read_ms
        if not self.pending or not since_ms:
            return 0.0
        return max(0.0, (self._clock.now_ms() - since_ms) / 1000)

    @property
    def behind_s(self) -> float:
        """The time between the newest sample that was read and the newest that was sent."""
        counts = self.counts
        if not counts.newest_sent_ms:
            return 0.0
        newest_ms = max(counts.newest_read_ms, counts.newest_sent_ms)
        return max(0.0, (newest_ms - counts.newest_sent_ms) / 1000)

    @property
    def shards_desired(self) -> int:
        """What the last look at the rates came to."""
        return math.ceil(self.sender.demand.desired) or self.shards

    def inspect(self) -> Mapping[str, object]:
        """The state of the queue."""
        counts, position = self.counts, self._backlog.position
        return {
            "name": self.settings.name,
            "url": shown_url(self.sender.url),
            "protobufMessage": self.settings.config.protobuf_message,
            "shards": self.shards,
            "shardsDesired": self.shards_desired,
            "pending": self.pending,
            "lastSentTimestamp": counts.newest_sent_ms / 1000,
            "lagSeconds": self.lag_s,
            "lastError": self.sender.last_error or self.disk_error,
            "savepoint": {
                "log": position.log_id,
                "places": [
                    {"run": run, "segment": at[0], "offset": at[1]} for run, at in position.places.items()
                ],
            },
            "sent": counts.sent._asdict(),
            "failed": counts.failed._asdict(),
            "retried": counts.retried._asdict(),
            "dropped": {
                "too_old": counts.too_old.total,
                "dropped_series": counts.ruled_out.total,
                "nhcb_in_rw1_not_supported": counts.custom,
            },
        }
