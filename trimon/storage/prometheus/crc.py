"""CRC-32C (Castagnoli) of many short pieces at once, and of one long one."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import numpy as np
import numpy.typing as npt

from trimon.storage.head.arena import Int64s

UInt32s = npt.NDArray[np.uint32]
Bytes = npt.NDArray[np.uint8]

_POLYNOMIAL: Final = 0x82F63B78
_ONES: Final = np.uint32(0xFFFFFFFF)
_LANES: Final = 1024
_SHORT: Final = 4096
# Bytes that are summed side by side with others of the same piece, where it has so many of them.
_STRETCH: Final = 64
_STRETCHES_MIN: Final = 3


def _make_table() -> UInt32s:
    table = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        table = np.where(table & 1, (table >> np.uint32(1)) ^ np.uint32(_POLYNOMIAL), table >> np.uint32(1))
    return table.astype(np.uint32)


_TABLE: Final = _make_table()


def crc32c_many(data: Bytes, starts: Int64s, lengths: Int64s) -> UInt32s:
    """The checksum of every `data[start:start + length]`; those of long pieces are joined of short stretches."""
    order = np.argsort(-lengths, kind="stable")
    states = np.full(len(starts), _ONES, np.uint32)
    offsets, left = starts[order], lengths[order]
    if len(left) and int(left[0]) >= _STRETCHES_MIN * _STRETCH:
        whole = left // _STRETCH
        states = _joined(data, offsets, whole, states)
        offsets, left = offsets + whole * _STRETCH, left % _STRETCH
        again = np.argsort(-left, kind="stable")
        order, states, offsets, left = order[again], states[again], offsets[again], left[again]
    longest = int(left[0]) if len(left) else 0
    active = np.searchsorted(-left, -np.arange(1, longest + 1), side="right").tolist()
    for step, count in enumerate(active):
        part = states[:count]
        states[:count] = _TABLE[(part ^ data[offsets[:count] + step]) & np.uint32(255)] ^ (
            part >> np.uint32(8)
        )
    out = np.empty(len(starts), np.uint32)
    out[order] = states ^ _ONES
    return out


def _joined(data: Bytes, starts: Int64s, counts: Int64s, states: UInt32s) -> UInt32s:
    """The states after so many stretches each; counts descend."""
    firsts = np.cumsum(counts) - counts
    begins = np.repeat(starts - firsts * _STRETCH, counts) + np.arange(int(counts.sum())) * _STRETCH
    sums = np.zeros(len(begins), np.uint32)
    for step in range(_STRETCH):
        sums = _TABLE[(sums ^ data[begins + step]) & np.uint32(255)] ^ (sums >> np.uint32(8))
    out = states.copy()
    active = np.searchsorted(-counts, -np.arange(1, int(counts[0]) + 1), side="right").tolist()
    for step, count in enumerate(active):
        out[:count] = _advance(out[:count], _STRETCH) ^ sums[firsts[:count] + step]
    return out


def crc32c(data: bytes | memoryview) -> int:
    """The checksum of one piece; long ones are cut into lanes that run side by side and are joined."""
    raw = np.frombuffer(data, np.uint8)
    if len(raw) < _SHORT:
        return int(crc32c_many(raw, np.zeros(1, np.int64), np.array([len(raw)]))[0])
    lane = len(raw) // _LANES
    starts = np.arange(_LANES, dtype=np.int64) * lane
    sums = crc32c_many(raw, starts, np.full(_LANES, lane))
    length = lane
    while len(sums) > 1:
        sums = _advance(sums[0::2], length) ^ sums[1::2]
        length *= 2
    rest = raw[lane * _LANES :]
    if len(rest) == 0:
        return int(sums[0])
    tail = crc32c_many(rest, np.zeros(1, np.int64), np.array([len(rest)]))
    return int((_advance(sums, len(rest)) ^ tail)[0])


def _advance(sums: UInt32s, zeros: int) -> UInt32s:
    """Checksums as they are after `zeros` more zero bytes, apart from the final complement."""
    tables = _advance_tables(zeros)
    out: UInt32s = tables[0][sums & np.uint32(255)]
    for place in range(1, 4):
        out = out ^ tables[place][(sums >> np.uint32(8 * place)) & np.uint32(255)]
    return out


@lru_cache(maxsize=256)
def _advance_tables(zeros: int) -> UInt32s:
    """`_advance` of every byte in every place: the operation is linear."""
    columns = _power(zeros)
    tables = np.zeros((4, 256), np.uint32)
    for place in range(4):
        for bit in range(8):
            chosen = (np.arange(256) >> bit) & 1 == 1
            tables[place, chosen] ^= columns[8 * place + bit]
    return tables


def _power(zeros: int) -> UInt32s:
    """What `zeros` zero bytes make of each of the 32 single bits."""
    step = np.uint32(1) << np.arange(32, dtype=np.uint32)
    step = _TABLE[step & np.uint32(255)] ^ (step >> np.uint32(8))
    result = np.uint32(1) << np.arange(32, dtype=np.uint32)
    while zeros:
        if zeros & 1:
            result = _apply(step, result)
        step = _apply(step, step)
        zeros >>= 1
    return result


def _apply(columns: UInt32s, numbers: UInt32s) -> UInt32s:
    """The linear map given by its columns, applied to numbers."""
    out = np.zeros(len(numbers), np.uint32)
    for bit in range(32):
        out ^= np.where((numbers >> np.uint32(bit)) & np.uint32(1), columns[bit], np.uint32(0))
    return out
