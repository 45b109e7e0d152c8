"""Deleted ranges of a Prometheus block."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np

from trimon.files import Files
from trimon.records import dataclass
from trimon.storage.head.arena import Int32s, Int64s
from trimon.storage.prometheus.crc import crc32c
from trimon.storage.prometheus.varint import FormatError, read_all, zigzag_decoded
from trimon.storage.read.deletions import Deletion, without_deleted
from trimon.storage.read.partialframe import PartialFrame

MAGIC: Final = 0x0130BA30
_HEAD_BYTES: Final = 5


@dataclass(frozen=True, slots=True)
class Tombstones:
    """References of series as the index counts them (multiples of 16 bytes), with closed intervals."""

    refs: Int64s
    starts: Int64s
    ends: Int64s
    places: Int64s

    def applied(self, partials: Sequence[PartialFrame], series: Int32s) -> list[PartialFrame]:
        """The partial frames without what is deleted; row `i` of the partial frames is `series[i]`."""
        out = list(partials)
        for place, start_ms, end_ms in zip(
            self.places.tolist(), self.starts.tolist(), self.ends.tolist(), strict=True
        ):
            if place >= 0:
                one = np.array([place], np.int32)
                out = without_deleted(out, series, (Deletion(one, start_ms, end_ms),))
        return out

    def placed(self, refs: Int64s) -> Tombstones:
        """The same with the place of every series in the index, whose references ascend."""
        if len(refs) == 0 or len(self.refs) == 0:
            return self
        at = np.minimum(np.searchsorted(refs, self.refs), len(refs) - 1)
        return Tombstones(self.refs, self.starts, self.ends, np.where(refs[at] == self.refs, at, -1))


def read_tombstones(files: Files, path: Path) -> Tombstones:
    """The tombstones of a block; none if it has no such file. Raises OSError, FormatError."""
    none = np.zeros(0, np.int64)
    if "tombstones" not in files.names(path):
        return Tombstones(none, none, none, none)
    data = files.read(path / "tombstones")
    if len(data) < _HEAD_BYTES + 4 or int.from_bytes(data[:4], "big") != MAGIC:
        raise FormatError(f"{path / 'tombstones'}: no tombstones file")
    content = data[_HEAD_BYTES:-4]
    if crc32c(content) != int.from_bytes(data[-4:], "big"):
        raise FormatError(f"{path / 'tombstones'}: it does not pass its checksum")
    numbers, _ = read_all(np.frombuffer(content, np.uint8))
    fields = numbers.reshape(-1, 3)
    refs = fields[:, 0].astype(np.int64)
    return Tombstones(
        refs, zigzag_decoded(fields[:, 1]), zigzag_decoded(fields[:, 2]), np.full(len(refs), -1)
    )
