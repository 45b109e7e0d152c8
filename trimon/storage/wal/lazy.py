"""Rows of a replayed head that stay in the log until somebody reads them.

Replaying reads every record, takes the series and notes which rows are good; the cells of the rows are
unpacked and sealed for the groups that a query asks for, and for the rest when there is time.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any, Final

import numpy as np

from trimon.errors import OperatingError
from trimon.model.labels import Labels
from trimon.openfiles import ReadFile
from trimon.storage.block.cache import ArrayCache
from trimon.storage.head.arena import Floats, Int32s, Int64s
from trimon.storage.head.head import Head
from trimon.storage.head.scrapegroup import GroupView, GroupViews, ScrapeGroup
from trimon.storage.wal import sections as s
from trimon.storage.wal.cells import CellsError
from trimon.storage.wal.frame import record_payload
from trimon.storage.wal.payload import Payload, grant_of
from trimon.storage.wal.rowstate import RowState

_PLACE_BITS: Final = 20
# Rows unpacked under one lock: some tenths of a second.
_BATCH_ROWS: Final = 4000
# A kind of problem.
GROUPS_OF_LOG: Final = "groups of the log"


class LogRows:
    """Where the good sections of every group of one run are: (record, place in it), in order."""

    def __init__(self) -> None:
        self._segments: list[ReadFile] = []
        self._records: list[tuple[int, int]] = []
        self._entries: dict[int, list[int]] = {}
        self.series: Int32s = np.zeros(0, np.int32)

    def begin_segment(self, file: ReadFile) -> None:
        """Later records are in this segment."""
        self._segments.append(file)

    def begin_record(self, offset: int) -> None:
        """Later sections are in the record at this offset."""
        self._records.append((len(self._segments) - 1, offset))

    def note(self, group: int, place: int) -> None:
        """The section at this place of the record belongs to the group (of the head) and is good."""
        self._entries.setdefault(group, []).append((len(self._records) - 1) << _PLACE_BITS | place)

    def waiting(self) -> dict[int, int]:
        """How many sections wait for each group that is not unpacked."""
        return {group: len(entries) for group, entries in list(self._entries.items())}

    def take(self, groups: Collection[int]) -> Iterator[tuple[int, Payload | None, int]]:
        """(group, payload, place) of all sections of these groups in order; they wait no longer.

        The payload is None where it cannot be read, or does not pass its checksum any more.
        """
        listed = [
            (group, np.array(self._entries.pop(group), np.int64))
            for group in groups
            if group in self._entries
        ]
        if not listed:
            return
        entries = np.concatenate([mine for _, mine in listed])
        owners = np.repeat([group for group, _ in listed], [len(mine) for _, mine in listed])
        order = np.argsort(entries, kind="stable")
        current: int = -1
        payload: Payload | None = None
        for entry, group in zip(entries[order].tolist(), owners[order].tolist(), strict=True):
            record, place = entry >> _PLACE_BITS, entry & (1 << _PLACE_BITS) - 1
            if record != current:
                segment, offset = self._records[record]
                current = record
                try:
                    payload = Payload(record_payload(self._segments[segment], offset))
                except (OSError, OperatingError):
                    payload = None
            yield group, payload, place


class LoggedHead(Head):
    """A head rebuilt from logs. Readers see all of it; what they touch is unpacked then.

    `load` and reading are safe from any thread.
    """

    def __init__(self, start_ms: int, end_ms: int, cache: ArrayCache | None = None) -> None:
        self.runs: list[LogRows] = []
        self.faults: list[tuple[str, str]] = []
        """(group, what was found to be wrong with it) since the last LoadJob."""
        self._loading = threading.RLock()
        super().__init__(start_ms, end_ms, cache=cache)

    def begin_run(self) -> LogRows:
        """Another run of the log, whose groups are new ones."""
        self.runs.append(LogRows())
        return self.runs[-1]

    @property
    def waiting(self) -> int:
        """Groups that are not unpacked yet."""
        return sum(len(run.waiting()) for run in self.runs)

    def load(self, groups: Collection[int]) -> None:
        """Unpack these groups."""
        with self._loading:
            for run in self.runs:
                wanted = run.waiting().keys() & set(groups)
                if wanted:
                    self._unpack(run, wanted)

    def load_some(self) -> bool:
        """Unpack the next few groups; whether any are left."""
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
        return False

    def _unpack(self, run: LogRows, wanted: Collection[int]) -> None:
        builders = {
            number: (ScrapeGroup(number, self.groups[number].name, self.cache), RowState())
            for number in wanted
        }
        broken: set[int] = set()
        for number, payload, place in run.take(wanted):
            if number in broken:
                continue
            group, state = builders[number]
            try:
                if payload is None:
                    raise CellsError(
                        "a record of the log cannot be read again, or has changed since it was first read"
                    )
                numbers = payload.sections[place]
                if numbers[0] == s.GRANT:
                    self._unpack_grant(group, state, run.series, payload, place)
                else:
                    self._unpack_row(group, state, numbers, payload, place)
            except CellsError as error:
                broken.add(number)
                self.faults.append((group.name, f"group {group.name}: {error}"))
        for number, (group, _) in builders.items():
            self.groups[number].view = group.view

    def _unpack_grant(
        self, group: ScrapeGroup, state: RowState, series_of: Int32s, payload: Payload, place: int
    ) -> None:
        columns, series, placed = grant_of(payload, place, series_of)
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
        self, group: ScrapeGroup, state: RowState, numbers: Sequence[Any], payload: Payload, place: int
    ) -> None:
        time_ms, how, rest = numbers[3], numbers[5], list(numbers[6:])
        reader = payload.reader(place)
        if how == s.COLUMNS_SAME:
            assert state.columns is not None
            columns = state.columns
        elif how == s.COLUMNS_PREFIX:
            columns, rest = np.arange(rest[0]), rest[1:]
        else:
            columns, rest = reader.signed(rest[0], rest[1]), rest[2:]
        width = int(columns.max()) + 1
        group.make_room(width)
        state.make_room(width)
        if s.is_key_row(numbers[2]):
            state.values[:] = 0.0
        values = reader.cells(state.values[columns], rest)
        state.values[columns] = values
        state.columns = columns
        granted = group.granted[columns]
        prefix = how == s.COLUMNS_PREFIX
        if not granted.all():
            columns, values, prefix = columns[granted], values[granted], False
        group.append_row(time_ms, columns, values, prefix=prefix)
        group.seal_if_due()
        self._note_newest(group.series[columns], time_ms, values)

    def _note_newest(self, series: Int32s, time_ms: int, values: Floats) -> None:
        times = self._last_times.view()
        newer = times[series] < time_ms
        if newer.all():
            times[series] = time_ms
            self._last_values.view()[series] = values
        else:
            times[series[newer]] = time_ms
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

    def __init__(self, head: LoggedHead, problem: Callable[[str, str, str], None]) -> None:
        self._head = head
        self._problem = problem

    @property
    def what(self) -> str:
        """What the job does, in words."""
        return f"unpack the log of {self._head.waiting} groups"

    def run(self) -> None:
        """Unpack group after group; queries go on in between. Raises OperatingError."""
        while self._head.load_some():
            pass
        while self._head.faults:
            self._problem(GROUPS_OF_LOG, *self._head.faults.pop(0))

    def install(self) -> None:
        """Does nothing: readers see what was unpacked at once."""
        if self._head.waiting:
            raise OperatingError("the log is not unpacked")
