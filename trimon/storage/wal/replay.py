"""From segment files back to heads."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import field
from pathlib import Path
from typing import Any, Final

import msgpack
import numpy as np

from trimon.files import Files
from trimon.records import dataclass
from trimon.storage.head.acceptance import RefusalTally
from trimon.storage.head.arena import Int32s, Int64s
from trimon.storage.head.scrapegroup import ScrapeGroup
from trimon.storage.problems import OTHERS, SUBJECTS_MAX
from trimon.storage.wal import sections as s
from trimon.storage.wal.cells import CellsError
from trimon.storage.wal.ends import GoneFiles
from trimon.storage.wal.frame import (
    MAGIC,
    RECORD_BATCH,
    RECORD_SEGMENT,
    SEGMENT_BYTES_MAX,
    DamagedBytes,
    LogRecord,
    begins_right,
    records,
    segment_seed,
)
from trimon.storage.wal.lazy import GROUPS_OF_LOG, LoggedHead
from trimon.storage.wal.log import SegmentName
from trimon.storage.wal.payload import BrokenSectionError, Payload, grant_of, looked_up, loose_of

SEGMENTS: Final = "segments of the log"
_SERIES: Final = "series of the log"
_NOTES: Final = (s.METADATA, s.EXEMPLARS, s.DELETE)


@dataclass(slots=True)
class ReplayReport:
    """What a replay found; `problems` names the cause of every loss in a line.

    `damaged_bytes` are all that could not be read, files that vanished or were cut included. But for torn tails, which a
    process that is killed leaves, nobody knows how many samples they held (`unknown_bytes`): `lost_rows` and `lost_samples`
    are those that are known to be lost beside them.
    """

    segments: int = 0
    records: int = 0
    rows: int = 0
    samples: int = 0
    damaged_bytes: int = 0
    unknown_bytes: int = 0
    unknown_files: int = 0
    """Files that could not be read at all, or of which nobody knows how many bytes they lack."""
    vanished_files: int = 0
    cut_files: int = 0
    lost_rows: int = 0
    lost_samples: int = 0
    lost_sections: int = 0
    torn_tails: int = 0
    causes: dict[tuple[str, str], tuple[str, int]] = field(default_factory=dict)
    """(kind, subject) of a cause, to what was said of it last and how often."""

    @property
    def problems(self) -> list[str]:
        """A line for each cause."""
        return [f"{text} ({count} times)" if count > 1 else text for text, count in self.causes.values()]

    def lines(self) -> list[str]:
        """What was lost, for people; empty if nothing was."""
        gone = self.vanished_files + self.cut_files
        if not (self.problems or self.damaged_bytes or self.lost_sections or gone or self.unknown_files):
            return []
        files = f"; {self.vanished_files} files have vanished, {self.cut_files} were cut" if gone else ""
        least = "; how many samples were in what is lost nobody knows; beside it" if self.is_unknown else ","
        total = (
            f"{self.damaged_bytes} damaged bytes ({self.torn_tails} torn tails{files}){least} {self.lost_rows} rows, "
            f"{self.lost_samples} single samples and {self.lost_sections} sections could not be used"
        )
        return [*self.problems, total]

    @property
    def is_unknown(self) -> bool:
        """Whether nobody knows how many samples are lost."""
        return bool(self.unknown_bytes or self.unknown_files)

    def miss(self, gone: GoneFiles) -> None:
        """Count files that vanished or were cut before the replay."""
        self.vanished_files += gone.vanished
        self.cut_files += gone.cut
        self.unknown_files += gone.unsized
        self.damage(gone.size_bytes)

    def damage(self, size_bytes: int) -> None:
        """Count bytes of which nobody knows what they held."""
        self.damaged_bytes += size_bytes
        self.unknown_bytes += size_bytes

    @property
    def corruptions(self) -> int:
        """How many places are damaged, files that vanished or were cut included."""
        return len(self.causes) + self.vanished_files + self.cut_files

    def _known(self, lost: int) -> int | str:
        """How many of something are lost, as far as anybody knows."""
        if not self.is_unknown:
            return lost
        return f"at least {lost}" if lost else "unknown"

    def fields(self) -> dict[str, int | str]:
        """The counts by name, for the log; in words where nobody knows how many."""
        return {
            "segments": self.segments,
            "records": self.records,
            "rows": self.rows,
            "samples": self.samples,
            "damaged_bytes": self.damaged_bytes,
            "vanished_files": self.vanished_files,
            "cut_files": self.cut_files,
            "lost_rows": self._known(self.lost_rows),
            "lost_samples": self._known(self.lost_samples),
            "torn_tails": self.torn_tails,
        }

    def problem(self, kind: str, subject: str, text: str) -> None:
        """Note a loss; of one kind so many subjects are told apart."""
        cause = (kind, subject)
        if cause not in self.causes and sum(known[0] == kind for known in self.causes) >= SUBJECTS_MAX:
            cause = (kind, OTHERS)
        self.causes[cause] = (text, self.causes.get(cause, ("", 0))[1] + 1)


@dataclass(slots=True)
class _GroupState:
    """How far a group has come: its next row, grants, the columns of its last row and how many are granted."""

    group: ScrapeGroup
    next_row: int = 0
    grants: int = 0
    columns: Int64s | None = None
    samples: int = -1


class EpochReplay:
    """Applies the records of one run of the log to a head."""

    def __init__(self, head: LoggedHead, report: ReplayReport, note: Callable[[list[Any]], None]) -> None:
        self._head = head
        self._report = report
        self._note = note
        self.rows = head.begin_run()
        self._pairs: Int32s = np.zeros(0, np.int32)
        self._groups: dict[int, _GroupState] = {}
        self._apply: dict[int, Callable[[Payload, int], None]] = {
            s.PAIRS: self._apply_pairs,
            s.SERIES: self._apply_series,
            s.GROUPS: self._apply_groups,
            s.GRANT: self._apply_grant,
            s.ROW: self._apply_row,
            s.LOOSE: self._apply_loose,
        }

    def apply(self, offset: int, content: bytes) -> None:
        """Apply the record at an offset; what cannot be applied is reported, the rest goes on."""
        payload = Payload(content)
        self.rows.begin_record(offset)
        for place, numbers in enumerate(payload.sections):
            kind = numbers[0]
            try:
                if kind in _NOTES:
                    self._note(numbers)
                elif kind in self._apply:
                    self._apply[kind](payload, place)
            except (BrokenSectionError, CellsError) as error:
                self._report.lost_sections += 1
                self._report.lost_rows += kind == s.ROW
                self._report.problem(GROUPS_OF_LOG, str(error).partition(": ")[0], str(error))

    def _apply_pairs(self, payload: Payload, place: int) -> None:
        _, first, names, places, values = payload.sections[place]
        pairs = [(names[number], value) for number, value in zip(places, values, strict=True)]
        self._pairs = _placed(self._pairs, first, self._head.index.symbols.intern_pairs(pairs))

    def _apply_series(self, payload: Payload, place: int) -> None:
        _, first, count, total, width = payload.sections[place]
        reader = payload.reader(place)
        lengths = np.frombuffer(reader.take(2 * count), "<u2").astype(np.int64)
        flat = looked_up(self._pairs, reader.signed(total, width))
        known = np.ones(count, np.bool_)
        if (flat < 0).any():
            known = ~np.logical_or.reduceat(flat < 0, np.cumsum(lengths) - lengths)
            self._report.problem(
                _SERIES, "labels", f"{count - int(known.sum())} series are lost with their labels"
            )
        found = np.full(count, -1, np.int32)
        found[known] = self._head.create_pairs(
            flat[np.repeat(known, lengths)], lengths[known], RefusalTally()
        )
        self.rows.series = _placed(self.rows.series, first, found)

    def _apply_groups(self, payload: Payload, place: int) -> None:
        _, first, names = payload.sections[place]
        for number, name in enumerate(names, first):
            self._group(number, name)

    def _group(self, number: int, name: str = "") -> _GroupState:
        """The group of a number. Raises BrokenSectionError if it is lost and no name is given."""
        if number not in self._groups:
            if not name:
                raise BrokenSectionError("a group that is lost")
            self._groups[number] = _GroupState(self._head.new_group(name))
        return self._groups[number]

    def _apply_grant(self, payload: Payload, place: int) -> None:
        _, number, name, *_ = payload.sections[place]
        columns, series, placed = grant_of(payload, place, self.rows.series)
        state = self._group(number, name)
        known = series >= 0
        self._head.restore_grant(state.group, columns[known], series[known], placed[known])
        if name:
            state.group.revoke_except(columns[known])
        else:
            state.grants += 1
        state.samples = -1
        self.rows.note(state.group.number, place)

    def _apply_row(self, payload: Payload, place: int) -> None:
        _, number, row_number, time_ms, grants, how, *rest = payload.sections[place]
        state = self._group(number)
        group = state.group
        if s.is_key_row(row_number):
            state.grants = grants
            state.columns = state.columns if how != s.COLUMNS_SAME else None
        elif state.next_row != row_number or state.grants != grants:
            raise BrokenSectionError(f"group {group.name}: a row that builds on a lost one")
        if how != s.COLUMNS_SAME:
            listed = how == s.COLUMNS_LISTED
            state.columns = payload.reader(place).signed(rest[0], rest[1]) if listed else np.arange(rest[0])
            state.samples = -1
        if state.columns is None or time_ms <= group.last_ms:
            raise BrokenSectionError(f"group {group.name}: a row that does not follow")
        state.next_row = row_number + 1
        if state.samples < 0:
            inside = state.columns[state.columns < group.width]
            state.samples = int(group.granted[inside].sum())
        self._head.restore_row(group, time_ms, state.samples)
        self.rows.note(group.number, place)
        self._report.rows += 1
        self._report.samples += state.samples
        self._report.lost_samples += len(state.columns) - state.samples

    def _apply_loose(self, payload: Payload, place: int) -> None:
        numbers, times, values = loose_of(payload, place)
        series = looked_up(self.rows.series, numbers)
        known = series >= 0
        count = int(np.count_nonzero(known))
        if count < len(known):
            self._report.lost_samples += len(known) - count
            series, times, values = series[known], times[known], values[known]
        if count:
            self._head.restore_logged(self.rows, place, series, times, values)
        self._report.samples += count


def _placed(table: Int32s, first: int, numbers: Int32s) -> Int32s:
    """The table with `numbers` from place `first` on; places never told hold -1."""
    end = first + len(numbers)
    if end > len(table):
        table = np.concatenate((table, np.full(max(end - len(table), len(table) // 2), -1, np.int32)))
    table[first:end] = numbers
    return table


def read_window(files: Files, path: Path, name: SegmentName) -> tuple[int, int] | None:
    """The window of the head a segment belongs to; None if its beginning is unreadable."""
    for record in records(files.open(path), segment_seed(name.epoch, name.segment)):
        if isinstance(record, LogRecord) and record.type == RECORD_SEGMENT:
            start_ms, end_ms = msgpack.unpackb(record.payload)["window"]
            return int(start_ms), int(end_ms)
        break
    return None


def replay_segment(
    files: Files, path: Path, name: SegmentName, target: EpochReplay, report: ReplayReport, *, mend: bool
) -> None:
    """Apply a segment, stepping over damage. With `mend` (the last one of its run) a torn tail is cut off."""
    file = files.open(path)
    excess_bytes = file.size_bytes - SEGMENT_BYTES_MAX
    report.segments += 1
    target.rows.begin_segment(file)
    if file.size_bytes and not begins_right(file):
        report.damaged_bytes += len(MAGIC)
        report.problem(SEGMENTS, str(name), f"WAL segment {name}: its first bytes are not a segment's")
    for record in records(file, segment_seed(name.epoch, name.segment)):
        if isinstance(record, DamagedBytes):
            at_end = record.offset + record.size_bytes == file.size_bytes
            if at_end and mend:
                report.damaged_bytes += record.size_bytes
                report.torn_tails += 1
                files.truncate(path, record.offset)
            else:
                report.damage(record.size_bytes)
                report.problem(
                    SEGMENTS,
                    str(name),
                    f"WAL segment {name}: {record.size_bytes} bytes at {record.offset} are damaged",
                )
        elif record.type == RECORD_BATCH:
            report.records += 1
            target.apply(record.offset, record.payload)
    if excess_bytes > 0:
        report.damage(excess_bytes)
        report.problem(
            SEGMENTS,
            str(name),
            f"WAL segment {name} has {file.size_bytes} bytes, but {SEGMENT_BYTES_MAX} are the most that is ever "
            "written: what is beyond is not read",
        )
