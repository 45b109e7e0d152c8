"""A head: the newest samples, in memory, as rows of scrape groups and a loose buffer."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np

from trimon.model.labels import Labels
from trimon.model.matcher import Matcher
from trimon.model.rows import Appended, Columns, Row, SampleBatch
from trimon.model.sample import NORMAL_NAN, STALE_NAN, is_absent
from trimon.storage.block.cache import ArrayCache
from trimon.storage.head import matching
from trimon.storage.head.acceptance import (
    IN_ORDER,
    LATE,
    OUT_OF_ORDER,
    RefusalTally,
    TimeBounds,
    judge,
    refusals,
)
from trimon.storage.head.arena import Bools, Floats, Int32s, Int64s
from trimon.storage.head.arrivals import Arrivals
from trimon.storage.head.components import follow_markers, incomplete, markers_in_row
from trimon.storage.head.damage import HeadDamage
from trimon.storage.head.loose import LooseBuffer
from trimon.storage.head.looseorder import note_newest, take_in_order
from trimon.storage.head.rowcells import RowCells, ended_columns
from trimon.storage.head.scrapegroup import NEVER_MS, GroupViews, ResolvedColumns, ScrapeGroup, Span
from trimon.storage.head.series import EMPTY_LABELS, HeadSeries, Journal
from trimon.storage.head.view import HeadView
from trimon.storage.read.deletions import HeadDeletion, HeadDeletions

_NO_COLUMNS: Final = np.zeros(0, np.int64)
_view_numbers = itertools.count()


class Head(HeadSeries):
    """Series and samples of one window of time, `[start_ms, end_ms)` nominally.

    One thread writes. What it appends is visible to readers only after `publish()`; `rollback()` takes back
    the samples since then (series and columns stay: without samples they do no harm). Pages that are read are decoded
    into `cache`, which heads may share.
    """

    def __init__(
        self, start_ms: int, end_ms: int, journal: Journal | None = None, cache: ArrayCache | None = None
    ) -> None:
        super().__init__(journal, ArrayCache() if cache is None else cache)
        self.start_ms = start_ms
        self.end_ms = end_ms
        self.loose = LooseBuffer(self.cache)
        self.min_ms = 1 << 62
        self.max_ms = NEVER_MS
        self.samples = 0
        self.deletions: HeadDeletions = ()
        self.damage = HeadDamage()
        self._undo: list[tuple[Callable[..., None], tuple[Any, ...]]] = []
        self._group_views: list[Any] = []
        self.view = self._make_view(fresh_index=True)

    # ---- publishing

    def publish_if_changed(self) -> bool:
        """Publish if anything was appended since the last time; whether it was."""
        if not self._undo and not self._touched and len(self.index) == self.view.index.series:
            return False
        self.publish()
        return True

    def publish(self) -> None:
        """Make everything appended so far visible to readers, by one assignment."""
        self._undo.clear()
        self.loose.seal_if_due()
        groups = self.groups
        views = self._group_views.copy()
        views.extend(group.view for group in groups[len(views) :])
        for number in self._touched:
            groups[number].seal_if_due()
            views[number] = groups[number].view
        self._touched.clear()
        self._group_views = views
        self.view = self._make_view(fresh_index=len(self.index) != self.view.index.series)

    def rollback(self) -> None:
        """Take back all samples since the last publish."""
        while self._undo:
            action, arguments = self._undo.pop()
            action(*arguments)

    def _views_for_readers(self) -> GroupViews:
        return GroupViews(self._group_views)

    def _make_view(self, *, fresh_index: bool) -> HeadView:
        index = self.index.view() if fresh_index else self.view.index
        return HeadView(
            index,
            self.components.view,
            self.placement.view(),
            self._views_for_readers(),
            self.loose.view(),
            self.min_ms,
            self.max_ms,
            self.samples,
            self.deletions,
            self.damage,
            next(_view_numbers),
        )

    def restore_row(self, group: ScrapeGroup, time_ms: int, samples: int) -> None:
        """Take note of a row in the log, whose cells are unpacked when somebody reads them."""
        group.last_ms = time_ms
        self._note(time_ms, time_ms, samples)

    # ---- rows

    def append_row(self, row: Row, bounds: TimeBounds, series_max: int = 0) -> Appended:
        """Judge and store one row. Raises ValueError for a column that is not granted."""
        group = self.group(row.group)
        layout = group.layout(row.columns)
        tally = RefusalTally()
        granted = row.ended[:0]
        ended = _NO_COLUMNS
        if row.new_series or len(row.ended):
            cells, granted, ended = self._resolve(group, layout, row, tally, series_max)
        else:
            values = np.asarray(row.values, np.float64)
            cells = RowCells(
                layout.columns, layout.series, layout.span, values, layout.prefix, layout.foreign
            )
        absent = is_absent(cells.values)
        if absent.any():
            cells = cells._replace(values=np.where(absent, NORMAL_NAN, cells.values))
        time_ms = row.timestamp_ms
        if len(cells.foreign):
            cells = self._adopt(group, cells)
        if (
            len(cells.foreign) == 0
            and bounds.lowest_ms <= time_ms <= bounds.highest_ms
            and time_ms > group.last_ms
            and time_ms > self.older_max_ms
            and bool((self._last_times.view()[cells.span] < time_ms).all())
        ):
            tally.appended += self._samples_in(cells.series)
            if len(cells.columns):
                self._store_row(group, time_ms, cells)
        else:
            self._append_judged(group, time_ms, cells, bounds, tally)
        if len(ended):
            self._hand_back(group, ended)
        return tally.result(granted)

    def _resolve(
        self, group: ScrapeGroup, layout: ResolvedColumns, row: Row, tally: RefusalTally, series_max: int
    ) -> tuple[RowCells, Columns, Int64s]:
        """All cells of a row with new or ended series, the columns granted to the new ones, and those that end."""
        created = self.create(row.new_series, tally, series_max)
        broken = incomplete(row.new_series, created) if tally.series_refused else set()
        kept = created >= 0
        granted = np.full(len(created), -1, np.int64)
        granted[kept] = self._grant(group, created[kept])
        ended = ended_columns(group, row, layout.columns, granted[kept])
        columns = np.concatenate((layout.columns, granted[kept], ended))
        values = np.concatenate((row.values, row.new_values[kept], np.full(len(ended), STALE_NAN)))
        if broken:
            whole = self._whole_histograms(group.series[columns].astype(np.int64), broken)
            columns, values = columns[whole], values[whole]
        return RowCells.of(group, columns, values), granted.astype(np.int32), ended

    def _whole_histograms(self, series: Int64s, broken: set[Labels]) -> Bools:
        """Which samples are no part of a histogram of the series that lack a component."""
        lacking = self.index.find(list(broken))
        return ~np.isin(series, lacking) & ~np.isin(self.components.view.owners_of(series), lacking)

    def _samples_in(self, series: Int32s | Int64s) -> int:
        """How many samples these are, of distinct series: a histogram is one."""
        components = self.components.view
        return len(series) - int(components.are_components(series).sum()) if len(components) else len(series)

    def _adopt(self, group: ScrapeGroup, cells: RowCells) -> RowCells:
        """Place foreign series here that no sender holds a column of any more."""
        free = ~self.placement.granted(cells.series[cells.foreign])
        if not free.any():
            return cells
        places = cells.foreign[free]
        series = cells.series[places].astype(np.int32)
        self._settle(group, cells.columns[places], series, np.ones(len(places), np.bool_))
        return cells._replace(foreign=cells.foreign[~free])

    def _append_judged(
        self, group: ScrapeGroup, time_ms: int, cells: RowCells, bounds: TimeBounds, tally: RefusalTally
    ) -> None:
        """Store the cells of a row one by one as the rules allow: in the row, or loose."""
        count = len(cells.columns)
        times = np.full(count, time_ms, np.int64)
        last_times = self._last_times.view()[cells.series]
        last_values = self._last_values.view()[cells.series]
        unseen = np.flatnonzero(last_times == NEVER_MS) if time_ms <= self.older_max_ms else last_times[:0]
        if len(unseen):
            view, numbers = self.index.view(), cells.series[unseen].astype(np.int32)
            listed = [view.labels(number) for number in numbers.tolist()]
            last_times[unseen], last_values[unseen] = self.newest_samples(listed, numbers, time_ms)
        verdicts = judge(times, cells.values, last_times, last_values, bounds)
        if len(self.components):
            follow_markers(verdicts, markers_in_row(cells.series, self.components.view))
        refused = np.flatnonzero(verdicts >= OUT_OF_ORDER)
        if len(refused):
            found = refusals(verdicts, refused, np.arange(count), times, cells.values, last_values)
            tally.refuse(found, bounds, lambda place: self.index.view().labels(int(cells.series[place])))
        in_order = verdicts == IN_ORDER
        in_row = in_order.copy()
        in_row[cells.foreign] = False
        if time_ms <= group.last_ms:
            in_row[:] = False
        loose = np.flatnonzero((in_order | (verdicts == LATE)) & ~in_row)
        if in_row.any():
            part = cells.at(np.flatnonzero(in_row))
            self._store_row(group, time_ms, part)
            tally.appended += self._samples_in(part.series)
        if len(loose):
            tally.appended += self._samples_in(cells.series[loose])
            self._store_loose(
                cells.series[loose].astype(np.int32), times[loose], cells.values[loose], in_order[loose]
            )

    def _store_row(self, group: ScrapeGroup, time_ms: int, cells: RowCells) -> None:
        columns, _, span, values, prefix, _ = cells
        last_times, last_values = self._last_times.view(), self._last_values.view()
        last_ms = group.last_ms
        old = (last_times[span].copy(), last_values[span].copy())
        if self.journal is not None:
            self.journal.row(group, time_ms, columns, values, prefix=prefix)
        group.append_row(time_ms, columns, values, prefix=prefix)
        self._undo.append((self._undo_row, (group, group.view.raw[-1], last_ms, span, old, self._marks())))
        last_times[span] = time_ms
        last_values[span] = values
        self._touched.add(group.number)
        self._note(time_ms, time_ms, len(columns))

    def _undo_row(
        self,
        group: ScrapeGroup,
        chunk: Any,
        last_ms: int,
        span: Span,
        old: tuple[Int64s, Floats],
        marks: Any,
    ) -> None:
        group.take_back_row(chunk, last_ms)
        self._last_times.view()[span], self._last_values.view()[span] = old
        self._touched.add(group.number)
        self.min_ms, self.max_ms, self.samples = marks

    def _hand_back(self, group: ScrapeGroup, columns: Int64s) -> None:
        group.hand_back(columns)
        series = group.series[columns][group.placed[columns]]
        self.placement.set_granted(series, granted=False)
        self._undo.append((self._undo_hand_back, (group, columns, series)))

    def _undo_hand_back(self, group: ScrapeGroup, columns: Int64s, series: Int32s) -> None:
        group.take_again(columns)
        self.placement.set_granted(series, granted=True)

    # ---- loose samples

    def append_batch(self, batch: SampleBatch, bounds: TimeBounds, series_max: int = 0) -> Appended:
        """Judge and store samples of any shape, in the loose buffer."""
        tally = RefusalTally()
        numbers = self.create(batch.series, tally, series_max)
        broken = incomplete(batch.series, numbers) if batch.histograms and tally.series_refused else ()
        if broken:
            numbers[[labels in broken or labels[1:] in broken for labels in batch.series]] = -1
        if self._store_in_order(batch, numbers, bounds, tally):
            return tally.result()
        refused = np.flatnonzero(numbers < 0)
        numbers[refused] = -1 - refused
        arrivals = Arrivals.judged(batch, numbers, *self._newest_of(batch, numbers), bounds)
        arrivals.tell_refused(batch, bounds, tally)
        return self._store_arrivals(arrivals, numbers, tally)

    def append_whole(self, batch: SampleBatch, bounds: TimeBounds, series_max: int = 0) -> Appended:
        """Store all samples of a batch, or none and say why. Quick when all its series are known."""
        numbers = self.index.find(batch.series)
        if len(numbers) and int(numbers.min()) < 0:
            refused = self.refusal_of(batch, bounds, series_max)
            return refused if refused is not None else self.append_batch(batch, bounds, series_max)
        tally = RefusalTally()
        if self._store_in_order(batch, numbers, bounds, tally):
            return tally.result()
        arrivals = Arrivals.judged(batch, numbers, *self._newest_of(batch, numbers), bounds)
        arrivals.tell_refused(batch, bounds, tally)
        return tally.result() if tally.refused else self._store_arrivals(arrivals, numbers, tally)

    def _store_in_order(
        self, batch: SampleBatch, numbers: Int32s, bounds: TimeBounds, tally: RefusalTally
    ) -> bool:
        """Store a batch all of which is in order, as nearly all are; whether it is."""
        last_times, last_values = self._last_times.view(), self._last_values.view()
        found = take_in_order(batch, numbers, last_times, last_values, bounds, self.older_max_ms)
        if found is None:
            return False
        series, times, values, listed, old_times, old_values = found
        if self.journal is not None:
            self.journal.loose(series, times, values)
        old = (old_times, old_values)
        self._undo.append((self._undo_loose, (len(self.loose), listed, old, self._marks())))
        self.loose.append(series, times, values)
        self._note(int(times.min()), int(times.max()), len(series))
        tally.appended += self._samples_in(series)
        return True

    def _store_arrivals(self, arrivals: Arrivals, numbers: Int32s, tally: RefusalTally) -> Appended:
        series, times, values, in_order = arrivals.accepted(numbers)
        components = self.components.view
        tally.appended += len(series) - int(components.are_components(series).sum())
        if len(series):
            self._store_loose(series, times, values, in_order)
        return tally.result()

    def _newest_of(self, batch: SampleBatch, numbers: Int32s) -> tuple[Int64s, Floats]:
        first_ms = int(batch.timestamps_ms.min()) if len(batch.timestamps_ms) else 0
        return self.newest_samples(batch.series, numbers, first_ms)

    def refusal_of(self, batch: SampleBatch, bounds: TimeBounds, series_max: int = 0) -> Appended | None:
        """The answer to a batch of which anything would be refused, else None; nothing is changed."""
        tally = RefusalTally()
        known = self.index.find(batch.series)
        # a series that does not exist yet may be listed twice all the same
        new: dict[Labels, int] = {}
        numbers = known.copy()
        for place in np.flatnonzero(known < 0).tolist():
            numbers[place] = new.setdefault(batch.series[place], -1 - place)
        arrivals = Arrivals.judged(batch, numbers, *self._newest_of(batch, numbers), bounds)
        arrivals.tell_refused(batch, bounds, tally)
        if series_max and new and len(self.index) + len(new) > series_max:
            tally.refuse_series(
                len(self.index) + len(new) - series_max, f"series limit of {series_max} reached"
            )
        if not all(batch.series):
            tally.refuse_series(1, EMPTY_LABELS)
        return tally.result() if tally.refused else None

    def _store_loose(self, series: Int32s, times: Int64s, values: Floats, in_order: Bools) -> None:
        """Store samples; those in order ascend in time within a series."""
        if self.journal is not None:
            self.journal.loose(series, times, values)
        last_times, last_values = self._last_times.view(), self._last_values.view()
        newest = series[in_order]
        old = (last_times[newest], last_values[newest])
        self._undo.append((self._undo_loose, (len(self.loose), newest, old, self._marks())))
        self.loose.append(series, times, values)
        last_times[newest] = times[in_order]
        last_values[newest] = values[in_order]
        self._note(int(times.min()), int(times.max()), len(series))

    def _undo_loose(self, mark: int, series: Int32s, old: Any, marks: Any) -> None:
        self.loose.cut(mark)
        self._last_times.view()[series], self._last_values.view()[series] = old
        self.min_ms, self.max_ms, self.samples = marks

    def restore_loose(self, series: Int32s, times: Int64s, values: Floats) -> None:
        """Store loose samples that were judged before: those of a log, or of an import."""
        self.loose.append(series, times, values)
        self.loose.seal_if_due()
        span = note_newest(series, times, values, self._last_times.view(), self._last_values.view())
        self._note(*span, len(series))

    # ---- deletion

    def delete(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> int:
        """Hide the samples the matching series have now in the closed interval; how many series that hits.

        What was appended before has been published; the deletion is visible with the next publish.
        """
        return self.delete_numbered(matching.select(self.index.view(), matchers), start_ms, end_ms)

    def delete_numbered(self, series: Int32s, start_ms: int, end_ms: int) -> int:
        """`delete` of series by their numbers, which ascend."""
        end_ms = min(end_ms, self.max_ms)
        if len(series) == 0 or start_ms > end_ms:
            return 0
        group_ms = np.array([group.last_ms for group in self.groups], np.int64)
        deletion = HeadDeletion(series, start_ms, end_ms, group_ms, self.loose.seal())
        self.deletions = (*self.deletions, deletion)
        return len(series)

    # ---- bookkeeping

    def _marks(self) -> tuple[int, int, int]:
        return self.min_ms, self.max_ms, self.samples

    def _note(self, first_ms: int, last_ms: int, samples: int) -> None:
        self.min_ms = min(self.min_ms, first_ms)
        self.max_ms = max(self.max_ms, last_ms)
        self.samples += samples
