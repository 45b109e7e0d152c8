"""Native histograms of remote write requests: any message, whole or damaged."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support import protobuf
from trimon.errors import UserError
from trimon.model.components import component_labels, is_marker, marker_flags
from trimon.model.sample import STALE_NAN, is_stale
from trimon.remote.write_request import WriteDecoder

NAME = (("__name__", "h"),)
offsets = st.integers(0, 5)


@st.composite
def messages(draw: st.DrawFn) -> dict[str, Any]:
    """A histogram that contradicts itself nowhere, of integers or floats."""
    integer = draw(st.booleans())
    spans = [{"offset": draw(st.integers(-9, 9)), "length": draw(st.integers(0, 3))}]
    spans += [{"offset": draw(offsets), "length": draw(offsets)} for _ in range(draw(offsets))]
    size = sum(span["length"] for span in spans)
    numbers = st.integers(0, 1 << 40) if integer else st.floats(0, 1e9)
    counts = [draw(numbers) for _ in range(size)]
    made: dict[str, Any] = {
        "schema": draw(st.integers(-4, 8)),
        "zero_threshold": 0.5,
        "sum": draw(st.floats(allow_nan=False)),
    }
    made |= {"timestamp": draw(st.integers(0, 1 << 40)), "positive_spans": spans}
    made["reset_hint"] = draw(st.integers(0, 3))
    if integer:
        return made | {
            "count_int": sum(counts) + 7,
            "zero_count_int": 7,
            "positive_deltas": np.diff(counts, prepend=0).tolist(),
            "counts": counts,
        }
    return made | {"count_float": 7.5, "zero_count_float": 0.25, "positive_counts": counts, "counts": counts}


@given(st.lists(messages(), min_size=1, max_size=3))
def test_every_number_has_its_component(listed: list[dict[str, Any]]) -> None:
    """Marker, count, sum, zero count and buckets are samples, in the order of the message, the marker first."""
    body = protobuf.series(NAME, [(1, 2.5)], b"".join(map(protobuf.histogram, listed)))
    batch = WriteDecoder().decode(body).batch
    assert batch.histograms
    samples = list(
        zip((batch.series[i] for i in batch.series_index), batch.timestamps_ms, batch.values, strict=True)
    )
    assert samples[0] == (NAME, 1, 2.5)
    wanted: list[tuple[Any, int, float]] = []
    for native in listed:
        prefix, integer = f"{native['schema']}:0.5:", "count_int" in native
        indexes, at = list[int](), 0
        for span in native["positive_spans"]:
            indexes += range(at + span["offset"], at + span["offset"] + span["length"])
            at += span["offset"] + span["length"]
        parts = [("count", native["count_int"] if integer else 7.5), ("sum", native["sum"])]
        parts.append(("zero", 7 if integer else 0.25))
        parts += [(f"+{i}", count) for i, count in zip(indexes, native["counts"], strict=True)]
        time_ms = native["timestamp"]
        flags = (not integer) + 2 * (native["reset_hint"] == 3)
        wanted.append((NAME, time_ms, flags))
        wanted += [(component_labels(NAME, prefix + part), time_ms, value) for part, value in parts]
    got = [
        (
            labels,
            time_ms,
            float(marker_flags(np.array([value]))[0]) if is_marker(np.array([value]))[0] else value,
        )
        for labels, time_ms, value in samples[1:]
    ]
    assert got == wanted


@given(messages(), st.integers(0, 1 << 32))
def test_damaged_messages_are_refused_or_read(native: dict[str, Any], seed: int) -> None:
    """Whatever bytes are changed, added or cut off, the answer is a batch or a UserError."""
    pick = random.Random(seed)
    body = bytearray(protobuf.series(NAME, [], protobuf.histogram(native)))
    for _ in range(pick.randint(1, 4)):
        place = pick.randrange(len(body))
        body[place] = pick.randrange(256)
        if pick.random() < 0.3:
            del body[pick.randrange(len(body)) :]
        if not body:
            break
    try:
        batch = WriteDecoder().decode(bytes(body)).batch
    except UserError:
        return
    assert len(batch.series_index) == len(batch.values) == len(batch.timestamps_ms)


@pytest.mark.parametrize("count", [{"count_int": 0, "zero_count_int": 0}, {"count_float": 0.0}, {}])
def test_a_histogram_whose_sum_is_stale_ends_the_series(count: dict[str, Any]) -> None:
    """That is how Prometheus sends the end of a series of histograms."""
    body = protobuf.series(NAME, [], protobuf.histogram({**count, "sum": STALE_NAN, "timestamp": 5}))
    batch = WriteDecoder().decode(body).batch
    assert [batch.series[i] for i in batch.series_index] == [NAME]
    assert batch.timestamps_ms.tolist() == [5]
    assert is_stale(batch.values).all()
