"""Prometheus' XOR chunks, many at once: all chunks take their i-th sample in the same step."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, Final

import numpy as np
import numpy.typing as npt

from trimon.storage.head.arena import Bools, Floats, Int64s, UInt64s
from trimon.storage.prometheus.varint import FormatError, read_at, write_all, zigzag_decoded, zigzag_encoded

Bytes = npt.NDArray[np.uint8]

SAMPLES_PER_CHUNK: Final = 120
# Timestamp steps: leading ones of the control bits choose how many bits follow.
_PREFIX: Final = np.array([1, 2, 3, 4, 4], np.int64)
_BITS: Final = np.array([0, 14, 17, 20, 64], np.int64)
_LEADING_ONES: Final = np.array([0] * 8 + [1] * 4 + [2] * 2 + [3, 4], np.int64)
_U: Final = np.uint64
_HEADER_BYTES: Final = 2
_PADDING: Final = 16


def shift_right(numbers: UInt64s, count: Int64s) -> UInt64s:
    """Logical shift; by 64 or more gives 0."""
    return np.where(count < 64, numbers >> np.minimum(count, 63).astype(_U), _U(0))


def shift_left(numbers: UInt64s, count: Int64s) -> UInt64s:
    """The counterpart of `shift_right`."""
    return np.where(count < 64, numbers << np.minimum(count, 63).astype(_U), _U(0))


class BitReader:
    """A reader of bits at many places of one buffer."""

    def __init__(self, data: Bytes) -> None:
        padded = np.concatenate((data, np.zeros(_PADDING, np.uint8)))
        self._bytes = padded
        self._words = np.ndarray((len(padded) - 8,), ">u8", padded.data, 0, (1,))
        self._limit = len(padded) - 10

    def peek(self, positions: Int64s) -> UInt64s:
        """The 64 bits from each bit position on."""
        at = np.minimum(positions >> 3, self._limit)
        shift = (positions & 7).astype(_U)
        words = self._words[at].astype(_U)
        following = self._bytes[at + 8].astype(_U)
        peeked: UInt64s = (words << shift) | (following >> (_U(8) - shift))
        return peeked


def decode_chunks(data: Bytes, starts: Int64s, lengths: Int64s) -> tuple[Int64s, Floats, Int64s]:
    """(times, values, counts) of chunks whose bytes are `data[start:start + length]`, one after the other.

    Raises FormatError.
    """
    return decode_stepwise(XorDecoder, data, starts, lengths)


def decode_stepwise(
    decoder: Callable[[Bytes, Int64s], XorDecoder], data: Bytes, starts: Int64s, lengths: Int64s
) -> tuple[Int64s, Floats, Int64s]:
    """`decode_chunks` with one decoder for all chunks, which takes a sample of each at every step."""
    if len(starts) == 0:
        return np.zeros(0, np.int64), np.zeros(0), np.zeros(0, np.int64)
    counts = data[starts].astype(np.int64) << 8 | data[starts + 1]
    order = np.argsort(-counts, kind="stable")
    sorted_counts = counts[order]
    longest = int(sorted_counts[0])
    out = np.cumsum(counts) - counts
    times = np.empty(int(counts.sum()), np.int64)
    bits_out = np.empty(len(times), _U)
    active = np.searchsorted(-sorted_counts, -np.arange(1, longest + 1), side="right").tolist()
    state = decoder(data, starts[order])
    target = out[order]
    for step, count in enumerate(active):
        state.shrink(count)
        if step == 0:
            state.first()
        elif step == 1:
            state.second()
        else:
            state.next()
        times[target[:count] + step] = state.times
        bits_out[target[:count] + step] = state.values
        state.check((starts[order][:count] + lengths[order][:count]) * 8)
    return times, bits_out.view(np.float64), counts


class XorDecoder:
    """Where every chunk is: bit position, last time, step and value, and the window of significant bits."""

    _STATE: ClassVar[tuple[str, ...]] = ("_positions", "times", "_steps", "values", "_leading", "_trailing")

    def __init__(self, data: Bytes, starts: Int64s) -> None:
        self._data = data
        self._bits = BitReader(data)
        self._positions = starts + _HEADER_BYTES
        count = len(starts)
        self.times: Int64s = np.zeros(count, np.int64)
        self._steps: Int64s = np.zeros(count, np.int64)
        self.values: UInt64s = np.zeros(count, _U)
        self._leading: Int64s = np.zeros(count, np.int64)
        self._trailing: Int64s = np.zeros(count, np.int64)

    def shrink(self, count: int) -> None:
        """Go on with the first `count` chunks only."""
        if count < len(self.times):
            for name in self._STATE:
                setattr(self, name, getattr(self, name)[:count])

    def check(self, ends: Int64s) -> None:
        """Raises FormatError if a chunk has been read past its end."""
        if (self._positions > ends).any():
            raise FormatError("a chunk ends before its last sample")

    def first(self) -> None:
        """The first sample: time and value in full."""
        values, ends = read_at(self._data, self._positions)
        self.times = zigzag_decoded(values)
        self._positions = ends * 8
        self.values = self._bits.peek(self._positions)
        self._positions = self._positions + 64

    def second(self) -> None:
        """The second sample: the first step in full."""
        # The value before is 64 bits, so positions are on bytes again.
        values, ends = read_at(self._data, self._positions >> 3)
        self._steps = values.view(np.int64)
        self.times = self.times + self._steps
        self._positions = ends * 8
        self._value()

    def next(self) -> None:
        """A later sample: the change of the step."""
        word = self._bits.peek(self._positions)
        kind = _LEADING_ONES[(word >> _U(60)).astype(np.int64)]
        prefix, bits = _PREFIX[kind], _BITS[kind]
        change = shift_right(shift_left(word, prefix), 64 - bits).view(np.int64)
        wide = kind == 4
        if wide.any():
            change[wide] = self._bits.peek(self._positions[wide] + 4).view(np.int64)
        narrow = (kind > 0) & ~wide
        half = np.left_shift(1, np.minimum(np.maximum(bits - 1, 0), 62))
        change = np.where(narrow & (change > half), change - 2 * half, change)
        self._positions = self._positions + prefix + bits
        self._steps = self._steps + change
        self.times = self.times + self._steps
        self._value()

    def _value(self) -> None:
        read = read_crossed(self._bits, self._positions, self._leading, self._trailing)
        crossed, self._positions, self._leading, self._trailing = read
        self.values = self.values ^ crossed


def read_crossed(
    bits: BitReader, positions: Int64s, leading: Int64s, trailing: Int64s, told: Bools | None = None
) -> tuple[UInt64s, Int64s, Int64s, Int64s]:
    """What values differ in from those before, where each ends, and the windows of significant bits. Raises FormatError.

    Where it is not `told`, no value is there: what stands in its place may be anything.
    """
    word = bits.peek(positions)
    changed = (word >> _U(63)) == 1
    if told is not None:
        changed &= told
    fresh = changed & (((word >> _U(62)) & _U(1)) == 1)
    leading = np.where(fresh, ((word >> _U(57)) & _U(31)).astype(np.int64), leading)
    size = ((word >> _U(51)) & _U(63)).astype(np.int64)
    size = np.where(size == 0, 64, size)
    trailing = np.where(fresh, 64 - leading - size, trailing)
    if (fresh & (trailing < 0)).any():
        raise FormatError("a chunk has more significant bits than there are")
    significant = 64 - leading - trailing
    control = np.where(fresh, 13, 2)
    crossed = shift_right(bits.peek(positions + control), 64 - significant)
    crossed = np.where(changed, shift_left(crossed, trailing), _U(0))
    return crossed, positions + np.where(changed, control + significant, 1), leading, trailing


# ---- encoding


def _bit_length(numbers: UInt64s) -> Int64s:
    high = (numbers >> _U(32)).astype(np.float64)
    low = (numbers & _U(0xFFFFFFFF)).astype(np.float64)
    return np.where(high > 0, 32 + np.frexp(high)[1], np.frexp(low)[1]).astype(np.int64)


class EncodeState:
    """Bit buffers of many chunks, as big words, and the state of every chunk's encoder."""

    def __init__(self, count: int, samples: int) -> None:
        # The worst sample takes 4 + 64 bits of time and 2 + 11 + 64 of value; the first two less.
        self.words: UInt64s = np.zeros((count, samples * 145 // 64 + 8), _U)
        self.positions: Int64s = np.zeros(count, np.int64)
        self.leading: Int64s = np.full(count, 255, np.int64)
        self.trailing: Int64s = np.zeros(count, np.int64)

    def put(self, rows: Int64s, numbers: UInt64s, bits: Int64s) -> None:
        """Append the low `bits` (at most 64) of each number to the chunk in each row; rows are distinct."""
        at = self.positions[rows]
        word, offset = at >> 6, at & 63
        room = 64 - offset
        numbers = shift_right(shift_left(numbers, 64 - bits), 64 - bits)
        over = bits - room
        here = np.where(
            over > 0, shift_right(numbers, np.maximum(over, 0)), shift_left(numbers, np.maximum(-over, 0))
        )
        self.words[rows, word] |= here
        spill = over > 0
        if spill.any():
            self.words[rows[spill], word[spill] + 1] |= shift_left(numbers[spill], 64 - over[spill])
        self.positions[rows] = at + bits

    def bytes_of(self, row: int) -> bytes:
        """What has been appended to one chunk."""
        size_bytes = int(self.positions[row] + 7) // 8
        data: bytes = self.words[row].astype(">u8").tobytes()
        return data[:size_bytes]

    def put_bytes(self, rows: Int64s, numbers: UInt64s) -> None:
        """Append variable-length integers."""
        data, lengths = write_all(numbers)
        ends = np.cumsum(lengths)
        for place in range(int(lengths.max())):
            mine = lengths > place
            byte = data[(ends - lengths)[mine] + place].astype(_U)
            self.put(rows[mine], byte, np.full(int(mine.sum()), 8))

    def put_value(self, rows: Int64s, crossed: UInt64s) -> None:
        """Append the XOR of a value with the one before."""
        same = crossed == 0
        self.put(rows, (~same).astype(_U), np.ones(len(rows), np.int64))
        rows, crossed = rows[~same], crossed[~same]
        if len(rows) == 0:
            return
        leading = np.minimum(64 - _bit_length(crossed), 31)
        trailing = _bit_length(crossed & (~crossed + _U(1))) - 1
        held, held_trailing = self.leading[rows], self.trailing[rows]
        fits = (held != 255) & (leading >= held) & (trailing >= held_trailing)
        use_leading = np.where(fits, held, leading)
        use_trailing = np.where(fits, held_trailing, trailing)
        size = 64 - use_leading - use_trailing
        fresh_control = _U(1 << 11) | leading.astype(_U) << _U(6) | (size & 63).astype(_U)
        self.put(rows, np.where(fits, _U(0), fresh_control), np.where(fits, 1, 12))
        self.put(rows, shift_right(crossed, use_trailing), size)
        self.leading[rows], self.trailing[rows] = use_leading, use_trailing

    def put_change(self, rows: Int64s, change: Int64s) -> None:
        """Append the change of the time step."""
        kind = np.full(len(rows), 4)
        for number in (3, 2, 1):
            half = 1 << (int(_BITS[number]) - 1)
            kind[(change >= -(half - 1)) & (change <= half)] = number
        kind[change == 0] = 0
        control = np.array([0b0, 0b10, 0b110, 0b1110, 0b1111], _U)[kind]
        self.put(rows, control, _PREFIX[kind])
        wide = kind > 0
        self.put(rows[wide], change[wide].view(_U), _BITS[kind[wide]])


def encode_chunks(times: Int64s, values: Floats, counts: Int64s) -> tuple[Bytes, Int64s]:
    """The bytes of chunks, one after the other, and the length of each; no chunk is empty."""
    state = EncodeState(len(counts), int(counts.max()))
    starts = np.cumsum(counts) - counts
    bits = values.view(_U)
    everyone = np.arange(len(counts))
    state.put(everyone, counts.astype(_U), np.full(len(counts), 16))
    steps = np.zeros(len(counts), np.int64)
    for step in range(int(counts.max())):
        rows = everyone[counts > step]
        at = starts[rows] + step
        if step == 0:
            state.put_bytes(rows, zigzag_encoded(times[at]))
            state.put(rows, bits[at], np.full(len(rows), 64))
            continue
        now = times[at] - times[at - 1]
        if step == 1:
            state.put_bytes(rows, now.view(_U))
        else:
            state.put_change(rows, now - steps[rows])
        steps[rows] = now
        state.put_value(rows, bits[at] ^ bits[at - 1])
    sizes = (state.positions + 7) // 8
    raw = state.words.astype(">u8").view(np.uint8).reshape(len(counts), -1)
    kept = np.arange(raw.shape[1]) < sizes[:, None]
    return raw[kept], sizes
