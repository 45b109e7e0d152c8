"""Variable-width integers and crossed floats in bit streams, many streams at once, as histogram chunks hold them.

An integer begins with ones that tell its width; in samples most are 0, which takes one bit:

```text
0                 0
10     + 3 bits   -3 ... 4           (unsigned: 0 ... 7)
110    + 6 bits   -31 ... 32
1110   + 9 bits
11110  + 12, 111110 + 18, 1111110 + 25, 11111110 + 56, 11111111 + 64 bits
```
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from trimon.storage.head.arena import Int64s, UInt64s
from trimon.storage.prometheus.xor import BitReader, Bytes, EncodeState, read_crossed, shift_left, shift_right

_U: Final = np.uint64
# By the leading ones: bits of the prefix, and of the number behind it.
PREFIX: Final = np.array([1, 2, 3, 4, 5, 6, 7, 8, 8], np.int64)
WIDTH: Final = np.array([0, 3, 6, 9, 12, 18, 25, 56, 64], np.int64)
LEADING_ONES: Final = np.array([8 - (255 - byte).bit_length() for byte in range(256)], np.int64)
_WIDEST: Final = 8


class Streams:
    """A position in each of many bit streams."""

    def __init__(self, data: Bytes, positions: Int64s) -> None:
        self.bits = BitReader(data)
        self.positions = positions

    def shrink(self, count: int) -> None:
        """Go on with the first `count` streams only."""
        self.positions = self.positions[:count]

    def raw(self) -> UInt64s:
        """64 bits."""
        found = self.bits.peek(self.positions)
        self.positions = self.positions + 64
        return found

    def unsigned(self) -> UInt64s:
        """An unsigned integer."""
        return self._integer()[0]

    def signed(self) -> Int64s:
        """A signed integer."""
        numbers, kind = self._integer()
        found = numbers.view(np.int64)
        half = np.left_shift(1, np.clip(WIDTH[kind] - 1, 0, 62))
        return np.where((kind > 0) & (kind < _WIDEST) & (found > half), found - 2 * half, found)

    def _integer(self) -> tuple[UInt64s, Int64s]:
        word = self.bits.peek(self.positions)
        kind = LEADING_ONES[(word >> _U(56)).astype(np.int64)]
        prefix, width = PREFIX[kind], WIDTH[kind]
        numbers = shift_right(shift_left(word, prefix), 64 - width)
        widest = kind == _WIDEST
        if widest.any():
            numbers[widest] = self.bits.peek(self.positions[widest] + 8)
        self.positions = self.positions + prefix + width
        return numbers, kind

    def varint(self, where: npt.NDArray[np.bool_]) -> None:
        """Step over an integer of seven bits a byte in some of the streams."""
        going = np.flatnonzero(where)
        for _ in range(10):
            if not len(going):
                return
            more = self.bits.peek(self.positions[going]) >> _U(63) == 1
            self.positions[going] += 8
            going = going[more]


class Crossed:
    """Floats that are told by what their bits differ in from those before, one in each of many streams."""

    def __init__(self, values: UInt64s) -> None:
        self.values = values
        self._leading: Int64s = np.zeros(len(values), np.int64)
        self._trailing: Int64s = np.zeros(len(values), np.int64)

    def shrink(self, count: int) -> None:
        """Go on with the first `count` streams only."""
        self.values, self._leading = self.values[:count], self._leading[:count]
        self._trailing = self._trailing[:count]

    def read(self, streams: Streams, told: npt.NDArray[np.bool_] | None = None) -> UInt64s:
        """The next value of each, of those alone that are `told`. Raises FormatError."""
        read = read_crossed(streams.bits, streams.positions, self._leading, self._trailing, told)
        crossed, streams.positions, self._leading, self._trailing = read
        self.values = self.values ^ crossed
        return self.values


def put_signed(state: EncodeState, rows: Int64s, numbers: Int64s) -> None:
    """Append a signed integer to the chunk in each row."""
    kind = np.full(len(rows), _WIDEST)
    for number in range(7, 0, -1):
        half = 1 << (int(WIDTH[number]) - 1)
        kind[(numbers >= -(half - 1)) & (numbers <= half)] = number
    kind[numbers == 0] = 0
    _put(state, rows, numbers.view(_U), kind)


def put_unsigned(state: EncodeState, rows: Int64s, numbers: UInt64s) -> None:
    """Append an unsigned integer to the chunk in each row."""
    kind = np.full(len(rows), _WIDEST)
    for number in range(7, -1, -1):
        kind[numbers < _U(1 << int(WIDTH[number]))] = number
    _put(state, rows, numbers, kind)


def _put(state: EncodeState, rows: Int64s, numbers: UInt64s, kind: Int64s) -> None:
    control = np.array([0, 0b10, 0b110, 0b1110, 0b11110, 0b111110, 0b1111110, 0b11111110, 0xFF], _U)[kind]
    state.put(rows, control, PREFIX[kind])
    wide = kind > 0
    state.put(rows[wide], numbers[wide], WIDTH[kind[wide]])
