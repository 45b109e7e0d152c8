"""Answers of servers that are broken or hostile: each is read, or refused with an error that is meant for people."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.read_world import endpoint
from trimon.actors.remoteread.endpoint import Body
from trimon.actors.remoteread.reading import _Job, _series
from trimon.errors import OperatingError, TrimonError, UserError
from trimon.model.labels import Labels, labels_of
from trimon.remote.reading.answers import FrameList, chunks_of, frames_of, sampled_size, samples_of
from trimon.remote.snappy import compress
from trimon.storage.prometheus.answeredseries import AnsweredSeries, series_of_batch, series_of_chunks
from trimon.storage.prometheus.histogramchunks import ChunkLayout, HistogramChunk
from trimon.storage.prometheus.histogramexport import FloatRun, HistogramRun
from trimon.storage.prometheus.readanswers import frames, result_message, series_message

TIMES = np.arange(150, dtype=np.int64) * 15_000 + 1_700_000_000_000
LAYOUT = ChunkLayout(2, 0.001, ((0, 2), (3, 1)), ((1, 1),))
NUMBERS = np.cumsum(np.ones((7, 30)), axis=1) * np.array([5, 1, 1, 1, 1, 1, 1])[:, None]
SERIES: list[tuple[Labels, Sequence[FloatRun | HistogramRun]]] = [
    (labels_of({"__name__": "m", "i": "1"}), [FloatRun(TIMES, np.sin(np.arange(150.0)))]),
    (labels_of({"__name__": "h"}), [HistogramRun(HistogramChunk(LAYOUT, TIMES[:30], NUMBERS), 0)]),
]
STREAMED = b"".join(frames(SERIES, 0, 1 << 20))
SAMPLED = result_message([series_message(labels, runs) for labels, runs in SERIES])
MOST = 64 << 20
CHANGES = st.lists(st.tuples(st.integers(0, 1 << 20), st.integers(0, 255)), min_size=1, max_size=8)


def changed(data: bytes, changes: Sequence[tuple[int, int]], cut: int) -> bytes:
    out = bytearray(data)
    for place, byte in changes:
        out[place % len(out)] = byte
    return bytes(out[: len(out) - cut % len(out)] if cut else out)


def admit(size_bytes: int) -> None:
    if size_bytes > MOST:
        raise OperatingError(f"{size_bytes} bytes")


def decoded(data: bytes, listed: FrameList) -> AnsweredSeries:
    found = chunks_of(data, listed, frozenset())
    starts, lengths, owners, kinds = (
        np.array(each, np.int64) for each in (found.starts, found.lengths, found.owners, found.kinds)
    )
    raw = np.frombuffer(data, np.uint8)
    return series_of_chunks(
        list(found.series), owners.astype(np.int32), raw, starts, lengths, kinds.astype(np.int32), admit
    )


def test_both_forms_say_the_same() -> None:
    """Chunks and samples of the same series give the same source."""
    one = decoded(STREAMED, frames_of(STREAMED, MOST))
    other = series_of_batch(samples_of(compress(SAMPLED), MOST, frozenset()))
    for each in (one, other):
        own = each.without_components(each.select(()))
        assert [each.table(own).labels(row) for row in range(2)] == [labels for labels, _ in SERIES]
        (partial,) = each.partial_frames(own, 0, 1 << 60)
        assert partial.lengths.tolist() == [150, 30]
    parts = [each.components_of(np.array([1], np.int32))[0] for each in (one, other)]
    values = [
        sorted(each.partial_frames(mine, 0, 1 << 60)[0].values.tolist())
        for each, mine in zip((one, other), parts, strict=True)
    ]
    assert values[0] == values[1]


@given(CHANGES, st.integers(0, 40))
@settings(deadline=None, max_examples=300)
def test_chunks_that_are_none(changes: list[tuple[int, int]], cut: int) -> None:
    """Bytes that pass every checksum and are no chunks are read or refused."""
    data = changed(STREAMED, changes, cut)
    with contextlib.suppress(TrimonError):
        decoded(data, frames_of(data, MOST))


@given(CHANGES, st.integers(0, 40))
@settings(deadline=None, max_examples=200)
def test_samples_that_are_none(changes: list[tuple[int, int]], cut: int) -> None:
    """The same of a message of samples."""
    data = changed(SAMPLED, changes, cut)
    with contextlib.suppress(TrimonError):
        series_of_batch(samples_of(compress(data), MOST, frozenset()))


@pytest.mark.parametrize("place", [0, 3, 40, len(STREAMED) - 1])
def test_a_bit_that_fell_over_is_found(place: int) -> None:
    """A frame whose checksum does not fit is refused, wherever the byte is."""

    client: Any = SimpleNamespace(config=endpoint())
    asked: Any = SimpleNamespace(added=frozenset())
    job = _Job(((), 0, 0), client, asked, 0)
    assert isinstance(_series(job, Body(STREAMED, is_streamed=True), admit), AnsweredSeries)
    broken = changed(STREAMED, [(place, STREAMED[place] ^ 1)], 0)
    with pytest.raises(TrimonError):
        _series(job, Body(broken, is_streamed=True), admit)


def test_what_no_block_can_hold_is_corrupt() -> None:
    """A few bytes that claim gigabytes are an error of the answer before memory is asked for; the densest block is none."""
    with pytest.raises(UserError, match="corrupt input"):
        sampled_size(b"\xff\xff\xff\xff\x0f\x00a")
    dense = compress(bytes(1 << 20))
    assert sampled_size(dense) == 1 << 20
