"""One run of the log as somebody reads it who follows it: from records to columns."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Protocol

import numpy as np

from trimon.model.labels import Labels
from trimon.openfiles import ReadFile
from trimon.storage.head.arena import Floats, Int32s, Int64s
from trimon.storage.wal import sections as s
from trimon.storage.wal.cells import CellsError
from trimon.storage.wal.frame import MAGIC
from trimon.storage.wal.payload import BrokenSectionError, Payload, grant_of, looked_up
from trimon.storage.wal.rowstate import RowState

Place = tuple[int, int]


class Resolver(Protocol):
    """Whoever knows series by numbers of its own."""

    def resolve(self, series: Sequence[Labels]) -> Int32s:
        """A number for each, -1 for what is of no interest."""
        ...


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


class TailedRun:
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

    def apply(self, content: bytes, sink: ReadColumns) -> None:
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

    def _apply_pairs(self, payload: Payload, place: int, sink: ReadColumns) -> None:  # noqa: ARG002 # as all of the table
        _, first, names, places, values = payload.sections[place]
        if first > len(self._pairs):
            self._pairs += [None] * (first - len(self._pairs))
        self._pairs[first:] = [(names[number], value) for number, value in zip(places, values, strict=True)]

    def _apply_series(self, payload: Payload, place: int, sink: ReadColumns) -> None:  # noqa: ARG002 # as all of the table
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

    def _apply_groups(self, payload: Payload, place: int, sink: ReadColumns) -> None:  # noqa: ARG002 # as all of the table
        _, first, names = payload.sections[place]
        for number in range(first, first + len(names)):
            self._groups.setdefault(number, _Group())

    def _apply_grant(self, payload: Payload, place: int, sink: ReadColumns) -> None:  # noqa: ARG002 # as all of the table
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

    def _apply_row(self, payload: Payload, place: int, sink: ReadColumns) -> None:
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

    def _apply_loose(self, payload: Payload, place: int, sink: ReadColumns) -> None:
        _, count, series_width, time_width, *rest = payload.sections[place]
        reader = payload.reader(place)
        series = looked_up(self.series, reader.signed(count, series_width))
        times = reader.signed(count, time_width)
        sink.take(series, times, reader.cells(np.zeros(count), rest))


class ReadColumns:
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


# Of the class and not of each run: methods bound to a run would hold it, and its file, in a circle.
_APPLY: Final[Mapping[int, Callable[[TailedRun, Payload, int, ReadColumns], None]]] = {
    s.PAIRS: TailedRun._apply_pairs,
    s.SERIES: TailedRun._apply_series,
    s.GROUPS: TailedRun._apply_groups,
    s.GRANT: TailedRun._apply_grant,
    s.ROW: TailedRun._apply_row,
    s.LOOSE: TailedRun._apply_loose,
}
