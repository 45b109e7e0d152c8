"""Deleted ranges of series: hidden when read, gone when the block is next written."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import replace

import msgpack
import numpy as np

from trimon.model.sample import ABSENT
from trimon.records import dataclass
from trimon.storage.block.damage import DamagedError
from trimon.storage.head.arena import Bools, Int32s, Int64s, ragged_positions
from trimon.storage.head.runs import taken_runs
from trimon.storage.read.partialframe import PartialFrame

MAGIC = b"TRIMDEL1"


@dataclass(frozen=True, slots=True, eq=False)
class Deletion:
    """The samples of some series (ascending) in the closed interval."""

    series: Int32s
    start_ms: int
    end_ms: int


@dataclass(frozen=True, slots=True, eq=False)
class HeadDeletion(Deletion):
    """A deletion of what a head held then, and of nothing that came later.

    `group_ms[g]` was the newest row of group `g`; of the loose buffer it concerns the first `pages` pages.
    """

    group_ms: Int64s
    pages: int

    def of_group(self, number: int) -> Deletion:
        """The part of the deletion that concerns a group: up to the newest row that it had then."""
        last_ms = int(self.group_ms[number]) if number < len(self.group_ms) else self.start_ms - 1
        return Deletion(self.series, self.start_ms, min(self.end_ms, last_ms))


Deletions = tuple[Deletion, ...]
HeadDeletions = tuple[HeadDeletion, ...]


def without_deleted(
    partials: Sequence[PartialFrame], series: Int32s, deletions: Sequence[Deletion]
) -> list[PartialFrame]:
    """The partial frames with deleted samples made ABSENT; row `i` of the partial frames is `series[i]`."""
    out = list(partials)
    for deletion in deletions:
        hit = _among(series, deletion.series)
        if hit.any():
            out = [_blanked(partial, hit, deletion) for partial in out]
    return out


def _among(series: Int32s, wanted: Int32s) -> Bools:
    if len(wanted) == 0:
        return np.zeros(len(series), np.bool_)
    place = np.minimum(np.searchsorted(wanted, series), len(wanted) - 1)
    same: Bools = wanted[place] == series
    return same


def _blanked(partial: PartialFrame, hit: Bools, deletion: Deletion) -> PartialFrame:
    rows = np.flatnonzero(hit[partial.rows])
    if len(rows) == 0:
        return partial
    lengths = np.diff(partial.offsets)[rows]
    times = taken_runs(partial.times, partial.time_offsets[partial.time_of_row[rows]], lengths)
    places = ragged_positions(partial.offsets[rows], lengths)
    gone = places[(times >= deletion.start_ms) & (times <= deletion.end_ms)]
    if len(gone) == 0:
        return partial
    values = partial.values.copy()
    values[gone] = ABSENT
    return replace(partial, values=values, absent=True)


def pack_deletions(deletions: Deletions) -> bytes:
    """The content of a tombstones file: the same twice, since nobody may see again what was deleted."""
    listed = [(d.start_ms, d.end_ms, d.series.astype("<i4").tobytes()) for d in deletions]
    body = msgpack.packb(listed)
    return 2 * b"".join((MAGIC, zlib.crc32(body).to_bytes(4, "little"), body))


def unpack_deletions(data: bytes) -> tuple[Deletions, bool]:
    """The inverse of `pack_deletions`, and whether one of the copies is damaged. Files of older versions have one copy.

    Raises DamagedError.
    """
    half = len(data) // 2
    bodies = [_body(data[:half]), _body(data[half:])]
    good = next((body for body in bodies if body is not None), None)
    if good is None:
        alone = _body(data)
        if alone is None:
            raise DamagedError("tombstones do not pass their checksum")
        return _unpacked(alone), False
    return _unpacked(good), None in bodies


def _body(data: bytes) -> bytes | None:
    body = data[len(MAGIC) + 4 :]
    fine = data[: len(MAGIC) + 4] == MAGIC + zlib.crc32(body).to_bytes(4, "little")
    return body if fine else None


def _unpacked(body: bytes) -> Deletions:
    return tuple(
        Deletion(np.frombuffer(series, "<i4").astype(np.int32), start_ms, end_ms)
        for start_ms, end_ms, series in msgpack.unpackb(body)
    )
