"""Where the sections of a run of the log are that somebody reads later."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import Final

import numpy as np

from trimon.errors import OperatingError
from trimon.openfiles import ReadFile
from trimon.storage.head.arena import Int32s
from trimon.storage.wal.frame import record_payload
from trimon.storage.wal.payload import Payload

_PLACE_BITS: Final = 20


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
        self._entries.setdefault(group, []).append(self.entry(place))

    def entry(self, place: int) -> int:
        """What stands for the section at this place of the record."""
        return (len(self._records) - 1) << _PLACE_BITS | place

    def read(self, entries: Iterable[int]) -> Iterator[tuple[Payload | None, int]]:
        """The record of each section and its place there; a record is read once for all sections that follow one another.

        It is None where it cannot be read, or does not pass its checksum any more.
        """
        current = -1
        payload: Payload | None = None
        for entry in entries:
            record, place = entry >> _PLACE_BITS, entry & (1 << _PLACE_BITS) - 1
            if record != current:
                current, payload = record, self._payload(record)
            yield payload, place

    def _payload(self, record: int) -> Payload | None:
        segment, offset = self._records[record]
        try:
            return Payload(record_payload(self._segments[segment], offset))
        except (OSError, OperatingError):
            return None

    def waiting(self) -> dict[int, int]:
        """How many sections wait for each group that is not unpacked."""
        return {group: len(entries) for group, entries in list(self._entries.items())}

    def take(self, groups: Collection[int]) -> Iterator[tuple[int, Payload | None, int]]:
        """(group, payload, place) of all sections of these groups in order, as `read`; they wait no longer."""
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
        sections = self.read(entries[order].tolist())
        for (payload, place), group in zip(sections, owners[order].tolist(), strict=True):
            yield group, payload, place
