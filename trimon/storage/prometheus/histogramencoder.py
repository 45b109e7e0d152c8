"""Writing Prometheus' chunks of native histograms, many at once; `histogramchunks.py` tells what they are."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from trimon.model.histogram import CUSTOM_SCHEMA
from trimon.storage.head.arena import Floats, Int64s, UInt64s
from trimon.storage.prometheus.bits import put_signed, put_unsigned
from trimon.storage.prometheus.histogramchunks import (
    HEAD_NUMBERS,
    STALE_BITS,
    ChunkLayout,
    HistogramChunk,
)
from trimon.storage.prometheus.xor import Bytes, EncodeState

_U: Final = np.uint64
_BOUND_MILLIS_MAX: Final = 33_554_430


def encode_histograms(chunks: Sequence[HistogramChunk], resets: Sequence[int]) -> tuple[Bytes, Int64s]:
    """The bytes of chunks, one after the other, and the length of each; `resets[i]` are the two bits of how chunk `i` begins.

    No chunk is empty or longer than 65,535 samples; a staleness marker is its last sample. Schemas are those that are kept.
    """
    sizes = np.zeros(len(chunks), np.int64)
    parts: list[bytes] = [b""] * len(chunks)
    alike: dict[tuple[bool, int, int], list[int]] = {}
    for number, chunk in enumerate(chunks):
        layout = chunk.layout
        alike.setdefault((layout.floats, layout.positive, layout.negative), []).append(number)
    for numbers in alike.values():
        numbers.sort(key=lambda number: -len(chunks[number].times))
        encoded = _encode_alike([chunks[n] for n in numbers], [resets[n] for n in numbers])
        for number, data in zip(numbers, encoded, strict=True):
            parts[number] = data
            sizes[number] = len(data)
    return np.frombuffer(b"".join(parts), np.uint8), sizes


def _encode_alike(chunks: Sequence[HistogramChunk], resets: Sequence[int]) -> list[bytes]:
    counts = np.array([len(chunk.times) for chunk in chunks])
    samples, size = int(counts[0]), chunks[0].numbers.shape[0]
    head_bits = max(_layout_bits(chunk.layout) for chunk in chunks)
    state = EncodeState(len(chunks), samples * (1 + size) + head_bits // 144 + 1)
    for row, (chunk, reset) in enumerate(zip(chunks, resets, strict=True)):
        _put_layout(state, np.array([row]), chunk.layout, reset, int(counts[row]))
    writer = (_FloatWriter if chunks[0].layout.floats else _IntegerWriter)(state, chunks, samples)
    steps = np.zeros(len(chunks), np.int64)
    times = np.zeros((len(chunks), samples), np.int64)
    for row, chunk in enumerate(chunks):
        times[row, : len(chunk.times)] = chunk.times
    for sample in range(samples):
        rows = np.flatnonzero(counts > sample)
        if sample == 0:
            put_signed(state, rows, times[rows, 0])
        else:
            step = times[rows, sample] - times[rows, sample - 1]
            put_signed(state, rows, step - steps[rows])
            steps[rows] = step
        writer.put(rows, sample)
    return [state.bytes_of(row) for row in range(len(chunks))]


def _layout_bits(layout: ChunkLayout) -> int:
    spans = len(layout.positive_spans) + len(layout.negative_spans)
    return 24 + 72 + 72 * (4 + 2 * spans + len(layout.custom_values))


def _put_layout(state: EncodeState, row: Int64s, layout: ChunkLayout, reset: int, samples: int) -> None:
    def bits(number: int, count: int) -> None:
        state.put(row, np.array([number], _U), np.array([count]))

    bits(samples, 16)
    bits(reset << 6, 8)
    fraction, exponent = math.frexp(layout.zero_threshold)
    if layout.zero_threshold == 0:
        bits(0, 8)
    elif fraction != 0.5 or not -242 <= exponent <= 11:
        bits(255, 8)
        bits(int(np.float64(layout.zero_threshold).view(_U)), 64)
    else:
        bits(exponent + 243, 8)
    put_signed(state, row, np.array([layout.schema], np.int64))
    for spans in (layout.positive_spans, layout.negative_spans):
        put_unsigned(state, row, np.array([len(spans)], _U))
        for offset, length in spans:
            put_unsigned(state, row, np.array([length], _U))
            put_signed(state, row, np.array([offset], np.int64))
    if layout.schema != CUSTOM_SCHEMA:
        return
    put_unsigned(state, row, np.array([len(layout.custom_values)], _U))
    for bound in layout.custom_values:
        millis = bound * 1000
        if 0 <= millis <= _BOUND_MILLIS_MAX and round(millis) / 1000 == bound:
            put_unsigned(state, row, np.array([round(millis) + 1], _U))
        else:
            bits(0, 1)
            bits(int(np.float64(bound).view(_U)), 64)


def _stacked(chunks: Sequence[HistogramChunk], samples: int) -> Floats:
    """float64[numbers, chunks, samples]."""
    out = np.zeros((chunks[0].numbers.shape[0], len(chunks), samples))
    for row, chunk in enumerate(chunks):
        out[:, row, : chunk.numbers.shape[1]] = chunk.numbers
    return out


class _IntegerWriter:
    def __init__(self, state: EncodeState, chunks: Sequence[HistogramChunk], samples: int) -> None:
        self._state = state
        stacked = _stacked(chunks, samples)
        self._sums: UInt64s = np.ascontiguousarray(stacked[2]).view(_U)
        self._stale = np.equal(self._sums, STALE_BITS)
        first = HEAD_NUMBERS + chunks[0].layout.positive
        parts = [stacked[:2]]
        parts += [
            np.diff(part, axis=0, prepend=0) if len(part) else part
            for part in (stacked[HEAD_NUMBERS:first], stacked[first:])
        ]
        whole = np.nan_to_num(np.concatenate(parts))
        self._whole: Int64s = np.where(self._stale[None], 0, whole).astype(np.int64)
        self._change = np.zeros(self._whole.shape[:2], np.int64)

    def put(self, rows: Int64s, sample: int) -> None:
        """Append a sample to the chunks of these rows."""
        state = self._state
        stale = self._stale[rows, sample]
        for number in range(2):
            self._put_number(number, rows, sample, stale)
        if sample == 0:
            state.put(rows, self._sums[rows, 0], np.full(len(rows), 64))
        else:
            state.put_value(rows, self._sums[rows, sample] ^ self._sums[rows, sample - 1])
        rows = rows[~stale]
        for number in range(2, len(self._whole)):
            self._put_number(number, rows, sample, np.zeros(len(rows), np.bool_))

    def _put_number(self, number: int, rows: Int64s, sample: int, stale: npt.NDArray[np.bool_]) -> None:
        now = self._whole[number, rows, sample]
        if sample == 0:
            if number < 2:
                put_unsigned(self._state, rows, now.view(_U))
            else:
                put_signed(self._state, rows, now)
            return
        change = now - self._whole[number, rows, sample - 1]
        put_signed(self._state, rows, np.where(stale, 0, change - self._change[number, rows]))
        self._change[number, rows] = change


class _FloatWriter:
    def __init__(self, state: EncodeState, chunks: Sequence[HistogramChunk], samples: int) -> None:
        self._state = state
        self._bits: UInt64s = _stacked(chunks, samples).view(_U)
        stale = np.equal(self._bits[2], STALE_BITS)
        self._stale = stale
        self._bits = np.where(stale[None], _U(0), self._bits)
        self._bits[2] = np.where(stale, STALE_BITS, self._bits[2])
        self._windows = [
            (np.full(len(chunks), 255, np.int64), np.zeros(len(chunks), np.int64))
            for _ in range(len(self._bits))
        ]

    def put(self, rows: Int64s, sample: int) -> None:
        """Append a sample to the chunks of these rows."""
        state = self._state
        for number, window in enumerate(self._windows):
            if number == HEAD_NUMBERS:
                rows = rows[~self._stale[rows, sample]]
            now = self._bits[number, rows, sample]
            if sample == 0:
                state.put(rows, now, np.full(len(rows), 64))
                continue
            state.leading, state.trailing = window
            state.put_value(rows, now ^ self._bits[number, rows, sample - 1])
