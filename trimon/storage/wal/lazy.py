"""Rows of a replayed head that stay in the log until somebody reads them.

Replaying reads every record, takes the series and notes which rows are good; the cells of the rows are
unpacked and sealed for the groups that a query asks for, and for the rest when there is time.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Collection, Sequence
from typing import Any, Final

import numpy as np

from trimon.errors import OperatingError
from trimon.model.labels import Labels
from trimon.storage.block.cache import ArrayCache
from trimon.storage.head.arena import Floats, Int32s, Int64s
from trimon.storage.head.damage import PUSHED, LostPart, TellLost
from trimon.storage.head.head import Head
from trimon.storage.head.scrapegroup import NEVER_MS, GroupView, GroupViews, ScrapeGroup
from trimon.storage.wal import sections as s
from trimon.storage.wal.cells import CellsError
from trimon.storage.wal.loggedloose import LoggedLoose
from trimon.storage.wal.logrows import LogRows
from trimon.storage.wal.payload import BrokenSectionError, Payload, grant_of
from trimon.storage.wal.rowstate import UnpackedRows

# Rows unpacked under one lock: some tenths of a second.
_BATCH_ROWS: Final = 4000
# So many rows of a group are packed before they are sealed, which takes as long as all the rest of unpacking them. What is due
# when all is unpacked is sealed then, when nobody waits for it.
_PACKED_ROWS_MAX: Final = 128
# A kind of problem.
GROUPS_OF_LOG: Final = "groups of the log"
# What faults of samples that are of no group are about.
LOOSE_OF_LOG: Final = "loose samples"


class LoggedHead(Head):
    """A head rebuilt from logs. Readers see all of it; what they touch is unpacked then, and `tell` hears what is lost.

    `load` and reading are safe from any thread.
    """

    def __init__(
        self, start_ms: int, end_ms: int, cache: ArrayCache | None = None, tell: TellLost | None = None
    ) -> None:
        self.runs: list[LogRows] = []
        self._loading = threading.RLock()
        self._unsealed: list[tuple[int, ScrapeGroup]] = []
        self._samples_of: Counter[int] = Counter()
        super().__init__(start_ms, end_ms, cache=cache)
        if tell is not None:
            self.damage.tell = tell
        self.loose = self._logged = LoggedLoose(self.cache, self._loading, self._lose_pushed)

    def begin_run(self) -> LogRows:
        """Another run of the log, whose groups are new ones."""
        self.runs.append(LogRows())
        return self.runs[-1]

    @property
    def waiting(self) -> int:
        """Groups and pages that are not unpacked yet."""
        return sum(len(run.waiting()) for run in self.runs) + len(self._logged.waiting)

    def restore_logged(self, run: LogRows, place: int, series: Int32s, times: Int64s, values: Floats) -> None:
        """Loose samples, which are in the section at this place of the run's record."""
        self._logged.note(run, place, len(series))
        self.restore_loose(series, times, values)

    def restore_row(self, group: ScrapeGroup, time_ms: int, samples: int) -> None:
        """As in Head."""
        self._samples_of[group.number] += samples
        super().restore_row(group, time_ms, samples)

    def _lose_pushed(self, sections: int, samples: int, span: tuple[int, int]) -> None:
        self.damage.lose(LostPart(PUSHED, LOOSE_OF_LOG, sections, samples, *span))

    def load(self, groups: Collection[int]) -> None:
        """Unpack these groups."""
        with self._loading:
            for run in self.runs:
                wanted = run.waiting().keys() & set(groups)
                if wanted:
                    self._unpack(run, wanted)

    def load_some(self) -> bool:
        """Unpack the next few groups, or a page; whether any are left."""
        for run in self.runs:
            batch: list[int] = []
            rows = 0
            for group, count in run.waiting().items():
                batch.append(group)
                rows += count
                if rows >= _BATCH_ROWS:
                    break
            if batch:
                self.load(batch)
                return self.waiting > 0
        for page in self._logged.waiting[:1]:
            page.page()
        return self.waiting > 0

    @property
    def unsealed(self) -> int:
        """Unpacked groups whose rows are to be sealed."""
        return len(self._unsealed)

    def seal_some(self) -> bool:
        """Seal the rows of an unpacked group; whether others are left."""
        with self._loading:
            if self._unsealed:
                number, group = self._unsealed.pop()
                group.seal_if_due()
                self.groups[number].view = group.view
            return bool(self._unsealed)

    def _unpack(self, run: LogRows, wanted: Collection[int]) -> None:
        builders = {
            number: (ScrapeGroup(number, self.groups[number].name, self.cache), UnpackedRows())
            for number in wanted
        }
        lost: Counter[int] = Counter()
        for number, payload, place in run.take(wanted):
            if number in lost:
                lost[number] += 1
                continue
            group, state = builders[number]
            try:
                if payload is None:
                    raise CellsError("a record that cannot be read again")
                numbers = payload.sections[place]
                if numbers[0] == s.GRANT:
                    self._unpack_grant(group, state, run.series, payload, place)
                else:
                    state.samples += self._unpack_row(group, state, numbers, payload, place)
            except (BrokenSectionError, CellsError):
                lost[number] += 1
        for number, (group, state) in builders.items():
            self._note_newest(group, state)
            self.groups[number].view = group.view
            if group.is_due:
                self._unsealed.append((number, group))
        for number, sections in lost.items():
            group, state = builders[number]
            first_ms = self.min_ms if group.last_ms == NEVER_MS else group.last_ms + 1
            samples = self._samples_of[number] - state.samples
            last_ms = max(first_ms, self.groups[number].last_ms)
            self.damage.lose(LostPart(number, group.name, sections, samples, first_ms, last_ms))

    def _unpack_grant(
        self, group: ScrapeGroup, state: UnpackedRows, series_of: Int32s, payload: Payload, place: int
    ) -> None:
        columns, series, placed = grant_of(payload, place, series_of)
        self._note_newest(group, state)
        if len(columns):
            width = int(columns.max()) + 1
            group.make_room(width)
            state.make_room(width)
            state.values[columns] = 0.0
        known = series >= 0
        group.grant_unknown(columns[known], series[known], placed[known])
        if payload.sections[place][2]:
            group.revoke_except(columns[known])

    def _unpack_row(
        self, group: ScrapeGroup, state: UnpackedRows, numbers: Sequence[Any], payload: Payload, place: int
    ) -> int:
        """How many samples the row has."""
        time_ms, how, rest = numbers[3], numbers[5], list(numbers[6:])
        reader = payload.reader(place)
        if how == s.COLUMNS_PREFIX:
            if not state.prefix or state.prefix != rest[0]:
                state.columns, state.prefix = np.arange(rest[0]), rest[0]
            rest = rest[1:]
        elif how == s.COLUMNS_LISTED:
            state.columns, state.prefix, rest = reader.signed(rest[0], rest[1]), 0, rest[2:]
        columns = state.columns
        assert columns is not None
        # The first columns are a slice of every array, which takes no copy.
        span: slice | Int64s = slice(0, state.prefix) if state.prefix else columns
        width = state.prefix or int(columns.max()) + 1
        group.make_room(width)
        state.make_room(width)
        if s.is_key_row(numbers[2]):
            state.values[:] = 0.0
        values = reader.cells(state.values[span], rest)
        state.values[span] = values
        granted = group.granted[span]
        prefix = bool(state.prefix)
        if not granted.all():
            columns, values, prefix = columns[granted], values[granted], False
            span = columns
        state.newest_ms[span] = time_ms
        state.newest[span] = values
        group.append_row(time_ms, columns, values, prefix=prefix)
        group.seal_if_due(_PACKED_ROWS_MAX)
        return len(columns)

    def _note_newest(self, group: ScrapeGroup, state: UnpackedRows) -> None:
        """Tell the series of a group's columns what rows since the last grant had for them."""
        columns = np.flatnonzero(state.newest_ms != NEVER_MS)
        if len(columns) == 0:
            return
        series, times_ms, values = group.series[columns], state.newest_ms[columns], state.newest[columns]
        state.newest_ms[columns] = NEVER_MS
        known = self._last_times.view()
        newer = known[series] < times_ms
        known[series[newer]] = times_ms[newer]
        self._last_values.view()[series[newer]] = values[newer]

    def newest_samples(
        self, label_sets: Sequence[Labels], numbers: Int32s, first_ms: int
    ) -> tuple[Int64s, Floats]:
        """As in Head; unpacks everything first."""
        self.load(range(len(self.groups)))
        return super().newest_samples(label_sets, numbers, first_ms)

    def _views_for_readers(self) -> GroupViews:
        return LoggedGroupViews(self)


class LoggedGroupViews(GroupViews):
    """The groups of a replayed head, unpacked when they are asked for."""

    def __init__(self, head: LoggedHead) -> None:
        super().__init__([])
        self._head = head

    def __len__(self) -> int:
        return len(self._head.groups)

    def __getitem__(self, number: int) -> GroupView:
        self._head.load((number,))
        return self._head.groups[number].view

    def prepare(self, numbers: Collection[int]) -> None:
        """Unpack these groups together. Raises OperatingError when the log cannot be read."""
        self._head.load(numbers)

    def loaded(self) -> list[GroupView]:
        """The groups that are unpacked."""
        return [group.view for group in self._head.groups]


class LoadJob:
    """Unpacks what is left in the logs of a replayed head, a few groups at a time."""

    def __init__(self, head: LoggedHead) -> None:
        self._head = head

    @property
    def what(self) -> str:
        """What the job does, in words."""
        if not self._head.waiting:
            return f"seal {self._head.unsealed} groups of the log"
        return f"unpack {self._head.waiting} groups and pages of the log"

    def run(self) -> None:
        """Unpack group after group, then seal them; queries go on in between. Raises OperatingError."""
        while self._head.load_some():
            pass
        while self._head.seal_some():
            pass

    def install(self) -> None:
        """Does nothing: readers see what was unpacked at once."""
        if self._head.waiting:
            raise OperatingError("the log is not unpacked")
