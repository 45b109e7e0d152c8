"""The log as somebody reads it who follows it: what was committed from a position on, as columns.

Who sends samples elsewhere reads them here and not from the head: a slow receiver then holds a position in files, and no
memory. Rows are decoded as a replay decodes them. A run tells its series once; the reader gives them numbers of its own then.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from typing import Any, Final, Protocol

from trimon.errors import OperatingError
from trimon.openfiles import ReadFile
from trimon.records import dataclass
from trimon.storage.head.arena import Floats, Int32s, Int64s
from trimon.storage.wal.frame import MAGIC, RECORD_BATCH, DamagedBytes, records, segment_seed
from trimon.storage.wal.kept import RunExtent
from trimon.storage.wal.log import SegmentName
from trimon.storage.wal.tailedrun import Place, ReadColumns, Resolver, TailedRun

# A read takes a thread for so many records at the most, so that it can be told to end.
RECORDS_AT_ONCE: Final = 512


@dataclass(frozen=True, slots=True)
class LogPosition:
    """How far a reader has come: in each run it is not done with, the segment and offset of the next record.

    Runs up to `done` that are not among them are done.
    """

    log_id: str
    done: int
    places: Mapping[int, Place]

    def place(self, epoch: int) -> Place | None:
        """Where to go on in a run; None for one that is done."""
        if epoch in self.places:
            return self.places[epoch]
        return None if epoch <= self.done else (0, len(MAGIC))


class FollowedLog(Protocol):
    """Where the log is."""

    @property
    def log_id(self) -> str:
        """Its name."""
        ...

    def log_extents(self) -> list[RunExtent]:
        """How far each run goes now, oldest first."""
        ...


@dataclass(slots=True)
class LogRead:
    """What was read: samples in the order of the log, notes, and the position after it."""

    position: LogPosition
    series: Int32s
    times_ms: Int64s
    values: Floats
    exemplars: list[Any] = field(default_factory=list)
    """[series pairs, label pairs, value, time] each."""
    metadata: list[Any] = field(default_factory=list)
    """[family, type, help, unit] each."""
    is_end: bool = False
    """Whether there was nothing more."""
    damaged_bytes: int = 0
    lost_sections: int = 0


class LogTail:
    """Reads a log from a position on, run by run. One thread at a time.

    It holds a file for each run that it is in the middle of; `close` lets go of them.
    """

    def __init__(
        self,
        log: FollowedLog,
        open_segment: Callable[[SegmentName], ReadFile],
        position: LogPosition,
        resolver: Resolver,
    ) -> None:
        self._log = log
        self._open = open_segment
        self._resolver = resolver
        self._start = position
        self._done = position.done
        self._runs: dict[int, TailedRun] = {}
        self._round: list[RunExtent] = []
        self.finished = 0
        """Runs that are done with: their series may be nobody's any more."""
        self.backlog_bytes = 0
        """What was written and not read yet, as of the last round."""

    @classmethod
    def at_end(cls, log: FollowedLog) -> LogPosition:
        """The position behind all that is written now. For a thread."""
        extents = log.log_extents()
        places = {extent.epoch: extent.end for extent in extents}
        return LogPosition(log.log_id, max(places, default=-1), places)

    @property
    def position(self) -> LogPosition:
        """Where the next read begins."""
        places = {**{epoch: place for epoch, place in self._start.places.items() if epoch > -1}}
        for epoch, run in self._runs.items():
            places[epoch] = max(run.place, run.begin)
        return LogPosition(self._log.log_id, self._done, places)

    @property
    def series(self) -> list[Int32s]:
        """The numbers of all series of the runs that are being read."""
        return [run.series for run in self._runs.values()]

    def skip(self, epochs: Sequence[int]) -> None:
        """Runs that are gone, whatever of them was not read."""
        for epoch in epochs:
            self._finish(epoch)

    def close(self) -> None:
        """Let go of all files; a later read opens them again."""
        for run in self._runs.values():
            run.file = None

    def read(self, samples_max: int) -> LogRead:
        """Records until so many samples are read, or all are. In a thread. Raises OSError."""
        sink = ReadColumns()
        damaged_bytes, left, is_end = 0, RECORDS_AT_ONCE, False
        if not self._round:
            self._round = self._begin_round()
        while self._round and left > 0 and sink.samples < samples_max:
            extent = self._round[0]
            run = self._run(extent.epoch)
            if run is not None:
                count, damage, through = self._read_run(run, extent, sink, left, samples_max)
                left -= count
                damaged_bytes += damage
                if not through:
                    break
                if not extent.is_open:
                    self._finish(extent.epoch)
            self._round.pop(0)
        else:
            is_end = not self._round
        series, times_ms, values = sink.columns()
        return LogRead(
            self.position,
            series,
            times_ms,
            values,
            sink.exemplars,
            sink.metadata,
            is_end,
            damaged_bytes,
            sink.lost_sections,
        )

    def _begin_round(self) -> list[RunExtent]:
        """How far to read in each run, so that what was written later in one is not read before what was earlier in another."""
        extents = self._log.log_extents()
        there = {extent.epoch for extent in extents}
        for epoch in [*self._start.places, *self._runs]:
            if epoch not in there:
                self._finish(epoch)
        self.backlog_bytes = 0
        for extent in extents:
            place = self._runs[extent.epoch].place if extent.epoch in self._runs else None
            place = self.position.place(extent.epoch) if place is None else place
            if place is not None:
                sizes = (size for number, size in extent.segments.items() if number >= place[0])
                self.backlog_bytes += max(0, sum(sizes) - place[1])
        return extents

    def _run(self, epoch: int) -> TailedRun | None:
        run = self._runs.get(epoch)
        if run is None:
            begin = self.position.place(epoch)
            if begin is None:
                return None
            run = self._runs[epoch] = TailedRun(epoch, begin, self._resolver)
            self._done = max(self._done, epoch)
        return run

    def _finish(self, epoch: int) -> None:
        run = self._runs.pop(epoch, None)
        if run is not None:
            run.file = None
            self.finished += 1
        self._done = max(self._done, epoch)
        places = {each: place for each, place in self._start.places.items() if each != epoch}
        self._start = LogPosition(self._start.log_id, self._start.done, places)

    def _read_run(
        self, run: TailedRun, extent: RunExtent, sink: ReadColumns, left: int, samples_max: int
    ) -> tuple[int, int, bool]:
        """Records read, bytes that are none, and whether the end of the run was reached."""
        count = damaged_bytes = 0
        for segment in sorted(extent.segments):
            number, offset = run.place
            if segment < number:
                continue
            if segment > number:
                offset = len(MAGIC)
                run.place, run.file = (segment, offset), None
            end = extent.segments[segment]
            if offset >= end:
                continue
            file = self._segment(run, segment)
            name = SegmentName(run.epoch, segment)
            for record in records(file, segment_seed(name.epoch, name.segment), offset, end):
                if count >= left or sink.samples >= samples_max:
                    return count, damaged_bytes, False
                if isinstance(record, DamagedBytes):
                    damaged_bytes += record.size_bytes
                    run.place = (segment, record.offset + record.size_bytes)
                    continue
                sink.is_silent = (segment, record.offset) < run.begin
                if record.type == RECORD_BATCH:
                    self._apply(run, record.payload, sink)
                run.place = (segment, record.end)
                count += 1
        return count, damaged_bytes, True

    def _apply(self, run: TailedRun, payload: bytes, sink: ReadColumns) -> None:
        noted = len(sink.exemplars), len(sink.metadata)
        run.apply(payload, sink)
        if sink.is_silent:
            del sink.exemplars[noted[0] :], sink.metadata[noted[1] :]

    def _segment(self, run: TailedRun, segment: int) -> ReadFile:
        if run.file is None or run.file[0] != segment:
            try:
                run.file = (segment, self._open(SegmentName(run.epoch, segment)))
            except FileNotFoundError as error:
                raise OperatingError(f"{error}: somebody has removed it") from None
        return run.file[1]
