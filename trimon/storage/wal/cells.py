"""The values of one row as bytes, given the values the same columns had in the row before.

Cells that did not change cost a bit. Of the others, whole numbers and numbers with up to three decimals are
stored as differences, the rest as XOR; each kind split in byte planes.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from trimon.compiled.library import ADDRESS, INT64, address_of, function
from trimon.errors import OperatingError
from trimon.storage.head.arena import Bools, Floats, Int64s, UInt64s

_XOR: Final = 0
_WHOLE: Final = 1
_MILLI: Final = 2
_SCALES: Final = {_WHOLE: 1.0, _MILLI: 1000.0}
_EXACT_MAX: Final = float(1 << 52)
_HEADER_NUMBERS: Final = 6
_pack: Final = function(
    "trimon_pack_cells", INT64, (ADDRESS, ADDRESS, INT64, ADDRESS, ADDRESS, ADDRESS, ADDRESS)
)
_unpack: Final = function(
    "trimon_unpack_cells", INT64, (ADDRESS, *[INT64] * _HEADER_NUMBERS, INT64, ADDRESS, INT64, ADDRESS)
)


class CellsError(OperatingError):
    """Packed cells that do not fit their header."""


def pack_planes(numbers: UInt64s) -> tuple[int, bytes]:
    """How many low bytes the numbers need, and these bytes, plane by plane, lowest first."""
    if len(numbers) == 0:
        return 0, b""
    width = (int(np.bitwise_or.reduce(numbers)).bit_length() + 7) // 8
    planes = numbers.view(np.uint8).reshape(-1, 8)[:, :width]
    return width, planes.T.tobytes()


def unpack_planes(data: memoryview, count: int, width: int) -> UInt64s:
    """The numbers of `pack_planes`."""
    out = np.zeros((count, 8), np.uint8)
    if width:
        out[:, :width] = np.frombuffer(data, np.uint8, count * width).reshape(width, count).T
    return out.view(np.uint64).reshape(-1)


def zigzag(numbers: Int64s) -> UInt64s:
    """Small magnitudes as small numbers."""
    return ((numbers << 1) ^ (numbers >> 63)).view(np.uint64)


def unzigzag(numbers: UInt64s) -> Int64s:
    """The inverse of `zigzag`."""
    signed = numbers.view(np.int64)
    return ((signed >> 1) & 0x7FFFFFFFFFFFFFFF) ^ -(signed & 1)


def _scaled(values: Floats, previous: Floats, scale: float) -> tuple[Bools, Floats]:
    """Where both are exact multiples of 1/scale, and the difference of the multiples."""
    # Adding zero makes minus zero plus zero, which then does not pass for the same bits.
    now, before = np.rint(values * scale) + 0.0, np.rint(previous * scale) + 0.0
    exact = (np.abs(now) < _EXACT_MAX) & (np.abs(before) < _EXACT_MAX)
    exact &= (now / scale).view(np.int64) == values.view(np.int64)
    exact &= (before / scale).view(np.int64) == previous.view(np.int64)
    return exact, now - before


def pack_cells(previous: Floats, values: Floats) -> tuple[list[int], bytes]:
    """Header numbers (changed, whole, milli, and the widths of the three kinds) and the bytes."""
    cells = len(values)
    if _pack is None or not (previous.flags.c_contiguous and values.flags.c_contiguous):
        return pack_cells_plain(previous, values)
    # In one piece: header, numbers, kinds, and what comes out of it.
    scratch = np.empty(8 * _HEADER_NUMBERS + 8 * cells + cells + 10 * cells + 8, np.uint8)
    header = address_of(scratch)
    numbers = header + 8 * _HEADER_NUMBERS
    kinds = numbers + 8 * cells
    out = kinds + cells
    used = _pack(address_of(previous), address_of(values), cells, kinds, numbers, header, out)
    found = scratch[: 8 * _HEADER_NUMBERS].view(np.int64).tolist()
    begin = out - header
    return (found, scratch[begin : begin + used].tobytes()) if found[0] else ([0], b"")


def pack_cells_plain(previous: Floats, values: Floats) -> tuple[list[int], bytes]:
    """The twin: `pack_cells` without the library."""
    changed = values.view(np.int64) != previous.view(np.int64)
    count = int(np.count_nonzero(changed))
    if count == 0:
        return [0], b""
    parts: list[bytes] = []
    if count < len(values):
        parts.append(np.packbits(changed).tobytes())
        values, previous = values[changed], previous[changed]
    with np.errstate(all="ignore"):
        whole, difference = _scaled(values, previous, 1.0)
        wholes = int(np.count_nonzero(whole))
        whole_width, whole_bytes = pack_planes(zigzag(difference[whole].astype(np.int64)))
        if wholes == count:
            return [count, wholes, 0, whole_width, 0, 0], b"".join((*parts, whole_bytes))
        values, previous = values[~whole], previous[~whole]
        milli, difference = _scaled(values, previous, 1000.0)
    millis = int(np.count_nonzero(milli))
    kinds = np.zeros(count, np.uint8)
    kinds[whole] = _WHOLE
    kinds[~whole] = np.where(milli, _MILLI, _XOR)
    milli_width, milli_bytes = pack_planes(zigzag(difference[milli].astype(np.int64)))
    xors = values[~milli].view(np.uint64) ^ previous[~milli].view(np.uint64)
    xor_width, xor_bytes = pack_planes(xors)
    if wholes or 0 < millis < count:
        parts.append(kinds.tobytes())
    parts += (whole_bytes, milli_bytes, xor_bytes)
    return [count, wholes, millis, whole_width, milli_width, xor_width], b"".join(parts)


def unpack_cells(previous: Floats, header: list[int], data: memoryview) -> tuple[Floats, int]:
    """The values, and how many bytes of `data` they took. Raises CellsError."""
    if _unpack is not None and header[0] and len(header) == _HEADER_NUMBERS and previous.flags.c_contiguous:
        raw, values = np.frombuffer(data, np.uint8), np.empty(len(previous))
        used = _unpack(
            address_of(previous), len(previous), *header, address_of(raw), len(raw), address_of(values)
        )
        if used >= 0:
            return values, used
    return unpack_cells_plain(previous, header, data)


def unpack_cells_plain(previous: Floats, header: list[int], data: memoryview) -> tuple[Floats, int]:
    """As `unpack_cells`, without the library; it says what is wrong with cells that do not fit."""
    count = header[0]
    if count == 0:
        return previous, 0
    _, wholes, millis, whole_width, milli_width, xor_width = header
    size = len(previous)
    xors = count - wholes - millis
    used = 0
    if not (0 < count <= size and wholes >= 0 and millis >= 0 and xors >= 0):
        raise CellsError(f"row of {size} cells: impossible counts {header}")
    changed: Bools | None = None
    if count < size:
        used = (size + 7) // 8
        changed = np.unpackbits(np.frombuffer(data, np.uint8, used), count=size).view(np.bool_)
    before = previous if changed is None else previous[changed]
    if count in {wholes, millis, xors}:
        kind = _WHOLE if wholes else _MILLI if millis else _XOR
        width = whole_width + milli_width + xor_width
        now = _unpack_kind(before, kind, unpack_planes(data[used:], count, width))
        used += count * width
    else:
        kinds = np.frombuffer(data, np.uint8, count, used)
        used += count
        now = np.empty(count)
        for kind, cells, width in (
            (_WHOLE, wholes, whole_width),
            (_MILLI, millis, milli_width),
            (_XOR, xors, xor_width),
        ):
            if cells:
                mine = kinds == kind
                now[mine] = _unpack_kind(before[mine], kind, unpack_planes(data[used:], cells, width))
                used += cells * width
    if changed is None:
        return now, used
    values = previous.copy()
    values[changed] = now
    return values, used


def _unpack_kind(before: Floats, kind: int, numbers: UInt64s) -> Floats:
    if kind == _XOR:
        return (before.view(np.uint64) ^ numbers).view(np.float64)
    scale = _SCALES[kind]
    return (np.rint(before * scale) + unzigzag(numbers)) / scale
