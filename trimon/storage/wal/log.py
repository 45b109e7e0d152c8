"""The log of one head: its records, in segment files of its own."""

from __future__ import annotations

import errno
import threading
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

import msgpack
import numpy as np
import zstandard

from trimon.errors import OperatingError
from trimon.files import AppendFile, Files
from trimon.records import dataclass
from trimon.storage.head.arena import Bools, Floats, Int32s, Int64s
from trimon.storage.head.index import SeriesIndex
from trimon.storage.head.scrapegroup import ScrapeGroup
from trimon.storage.wal import sections as s
from trimon.storage.wal.frame import MAGIC, RECORD_BATCH, RECORD_SEGMENT, segment_seed, wrap
from trimon.storage.wal.rowstate import RowState

# What is longer is no number of a run or segment, which have 64 bits.
_DIGITS_MAX: Final = 18


@dataclass(frozen=True, slots=True, order=True)
class SegmentName:
    """`<epoch>-<segment>`: the run of the log, and the file within it."""

    epoch: int
    segment: int

    def __str__(self) -> str:
        return f"{self.epoch:08d}-{self.segment:06d}"

    @classmethod
    def parse(cls, name: str) -> SegmentName | None:
        """The segment that a file name stands for; None if it is no segment."""
        epoch, _, segment = name.partition("-")
        if not (epoch.isdecimal() and segment.isdecimal() and max(len(epoch), len(segment)) <= _DIGITS_MAX):
            return None
        parsed = cls(int(epoch), int(segment))
        return parsed if str(parsed) == name else None


class _RowUndo(NamedTuple):
    """How the state of a group was before a row: its array of values and, if the row changed it, what stood there."""

    state: RowState
    values: Floats
    columns: Int64s | None
    changed: tuple[Int64s, Floats] | None

    def apply(self) -> None:
        """Set the state back to what it was before the row."""
        state = self.state
        state.values, state.columns = self.values, self.columns
        if self.changed is not None:
            columns, values = self.changed
            state.values[columns] = values
        state.rows -= 1


class HeadLog:
    """Collects what a head does and writes it as one record per append.

    A journal (see `head.Journal`): `row` and `loose` are forgotten by `discard`, `grant` is kept until it is
    written. New label pairs, series and groups are found by comparing with what has been written, rows are written
    against the `RowState` of their group.
    """

    def __init__(
        self,
        files: Files,
        directory: Path,
        epoch: int,
        window: tuple[int, int],
        segment_bytes: int,
        fsync: Literal["always", "interval", "never"],
    ) -> None:
        self.epoch = epoch
        self.window = window
        self.segment = -1
        self._files = files
        self._directory = directory
        self._segment_bytes = segment_bytes
        self._fsync = fsync
        self._compressor = zstandard.ZstdCompressor(level=1)
        self._sections: list[s.Section] = []
        self._grants: list[s.Section] = []
        self._granted: list[tuple[RowState, Int64s]] = []
        self._row_states: list[RowState] = []
        self._undo: list[_RowUndo] = []
        self._pairs = self._series = self._groups = 0
        self._file: AppendFile | None = None
        self._seed = 0
        self._file_lock = threading.Lock()
        self._torn_at = -1
        self._worn = False
        self.left_behind = False
        """Whether the segment that was to be next could be neither finished nor removed."""
        self._unsynced = False
        self.written = (-1, 0)
        """The segment and its bytes up to which whole records are committed; for readers in other threads."""

    # ---- journal

    def grant(self, group: ScrapeGroup, columns: Int64s, series: Int32s, placed: Bools) -> None:
        """Write down that columns were granted to series."""
        section = s.grant_section(group.number, "", columns, series, placed)
        self._grants.append(section)
        self._sections.append(section)
        state = self._row_state(group)
        state.grants += 1
        state.values[columns] = 0.0
        self._granted.append((state, columns))

    def row(self, group: ScrapeGroup, time_ms: int, columns: Int64s, values: Floats, *, prefix: bool) -> None:
        """Write down a row, as its differences from the group's row before."""
        state = self._row_state(group)
        number, before, base = state.rows, state.columns, state.values
        key_row = s.is_key_row(number)
        if key_row:
            state.forget_values()
            granted = np.flatnonzero(group.granted[: group.width])
            whole = (group.name, granted, group.series[granted], group.placed[granted])
            self._sections.append(s.grant_section(group.number, *whole))
        same = not key_row and before is not None and (before is columns or np.array_equal(before, columns))
        listed = None if same else columns
        where = slice(0, len(columns)) if prefix else columns
        previous = state.values[where].copy()
        place = (group.number, number, time_ms, state.grants)
        self._sections.append(s.row_section(place, listed, prefix, previous, values))
        self._undo.append(_RowUndo(state, base, before, None if key_row else (columns, previous)))
        state.values[where] = values
        state.columns = columns
        state.rows = number + 1

    def _row_state(self, group: ScrapeGroup) -> RowState:
        states = self._row_states
        while len(states) <= group.number:
            states.append(RowState())
        state = states[group.number]
        if len(state.values) < group.width:
            state.make_room(group.width)
        return state

    @property
    def size_bytes(self) -> int:
        """Memory of the row states."""
        return sum(100 + state.values.nbytes for state in self._row_states)

    def loose(self, series: Int32s, times: Int64s, values: Floats) -> None:
        """Write down loose samples."""
        self._sections.append(s.loose_section(series, times, values))

    def note(self, numbers: list[Any]) -> None:
        """Write down any other section without arrays: metadata, exemplars, a deletion."""
        self._sections.append((numbers, b""))

    # ---- writing

    def discard(self) -> None:
        """Forget what was collected, except grants."""
        self._sections = list(self._grants)
        while self._undo:
            self._undo.pop().apply()
        # The grants are told before all rows to come.
        for state, columns in self._granted:
            state.values[columns] = 0.0

    def commit(self, index: SeriesIndex, groups: list[ScrapeGroup]) -> None:
        """Write everything collected as one record.

        Raises OperatingError; the file then ends where it ended before, and the sections are still there.
        """
        first: list[s.Section] = []
        pairs, series, group_count = index.symbols.pairs, len(index), len(groups)
        if pairs > self._pairs:
            first.append(s.pairs_section(index, self._pairs))
        if series > self._series:
            first.append(s.series_section(index, self._series))
        if group_count > self._groups:
            names = [group.name for group in groups[self._groups :]]
            first.append(([s.GROUPS, self._groups, names], b""))
        if not first and not self._sections:
            return
        self._write(s.payload_of(first + self._sections))
        self._pairs, self._series, self._groups = pairs, series, group_count
        self._sections = []
        self._grants.clear()
        self._granted.clear()
        self._undo.clear()

    def open(self) -> None:
        """Make the first segment."""
        self._ready_file()

    def prepare(self) -> None:
        """Before anything is collected: where the medium may lose what this segment holds, begin one that does not build on it.

        Raises OperatingError.
        """
        if not self._worn:
            return
        try:
            if self._file is not None and self._unsynced and self._fsync != "never":
                # What was written before the torn end is whole and is to last.
                self._unsynced = False
                self._file.sync()
            self._next_file()
        except OSError as error:
            raise OperatingError(f"WAL segment {self._name()}: {error}") from error
        self._pairs = self._series = self._groups = 0
        for state in self._row_states:
            state.rows = s.next_key_row(state.rows)

    def is_whole(self) -> bool:
        """Whether the file that is written to is on the disk, with all that was written. Beside `commit` it may be wrong."""
        file = self._file
        if file is None:
            return True
        before = file.size_bytes
        there = segment_bytes(self._files, self._directory, self._name())
        return there is not None and there >= min(before, file.size_bytes)

    def restart(self) -> None:
        """Go on in another file that builds on nothing before it. Raises OperatingError."""
        if self._file is None:
            return
        numbers = [
            name.segment for name in list_segments(self._files, self._directory) if name.epoch == self.epoch
        ]
        self.segment = max([self.segment, *numbers])
        self._torn_at, self._worn = -1, True
        self.prepare()

    def sync(self) -> None:
        """Wait until the medium holds everything committed. May run beside `commit`. Raises OperatingError."""
        with self._file_lock:
            if self._file is None or not self._unsynced:
                return
            self._unsynced = False
            file = self._file
            try:
                file.sync()
            except OSError as error:
                # What the kernel has dropped it will not write later: later records go to a new file.
                self._worn = True
                raise OperatingError(f"WAL segment {self._name()}: fsync: {error}") from error

    def close(self) -> None:
        """Sync and close."""
        try:
            if self._fsync != "never":
                self.sync()
        finally:
            self._close_file()

    def remove(self) -> None:
        """Close and remove all segments of this log."""
        self._close_file()
        remove_segments(self._files, self._directory, {self.epoch})

    def _name(self) -> SegmentName:
        return SegmentName(self.epoch, self.segment)

    def _close_file(self) -> None:
        with self._file_lock:
            if self._file is not None:
                self._file.close()
                self._file = None

    def _write(self, payload: bytes) -> None:
        if self._worn:
            raise OperatingError(
                f"WAL segment {self._name()} failed meanwhile: the log goes on in the next one"
            )
        try:
            file = self._ready_file()
            record = wrap(RECORD_BATCH, payload, self._seed, self._compressor)
        except OSError as error:
            raise OperatingError(f"WAL segment {self._name()}: {error}") from error
        good_end = file.size_bytes
        try:
            file.write(record)
            self._unsynced = True
            if self._fsync == "always":
                file.sync()
                self._unsynced = False
        except OSError as error:
            self._torn_at = good_end
            self._mend(file)
            raise OperatingError(f"WAL segment {self._name()}: {error}") from error
        self.written = (self.segment, file.size_bytes)

    def _mend(self, file: AppendFile) -> None:
        """Cut off what a failed write left."""
        try:
            file.truncate(self._torn_at)
            self._torn_at = -1
        except OSError:
            self._worn = True

    def _ready_file(self) -> AppendFile:
        """The file to write to: whole at its end and not full, or the next one."""
        file = self._file
        if file is not None and self._torn_at >= 0:
            self._mend(file)
        if self._worn:
            raise OSError(errno.EIO, "its torn end cannot be cut off")
        if file is not None and file.size_bytes < self._segment_bytes:
            return file
        if file is not None and self._fsync != "never":
            try:
                file.sync()
            except OSError:
                self._worn = True
                raise
        return self._next_file()

    def _next_file(self) -> AppendFile:
        name = SegmentName(self.epoch, self.segment + 1)
        path = self._directory / str(name)
        self._files.make_directory(self._directory)
        if self.left_behind:
            self._files.remove(path)
            self.left_behind = False
        opened = self._files.create(path)
        try:
            about = {"epoch": name.epoch, "segment": name.segment, "window": list(self.window)}
            seed = segment_seed(name.epoch, name.segment)
            opened.write(MAGIC + wrap(RECORD_SEGMENT, msgpack.packb(about), seed, self._compressor))
            self._files.sync_directory(self._directory)
        except OSError:
            opened.close()
            # Where it cannot be removed either, the next attempt does: the name is this log's alone.
            self.left_behind = True
            self._files.remove(path)
            self.left_behind = False
            raise
        self._close_file()
        self._file, self.segment, self._torn_at, self._worn = opened, name.segment, -1, False
        self._seed = seed
        self.written = (name.segment, opened.size_bytes)
        return opened


def list_segments(files: Files, directory: Path) -> list[SegmentName]:
    """Segments of a directory, in order."""
    names = (SegmentName.parse(name) for name in files.names(directory))
    return sorted(name for name in names if name is not None)


def segment_bytes(files: Files, directory: Path, name: SegmentName) -> int | None:
    """The size of a segment; None if nothing can be told of it, as of a symbolic link that leads nowhere."""
    try:
        return files.size(directory / str(name))
    except OSError:
        return None


def remove_segments(files: Files, directory: Path, epochs: set[int]) -> None:
    """Remove all segments of some runs, newest first, so that what is left is always a beginning.

    A directory that has the name of one is left alone.
    """
    for name in reversed(list_segments(files, directory)):
        path = directory / str(name)
        if name.epoch in epochs and not files.is_directory(path):
            files.remove(path)
