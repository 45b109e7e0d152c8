"""Reading a head at one moment."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from itertools import count, pairwise

import numpy as np

from trimon.model.components import COMPONENT_LABEL
from trimon.model.matcher import Matcher
from trimon.model.sample import is_absent
from trimon.model.snapshot import NewestSamples
from trimon.model.table import LabelTable
from trimon.records import dataclass
from trimon.storage.block.damage import Loss
from trimon.storage.head import matching
from trimon.storage.head.arena import Bools, Floats, Int32s, Int64s
from trimon.storage.head.components import ComponentView
from trimon.storage.head.damage import HeadDamage
from trimon.storage.head.index import IndexView
from trimon.storage.head.loose import LooseView, count_loose, read_raw, read_sealed
from trimon.storage.head.newest import newest_samples
from trimon.storage.head.placement import PlacementView
from trimon.storage.head.readmark import HeadMark, MarkPlace, NewRows, last_rows_ms
from trimon.storage.head.scrapegroup import Chunk, GroupView, GroupViews
from trimon.storage.read.deletions import HeadDeletions, without_deleted
from trimon.storage.read.partialframe import PartialFrame, combine


@dataclass(frozen=True, slots=True)
class HeadView:
    """Everything a head held when it was published; nothing of it changes.

    `number` is another one for every view of this process.
    """

    index: IndexView
    components: ComponentView
    placement: PlacementView
    groups: GroupViews
    loose: LooseView
    min_ms: int
    max_ms: int
    samples: int
    deletions: HeadDeletions
    damage: HeadDamage
    number: int

    def losses(self, series: Int32s | None, start_ms: int, end_ms: int) -> tuple[Loss, ...]:
        """What of the log of these series turned out to be lost; with None what may be of any series."""
        if not self.damage:
            return ()
        placed = () if series is None else self._in_groups(series)
        return self.damage.losses({number for _, number, _, _ in placed}, start_ms, end_ms)

    def overlaps(self, start_ms: int, end_ms: int) -> bool:
        """Whether any sample may lie in the closed interval."""
        return self.min_ms <= end_ms and self.max_ms >= start_ms

    def select(self, matchers: Sequence[Matcher]) -> Int32s:
        """Series that satisfy every matcher, ascending."""
        return matching.select(self.index, matchers)

    @property
    def has_components(self) -> bool:
        """Whether any series is a component of a histogram."""
        return len(self.components) > 0

    def without_components(self, series: Int32s) -> Int32s:
        """Those of some series that are no components of histograms."""
        return self.components.without(series)

    def components_of(self, series: Int32s) -> tuple[Int32s, Int64s]:
        """The components of some series (ascending), ascending, and the place in `series` of the series of each."""
        return self.components.of(series)

    def component_texts(self, components: Int32s) -> tuple[Int32s, Sequence[str]]:
        """The texts of some components: codes, and what they stand for."""
        pairs = self.index.flat[self.index.offsets[components]]
        symbols = self.index.symbols
        return self.index.pair_code[pairs], symbols.values[symbols.name_id(COMPONENT_LABEL)]

    def table(self, series: Int32s) -> LabelTable:
        """The labels of these series."""
        return matching.table(self.index, series)

    def partial_frames(self, series: Int32s, start_ms: int, end_ms: int) -> list[PartialFrame]:
        """The samples of these series in the closed interval; row `i` of the frames is `series[i]` (ascending)."""
        found = self._group_frames(series, start_ms, end_ms)
        if len(series):
            found.extend(self._sealed(0, series, start_ms, end_ms))
            found.extend(read_raw(self.loose, series, start_ms, end_ms))
        return found

    def _sealed(self, first: int, series: Int32s, start_ms: int, end_ms: int) -> list[PartialFrame]:
        """What pages of the loose buffer have, from a page on."""
        if not self.deletions:
            return read_sealed(self.loose.pages[first:], series, start_ms, end_ms)
        found: list[PartialFrame] = []
        for number, page in enumerate(self.loose.pages[first:], first):
            deletions = [deletion for deletion in self.deletions if number < deletion.pages]
            found.extend(without_deleted(read_sealed((page,), series, start_ms, end_ms), series, deletions))
        return found

    def _group_frames(self, series: Int32s, start_ms: int, end_ms: int) -> list[PartialFrame]:
        """What groups have; the first parts of all groups are one partial frame, and so are the second ones."""
        places = list(self._in_groups(series))
        self.groups.prepare({number for _, number, _, _ in places})
        layers: dict[tuple[int, int], list[PartialFrame]] = {}
        for turn, number, rows, columns in places:
            found = _read_group(self.groups[number], rows, columns, series[rows], start_ms, end_ms)
            if self.deletions:
                deletions = [deletion.of_group(number) for deletion in self.deletions]
                found = without_deleted(found, series, deletions)
            for place, partial in enumerate(found):
                layers.setdefault((turn, place), []).append(partial)
        return [combine(layers[key]) for key in sorted(layers)]

    @property
    def identity(self) -> Hashable:
        """Stands for the head, whatever is appended to it: another value after a deletion."""
        return self.placement.owner.number, len(self.deletions)

    @property
    def newest_ms(self) -> int:
        """The time of the newest sample."""
        return self.max_ms

    @property
    def version(self) -> Hashable:
        """Another value whenever anything of the head changes."""
        return self.number

    @property
    def labels_version(self) -> Hashable:
        """Another value whenever a series is added."""
        return self.index.number

    def newest_samples(self, series: Int32s, after_ms: int, until_ms: int) -> NewestSamples | None:
        """The newest sample of each series (ascending) in `(after_ms, until_ms]`; None where only a frame tells."""
        if self.deletions:
            return None
        return newest_samples(self.placement, self.groups, self.loose, series, (after_ms, until_ms))

    def mark(self, series: Int32s, before: HeadMark | None, *, whole: bool) -> HeadMark:
        """How far these series (ascending, not none) can be read for good now; `whole`: everything.

        A mark taken before for the same series saves work.
        """
        placements = self.placement.newest(series)
        pages, raw = self.loose.pages, len(self.loose.series)
        if not (placements >= 0).any():
            return HeadMark(placements, (), np.zeros(0, np.int64), pages, raw, whole)
        if before is not None and before.whole and np.array_equal(placements, before.placements):
            places = before.places
        else:
            places = tuple(
                MarkPlace(group, rows, columns)
                for turn, group, rows, columns in self._in_groups(series)
                if turn == 0
            )
        self.groups.prepare({place.group for place in places})
        return HeadMark(placements, places, last_rows_ms(self.groups, places), pages, raw, whole=True)

    def follows(self, series: Int32s, before: HeadMark, now: HeadMark) -> bool:
        """Whether everything up to `before` is still as it was."""
        return now.follows(before, series, self.loose)

    def settled_frames(
        self, series: Int32s, start_ms: int, end_ms: int, before: HeadMark | None, now: HeadMark
    ) -> list[PartialFrame]:
        """As `partial_frames`, of what is settled now and was not before (None: nothing was)."""
        if not now.whole:
            known = len(before.pages) if before is not None else 0
            return self._sealed(known, series, start_ms, end_ms)
        if before is None:
            return self.partial_frames(series, start_ms, end_ms)
        return self._new_rows(series, end_ms, before, now)

    def _new_rows(self, series: Int32s, end_ms: int, before: HeadMark, now: HeadMark) -> list[PartialFrame]:
        """Rows of groups that came between two marks; no deletion is about them."""
        new = NewRows()
        found: list[PartialFrame] = []
        grown = np.flatnonzero(now.last_ms > before.last_ms).tolist()
        befores = before.last_ms.tolist()
        for number in grown:
            place = now.places[number]
            view, wanted = self.groups[place.group], series[place.rows]
            if not new.take(view, place, wanted, befores[number]):
                found.extend(
                    _read_group(view, place.rows, place.columns, wanted, befores[number] + 1, end_ms)
                )
        return [*new.partial_frames(), *found]

    def fresh_frames(self, series: Int32s, start_ms: int, end_ms: int, now: HeadMark) -> list[PartialFrame]:
        """As `partial_frames`, without what is settled."""
        if now.whole:
            return []
        return read_raw(self.loose, series, start_ms, end_ms)

    def living(self, series: Int32s, start_ms: int, end_ms: int) -> Bools:
        """Which of some series (ascending) have samples in the closed interval; of sealed pages, which may have some.

        Deleted samples count, as in Prometheus.
        """
        if self.min_ms >= start_ms and self.max_ms <= end_ms:
            return np.ones(len(series), np.bool_)
        alive = self.loose.living(series, start_ms, end_ms)
        places = list(self._in_groups(series))
        self.groups.prepare({number for _, number, _, _ in places})
        for _, number, rows, columns in places:
            asked = ~alive[rows]
            if asked.any():
                rows, columns = rows[asked], columns[asked]
                alive[rows] = _living_in_group(self.groups[number], columns, series[rows], start_ms, end_ms)
        return alive

    def estimate(self, series: Int32s, start_ms: int, end_ms: int) -> int:
        """At most how many samples of these series lie in the closed interval."""
        total = 0
        places = list(self._in_groups(series))
        self.groups.prepare({number for _, number, _, _ in places})
        for _, number, rows, _ in places:
            total += len(rows) * _rows_between(self.groups[number], start_ms, end_ms)
        if self.loose.samples:
            total += count_loose(self.loose, series, start_ms, end_ms)
        return total

    def label_names(self) -> list[str]:
        """All label names, in any order."""
        return [
            self.index.symbols.names[i] for i in np.flatnonzero(np.bincount(self.index.pair_name)).tolist()
        ]

    def label_values(self, name: str) -> list[str]:
        """All values of a label, in any order."""
        name_id = self.index.symbols.name_id(name)
        if name_id < 0:
            return []
        codes = self.index.pair_code[self.index.pair_name == name_id]
        return self.index.symbols.values[name_id][1 : 1 + len(codes)]

    def _in_groups(self, series: Int32s) -> Iterator[tuple[int, int, Int64s, Int64s]]:
        """(turn, group, rows, columns): every column where one of the series is, or was, placed.

        A row comes once a turn: the newest placements first, then those before.
        """
        rows = np.arange(len(series))
        placements = self.placement.newest(series)
        for turn in count():
            living = placements >= 0
            rows, placements = rows[living], placements[living]
            if len(rows) == 0:
                return
            groups = self.placement.group[placements]
            columns = self.placement.column[placements].astype(np.int64)
            order = np.argsort(groups, kind="stable")
            ordered = groups[order]
            bounds = np.flatnonzero(np.diff(ordered, prepend=-1, append=-1)).tolist()
            for begin, end in pairwise(bounds):
                chosen = order[begin:end]
                yield turn, int(ordered[begin]), rows[chosen], columns[chosen]
            placements = self.placement.previous[placements]


def _rows_between(group: GroupView, start_ms: int, end_ms: int) -> int:
    total = 0
    for page in reversed(group.sealed):
        times = page.times
        if times[-1] < start_ms:
            break
        total += int(times.searchsorted(end_ms, "right") - times.searchsorted(start_ms))
    return total + sum(last - first for _, first, last in _chunks_between(group, start_ms, end_ms))


def _read_group(
    group: GroupView, rows: Int64s, columns: Int64s, wanted: Int32s, start_ms: int, end_ms: int
) -> list[PartialFrame]:
    """What a group has of `wanted[i]`, in `columns[i]`, for row `rows[i]`."""
    found: list[PartialFrame] = []
    for page in reversed(group.sealed):
        if page.times[-1] < start_ms:
            break
        if page.times[0] <= end_ms:
            found.extend(page.read(rows, wanted, start_ms, end_ms))
    highest = int(columns.max())
    whole_times: list[Int64s] = []
    whole_values: list[Floats] = []
    for chunk, first, last in _chunks_between(group, start_ms, end_ms):
        here = chunk.series.take(columns, mode="clip") == wanted
        if highest >= len(chunk.series):
            here &= columns < len(chunk.series)
        if here.all():
            whole_times.append(chunk.times[first:last])
            whole_values.append(chunk.cells(first, last, columns))
        elif here.any():
            values = chunk.cells(first, last, columns[here]).T
            found.append(PartialFrame.matrix(rows[here], chunk.times[first:last], values, absent=True))
    if len(whole_times) == 1:
        found.append(PartialFrame.matrix(rows, whole_times[0], whole_values[0].T, absent=True))
    elif whole_times:
        times, values = np.concatenate(whole_times[::-1]), np.concatenate(whole_values[::-1])
        found.append(PartialFrame.matrix(rows, times, values.T, absent=True))
    return found


def _living_in_group(group: GroupView, columns: Int64s, wanted: Int32s, start_ms: int, end_ms: int) -> Bools:
    """Which of `wanted[i]`, in `columns[i]`, have samples in the closed interval."""
    alive = np.zeros(len(wanted), np.bool_)
    for page in group.sealed:
        if page.times[0] <= end_ms and page.times[-1] >= start_ms:
            alive |= page.holds(wanted)
    for chunk, first, last in _chunks_between(group, start_ms, end_ms):
        left = np.flatnonzero(~alive & (columns < len(chunk.series)))
        left = left[chunk.series[columns[left]] == wanted[left]]
        # Most series are in the newest row; the others are few.
        for begin, end in ((last - 1, last), (first, last - 1)):
            present = ~is_absent(chunk.cells(begin, end, columns[left])).all(axis=0)
            alive[left[present]] = True
            left = left[~present]
            if len(left) == 0:
                break
    return alive


def _chunks_between(group: GroupView, start_ms: int, end_ms: int) -> Iterator[tuple[Chunk, int, int]]:
    """Chunks that have rows in the closed interval, newest first, and which rows."""
    raw = group.raw
    for position in range(len(raw) - 1, -1, -1):
        chunk = raw[position]
        filled = group.rows if position == len(raw) - 1 else chunk.rows
        times = chunk.times
        if filled == 0 or times[0] > end_ms:
            continue
        if times[filled - 1] < start_ms:
            return
        first = 0 if times[0] >= start_ms else int(times[:filled].searchsorted(start_ms))
        last = filled if times[filled - 1] <= end_ms else int(times[:filled].searchsorted(end_ms, "right"))
        if first < last:
            yield chunk, first, last
