"""A scrape group: the rows of one target, a column per series."""

from __future__ import annotations

import mmap
from collections.abc import Collection, Sequence
from typing import NamedTuple, TypeAlias

import numpy as np

from trimon.model.sample import ABSENT, is_absent
from trimon.storage.block.cache import ArrayCache
from trimon.storage.head.arena import Bools, Floats, Int32s, Int64s
from trimon.storage.head.packedrows import PackedRows
from trimon.storage.head.page import Rows, SealedPage, seal

NEVER_MS = -(1 << 62)
# Raw chunks of narrow groups hold 8, 8, 16, 32 rows, so that a short life costs little memory and a long one few chunks.
_ROWS_FIRST = 8
_ROWS_MAX = 64
# Those of wide groups hold 16, and are packed when they are full: from eight bytes a sample to two or three, in a sixteenth of
# the time that sealing takes. A group's first chunk is shorter by its own number, so that not all groups pack at once.
PACKED_ROWS = 16
PACKED_COLUMNS_MIN = 64
# Sealed at 64 rows a sample takes 8 % more bytes than at 120, and 0.02 microseconds more of a core; but twice as many would be
# unsealed, which take eight bytes each. A group's first page is shorter by its own number, so that groups which began
# together do not all seal together.
SEAL_ROWS = 64
_RAW_CHUNKS_MAX = 12
# Below this the heap serves well; a process may have some 65,000 mappings.
MAPPED_BYTES_MIN = 1 << 16


def _room(rows: int, columns: int) -> Floats:
    """An unfilled matrix. A large one is mapped by itself, so that the system has it back when it is sealed."""
    size_bytes = rows * columns * 8
    if size_bytes < MAPPED_BYTES_MIN:
        return np.empty((rows, columns))
    mapped = mmap.mmap(-1, size_bytes, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    return np.frombuffer(mapped, np.float64).reshape(rows, columns)


class RawChunk:
    """Rows not sealed yet: `values[:rows]` at `times[:rows]`; column `c` belongs to `series[c]`.

    Rows below the mark never change. A column that is granted later has ABSENT in the rows before.
    """

    __slots__ = ("rows", "series", "times", "values")

    def __init__(self, row_capacity: int, series: Int32s) -> None:
        self.times: Int64s = np.empty(row_capacity, np.int64)
        self.values: Floats = _room(row_capacity, len(series))
        self.series = series
        self.rows = 0

    def holds_others(self, columns: Int64s, series: Int32s) -> bool:
        """Whether any of the columns has samples of another series than the one given."""
        owners = self.series[columns]
        others = columns[(owners >= 0) & (owners != series)]
        return len(others) > 0 and not bool(is_absent(self.values[: self.rows, others].reshape(-1)).all())

    def cells(self, begin: int, end: int, columns: Int64s) -> Floats:
        """Some rows of some columns: `values[row, place]`. All columns are there."""
        return self.values[begin:end].take(columns, axis=1)

    def row(self, row: int, columns: Int64s) -> Floats:
        """A row of some columns; of a column that is not there any value."""
        found: Floats = self.values[row].take(columns, mode="clip")
        return found

    def matrix(self) -> Floats:
        """All rows that are filled: `values[row, column]`."""
        return self.values[: self.rows]

    def packed(self) -> PackedRows:
        """The same rows, which must be published, in less room."""
        return PackedRows(self.times[: self.rows], self.matrix(), self.series)

    @property
    def mapped_bytes(self) -> int:
        """Of the memory held what is in a mapping of its own."""
        return self.matrix().nbytes if self.values.nbytes >= MAPPED_BYTES_MIN else 0

    @property
    def filled_bytes(self) -> int:
        """Memory held, of the rows what is filled; without `series`, which other chunks share."""
        return self.times.nbytes + self.matrix().nbytes


Chunk: TypeAlias = RawChunk | PackedRows


class GroupView(NamedTuple):
    """What a reader sees of a group: sealed pages, raw and packed chunks, and how many rows the last of them has."""

    sealed: tuple[SealedPage, ...]
    raw: tuple[Chunk, ...]
    rows: int


class GroupViews:
    """What a reader sees of all groups, by number."""

    def __init__(self, views: list[GroupView]) -> None:
        self._views = views

    def __len__(self) -> int:
        return len(self._views)

    def __getitem__(self, number: int) -> GroupView:
        return self._views[number]

    def prepare(self, _numbers: Collection[int]) -> None:
        """Load these groups, if they are not in memory: they will be read."""

    def loaded(self) -> list[GroupView]:
        """The groups that are in memory."""
        return self._views


Span: TypeAlias = slice | Int64s


def span_of(numbers: Int64s) -> Span:
    """What indexes the same as these numbers."""
    count = len(numbers)
    if not count or int(numbers[-1]) - int(numbers[0]) != count - 1 or (np.diff(numbers) != 1).any():
        return numbers
    return slice(int(numbers[0]), int(numbers[-1]) + 1)


class ResolvedColumns(NamedTuple):
    """The columns that a sender's array names, their series, and which of them are foreign; resolved once for each array.

    `span` are the series once more: a slice where each is the next one, which is quicker.
    """

    key: Int32s
    columns: Int64s
    series: Int64s
    span: Span
    prefix: bool
    foreign: Int64s


class ScrapeGroup:
    """The writer's side of a group. Columns are the group's own numbers; a column belongs to one series.

    A series is placed in a column when its samples are stored there; the column is foreign when the series is placed
    in another group, and its samples go to the loose buffer (`head/placement.py`). A column that was handed back is used
    again only in a later chunk, so that within a chunk a column never changes its series.
    """

    def __init__(self, number: int, name: str, cache: ArrayCache) -> None:
        self._cache = cache
        self.number = number
        self.name = name
        self.width = 0
        self.last_ms = NEVER_MS
        self.series: Int32s = np.full(8, -1, np.int32)
        self.granted: Bools = np.zeros(8, np.bool_)
        self.placed: Bools = np.zeros(8, np.bool_)
        self.view = GroupView((), (), 0)
        self._free: list[int] = []
        self._freed: list[int] = []
        self._layout: ResolvedColumns | None = None
        self._has_begun = False
        self._seal_rows = SEAL_ROWS - number * 7 % (SEAL_ROWS // 2)

    @property
    def size_bytes(self) -> int:
        """Memory of the columns' own arrays."""
        return 200 + self.series.nbytes + self.granted.nbytes + self.placed.nbytes

    # ---- columns

    def layout(self, key: Int32s) -> ResolvedColumns:
        """The columns a sender names, resolved; the same array object again costs nothing.

        Raises ValueError for a column that is not granted.
        """
        cached = self._layout
        if cached is not None and cached.key is key:
            return cached
        columns = key.astype(np.int64)
        if len(columns) and (
            columns.min() < 0 or columns.max() >= self.width or not self.granted[columns].all()
        ):
            raise ValueError(f"group {self.name}: a column is not granted")
        where = span_of(columns)
        prefix = isinstance(where, slice) and where.start == 0
        foreign = np.flatnonzero(~self.placed[columns])
        series = self.series[columns].astype(np.int64)
        cached = ResolvedColumns(key, columns, series, span_of(series), prefix, foreign)
        self._layout = cached
        return cached

    def columns_for(self, count: int) -> Int64s:
        """As many columns that may be granted now; those that were handed back come first."""
        reused = [self._free.pop() for _ in range(min(len(self._free), count))]
        fresh = count - len(reused)
        return np.concatenate((np.array(reused, np.int64), np.arange(self.width, self.width + fresh)))

    def grant(self, columns: Int64s, series: Int32s, placed: Bools) -> None:
        """Give these columns to these series."""
        if len(columns) == 0:
            return
        self._layout = None
        self._widen(int(columns.max()) + 1)
        self.series[columns] = series
        self.granted[columns] = True
        self.placed[columns] = placed
        chunk = self.view.raw[-1] if self.view.raw else None
        if chunk is None:
            return
        if (
            isinstance(chunk, PackedRows)
            or self.width > len(chunk.series)
            or chunk.holds_others(columns, series)
        ):
            self._new_chunk()
        else:
            # The array may be that of chunks before, whose columns were others'.
            own = chunk.series.copy()
            own[columns] = series
            chunk.series = own

    def grant_unknown(self, columns: Int64s, series: Int32s, placed: Bools) -> Bools:
        """A grant as the log tells it; which of the columns were not granted to these series already."""
        inside = columns < self.width
        known = inside.copy()
        at = columns[inside]
        known[inside] = (self.series[at] == series[inside]) & (self.placed[at] == placed[inside])
        self.granted[columns[known]] = True
        if not known.all():
            self.grant(columns[~known], series[~known], placed[~known])
        fresh: Bools = ~known
        return fresh

    def revoke_except(self, columns: Int64s) -> None:
        """Take all columns but these from their series: the log does not say any more whose they are."""
        keep = np.zeros(len(self.granted), np.bool_)
        keep[columns] = True
        self.granted &= keep

    def make_room(self, width: int) -> None:
        """Make columns up to `width`, granted or not."""
        self._widen(width)

    def regrant(self, column: int) -> None:
        """Give a handed-back column to the series it belonged to."""
        self._layout = None
        (self._freed if column in self._freed else self._free).remove(column)
        self.granted[column] = True

    def hand_back(self, columns: Int64s) -> None:
        """Take these columns back from the sender, which does not use them any more."""
        self._layout = None
        self.granted[columns] = False
        self._freed.extend(columns.tolist())

    def take_again(self, columns: Int64s) -> None:
        """Undo `hand_back`, before anything else was done."""
        self._layout = None
        self.granted[columns] = True
        del self._freed[len(self._freed) - len(columns) :]

    def _widen(self, width: int) -> None:
        if width > len(self.series):
            capacity = max(width, len(self.series) * 2 if width < 1024 else width + width // 8)
            more = capacity - len(self.series)
            self.series = np.concatenate((self.series, np.full(more, -1, np.int32)))
            self.granted = np.concatenate((self.granted, np.zeros(more, np.bool_)))
            self.placed = np.concatenate((self.placed, np.zeros(more, np.bool_)))
        self.width = max(self.width, width)

    # ---- rows

    def append_row(self, time_ms: int, columns: Int64s, values: Floats, *, prefix: bool) -> None:
        """Store a row later than every row before; columns not named are ABSENT."""
        raw = self.view.raw
        if not raw or raw[-1].rows == len(raw[-1].times):
            self._new_chunk()
        chunk = self.view.raw[-1]
        assert isinstance(chunk, RawChunk)
        index = chunk.rows
        row = chunk.values[index]
        if prefix:
            count = len(values)
            row[:count] = values
            row[count:] = ABSENT
        else:
            row[:] = ABSENT
            row[columns] = values
        chunk.times[index] = time_ms
        chunk.rows = index + 1
        self.view = GroupView(self.view.sealed, self.view.raw, chunk.rows)
        self.last_ms = time_ms

    def take_back_row(self, chunk: RawChunk, last_ms: int) -> None:
        """Undo `append_row`, before anything was published; later rows are taken back first."""
        chunk.rows -= 1
        self.view = GroupView(self.view.sealed, self.view.raw, self.view.raw[-1].rows)
        self.last_ms = last_ms

    @property
    def is_due(self) -> bool:
        """Whether there are enough raw rows to be sealed."""
        return self._exceeds(self._seal_rows)

    def _exceeds(self, rows_max: int) -> bool:
        raw = self.view.raw
        return len(raw) >= _RAW_CHUNKS_MAX or sum(chunk.rows for chunk in raw) > rows_max

    def seal_if_due(self, rows_max: int = 0) -> bool:
        """Compress the raw rows if there are enough of them; whether that was done. All must be published.

        There may be `rows_max` of them where more can wait than otherwise; they are packed."""
        if not self._exceeds(rows_max or self._seal_rows):
            self._pack_full()
            return False
        self._seal_but_last()
        return True

    def _pack_full(self) -> None:
        """Pack the chunks of a wide group to which nothing will be added."""
        raw = self.view.raw
        if self.width < PACKED_COLUMNS_MIN or not raw:
            return
        last = raw[-1]
        if last.rows < len(last.times) and (len(raw) == 1 or isinstance(raw[-2], PackedRows)):
            return
        chunks = tuple(
            chunk.packed() if isinstance(chunk, RawChunk) and (chunk is not last or chunk.rows == len(chunk.times)) else chunk
            for chunk in raw
        )  # fmt: skip
        self.view = GroupView(self.view.sealed, chunks, self.view.rows)

    def seal(self) -> None:
        """Compress all raw rows to one page. Only what is published may be sealed."""
        self._seal(self._raw_rows(), ())

    def _seal_but_last(self) -> None:
        """Compress all raw rows but the newest: who asks for the newest sample finds it without a page, which he would decode.

        Among many groups there is nearly always one that has just sealed.
        """
        rows = self._raw_rows()
        times, values, series = rows.pop()
        if len(times) > 1:
            rows.append((times[:-1], values[:-1], series))
        chunk = RawChunk(self._row_capacity(0), series)
        chunk.times[0], chunk.values[0], chunk.rows = times[-1], values[-1], 1
        self._seal(rows, (chunk,))

    def _raw_rows(self) -> list[Rows]:
        return [
            (chunk.times[: chunk.rows], chunk.matrix(), chunk.series) for chunk in self.view.raw if chunk.rows
        ]

    def _seal(self, rows: Sequence[Rows], left: tuple[RawChunk, ...]) -> None:
        page = seal(rows, self._cache) if rows else None
        sealed = self.view.sealed if page is None else (*self.view.sealed, page)
        self.view = GroupView(sealed, left, left[-1].rows if left else 0)
        self._seal_rows = SEAL_ROWS

    def _row_capacity(self, rows: int) -> int:
        """Of the chunk that begins after so many raw rows."""
        if self.width < PACKED_COLUMNS_MIN:
            return min(_ROWS_MAX, max(_ROWS_FIRST, rows))
        capacity = PACKED_ROWS if self._has_begun else PACKED_ROWS - self.number % (PACKED_ROWS // 2)
        self._has_begun = True
        return capacity

    def _new_chunk(self) -> None:
        """Begin a chunk; columns handed back before may be used again in it."""
        raw = tuple(chunk for chunk in self.view.raw if chunk.rows)
        rows = sum(chunk.rows for chunk in raw)
        row_capacity = self._row_capacity(rows)
        spare = 8 + self.width // 16 if rows else 0
        series = np.full(self.width + spare, -1, np.int32)
        series[: self.width] = self.series[: self.width]
        if raw and np.array_equal(raw[-1].series, series):
            series = raw[-1].series
        self._free.extend(self._freed)
        self._freed.clear()
        self.view = GroupView(self.view.sealed, (*raw, RawChunk(row_capacity, series)), 0)
