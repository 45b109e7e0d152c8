"""The answers to remote reads: series as messages, with their samples or with chunks as Prometheus would keep them."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Final

import numpy as np
import numpy.typing as npt

from trimon.model.frame import SampleFrame
from trimon.model.histogram import CUSTOM_SCHEMA
from trimon.model.labels import Labels
from trimon.model.spans import Spans
from trimon.storage.head.arena import Floats, Int64s
from trimon.storage.prometheus.crc import crc32c
from trimon.storage.prometheus.histogramchunks import (
    FLOATS,
    HEAD_NUMBERS,
    INTEGERS,
    UNKNOWN_BITS,
)
from trimon.storage.prometheus.histogramencoder import encode_histograms
from trimon.storage.prometheus.histogramexport import (
    SAMPLES_PER_CHUNK,
    FloatRun,
    HistogramRun,
    runs_of,
)
from trimon.storage.prometheus.xor import encode_chunks
from trimon.wire import put_block, put_varint, zigzag

_XOR: Final = 1
# Chunks of so many samples are encoded side by side: each step of the encoder is for all of them.
_SAMPLES_AT_ONCE: Final = 100_000
_MASK: Final = 0xFFFFFFFFFFFFFFFF
# Hints of a histogram that is the first of its chunk, a later one, and of a gauge.
_HINT_LATER: Final = 2
_HINT_GAUGE: Final = 3


Run = FloatRun | HistogramRun


def runs_within(frame: SampleFrame, row: int, start_ms: int, end_ms: int) -> list[Run]:
    """The samples of a row in the closed interval, floats and chunks of histograms in turn."""
    return [run for each in runs_of(frame, row) if (run := _cut(each, start_ms, end_ms)) is not None]


def _cut(run: Run, start_ms: int, end_ms: int) -> Run | None:
    times = run.times if isinstance(run, FloatRun) else run.chunk.times
    first, last = np.searchsorted(times, start_ms), np.searchsorted(times, end_ms, side="right")
    if first == last:
        return None
    if isinstance(run, FloatRun):
        return FloatRun(times[first:last], run.values[first:last])
    chunk = run.chunk
    if last - first < len(times):
        chunk = type(chunk)(chunk.layout, times[first:last], chunk.numbers[:, first:last])
    if not first:
        return HistogramRun(chunk, run.reset)
    return HistogramRun(chunk, run.reset if chunk.layout.gauge else UNKNOWN_BITS, is_cut=True)


def count_of(runs: Sequence[Run]) -> int:
    """How many samples runs have."""
    return sum(len(run.times if isinstance(run, FloatRun) else run.chunk.times) for run in runs)


def series_message(labels: Labels, runs: Sequence[Run]) -> bytes:
    """A series with its samples, as a field of a result."""
    parts = [_labels(labels)]
    parts += [_samples(run.times, run.values) for run in runs if isinstance(run, FloatRun)]
    parts += [_histograms(run) for run in runs if isinstance(run, HistogramRun)]
    return put_block(1, b"".join(parts))


def result_message(series: Sequence[bytes]) -> bytes:
    """The result of one query, as a field of the answer."""
    return put_block(1, b"".join(series))


def frames(
    series: Iterable[tuple[Labels, Sequence[Run]]], query: int, frame_bytes_max: int
) -> Iterator[bytes]:
    """The frames of a streamed answer: of each series as many chunks each as there is room for, at least one."""
    group: list[tuple[Labels, Sequence[Run]]] = []
    samples = 0
    for labels, runs in series:
        group.append((labels, runs))
        samples += count_of(runs)
        if samples >= _SAMPLES_AT_ONCE:
            yield from _frames_of(group, query, frame_bytes_max)
            group, samples = [], 0
    yield from _frames_of(group, query, frame_bytes_max)


def _frames_of(
    group: Sequence[tuple[Labels, Sequence[Run]]], query: int, frame_bytes_max: int
) -> Iterator[bytes]:
    """The frames of some series, of which all chunks of floats are encoded side by side."""
    floats = iter(_float_chunks([run for _, runs in group for run in runs if isinstance(run, FloatRun)]))
    for labels, runs in group:
        head = _labels(labels)
        held: list[bytes] = []
        room_bytes = frame_bytes_max - len(head)
        for run in runs:
            for chunk in next(floats) if isinstance(run, FloatRun) else (_histogram_chunk(run),):
                held.append(put_block(2, chunk))
                room_bytes -= len(held[-1])
                if room_bytes <= 0:
                    yield _frame(head, held, query)
                    held, room_bytes = [], frame_bytes_max - len(head)
        if held:
            yield _frame(head, held, query)


def _frame(head: bytes, chunks: Sequence[bytes], query: int) -> bytes:
    message = put_block(1, head + b"".join(chunks)) + _number(2, query)
    return put_varint(len(message)) + crc32c(message).to_bytes(4, "big") + message


def _histogram_chunk(run: HistogramRun) -> bytes:
    chunk = run.chunk
    data, _ = encode_histograms([chunk], [run.reset])
    kind = FLOATS if chunk.layout.floats else INTEGERS
    return _chunk(int(chunk.times[0]), int(chunk.times[-1]), kind, data.tobytes())


def _float_chunks(runs: Sequence[FloatRun]) -> list[list[bytes]]:
    """The chunks of each run."""
    if not runs:
        return []
    counts: list[int] = []
    chunks: list[int] = []
    for run in runs:
        whole, rest = divmod(len(run.times), SAMPLES_PER_CHUNK)
        counts += [SAMPLES_PER_CHUNK] * whole + ([rest] if rest else [])
        chunks.append(whole + bool(rest))
    times = np.concatenate([run.times for run in runs])
    data, sizes = encode_chunks(times, np.concatenate([run.values for run in runs]), np.array(counts))
    raw, ends = data.tobytes(), np.cumsum(sizes).tolist()
    last = np.cumsum(counts)
    firsts_ms, lasts_ms = times[last - counts].tolist(), times[last - 1].tolist()
    encoded = [
        _chunk(first_ms, last_ms, _XOR, raw[end - size : end])
        for first_ms, last_ms, end, size in zip(firsts_ms, lasts_ms, ends, sizes.tolist(), strict=True)
    ]
    bounds = np.cumsum([0, *chunks]).tolist()
    return [encoded[begin:end] for begin, end in pairwise(bounds)]


def _chunk(first_ms: int, last_ms: int, kind: int, data: bytes) -> bytes:
    return _number(1, first_ms) + _number(2, last_ms) + _number(3, kind) + put_block(4, data)


# ---- messages


def _number(number: int, value: int) -> bytes:
    """A whole number; one that is 0 is left out."""
    return put_varint(number << 3) + put_varint(value & _MASK) if value else b""


def _double(number: int, value: float, *, always: bool = False) -> bytes:
    """A float; one that is 0 is left out, as Go leaves it out."""
    return put_varint(number << 3 | 1) + struct.pack("<d", value) if always or value != 0 else b""


def _labels(labels: Labels) -> bytes:
    return b"".join(
        put_block(1, put_block(1, name.encode()) + put_block(2, value.encode())) for name, value in labels
    )


def _samples(times: Int64s, values: Floats) -> bytes:
    """Samples as fields of a series: `12 length [09 value] [10 time]`, what is 0 left out; all at once."""
    count = len(times)
    cells = np.zeros((count, 22), np.uint8)
    kept = np.zeros(cells.shape, np.bool_)
    cells[:, 0], cells[:, 2], cells[:, 11] = 0x12, 0x09, 0x10
    cells[:, 3:11] = np.ascontiguousarray(values).view(np.uint8).reshape(count, 8)
    kept[:, :2] = True
    kept[:, 2:11] = ((values != 0) | np.isnan(values))[:, None]
    rest = times.view(np.uint64)
    kept[:, 11] = rest != 0
    going = rest != 0
    for place in range(12, 22):
        more = rest >= np.uint64(0x80)
        cells[:, place] = (rest & np.uint64(0x7F)).astype(np.uint8) | np.where(more, 0x80, 0).astype(np.uint8)
        kept[:, place] = going
        rest, going = rest >> np.uint64(7), going & more
    cells[:, 1] = kept[:, 2:].sum(axis=1)
    return cells[kept].tobytes()


def _histograms(run: HistogramRun) -> bytes:
    chunk, layout = run.chunk, run.chunk.layout
    first = HEAD_NUMBERS + layout.positive
    bounds = b"".join(struct.pack("<d", bound) for bound in layout.custom_values)
    zero = 0.0 if layout.schema == CUSTOM_SCHEMA else layout.zero_threshold
    out: list[bytes] = []
    stale = chunk.stale.tolist()
    for place, time_ms in enumerate(chunk.times.tolist()):
        numbers = chunk.numbers[:, place]
        if stale[place]:
            message = _number_always(1, 0) + _double(3, float(numbers[2])) + _number_always(6, 0)
            out.append(put_block(4, message + _number(15, time_ms)))
            continue
        begins = place == 0 and not run.is_cut
        hint = _HINT_GAUGE if layout.gauge else 0 if begins else _HINT_LATER
        count, zero_count, total = numbers[:HEAD_NUMBERS].tolist()
        whole = not layout.floats
        message = b"".join(
            (
                _number_always(1, int(count)) if whole else _double(2, count, always=True),
                _double(3, total),
                _number(4, zigzag(layout.schema)),
                _double(5, zero),
                _number_always(6, int(zero_count)) if whole else _double(7, zero_count, always=True),
                _spans(8, layout.negative_spans),
                _buckets(9, numbers[first:], whole=whole),
                _spans(11, layout.positive_spans),
                _buckets(12, numbers[HEAD_NUMBERS:first], whole=whole),
                _number(14, hint),
                _number(15, time_ms),
                put_block(16, bounds) if bounds else b"",
            )
        )
        out.append(put_block(4, message))
    return b"".join(out)


def _number_always(number: int, value: int) -> bytes:
    return put_varint(number << 3) + put_varint(value & _MASK)


def _spans(number: int, spans: Spans) -> bytes:
    return b"".join(
        put_block(number, _number(1, zigzag(offset)) + _number(2, length)) for offset, length in spans
    )


def _buckets(number: int, counts: npt.NDArray[np.float64], *, whole: bool) -> bytes:
    """Differences of whole counts, or the counts themselves in the field behind."""
    if not len(counts):
        return b""
    if not whole:
        return put_block(number + 1, counts.astype("<f8").tobytes())
    deltas = np.diff(counts, prepend=0).astype(np.int64).tolist()
    return put_block(number, b"".join(put_varint(zigzag(delta) & _MASK) for delta in deltas))
