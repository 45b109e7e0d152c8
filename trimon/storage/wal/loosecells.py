"""The arrays of a loose section of the log: series, times and values of samples in order of arrival.

Both ways a loop in C does it, and numpy where there is none or a section is odd: what numpy does is what the format is.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from trimon.compiled.library import ADDRESS, INT64, function
from trimon.storage.head.arena import Floats, Int32s, Int64s, UInt64s
from trimon.storage.wal.cells import pack_cells, pack_planes, zigzag

_pack = function("trimon_loose_pack", INT64, (ADDRESS, ADDRESS, ADDRESS, INT64, ADDRESS, ADDRESS, ADDRESS))
_unpack = function("trimon_loose_unpack", INT64, (ADDRESS, INT64, ADDRESS, INT64, *[ADDRESS] * 4))
_HEADER_NUMBERS: Final = 9
# A section has no more samples than one append, and an odd one is not given arrays of its claim.
_UNPACKED_MAX: Final = 1 << 26


def steps(numbers: Int32s | Int64s) -> UInt64s:
    """Differences from one to the next, the first from 0, as small numbers."""
    wide = numbers.astype(np.int64)
    wide[1:] -= numbers[:-1]
    return zigzag(wide)


def pack_loose(series: Int32s, times: Int64s, values: Floats) -> tuple[list[int], bytes]:
    """Widths of series and times and the header of the cells, and the bytes."""
    if _pack is None:
        return pack_loose_plainly(series, times, values)
    count = len(series)
    series = np.ascontiguousarray(series, np.int32)
    times, values = np.ascontiguousarray(times, np.int64), np.ascontiguousarray(values, np.float64)
    scratch, header = np.empty(4 * count, np.uint64), np.empty(_HEADER_NUMBERS, np.int64)
    out = np.empty(24 * count + 16, np.uint8)
    used = _pack(
        *(each.ctypes.data for each in (series, times, values)),
        count,
        *(each.ctypes.data for each in (scratch, header, out)),
    )
    numbers = header.tolist()
    return numbers[: numbers[-1]], out[:used].tobytes()


def pack_loose_plainly(series: Int32s, times: Int64s, values: Floats) -> tuple[list[int], bytes]:
    """As `pack_loose`."""
    series_width, series_planes = pack_planes(steps(series))
    time_width, time_planes = pack_planes(steps(times))
    cells, data = pack_cells(np.zeros(len(values)), values)
    return [series_width, time_width, *cells], b"".join((series_planes, time_planes, data))


def unpack_loose(data: memoryview, count: int, header: list[int]) -> tuple[Int64s, Int64s, Floats] | None:
    """Series as the log numbers them, times, values; None where numpy is to look at it."""
    if _unpack is None or not 0 <= count < _UNPACKED_MAX or len(header) not in (3, _HEADER_NUMBERS - 1):
        return None
    raw = np.frombuffer(data, np.uint8)
    scratch, numbers = np.empty(3 * count, np.uint64), np.empty(count, np.int64)
    times, values = np.empty(count, np.int64), np.empty(count)
    try:
        told = np.array([*header, 0, 0, 0, 0, 0][: _HEADER_NUMBERS - 1], np.int64)
    except (OverflowError, TypeError, ValueError):
        return None
    used = _unpack(
        raw.ctypes.data,
        len(raw),
        told.ctypes.data,
        count,
        *(each.ctypes.data for each in (scratch, numbers, times, values)),
    )
    return (numbers, times, values) if used >= 0 else None
