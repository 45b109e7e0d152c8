"""The log as somebody reads it who follows it: what was committed from a position on, as columns.

Who sends samples elsewhere reads them here and not from the head: a slow receiver then holds a position in files, and no
memory. Rows are decoded as a replay decodes them. A run tells its series once; the reader gives them numbers of its own then.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from typing import Any, Final, Protocol

import numpy as np

from trimon.errors import OperatingError
from trimon.model.labels import Labels
from trimon.openfiles import ReadFile
from trimon.records import dataclass
from trimon.storage.head.arena import Floats, Int32s, Int64s
from trimon.storage.wal import sections as s
from trimon.storage.wal.cells import CellsError
from trimon.storage.wal.frame import MAGIC, RECORD_BATCH, DamagedBytes, records, segment_seed
from trimon.storage.wal.kept import RunExtent
from trimon.storage.wal.log import SegmentName
from trimon.storage.wal.payload import BrokenSectionError, Payload, grant_of, looked_up
from trimon.storage.wal.rowstate import RowState

# A read takes a thread for so many records at the most, so that it can be told to end.
RECORDS_AT_ONCE: Final = 512
Place = tuple[int, int]


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


class Resolver(Protocol):
    """Whoever knows series by numbers of its own."""

    def resolve(self, series: Sequence[Labels]) -> Int32s:
        """A number for each, -1 for what is of no interest."""
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


class _Group:
    """A scrape group of a run: the reader's number of each column, and the state its next row builds on."""

    __slots__ = ("columns", "grants", "next_row", "series", "state")

    def __init__(self) -> None:
        self.series: Int32s = np.full(8, -1, np.int32)
        self.state = RowState()
        self.next_row = 0
        self.grants = 0
        self.columns: Int64s | None = None

    def make_room(self, width: int) -> None:
        """Have columns below `width`."""
        self.state.make_room(width)
        if width > len(self.series):
            more = np.full(len(self.state.values) - len(self.series), -1, np.int32)
            self.series = np.concatenate((self.series, more))


class _Run:
    """The state of one run: its series, groups, and how far it was read."""

    def __init__(self, epoch: int, begin: Place, resolver: Resolver) -> None:
        self.epoch = epoch
        self.place: Place = (0, len(MAGIC))
        self.begin = begin
        """Nothing before this is told: it is read for the state alone."""
        self.series: Int32s = np.zeros(0, np.int32)
        self.file: tuple[int, ReadFile] | None = None
        self._resolver = resolver
        self._pairs: list[tuple[str, str] | None] = []
        self._groups: dict[int, _Group] = {}

    def apply(self, content: bytes, sink: _Sink) -> None:
        """Take in one record."""
        payload = Payload(content)
        for place, numbers in enumerate(payload.sections):
            kind = numbers[0]
            try:
                if kind in _APPLY:
                    _APPLY[kind](self, payload, place, sink)
                elif kind == s.EXEMPLARS:
                    sink.exemplars += numbers[1]
                elif kind == s.METADATA:
                    sink.metadata += numbers[1]
            except (BrokenSectionError, CellsError):
                sink.lost_sections += 1

    def _apply_pairs(self, payload: Payload, place: int, sink: _Sink) -> None:  # noqa: ARG002 # as all of the table
        _, first, names, places, values = payload.sections[place]
        if first > len(self._pairs):
            self._pairs += [None] * (first - len(self._pairs))
        self._pairs[first:] = [(names[number], value) for number, value in zip(places, values, strict=True)]

    def _apply_series(self, payload: Payload, place: int, sink: _Sink) -> None:  # noqa: ARG002 # as all of the table
        _, first, count, total, width = payload.sections[place]
        reader = payload.reader(place)
        lengths = np.frombuffer(reader.take(2 * count), "<u2").astype(np.int64)
        flat = reader.signed(total, width).tolist()
        pairs, known = self._pairs, len(self._pairs)
        found: list[Labels] = []
        lost: list[int] = []
        at = 0
        for number, length in enumerate(lengths.tolist()):
            labels = [pairs[each] if each < known else None for each in flat[at : at + length]]
            at += length
            if None in labels:
                lost.append(number)
            found.append(tuple(sorted(each for each in labels if each is not None)))
        numbers = self._resolver.resolve(found)
        numbers[lost] = -1
        end = first + count
        if end > len(self.series):
            more = np.full(max(end - len(self.series), len(self.series) // 2), -1, np.int32)
            self.series = np.concatenate((self.series, more))
        self.series[first:end] = numbers

    def _apply_groups(self, payload: Payload, place: int, sink: _Sink) -> None:  # noqa: ARG002 # as all of the table
        _, first, names = payload.sections[place]
        for number in range(first, first + len(names)):
            self._groups.setdefault(number, _Group())

    def _apply_grant(self, payload: Payload, place: int, sink: _Sink) -> None:  # noqa: ARG002 # as all of the table
        _, number, name, *_ = payload.sections[place]
        columns, series, _ = grant_of(payload, place, self.series)
        if not name and number not in self._groups:
            raise BrokenSectionError("a group that is lost")
        group = self._groups.setdefault(number, _Group())
        if name:
            group.series[:] = -1
        else:
            group.grants += 1
        if len(columns):
            group.make_room(int(columns.max()) + 1)
            group.series[columns] = series
            group.state.values[columns] = 0.0

    def _apply_row(self, payload: Payload, place: int, sink: _Sink) -> None:
        _, number, row_number, time_ms, grants, how, *rest = payload.sections[place]
        group = self._groups.get(number)
        if group is None:
            raise BrokenSectionError("a group that is lost")
        reader = payload.reader(place)
        if s.is_key_row(row_number):
            group.grants = grants
            group.state.forget_values()
        elif group.next_row != row_number or group.grants != grants:
            raise BrokenSectionError("a row that builds on a lost one")
        if how == s.COLUMNS_PREFIX:
            group.columns, rest = np.arange(rest[0]), rest[1:]
        elif how == s.COLUMNS_LISTED:
            group.columns, rest = reader.signed(rest[0], rest[1]), rest[2:]
        columns = group.columns
        if columns is None:
            raise BrokenSectionError("a row without its columns")
        if len(columns):
            group.make_room(int(columns.max()) + 1)
        state = group.state
        values = reader.cells(state.values[columns], rest)
        state.values[columns] = values
        group.next_row = row_number + 1
        sink.take(group.series[columns], np.full(len(columns), time_ms, np.int64), values)

    def _apply_loose(self, payload: Payload, place: int, sink: _Sink) -> None:
        _, count, series_width, time_width, *rest = payload.sections[place]
        reader = payload.reader(place)
        series = looked_up(self.series, reader.signed(count, series_width))
        times = reader.signed(count, time_width)
        sink.take(series, times, reader.cells(np.zeros(count), rest))


# Of the class and not of each run: methods bound to a run would hold it, and its file, in a circle.
_APPLY: Final[Mapping[int, Callable[[_Run, Payload, int, _Sink], None]]] = {
    s.PAIRS: _Run._apply_pairs,
    s.SERIES: _Run._apply_series,
    s.GROUPS: _Run._apply_groups,
    s.GRANT: _Run._apply_grant,
    s.ROW: _Run._apply_row,
    s.LOOSE: _Run._apply_loose,
}


class _Sink:
    """Collects what records tell, or nothing of it."""

    def __init__(self) -> None:
        self.is_silent = False
        self.samples = 0
        self.exemplars: list[Any] = []
        self.metadata: list[Any] = []
        self.lost_sections = 0
        self._series: list[Int32s] = []
        self._times: list[Int64s] = []
        self._values: list[Floats] = []

    def take(self, series: Int32s, times_ms: Int64s, values: Floats) -> None:
        """Samples in order; those of series of no interest are left out."""
        if self.is_silent:
            return
        known = series >= 0
        if not known.all():
            series, times_ms, values = series[known], times_ms[known], values[known]
        self.samples += len(series)
        self._series.append(series)
        self._times.append(times_ms)
        self._values.append(values)

    def columns(self) -> tuple[Int32s, Int64s, Floats]:
        """All of it."""
        if not self._series:
            return np.zeros(0, np.int32), np.zeros(0, np.int64), np.zeros(0)
        return np.concatenate(self._series), np.concatenate(self._times), np.concatenate(self._values)


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
        self._runs: dict[int, _Run] = {}
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
        sink = _Sink()
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

    def _run(self, epoch: int) -> _Run | None:
        run = self._runs.get(epoch)
        if run is None:
            begin = self.position.place(epoch)
            if begin is None:
                return None
            run = self._runs[epoch] = _Run(epoch, begin, self._resolver)
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
        self, run: _Run, extent: RunExtent, sink: _Sink, left: int, samples_max: int
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

    def _apply(self, run: _Run, payload: bytes, sink: _Sink) -> None:
        noted = len(sink.exemplars), len(sink.metadata)
        run.apply(payload, sink)
        if sink.is_silent:
            del sink.exemplars[noted[0] :], sink.metadata[noted[1] :]

    def _segment(self, run: _Run, segment: int) -> ReadFile:
        if run.file is None or run.file[0] != segment:
            try:
                run.file = (segment, self._open(SegmentName(run.epoch, segment)))
            except FileNotFoundError as error:
                raise OperatingError(f"{error}: somebody has removed it") from None
        return run.file[1]
