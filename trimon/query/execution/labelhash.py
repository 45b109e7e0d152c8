"""The 64-bit hash of a label set that decides which series `limit_ratio` keeps: xxHash64 with seed 0."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from trimon.model.table import LabelTable
from trimon.query.execution.budget import Budget

_MASK: Final = (1 << 64) - 1
_P1: Final = 11400714785074694791
_P2: Final = 14029467366897019727
_P3: Final = 1609587929392839161
_P4: Final = 9650029242287828579
_P5: Final = 2870177450012600261


def _rotate(value: int, bits: int) -> int:
    return ((value << bits) | (value >> (64 - bits))) & _MASK


def _round(lane: int, word: int) -> int:
    return _rotate((lane + word * _P2) & _MASK, 31) * _P1 & _MASK


def xxhash64(data: bytes) -> int:
    """xxHash64 of bytes, seed 0."""
    size = len(data)
    at = 0
    if size >= 32:
        lanes = [(_P1 + _P2) & _MASK, _P2, 0, -_P1 & _MASK]
        while at + 32 <= size:
            for lane in range(4):
                word = int.from_bytes(data[at : at + 8], "little")
                lanes[lane] = _round(lanes[lane], word)
                at += 8
        one, two, three, four = lanes
        value = (_rotate(one, 1) + _rotate(two, 7) + _rotate(three, 12) + _rotate(four, 18)) & _MASK
        for lane_value in lanes:
            value = ((value ^ _round(0, lane_value)) * _P1 + _P4) & _MASK
    else:
        value = _P5
    value = (value + size) & _MASK
    while at + 8 <= size:
        value ^= _round(0, int.from_bytes(data[at : at + 8], "little"))
        value = (_rotate(value, 27) * _P1 + _P4) & _MASK
        at += 8
    if at + 4 <= size:
        value ^= int.from_bytes(data[at : at + 4], "little") * _P1 & _MASK
        value = (_rotate(value, 23) * _P2 + _P3) & _MASK
        at += 4
    while at < size:
        value ^= data[at] * _P5 & _MASK
        value = _rotate(value, 11) * _P1 & _MASK
        at += 1
    value = (value ^ (value >> 33)) * _P2 & _MASK
    value = (value ^ (value >> 29)) * _P3 & _MASK
    return value ^ (value >> 32)


def _sized(text: str) -> bytes:
    raw = text.encode("utf-8", "surrogateescape")
    if len(raw) < 255:
        return bytes([len(raw)]) + raw
    return b"\xff" + len(raw).to_bytes(3, "little") + raw


def label_hashes(budget: Budget, table: LabelTable) -> npt.NDArray[np.float64]:
    """The hash of every row as float64. For `limit_ratio` alone: it builds label strings. Raises QueryError."""
    pieces = [
        [b"" if not value else _sized(name) + _sized(value) for value in budget.watch(values)]
        for name, values in zip(table.names, table.values, strict=True)
    ]
    rows = zip(*(column.tolist() for column in table.columns), strict=True) if table.columns else ()
    hashes = [
        xxhash64(b"".join(piece[code] for piece, code in zip(pieces, codes, strict=True)))
        for codes in budget.watch(rows)
    ]
    return np.array(hashes or [xxhash64(b"")] * table.rows, np.float64)
