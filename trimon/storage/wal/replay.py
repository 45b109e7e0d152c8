"""From segment files back to heads."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import msgpack
import numpy as np

from trimon.errors import OperatingError
from trimon.files import Files
from trimon.storage.accept import Tally
from trimon.storage.arena import Floats, Int32s, Int64s
from trimon.storage.group import ScrapeGroup
from trimon.storage.head import Head
from trimon.storage.wal import sections as s
from trimon.storage.wal.cells import CellsError, unpack_cells, unpack_planes, unzigzag
from trimon.storage.wal.frame import (
    MAGIC,
    RECORD_BATCH,
    RECORD_SEGMENT,
    Damage,
    Record,
    records,
    segment_seed,
)
from trimon.storage.wal.log import KEY_ROW_EVERY, SegmentName

_PROBLEMS_MAX: Final = 100
_NOTES: Final = (s.METADATA, s.EXEMPLARS, s.DELETE)


@dataclass(slots=True)
class ReplayReport:
    """What a replay found; `problems` names every loss in a line."""

    segments: int = 0
    records: int = 0
    rows: int = 0
    samples: int = 0
    damaged_bytes: int = 0
    lost_rows: int = 0
    lost_samples: int = 0
    lost_sections: int = 0
    torn_tails: int = 0
    problems: list[str] = field(default_factory=list)

    def lines(self) -> list[str]:
        """What was lost, for people; empty if nothing was."""
        if not self.problems and not self.damaged_bytes and not self.lost_sections:
            return []
        total = (
            f"{self.damaged_bytes} damaged bytes ({self.torn_tails} torn tails), {self.lost_rows} rows, "
            f"{self.lost_samples} single samples and {self.lost_sections} sections could not be used"
        )
        return [*self.problems, total]

    def fields(self) -> dict[str, int]:
        """The counts."""
        return {
            "segments": self.segments,
            "records": self.records,
            "rows": self.rows,
            "samples": self.samples,
            "damaged_bytes": self.damaged_bytes,
            "lost_rows": self.lost_rows,
            "lost_samples": self.lost_samples,
            "torn_tails": self.torn_tails,
        }

    def problem(self, text: str) -> None:
        """Note a loss; beyond a hundred only the counts go on."""
        if len(self.problems) < _PROBLEMS_MAX:
            self.problems.append(text)


class _BrokenSectionError(OperatingError):
    """A section that cannot be applied, because an earlier one is missing or it is itself damaged."""


class _Reader:
    """The arrays of one record, in order."""

    def __init__(self, data: memoryview) -> None:
        self._data = data

    def take(self, size_bytes: int) -> memoryview:
        if size_bytes > len(self._data) or size_bytes < 0:
            raise _BrokenSectionError("arrays end early")
        part, self._data = self._data[:size_bytes], self._data[size_bytes:]
        return part

    def signed(self, count: int, width: int) -> Int64s:
        """Accumulated zigzag differences."""
        return np.cumsum(unzigzag(unpack_planes(self.take(count * width), count, width)))

    def cells(self, previous: Floats, header: list[int]) -> Floats:
        values, used = unpack_cells(previous, header, self._data)
        self.take(used)
        return values


class EpochReplay:
    """Applies the records of one run of the log to a head."""

    def __init__(self, head: Head, report: ReplayReport, note: Callable[[list[Any]], None]) -> None:
        self._head = head
        self._report = report
        self._note = note
        self._pairs: Int32s = np.zeros(0, np.int32)
        self._series: Int32s = np.zeros(0, np.int32)
        self._groups: dict[int, ScrapeGroup] = {}
        self._next_row: dict[int, int] = {}
        self._grants: dict[int, int] = {}
        self._apply: dict[int, Callable[[list[Any], _Reader], None]] = {
            s.PAIRS: self._apply_pairs,
            s.SERIES: self._apply_series,
            s.GROUPS: self._apply_groups,
            s.GRANT: self._apply_grant,
            s.ROW: self._apply_row,
            s.LOOSE: self._apply_loose,
        }

    def apply(self, payload: bytes) -> None:
        """Apply one record; what cannot be applied is reported, the rest goes on."""
        length = s.LENGTH.unpack_from(payload)[0]
        header = msgpack.unpackb(payload[4 : 4 + length], strict_map_key=False)
        data = memoryview(payload)[4 + length :]
        for *numbers, size_bytes in header:
            reader, data = _Reader(data[:size_bytes]), data[size_bytes:]
            try:
                if numbers[0] in _NOTES:
                    self._note(numbers)
                elif numbers[0] in self._apply:
                    self._apply[numbers[0]](numbers, reader)
            except (_BrokenSectionError, CellsError) as error:
                self._report.lost_sections += 1
                self._report.lost_rows += numbers[0] == s.ROW
                self._report.problem(str(error))

    def _apply_pairs(self, numbers: list[Any], _: _Reader) -> None:
        _, first, names, places, values = numbers
        pairs = [(names[place], value) for place, value in zip(places, values, strict=True)]
        self._pairs = _placed(self._pairs, first, self._head.index.symbols.intern_pairs(pairs))

    def _apply_series(self, numbers: list[Any], reader: _Reader) -> None:
        _, first, count, total, width = numbers
        lengths = np.frombuffer(reader.take(2 * count), "<u2").astype(np.int64)
        flat = _looked_up(self._pairs, reader.signed(total, width))
        known = np.ones(count, np.bool_)
        if (flat < 0).any():
            known = ~np.logical_or.reduceat(flat < 0, np.cumsum(lengths) - lengths)
            self._report.problem(f"{count - int(known.sum())} series are lost with their labels")
        found = np.full(count, -1, np.int32)
        found[known] = self._head.create_pairs(flat[np.repeat(known, lengths)], lengths[known], Tally())
        self._series = _placed(self._series, first, found)

    def _apply_groups(self, numbers: list[Any], _: _Reader) -> None:
        for number, name in enumerate(numbers[2], numbers[1]):
            self._group(number, name)

    def _group(self, number: int, name: str) -> ScrapeGroup | None:
        if number not in self._groups and name:
            self._groups[number] = self._head.new_group(name)
            self._next_row[number] = 0
            self._grants[number] = 0
        return self._groups.get(number)

    def _apply_grant(self, numbers: list[Any], reader: _Reader) -> None:
        _, number, name, count, column_width, series_width = numbers
        columns = reader.signed(count, column_width)
        series = _looked_up(self._series, reader.signed(count, series_width))
        home = np.unpackbits(np.frombuffer(reader.take((count + 7) // 8), np.uint8), count=count).view(
            np.bool_
        )
        group = self._group(number, name)
        if group is None:
            raise _BrokenSectionError("columns of a group that is lost")
        if count:
            group.make_room(int(columns.max()) + 1)
            group.logged[columns] = 0.0
        known = series >= 0
        self._head.restore_grant(group, columns[known], series[known], home[known])
        if name:
            group.revoke_except(columns[known])
        else:
            self._grants[number] += 1

    def _apply_row(self, numbers: list[Any], reader: _Reader) -> None:
        _, number, row_number, time_ms, grants, how, *rest = numbers
        group = self._groups.get(number)
        if group is None:
            raise _BrokenSectionError("a row of a group that is lost")
        key_row = row_number % KEY_ROW_EVERY == 0
        if key_row:
            self._grants[number] = grants
        elif self._next_row[number] != row_number or self._grants[number] != grants:
            raise _BrokenSectionError(f"group {group.name}: a row that builds on a lost one")
        if how == s.COLUMNS_SAME:
            columns = group.logged_columns
        elif how == s.COLUMNS_PREFIX:
            columns, rest = np.arange(rest[0]), rest[1:]
        else:
            columns, rest = reader.signed(rest[0], rest[1]), rest[2:]
        if columns is None or time_ms <= group.last_ms:
            raise _BrokenSectionError(f"group {group.name}: a row that does not follow")
        group.make_room(int(columns.max()) + 1)
        if key_row:
            group.logged[:] = 0.0
        values = reader.cells(group.logged[columns], rest)
        group.logged[columns] = values
        group.logged_columns = columns
        group.logged_rows = self._next_row[number] = row_number + 1
        granted = group.granted[columns]
        if granted.all():
            self._head.restore_row(group, time_ms, columns, values, prefix=how == s.COLUMNS_PREFIX)
        else:
            self._report.lost_samples += int((~granted).sum())
            self._head.restore_row(group, time_ms, columns[granted], values[granted], prefix=False)
        self._report.rows += 1
        self._report.samples += int(granted.sum())

    def _apply_loose(self, numbers: list[Any], reader: _Reader) -> None:
        _, count, series_width, time_width, *rest = numbers
        series = _looked_up(self._series, reader.signed(count, series_width))
        times = reader.signed(count, time_width)
        values = reader.cells(np.zeros(count), rest)
        known = series >= 0
        self._report.lost_samples += count - int(known.sum())
        if known.any():
            self._head.restore_loose(series[known], times[known], values[known])
        self._report.samples += int(known.sum())


def _placed(table: Int32s, first: int, numbers: Int32s) -> Int32s:
    """The table with `numbers` from place `first` on; places never told hold -1."""
    end = first + len(numbers)
    if end > len(table):
        table = np.concatenate((table, np.full(max(end - len(table), len(table) // 2), -1, np.int32)))
    table[first:end] = numbers
    return table


def _looked_up(table: Int32s, numbers: Int64s) -> Int32s:
    """What the table says, -1 where it says nothing."""
    if len(numbers) == 0 or (int(numbers.min()) >= 0 and int(numbers.max()) < len(table)):
        return table[numbers]
    inside = (numbers >= 0) & (numbers < len(table))
    found = np.full(len(numbers), -1, np.int32)
    found[inside] = table[numbers[inside]]
    return found


def read_window(files: Files, path: Path, name: SegmentName) -> tuple[int, int] | None:
    """The window of the head a segment belongs to; None if its beginning is unreadable."""
    data = files.map(path)
    for record in records(data, segment_seed(name.epoch, name.segment)):
        if isinstance(record, Record) and record.type == RECORD_SEGMENT:
            start_ms, end_ms = msgpack.unpackb(record.payload)["window"]
            return int(start_ms), int(end_ms)
        break
    return None


def replay_segment(
    files: Files, path: Path, name: SegmentName, target: EpochReplay, report: ReplayReport, *, mend: bool
) -> None:
    """Apply a segment, stepping over damage. With `mend` (the last one of its run) a torn tail is cut off."""
    data = files.map(path)
    report.segments += 1
    if len(data) and bytes(data[: len(MAGIC)]) != MAGIC:
        report.damaged_bytes += len(MAGIC)
        report.problem(f"WAL segment {name}: its first bytes are not a segment's")
    for record in records(data, segment_seed(name.epoch, name.segment)):
        if isinstance(record, Damage):
            at_end = record.offset + record.size_bytes == len(data)
            report.damaged_bytes += record.size_bytes
            if at_end and mend:
                report.torn_tails += 1
                files.truncate(path, record.offset)
            else:
                report.problem(
                    f"WAL segment {name}: {record.size_bytes} bytes at {record.offset} are damaged"
                )
        elif record.type == RECORD_BATCH:
            report.records += 1
            target.apply(record.payload)
