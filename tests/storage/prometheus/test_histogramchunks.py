"""Chunks of native histograms: what is written is read, and damage is told."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trimon.errors import OperatingError
from trimon.model.sample import STALE_NAN
from trimon.model.spans import spans_of
from trimon.storage.prometheus.histogramchunks import (
    FLOATS,
    INTEGERS,
    ChunkLayout,
    HistogramChunk,
    decode_histograms,
    layouts,
)
from trimon.storage.prometheus.histogramencoder import encode_histograms

indexes = st.lists(st.integers(-40, 40), unique=True, max_size=6).map(sorted)
bounds = st.lists(
    st.sampled_from([0.005, 0.1, 1.0, 2.5, 33554.43, 33554.431, 1e9, -3.0]), unique=True, max_size=5
)


@st.composite
def chunks(draw: st.DrawFn) -> HistogramChunk:
    """A chunk of any layout, perhaps with a staleness marker at its end."""
    floats, custom = draw(st.booleans()), draw(st.booleans())
    positive = spans_of([index + 40 for index in draw(indexes)] if custom else draw(indexes))
    negative = () if custom else spans_of(draw(indexes))
    threshold = 0.0 if custom else draw(st.sampled_from([0.0, 2.0**-128, 0.001, 2.0**10, 2.0**11, 1e-300]))
    layout = ChunkLayout(
        -53 if custom else draw(st.integers(-4, 8)),
        threshold,
        positive,
        negative,
        tuple(sorted(draw(bounds))) if custom else (),
        floats,
        draw(st.booleans()),
    )
    samples, size = draw(st.integers(1, 9)), 3 + layout.positive + layout.negative
    whole = st.integers(0, 1 << draw(st.sampled_from([2, 12, 50]))).map(float)
    number = st.floats(allow_nan=False) | whole if floats else whole
    numbers = np.array(draw(st.lists(number, min_size=samples * size, max_size=samples * size)))
    numbers = numbers.reshape(size, samples)
    numbers[2] = draw(st.lists(st.floats(allow_nan=False), min_size=samples, max_size=samples))
    if draw(st.booleans()):
        numbers[:, -1] = 0.0
        numbers[2, -1] = STALE_NAN
    times = np.cumsum(draw(st.lists(st.integers(1, 1 << 33), min_size=samples, max_size=samples)))
    return HistogramChunk(layout, times.astype(np.int64), numbers)


def read(data: np.ndarray, sizes: np.ndarray, written: list[HistogramChunk]) -> list[HistogramChunk]:
    """The chunks again."""
    starts = np.cumsum(sizes) - sizes
    encodings = [FLOATS if chunk.layout.floats else INTEGERS for chunk in written]
    assert layouts(data, starts, sizes, encodings) == [chunk.layout for chunk in written]
    return decode_histograms(data, starts, sizes, encodings)


@settings(max_examples=150, deadline=None)
@given(st.lists(chunks(), min_size=1, max_size=5))
def test_what_is_written_is_read(written: list[HistogramChunk]) -> None:
    """Layouts, times and all numbers come back, bit for bit, of chunks of any shapes side by side."""
    resets = [3 if chunk.layout.gauge else 0 for chunk in written]
    data, sizes = encode_histograms(written, resets)
    for before, after in zip(written, read(data, sizes, written), strict=True):
        assert after.layout == before.layout
        assert after.times.tolist() == before.times.tolist()
        assert after.stale.tolist() == before.stale.tolist()
        kept = ~before.stale
        assert np.array_equal(
            np.ascontiguousarray(after.numbers[:, kept]).view(np.int64),
            np.ascontiguousarray(before.numbers[:, kept]).view(np.int64),
        )


@settings(max_examples=150, deadline=None)
@given(
    chunks(), st.lists(st.tuples(st.integers(0), st.integers(0, 255)), min_size=1, max_size=4), st.integers(0)
)
def test_damage_is_told_or_read(written: HistogramChunk, changes: list[tuple[int, int]], cut: int) -> None:
    """Whatever bytes are others, and wherever a chunk is cut off, it is read or an OperatingError; nothing else."""
    data, _ = encode_histograms([written], [0])
    data = data.copy()
    for place, byte in changes:
        data[place % len(data)] = byte
    data = data[: 1 + cut % len(data)]
    encoding = FLOATS if written.layout.floats else INTEGERS
    try:
        (found,) = decode_histograms(data, np.array([0]), np.array([len(data)]), [encoding])
    except OperatingError:
        return
    assert found.numbers.shape[1] == len(found.times)


@pytest.mark.parametrize("floats", [True, False])
@pytest.mark.parametrize("behind", [b"\xff", b"\x00", b"\xd7\x3b"])
def test_nothing_is_read_behind_a_staleness_marker(behind: bytes, *, floats: bool) -> None:
    """A marker has no buckets: what stands behind its sum may be anything, such as a checksum that no float begins with."""
    layout = ChunkLayout(1, 0.001, ((0, 1),), ((4, 1), (2, 1)), (), floats, gauge=False)
    numbers = np.array(
        [[8.0, 9.0, 0.0], [2.0] * 3, [100.5, 101.0, STALE_NAN], [1.0] * 3, [3.0] * 3, [3.0] * 3]
    )
    written = [HistogramChunk(layout, np.array([1000, 2000, 3000]), numbers)]
    data, sizes = encode_histograms(written, [0])
    followed = np.concatenate((data, np.frombuffer(behind * 64, np.uint8)))
    (after,) = read(followed, sizes, written)
    assert after.stale.tolist() == [False, False, True]
    assert np.array_equal(after.numbers[:, :2], numbers[:, :2])
