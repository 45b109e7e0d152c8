"""Loose samples by the loops in C, held against numpy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimon.compiled.library import MISSING
from trimon.model.rows import SampleBatch
from trimon.model.sample import ABSENT
from trimon.storage.head import head as heads
from trimon.storage.head.acceptance import TimeBounds
from trimon.storage.head.head import Head
from trimon.storage.head.looseorder import note_newest, note_newest_plainly
from trimon.storage.wal.loosecells import pack_loose, pack_loose_plainly, unpack_loose

pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"no compiled loops: {MISSING}")

BOUNDS = TimeBounds(-(2**60), 2**60, None)
LATE = TimeBounds(500, 2000, 100)
numbers = st.integers(-(2**31), 2**31 - 1)
times = st.one_of(st.integers(0, 2**42), st.integers(-(2**62), 2**62))
values = st.one_of(
    st.floats(),
    st.integers(-(2**54), 2**54).map(float),
    st.integers(-(10**6), 10**6).map(lambda number: number / 1000),
    st.sampled_from([0.0, -0.0, 2.0**52, -(2.0**52), 2.0**52 - 0.5, 4503599627370.4955, -1e-7, 5e-324]),
)
samples = st.lists(st.tuples(numbers, times, values), max_size=60)


def columns(rows: list[tuple[int, int, float]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return (
        np.array([row[0] for row in rows], np.int32),
        np.array([row[1] for row in rows], np.int64),
        np.array([row[2] for row in rows], np.float64),
    )


@given(samples)
def test_sections_have_the_bytes_that_numpy_makes(rows: list[tuple[int, int, float]]) -> None:
    """Header and bytes of a section are those of the twin, and what is read of them is what was written, bit for bit."""
    series, stamps, cells = columns(rows)
    header, data = pack_loose(series, stamps, cells)
    assert (header, data) == pack_loose_plainly(series, stamps, cells)
    found = unpack_loose(memoryview(data + b"more"), len(rows), header)
    assert found is not None
    assert found[0].tolist() == series.tolist()
    assert found[1].tolist() == stamps.tolist()
    assert found[2].tobytes() == cells.tobytes()


@given(
    st.binary(max_size=200),
    st.integers(0, 40),
    st.lists(st.one_of(st.integers(-2, 20), st.integers(-(2**63), 2**63 - 1)), min_size=3, max_size=8),
)
def test_bytes_that_are_no_section_are_refused_or_read(data: bytes, count: int, header: list[int]) -> None:
    """Whatever bytes and header say, nothing is read beyond them: there are as many samples as claimed, or none."""
    found = unpack_loose(memoryview(data), count, header)
    assert found is None or [len(each) for each in found] == [count] * 3


@given(
    st.lists(st.tuples(st.integers(0, 4), st.integers(0, 9), st.floats(allow_nan=False)), min_size=1),
    st.lists(st.integers(-5, 12), min_size=5, max_size=5),
)
def test_newest_samples_are_those_that_numpy_finds(
    rows: list[tuple[int, int, float]], lasts: list[int]
) -> None:
    """Times and values of the newest samples, and the span, in any order of arrival and with double times."""
    known = [(np.array(lasts, np.int64), np.full(5, 0.5)) for _ in range(2)]
    spans = note_newest(*columns(rows), *known[0]), note_newest_plainly(*columns(rows), *known[1])
    assert spans[0] == spans[1]
    assert [each.tolist() for each in known[0]] == [each.tolist() for each in known[1]]


@st.composite
def batches(draw: st.DrawFn) -> SampleBatch:
    """A batch over a few series, mostly of times that ascend in each."""
    listed = draw(st.lists(st.integers(0, 5), min_size=1, max_size=6))
    rows: list[tuple[int, int, float]] = []
    for place in range(len(listed)):
        stamps = draw(st.lists(st.integers(0, 3000), max_size=4))
        if draw(st.integers(0, 3)):
            stamps.sort()
        rows += [(place, stamp, draw(st.sampled_from([1.0, 2.0, ABSENT]))) for stamp in stamps]
    if draw(st.integers(0, 5)) == 0:
        rows = draw(st.permutations(rows))
    labels = tuple((("__name__", f"m{number}"),) for number in listed)
    return SampleBatch(labels, *columns(rows), atomic=draw(st.booleans()), told=draw(st.booleans()))


def appended(head: Head, batch: SampleBatch, bounds: TimeBounds) -> tuple[object, ...]:
    """What a head says of a batch, and what it then knows."""
    answer = head.append_whole(batch, bounds) if batch.atomic else head.append_batch(batch, bounds)
    loose = head.loose.view()
    newest = head.newest_times(np.arange(len(head.index), dtype=np.int32))
    return (
        answer.appended, answer.out_of_order, answer.duplicate, answer.out_of_bounds, answer.too_old, answer.error,
        answer.refused_sample, answer.told, head.min_ms, head.max_ms, head.samples,
        loose.series.tolist(), loose.times.tolist(), loose.values.tobytes(), newest.tolist(),
    )  # fmt: skip


@given(st.lists(st.tuples(batches(), st.sampled_from([BOUNDS, LATE]), st.booleans()), max_size=6))
def test_heads_take_what_they_would_sample_by_sample(
    sequence: list[tuple[SampleBatch, TimeBounds, bool]],
) -> None:
    """Batches in order or not, of double series, out of bounds: answers, samples and their order are those without the loop,
    and a batch that is taken back leaves nothing behind."""
    with pytest.MonkeyPatch.context() as patch:
        quick, plain = Head(0, 1 << 40), Head(0, 1 << 40)
        for batch, bounds, kept in sequence:
            found = appended(quick, batch, bounds)
            patch.setattr(heads, "take_in_order", lambda *_: None)
            assert found == appended(plain, batch, bounds)
            patch.undo()
            for head in (quick, plain):
                if kept:
                    head.publish()
                else:
                    head.rollback()
