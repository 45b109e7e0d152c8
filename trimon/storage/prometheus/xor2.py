"""Prometheus' XOR2 chunks, many at once.

The first two samples are those of an XOR chunk. From the third on one prefix tells of time and value together:

```text
prefix                    time step changes by     the value
0                         0                        is that before
10                        0                        has changed: 0 bits in the window before, 1 a new window
110 + 13 bits             a signed integer         0 is that before, 10 bits in the window before,
1110 + 20 bits            a signed integer           110 a new window, 111 is the stale marker
11110 + 64 bits           a signed integer
11111                     0                        is the stale marker
```

"Before" is the last value that was no stale marker. A byte behind the number of samples says which of them are followed by
a start timestamp; start timestamps are stepped over.
"""

from __future__ import annotations

from typing import ClassVar, Final

import numpy as np
import numpy.typing as npt

from trimon.model.sample import STALE_NAN
from trimon.storage.head.arena import Bools, Floats, Int64s, UInt64s
from trimon.storage.prometheus.bits import LEADING_ONES, PREFIX, WIDTH
from trimon.storage.prometheus.varint import FormatError, read_at
from trimon.storage.prometheus.xor import XorDecoder, decode_stepwise, shift_left, shift_right

Bytes = npt.NDArray[np.uint8]

_U: Final = np.uint64
_STALE_BITS: Final = np.float64(STALE_NAN).view(np.uint64)
# By the leading ones of the prefix: bits of the prefix, and of the change of the time step behind it.
_PREFIX: Final = np.array([1, 2, 3, 4, 5, 5], np.int64)
_CHANGE_BITS: Final = np.array([0, 0, 13, 20, 64, 0], np.int64)
_LEADING_ONES: Final = np.array([0] * 16 + [1] * 8 + [2] * 4 + [3] * 2 + [4, 5], np.int64)
_FIRST_START: Final = 0x80
_LATER_STARTS: Final = 0x7F
_WINDOW_BITS: Final = 11


def decode_chunks(data: Bytes, starts: Int64s, lengths: Int64s) -> tuple[Int64s, Floats, Int64s]:
    """(times, values, counts) of chunks whose bytes are `data[start:start + length]`, one after the other.

    Raises FormatError.
    """
    return decode_stepwise(_Xor2Decoder, data, starts, lengths)


class _Xor2Decoder(XorDecoder):
    _STATE: ClassVar[tuple[str, ...]] = (*XorDecoder._STATE, "_base", "_first_start", "_starts_from")

    def __init__(self, data: Bytes, starts: Int64s) -> None:
        super().__init__(data, starts)
        header = data[np.minimum(self._positions, len(data) - 1)]
        self._positions = self._positions + 1
        self._base: UInt64s = np.zeros(len(starts), _U)
        self._first_start: Bools = (header & _FIRST_START) != 0
        from_sample = (header & _LATER_STARTS).astype(np.int64)
        self._starts_from: Int64s = np.where(from_sample == 0, 1 << 16, from_sample)
        self._sample = 0

    def first(self) -> None:
        """The first sample in full, and its start timestamp."""
        super().first()
        self._base = np.where(self.values == _STALE_BITS, _U(0), self.values)
        told = np.flatnonzero(self._first_start)
        positions = self._positions.copy()
        positions[told] = read_at(self._data, positions[told] >> 3)[1] * 8
        self._positions = positions

    def _value(self) -> None:
        """The second sample's value, which the base class asks for."""
        self._read_values(np.ones(len(self.times), np.bool_))
        self._sample = 1
        self._skip_starts()

    def next(self) -> None:
        """A later sample: time and value with one prefix."""
        word = self._bits.peek(self._positions)
        kind = _LEADING_ONES[(word >> _U(59)).astype(np.int64)]
        prefix, bits = _PREFIX[kind], _CHANGE_BITS[kind]
        change = shift_right(shift_left(word, prefix), 64 - bits).view(np.int64)
        wide = bits == 64
        if wide.any():
            change[wide] = self._bits.peek(self._positions[wide] + 5).view(np.int64)
        half = np.left_shift(1, np.clip(bits - 1, 0, 62))
        change = np.where((bits > 0) & ~wide & (change >= half), change - 2 * half, change)
        self._steps = self._steps + change
        self.times = self.times + self._steps
        self._positions = self._positions + prefix + bits
        self._read_values(bits > 0, changed=kind == 1)
        self.values = np.where(kind == 5, _STALE_BITS, self.values)
        self._sample += 1
        self._skip_starts()

    def _read_values(self, told: Bools, changed: Bools | None = None) -> None:
        """Values: in full where `told`, known to differ from the one before where `changed`, else as before."""
        word = self._bits.peek(self._positions)
        ones = _LEADING_ONES[(word >> _U(59)).astype(np.int64)]
        fresh = told & (ones == 2)
        reused = told & (ones == 1)
        stale = told & (ones >= 3)
        control = np.where(told, np.minimum(ones + 1, 3), 0)
        if changed is not None:
            fresh |= changed & (ones >= 1)
            reused |= changed & (ones == 0)
            control = np.where(changed, 1, control)
        window = (shift_left(word, control) >> _U(64 - _WINDOW_BITS)).astype(np.int64)
        size = window & 63
        leading = np.where(fresh, window >> 6, self._leading)
        trailing = np.where(fresh, 64 - leading - np.where(size == 0, 64, size), self._trailing)
        if (trailing < 0).any():
            raise FormatError("a chunk has more significant bits than there are")
        control = control + np.where(fresh, _WINDOW_BITS, 0)
        differs = fresh | reused
        significant = 64 - leading - trailing
        crossed = shift_right(self._bits.peek(self._positions + control), 64 - significant)
        self._base = self._base ^ np.where(differs, shift_left(crossed, trailing), _U(0))
        self.values = np.where(stale, _STALE_BITS, self._base)
        self._leading, self._trailing = leading, trailing
        self._positions = self._positions + control + np.where(differs, significant, 0)

    def _skip_starts(self) -> None:
        told = self._starts_from <= self._sample
        if told.any():
            first_byte = (self._bits.peek(self._positions) >> _U(56)).astype(np.int64)
            kind = LEADING_ONES[first_byte]
            bits = PREFIX[kind] + WIDTH[kind]
            self._positions = self._positions + np.where(told, bits, 0)
