"""The writing side of a store: which head takes a message, logging, storing, publishing."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Sequence
from typing import Any

import numpy as np

from trimon.errors import OperatingError
from trimon.files import is_full
from trimon.limits import FUTURE_MS_MAX
from trimon.model.rows import Appended, Metadata, Row, SampleBatch
from trimon.storage.head.acceptance import TimeBounds
from trimon.storage.head.head import Head
from trimon.storage.head.looseorder import cost_of
from trimon.storage.head.routing import split_batch
from trimon.storage.head.scrapegroup import NEVER_MS, ScrapeGroup
from trimon.storage.metadata import MetadataBook
from trimon.storage.problems import LIMIT, MEMORY
from trimon.storage.state import LiveHead, StoreCore, StoreState
from trimon.storage.wal import sections
from trimon.storage.wal.log import HeadLog


class Appender:
    """Appends messages to the open heads, one per window of time, each with a log of its own."""

    def __init__(
        self, core: StoreCore, book: MetadataBook, next_epoch: int, logged_ms: int | None = None
    ) -> None:
        self._core = core
        self._book = book
        self._next_epoch = next_epoch
        # Where the latest window begins that logs of before the start are of: heads are made of them later.
        self._logged_ms = NEVER_MS if logged_ms is None else logged_ms
        self.open_heads: list[LiveHead] = []
        # Whether the last append failed, or began without room for a log.
        self._fails = False
        # Whether the flag's limit has refused series since one was made last.
        self._is_limited = False
        self._registry: dict[str, tuple[Head, ScrapeGroup]] = {}

    # ---- messages

    def append(self, messages: Sequence[Row | SampleBatch | Metadata]) -> list[Appended]:
        """Judge, log and store messages in order; one answer each. Raises OperatingError: nothing is stored."""
        core = self._core
        with core.writing:
            try:
                self._prepare_logs()
                answers = [self._append_one(message) for message in messages]
                self.commit()
            except OperatingError as error:
                self._roll_back()
                core.problem("log", "append", f"samples are refused: {error}")
                self._fails = True
                raise
            except BaseException:
                self._roll_back()
                raise
            if self._fails:
                self._fails = False
                core.problems.over("log", "append")
                core.problems.over("files", "disk")
            self._publish()
            for answer in answers:
                self._count(answer)
            return answers

    def _prepare_logs(self) -> None:
        self._core.require_directory()
        for live in self.open_heads:
            if live.log is not None:
                live.log.prepare()

    def commit(self) -> None:
        """Write to the logs what the heads have collected since the last commit. Raises OperatingError."""
        for live in self.open_heads:
            if live.log is not None:
                live.log.commit(live.head.index, live.head.groups)

    def _roll_back(self) -> None:
        self._book.roll_back()
        for live in self.open_heads:
            live.head.rollback()
            if live.log is not None:
                live.log.discard()

    def _publish(self) -> None:
        self._book.publish()
        now_ms = self._core.clock.now_ms()
        for live in self.open_heads:
            if live.head.publish_if_changed():
                live.last_append_ms = now_ms
                self._core.count_series(live)
                live.marks.note(now_ms, len(live.head.index))
                self._core.newest_ms = max(self._core.newest_ms, live.head.max_ms)
                if live is not self.open_heads[-1]:
                    self.link_older_heads()

    def _count(self, answer: Appended) -> None:
        counts = self._core.counts
        counts["samples_appended"] += answer.appended
        if answer.error:
            counts["out_of_order"] += answer.out_of_order
            counts["duplicate"] += answer.duplicate
            counts["out_of_bounds"] += answer.out_of_bounds
            counts["too_old"] += answer.too_old
            counts["series_refused"] += answer.series_refused

    def _append_one(self, message: Row | SampleBatch | Metadata) -> Appended:
        bounds = self.bounds()
        match message:
            case Row():
                head = self._head_for_row(message, bounds)
                answer = self._explained(head.append_row(message, bounds, self._core.series_max))
                known = self._registry.get(message.group)
                if known is None or known[0] is not head:
                    self._registry[message.group] = (head, head.group(message.group))
                return answer
            case SampleBatch():
                return self._explained(self._append_batch(message, bounds))
            case Metadata():
                return self._append_metadata(message)

    def _explained(self, answer: Appended) -> Appended:
        """The answer, which says what limit it is that refuses new series: memory's or the flag's."""
        core = self._core
        if not answer.series_refused or not core.series_max:
            if answer.series_created and self._is_limited:
                self._is_limited = False
                core.problems.over(LIMIT, "series")
            return answer
        if core.series_max == core.memory_series_max:
            kind, error = MEMORY, f"{answer.error}, which is what memory allows: see --storage.memory-max"
        else:
            kind, error = LIMIT, f"{answer.error}: see --storage.series-max"
            self._is_limited = True
        core.problem(kind, "series", f"new series are refused: {error}", answer.series_refused)
        return dataclasses.replace(answer, error=error)

    def bounds(self) -> TimeBounds:
        """The times that an append accepts now."""
        core = self._core
        window_ms = core.options.out_of_order_window_ms
        highest_ms = core.clock.now_ms() + FUTURE_MS_MAX
        if core.newest_ms == NEVER_MS:
            return TimeBounds(NEVER_MS, highest_ms, NEVER_MS if window_ms else None)
        late_ms = core.newest_ms - window_ms if window_ms else None
        return TimeBounds(core.newest_ms - core.options.min_block_ms // 2, highest_ms, late_ms)

    def _append_batch(self, batch: SampleBatch, bounds: TimeBounds) -> Appended:
        parts = split_batch(batch, bounds, self.newest(), self._head_finder())
        series_max = self._core.series_max
        if batch.atomic and len(parts) == 1:
            head, part = parts[0]
            return head.append_whole(part, bounds, series_max)
        if batch.atomic:
            for head, part in parts:
                refused = head.refusal_of(part, bounds, series_max)
                if refused is not None:
                    return refused
        answers = [head.append_batch(part, bounds, series_max) for head, part in parts]
        return answers[0] if len(answers) == 1 else _sum(answers)

    def cost_of(self, batch: SampleBatch) -> int:
        """About how long a batch takes to append, as so many cells of a row."""
        return cost_of(batch, self.newest().index, self.newest().loose)

    def _append_metadata(self, message: Metadata) -> Appended:
        changed = self._book.update(message.families)
        log = self.open_heads[-1].log
        if changed and log is not None:
            log.note([sections.METADATA, changed])
        return Appended()

    def note(self, numbers: list[Any], log: HeadLog | None = None) -> None:
        """Write one section at once, to the newest log unless one is given. Raises OperatingError."""
        log = self.open_heads[-1].log if log is None else log
        if log is None:
            return
        self._prepare_logs()
        log.note(numbers)
        try:
            self.commit()
        except OperatingError:
            log.discard()
            raise

    def note_deletion(self, live: LiveHead, numbers: list[Any]) -> None:
        """Write down a deletion in a head. Raises OperatingError.

        In its own log, if it still has one: what comes later is not deleted by a replay either.
        """
        self.note(numbers, live.log)
        if live.log is None:
            log = self.open_heads[-1].log
            live.foreign_notes.append((-1 if log is None else log.epoch, numbers))

    def keep_deletions(self, gone: Collection[int]) -> None:
        """Before logs are removed: deletions in heads that stay are written down once more. Raises OperatingError."""
        for live in self._core.state.heads:
            moved = [each for each in live.foreign_notes if each[0] in gone]
            if not moved or live.epochs <= set(gone):
                continue
            for each in moved:
                self.note_deletion(live, each[1])
                live.foreign_notes.remove(each)

    # ---- heads

    def newest(self) -> Head:
        """The head of the newest window."""
        return self.open_heads[-1].head

    def _head_for_row(self, row: Row, bounds: TimeBounds) -> Head:
        name, time_ms = row.group, row.timestamp_ms
        head = self.newest()
        if bounds.lowest_ms <= time_ms <= bounds.highest_ms and (
            time_ms >= head.end_ms
            or (time_ms < head.start_ms and not head.has_group(name) and not self._is_behind(row))
        ):
            head = self._head_at(time_ms)
        if not head.has_group(name) and name in self._registry:
            head.inherit(*self._registry[name])
        return head

    def _is_behind(self, row: Row) -> bool:
        """Whether a head has a sample of any of its series at its time or later.

        The newest head takes it then, as it takes all late samples: of several for one time the first counts.
        """
        source, series = None, row.columns[:0]
        if row.group in self._registry:
            source, group = self._registry[row.group]
            columns = np.concatenate((row.columns, row.ended))
            columns = columns[(columns >= 0) & (columns < group.width)]
            series = group.series[columns[group.granted[columns]]]
        for head in (live.head for live in self._core.state.heads):
            if head.max_ms < row.timestamp_ms:
                continue
            known = series
            if source is not None and head is not source:
                known = head.index.find_series(source.index.view(), series)
            numbers = np.concatenate((head.index.find(row.new_series), known))
            if (head.newest_times(numbers[numbers >= 0]) >= row.timestamp_ms).any():
                return True
        return False

    def _head_finder(self) -> Callable[[int], Head]:
        """`_head_at` for the parts of one batch: a head that was found for a part, still empty, is not replaced."""
        found: list[Head] = []

        def find(time_ms: int) -> Head:
            found.append(self._head_at(time_ms, replace=not found))
            return found[-1]

        return find

    def _head_at(self, time_ms: int, *, replace: bool = True) -> Head:
        """The open head for a time; the newest one takes what is too late for the others."""
        newest = self.newest()
        empty = newest.samples == 0 and not newest.groups
        outside = not newest.start_ms <= time_ms < newest.end_ms
        if replace and empty and outside and self._window_ms(time_ms) >= self._lowest_window_ms():
            return self._replace_newest(time_ms)
        if time_ms >= newest.end_ms:
            return self.open_head(time_ms)
        # Two may be open for one window. The older one's samples count, so what comes now goes to the newer one.
        for live in reversed(self.open_heads):
            if live.head.start_ms <= time_ms < live.head.end_ms:
                return live.head
        return newest

    def _window_ms(self, time_ms: int) -> int:
        length_ms = self._core.options.min_block_ms
        return time_ms // length_ms * length_ms

    def _lowest_window_ms(self) -> int:
        """Where a new head may begin at the earliest: no head comes after one of a later window.

        That one may hold samples that came too late for their own window. They were first, and must be read first; but a
        head of their own window becomes a block before it, and blocks are read before heads.
        """
        others = (live.head.start_ms for live in self._core.state.heads if live is not self.open_heads[-1])
        return max(self._logged_ms, *others, NEVER_MS)

    @property
    def open_epochs(self) -> set[int]:
        """The runs that are still written."""
        return {live.log.epoch for live in self.open_heads if live.log is not None}

    def open_first_head(self, now_ms: int) -> Head:
        """The head that a start begins with. Raises OperatingError."""
        return self.open_head(max(now_ms, self._logged_ms), at_start=True)

    def open_head(self, time_ms: int, *, at_start: bool = False) -> Head:
        """A new head for the window of a time, with a log of its own. Raises OperatingError.

        A full disk is no error `at_start`: the log is made with the first append for which there is room.
        """
        core = self._core
        start_ms = self._window_ms(time_ms)
        window = (start_ms, start_ms + core.options.min_block_ms)
        epoch = self._next_epoch
        options = core.options
        log = HeadLog(core.files, core.wal_path, epoch, window, options.wal_segment_bytes, options.fsync)
        try:
            log.open()
        except OSError as error:
            if not (at_start and is_full(error)):
                # A name that is taken by what could not be removed is never tried again.
                self._next_epoch += log.left_behind
                raise OperatingError(f"WAL: {error}") from error
            core.disk_is_full(error)
            self._fails = True
        self._next_epoch += 1
        live = LiveHead(Head(*window, log, core.pages), log, frozenset({epoch}), core.clock.now_ms())
        self.open_heads.append(live)
        core.state = StoreState(core.state.blocks, (*core.state.heads, live))
        self.link_older_heads()
        return live.head

    def link_older_heads(self) -> None:
        """Tell every open head of the heads before it, by which it judges late samples too."""
        heads = [live.head for live in self._core.state.heads]
        for live in self.open_heads:
            older_heads = heads[: heads.index(live.head)]
            live.head.set_older_heads([(older, older.max_ms) for older in older_heads if older.samples])

    def _replace_newest(self, time_ms: int) -> Head:
        """A head for another window in place of the newest one, which is empty. Raises OperatingError."""
        core = self._core
        replaced = self.open_heads[-1]
        try:
            self._book.save(core.files, core.path / "metadata")
            head = self.open_head(time_ms)
            self.open_heads.remove(replaced)
            core.state = StoreState(
                core.state.blocks, tuple(live for live in core.state.heads if live is not replaced)
            )
            core.count_removed(replaced)
            if replaced.log is not None:
                self.keep_deletions({replaced.log.epoch})
                replaced.log.remove()
        except OSError as error:
            raise OperatingError(f"WAL: {error}") from error
        return head

    # ---- freezing

    def freeze(self, lives: Sequence[LiveHead]) -> None:
        """Close the logs of these heads, whose windows are over: nothing is appended any more. Raises OperatingError."""
        for live in lives:
            if live.log is not None and self._core.options.fsync != "never":
                # The long part of closing, before appends have to wait for it.
                live.log.sync()
        with self._core.writing:
            going = [live for live in self.open_heads if live in lives]
            if self.open_heads[-1] in going:
                # Nothing has come since the end of the window: begin the one the clock is in. A head without
                # samples, which is never cut, may stay open beside it, but is not for what comes next.
                self.open_head(max(self._core.clock.now_ms(), *(live.head.end_ms for live in going)))
            self.open_heads = [live for live in self.open_heads if live not in going]
            for live in going:
                if live.log is not None:
                    live.log.close()
                    live.log = None

    def carry_over(self, lives: Sequence[LiveHead]) -> None:
        """Grant the columns that senders still have in these heads, which leave, in the newest head."""
        heads = {live.head for live in lives}
        newest = self.newest()
        for name, (head, group) in list(self._registry.items()):
            if head not in heads:
                continue
            if group.granted.any():
                target = newest.group(name) if newest.has_group(name) else newest.inherit(head, group)
                self._registry[name] = (newest, target)
            else:
                del self._registry[name]

    def close(self) -> None:
        """Sync and close the logs."""
        for live in self.open_heads:
            if live.log is not None:
                live.log.close()
        self.open_heads = []


def _sum(answers: Sequence[Appended]) -> Appended:
    return Appended(
        appended=sum(a.appended for a in answers),
        series_created=sum(a.series_created for a in answers),
        out_of_order=sum(a.out_of_order for a in answers),
        duplicate=sum(a.duplicate for a in answers),
        out_of_bounds=sum(a.out_of_bounds for a in answers),
        too_old=sum(a.too_old for a in answers),
        series_refused=sum(a.series_refused for a in answers),
        error=next((a.error for a in answers if a.error), ""),
        refused_sample=next((a.refused_sample for a in answers if a.error), None),
        told=tuple(each for a in answers for each in a.told),
    )
