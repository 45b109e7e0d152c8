"""Decoding remote write 1.0 against an encoder that knows nothing of the decoder."""

from __future__ import annotations

import contextlib
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support import protobuf
from trimon import limits
from trimon.remote.write_request import WriteDecoder, WriteRequest
from trimon.wire import TooManyFields, WireError

NOW = 1_700_000_000_000
Written = dict[tuple[tuple[str, str], ...], list[tuple[int, bytes]]]


def bits(value: float) -> bytes:
    return struct.pack("<d", value)


def decoded(request: WriteRequest) -> Written:
    batch = request.batch
    out: Written = {labels: [] for labels in batch.series}
    for number, time, value in zip(
        batch.series_index.tolist(), batch.timestamps_ms.tolist(), batch.values, strict=True
    ):
        out[batch.series[number]].append((time, value.tobytes()))
    return out


names = st.text("abc_", min_size=1, max_size=3)
times = st.one_of(st.integers(1_600_000_000_000, 1_800_000_000_000), st.integers(-5, 2**45))
values = st.one_of(st.floats(), st.just(0.0), st.just(-0.0))
label_sets = st.dictionaries(names, st.text(min_size=1, max_size=4), max_size=3).map(
    lambda pairs: tuple(sorted({**pairs, "__name__": "m"}.items()))
)
requests = st.dictionaries(label_sets, st.lists(st.tuples(times, values), max_size=4), max_size=6)


@given(st.lists(requests, min_size=1, max_size=3))
def test_what_is_written_is_read(
    sequence: list[dict[tuple[tuple[str, str], ...], list[tuple[int, float]]]],
) -> None:
    """Every series, timestamp and bit pattern of a value comes through, request after request."""
    decoder = WriteDecoder()
    for content in sequence:
        body = b"".join(protobuf.series(labels, samples) for labels, samples in content.items())
        expected = {
            labels: [(time, bits(value)) for time, value in samples] for labels, samples in content.items()
        }
        assert decoded(decoder.decode(body)) == expected


@given(st.binary(max_size=60))
def test_garbage_is_an_error_or_a_request(body: bytes) -> None:
    """No bytes whatever end in anything but a request or a WireError."""
    with contextlib.suppress(WireError):
        WriteDecoder().decode(body)


@given(requests, st.integers(0, 10_000))
def test_truncation_never_crashes(
    content: dict[tuple[tuple[str, str], ...], list[tuple[int, float]]], cut: int
) -> None:
    """A request cut anywhere is an error or a shorter request."""
    body = b"".join(protobuf.series(labels, samples) for labels, samples in content.items())
    with contextlib.suppress(WireError):
        WriteDecoder().decode(body[: cut % (len(body) + 1)])


def test_one_series_named_several_times() -> None:
    """Samples of a series that is named again and again keep their order, zeros among them."""
    name = [("__name__", "m")]
    points = [(NOW + i, float(i % 3 != 0) * i) for i in range(9)]
    body = b"".join(protobuf.series(name, [point]) for point in points)
    batch = WriteDecoder().decode(body).batch
    assert set(batch.series) == {(("__name__", "m"),)}
    assert list(zip(batch.timestamps_ms.tolist(), batch.values.tolist(), strict=True)) == points


def test_lengths_of_every_size() -> None:
    """Series whose message length takes one, two and three bytes are read, known or not."""
    decoder = WriteDecoder()
    for _ in range(2):
        for size in (
            1,
            90,
            91,
            92,
            93,
            94,
            95,
            96,
            97,
            98,
            99,
            100,
            101,
            102,
            103,
            2000,
            16_300,
            16_384,
            70_000,
        ):
            labels = (("__name__", "m"), ("a", "x" * size))
            body = protobuf.series(labels, [(NOW, 1.0)]) + protobuf.series(labels, [(NOW + 1, 0.0)])
            batch = decoder.decode(body * 3).batch
            assert batch.series == (labels,) * 6
            assert batch.timestamps_ms.tolist() == [NOW, NOW + 1] * 3
            assert batch.values.tolist() == [1.0, 0.0] * 3


def test_the_memory_of_labels_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ever new series are decoded right while the memory starts over again and again."""
    monkeypatch.setattr("trimon.remote.write_request.REMEMBERED_BYTES_MAX", 200)
    decoder = WriteDecoder()
    for number in range(50):
        labels = (("__name__", "m"), ("n", str(number)))
        body = protobuf.series(labels, [(NOW, 1.0)]) * 2
        assert decoder.decode(body).batch.series == (labels, labels)
        assert len(decoder._labels) < 12


def test_samples_that_look_usual_and_are_not() -> None:
    """Eighteen bytes that begin like a whole sample and hold a longer varint are read one by one."""
    tricky = protobuf.field(2, b"\x09" + bits(1.0) + b"\x10" + b"\x80\x80\x80\x80\x80\x01")
    lying = b"\x12\x10\x09" + bits(2.0) + b"\x10" + b"\x01\x10\x02\x10\x03\x10"[:6]
    body = protobuf.field(1, protobuf.labels([("__name__", "m")]) + tricky)
    assert decoded(WriteDecoder().decode(body)) == {(("__name__", "m"),): [(2**35, bits(1.0))]}
    with pytest.raises(WireError):
        WriteDecoder().decode(protobuf.field(1, protobuf.labels([("__name__", "m")]) + lying))


@pytest.mark.parametrize(
    "pairs",
    [
        [("a", "b")],
        [("__name__", "m"), ("a", "1"), ("a", "2")],
        [("__name__", "m"), ("", "x")],
        [("__name__", "")],
        [("__name__", "m"), ("a", "x" * (limits.LABEL_VALUE_BYTES_MAX + 1))],
        [("__name__", "m"), *((f"l{number:03d}", "x") for number in range(limits.LABELS_PER_SERIES_MAX))],
        [],
    ],
)
def test_invalid_series_are_left_out(pairs: list[tuple[str, str]]) -> None:
    """A series without a name, with a label twice or beyond the caps is counted and the others are kept."""
    body = protobuf.series(pairs, [(1, 1.0)]) + protobuf.series([("__name__", "ok")], [(1, 2.0)])
    request = WriteDecoder().decode(body)
    assert request.invalid_series == 1
    assert decoded(request) == {(("__name__", "ok"),): [(1, bits(2.0))]}


@pytest.mark.parametrize(
    ("pairs", "said"),
    [
        ([("a", "x" * 262_145)], "m: more than 262144 characters in the value of label 'a'"),
        ([("a" * 16_385, "x")], f"m: more than 16384 characters in label name '{'a' * 50}'"),
        ([(f"l{number:03d}", "x") for number in range(512)], "m: more than 512 labels"),
        ([("a", "1"), ("a", "2")], "m: label 'a' twice"),
        ([("", "1")], "m: a label without a name"),
        ([("__name__", "n")], "m: label '__name__' twice"),
    ],
)
def test_series_that_are_left_out_are_named(pairs: list[tuple[str, str]], said: str) -> None:
    """A series that is left out is told with its name and what is wrong, remembered or not."""
    decoder = WriteDecoder()
    body = protobuf.series([("__name__", "m"), *pairs], [(1, 1.0)])
    for _ in range(2):
        request = decoder.decode(body + body)
        assert request.invalid_series == 2
        assert request.faults == {said: 2}


def test_a_series_without_a_name_is_told_by_its_labels() -> None:
    """Of a series that has no name the log can show the labels alone; one of bytes that are no text has neither."""
    nameless = protobuf.series([("job", "x"), ("a", "y")], [(1, 1.0)])
    assert WriteDecoder().decode(nameless).faults == {'no name of a metric: {a="y", job="x"}': 1}
    broken = protobuf.series([("__name__", "m"), ("a", "Z")], [(1, 1.0)]).replace(b"Z", b"\xff")
    assert WriteDecoder().decode(broken).faults == {"m: a label that is no UTF-8": 1}


def test_metadata_and_exemplars_are_read() -> None:
    """Metadata and exemplars come beside the samples."""
    exemplar = protobuf.labels([("trace_id", "abc")]) + b"\x11" + bits(0.25) + b"\x18" + protobuf.varint(7)
    extra = protobuf.field(3, exemplar)
    body = protobuf.series([("__name__", "m")], [(5, 1.5)], extra) + protobuf.metadata(1, "m", "help", "s")
    request = WriteDecoder().decode(body)
    assert request.metadata.families == (("m", "counter", "help", "s"),)
    assert request.exemplars == [((("__name__", "m"),), (("trace_id", "abc"),), 0.25, 7)]
    assert decoded(request) == {(("__name__", "m"),): [(5, bits(1.5))]}


@pytest.mark.parametrize(
    "body", [bytes(1_000_000), b"\x03" * 9, b"\x0f\x01", b"\xff\xff\xff\xff\xff\x0f\x01"]
)
def test_tags_that_no_field_has_are_errors_at_once(body: bytes) -> None:
    """Field number 0, groups and unknown wire types end the reading where they stand."""
    with pytest.raises(WireError, match=r"illegal (tag|wireType)"):
        WriteDecoder().decode(body, 1)


@pytest.mark.parametrize(
    "body",
    [
        b"\x78\x00" * 1000,  # a field nobody knows
        b"\x0a\x00" * 1000,  # series of nothing
        b"\x1a\x00" * 1000,  # metadata of nothing
        protobuf.field(1, protobuf.labels([("__name__", "m")]) + b"\x12\x00" * 1000),  # samples of nothing
        protobuf.field(1, protobuf.labels([("__name__", "m")]) + protobuf.field(2, b"\x78\x00" * 1000)),
        protobuf.field(1, protobuf.labels([("__name__", "m")]) + protobuf.field(3, b"\x78\x00" * 1000)),
        protobuf.field(1, protobuf.field(1, b"\x78\x00" * 1000)),
        protobuf.field(3, b"\x78\x00" * 1000),
    ],
)
def test_fields_that_are_read_one_by_one_are_bounded(body: bytes) -> None:
    """Two bytes a field, wherever they stand: more of them than any sender has are refused, and fewer are read."""
    with pytest.raises(TooManyFields, match="more than 900 fields"):
        WriteDecoder().decode(body, 900)
    WriteDecoder().decode(body, 1100)


def test_labels_without_end_are_refused() -> None:
    """A series of a million empty labels is refused before they are all looked at."""
    with pytest.raises(WireError, match="more than 10000 labels"):
        WriteDecoder().decode(protobuf.field(1, b"\x0a\x00" * 1_000_000))


def test_what_looks_like_samples_and_is_none_is_read_all_the_same() -> None:
    """A sample and an exemplar that together are as long as several samples: both are there."""
    labels = (("__name__", "m"),)
    for size in range(1, 40):
        extra = protobuf.exemplar({"t": "x" * size}, 1.0, NOW)
        request = WriteDecoder().decode(protobuf.series(labels, [(NOW, 1.0)], extra))
        assert len(request.exemplars) == 1
        assert decoded(request) == {labels: [(NOW, bits(1.0))]}
