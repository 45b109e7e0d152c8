"""Pages of samples: a band of neighbouring series over a slice of the block's time.

A page is a u32 length, a zstd frame of per-series numbers (samples, timetable entry, start in that entry),
and an encoded matrix in which short series are padded at the end with their last value.
"""

from __future__ import annotations

import numpy as np
import zstandard

from trimon.records import dataclass
from trimon.storage.codec.matrix import CodecError, decode, encode
from trimon.storage.head.arena import Floats, Int64s
from trimon.storage.head.runs import taken_runs


@dataclass(frozen=True, slots=True)
class PageRows:
    """Rows of a decoded page: `values` flat, `lengths` samples each, at times `starts..` of `entries`."""

    values: Floats
    lengths: Int64s
    entries: Int64s
    starts: Int64s

    @property
    def nbytes(self) -> int:
        """Memory held."""
        return self.values.nbytes + self.lengths.nbytes + self.entries.nbytes + self.starts.nbytes

    def pick(self, places: Int64s) -> PageRows:
        """Some of the rows, in the given order."""
        lengths = self.lengths[places]
        count = len(self.lengths)
        if count * int(lengths[0]) == len(self.values) and (self.lengths == lengths[0]).all():
            values = self.values.reshape(count, -1)[places].reshape(-1)
        else:
            begins = np.cumsum(self.lengths) - self.lengths
            values = taken_runs(self.values, begins[places], lengths)
        return PageRows(values, lengths, self.entries[places], self.starts[places])


def pack_page(rows: PageRows, level: int) -> bytes:
    """The bytes of a page."""
    count = len(rows.lengths)
    longest = int(rows.lengths.max())
    offsets = np.cumsum(rows.lengths) - rows.lengths
    if (rows.lengths == longest).all():
        matrix = rows.values.reshape(count, longest)
    else:
        last = np.maximum(rows.lengths - 1, 0)
        place = np.minimum(np.arange(longest), last[:, None]) + offsets[:, None]
        matrix = rows.values[np.minimum(place, len(rows.values) - 1)]
        matrix[rows.lengths == 0] = 0.0
    numbers = np.stack([rows.lengths, rows.entries, rows.starts]).astype("<u4")
    planes = np.ascontiguousarray(numbers.reshape(3, -1).view(np.uint8).reshape(3, -1, 4).transpose(0, 2, 1))
    head = zstandard.ZstdCompressor(level=level).compress(planes.tobytes())
    return b"".join((len(head).to_bytes(4, "little"), head, encode(matrix, level)))


def unpack_page(data: memoryview, series: Int64s | None) -> PageRows:
    """All rows of a page, or those asked for. Raises CodecError."""
    length = int.from_bytes(data[:4], "little")
    try:
        planes = zstandard.ZstdDecompressor().decompress(data[4 : 4 + length])
    except zstandard.ZstdError as error:
        raise CodecError(f"page head: {error}") from error
    raw = np.frombuffer(planes, np.uint8).reshape(3, 4, -1).transpose(0, 2, 1)
    numbers = np.ascontiguousarray(raw).reshape(-1).view("<u4").reshape(3, -1).astype(np.int64)
    if series is not None:
        numbers = numbers[:, series]
    matrix = decode(data[4 + length :], series)
    lengths = numbers[0]
    longest = matrix.shape[1]
    if (lengths == longest).all():
        values = matrix.reshape(-1)
    else:
        values = taken_runs(matrix.reshape(-1), np.arange(len(lengths)) * longest, lengths)
    return PageRows(values, lengths, numbers[1], numbers[2])
