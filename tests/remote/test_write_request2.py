"""Decoding remote write 2.0 against an encoder that knows nothing of the decoder."""

from __future__ import annotations

import contextlib
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.remote.test_write_request import label_sets, times, values
from tests.support import protobuf, protobuf2
from tests.support.protobuf2 import SymbolTable
from trimon.remote.write_request2 import Decoder2
from trimon.remote.write_series2 import Options, Request2
from trimon.wire import TooManyFields, WireError

NOW = 1_700_000_000_000
M = (("__name__", "m"),)
Content = dict[tuple[tuple[str, str], ...], list[tuple[int, float]]]
requests = st.dictionaries(label_sets, st.lists(st.tuples(times, values), min_size=1, max_size=4), max_size=6)


def decoded(request: Request2) -> dict[tuple[tuple[str, str], ...], list[tuple[int, bytes]]]:
    batch = request.batch
    out: dict[tuple[tuple[str, str], ...], list[tuple[int, bytes]]] = {}
    for number, time, value in zip(
        batch.series_index.tolist(), batch.timestamps_ms.tolist(), batch.values, strict=True
    ):
        out.setdefault(batch.series[number], []).append((time, value.tobytes()))
    return out


@given(st.lists(requests, min_size=1, max_size=4), st.booleans())
def test_what_is_written_is_read(sequence: list[Content], symbols_last: bool) -> None:
    """Every series, time and bit pattern comes through, request after request, wherever the symbols stand."""
    decoder = Decoder2()
    for content in sequence:
        table = SymbolTable()
        made = [protobuf2.series(table, labels, samples) for labels, samples in content.items()]
        request = decoder.decode(protobuf2.request(made, table, symbols_last=symbols_last))
        expected = {
            labels: [(time, struct.pack("<d", value)) for time, value in samples]
            for labels, samples in content.items()
        }
        assert decoded(request) == expected
        assert request.samples == sum(map(len, content.values()))
        assert not request.errors


@given(st.binary(max_size=80))
def test_garbage_is_an_error_or_a_request(body: bytes) -> None:
    """No bytes whatever end in anything but a request or a WireError."""
    with contextlib.suppress(WireError):
        Decoder2().decode(body)


@given(requests, st.data())
def test_a_changed_byte_never_ends_otherwise(content: Content, data: st.DataObject) -> None:
    """A good request of which one byte is another is a request or a WireError, also when its good form was seen before."""
    body = bytearray(protobuf2.request_of(content))
    decoder = Decoder2()
    decoder.decode(bytes(body))
    if body:
        place = data.draw(st.integers(0, len(body) - 1))
        body[place] = data.draw(st.integers(0, 255))
        with contextlib.suppress(WireError):
            decoder.decode(bytes(body))


def one(extra: bytes, table: SymbolTable, options: Options | None = None) -> Request2:
    made = [protobuf2.series(table, M, [], extra)]
    return Decoder2(options).decode(protobuf2.request(made, table))


def test_what_is_wrong_with_a_series_keeps_no_other_out() -> None:
    """Each bad series is told with its place, and the good ones are there."""
    table = SymbolTable()
    good = protobuf2.series(table, M, [(NOW, 1.0)])
    nameless = protobuf2.series(table, [("x", "y")], [(NOW, 1.0)])
    double = protobuf2.series(table, [*M, ("a", "1"), ("a", "2")], [(NOW, 1.0)])
    empty = protobuf2.series(table, [*M, ("e", "1")], [])
    odd = protobuf.field(5, protobuf.field(1, b"\x01\x02\x03") + protobuf.field(2, protobuf.sample(NOW, 1.0)))
    far = protobuf.field(5, protobuf.field(1, b"\x01\x63") + protobuf.field(2, protobuf.sample(NOW, 1.0)))
    request = Decoder2().decode(protobuf2.request([nameless, good, double, empty, odd, far], table))
    assert [number for number, _ in request.errors] == [0, 2, 3, 4, 5]
    texts = [text for _, text in request.errors]
    assert texts[0] == 'invalid metric name or labels, got {x="y"}'
    assert texts[1].endswith("duplicated label a")
    assert texts[2].startswith("TimeSeries must contain at least one sample or histogram for series")
    assert texts[3] == "parsing labels for series [1 2 3]: invalid labelRefs length 3"
    assert "outside of symbols table" in texts[4]
    assert decoded(request) == {M: [(NOW, struct.pack("<d", 1.0))]}
    assert request.places == [1]


def test_histograms_exemplars_and_metadata() -> None:
    """They come with their series; a histogram that contradicts itself is told, and its series goes on."""
    table = SymbolTable()
    whole = {
        "count_int": 3,
        "sum": 1.0,
        "schema": 0,
        "positive_spans": [{"offset": 0, "length": 1}],
        "positive_deltas": [3],
        "timestamp": NOW,
    }
    message = protobuf.histogram(whole)[0:]
    # in 2.0 histograms are field 3 of a series, in 1.0 field 4
    good = bytes([3 << 3 | 2]) + message[1:]
    bad = bytes([3 << 3 | 2]) + protobuf.histogram({**whole, "count_int": 9})[1:]
    extra = (
        good
        + bad
        + protobuf2.exemplar(table, {"trace": "t"}, 1.5, NOW)
        + protobuf2.metadata(table, 1, "help", "s")
    )
    request = one(extra, table)
    assert (request.histograms, len(request.errors)) == (1, 1)
    assert "the Count field is 9" in request.errors[0][1]
    assert request.exemplars == [(M, (("trace", "t"),), 1.5, NOW)]
    assert request.metadata.families == (("m", "counter", "help", "s"),)
    assert request.batch.histograms


def test_type_and_unit_replace_labels_where_the_feature_asks() -> None:
    """What the metadata says goes before what the labels say; without the feature labels stay."""
    table = SymbolTable()
    sample = protobuf.field(2, protobuf.sample(NOW, 1.0))
    extra = sample + protobuf2.metadata(table, 2, "", "bytes")
    typed = one(extra, table, Options(type_and_unit_labels=True))
    assert list(decoded(typed)) == [(*M, ("__type__", "gauge"), ("__unit__", "bytes"))]
    assert list(decoded(one(extra, table))) == [M]


def test_a_start_is_a_zero_before_the_first_sample_after_it() -> None:
    """Once for each start, not counted as written; without the feature there is none."""

    def started(time: int, value: float, start: int) -> bytes:
        return protobuf.field(2, protobuf.sample(time, value) + b"\x18" + protobuf.varint(start))

    table = SymbolTable()
    extra = (
        started(NOW, 5.0, NOW - 100) + started(NOW + 10, 6.0, NOW - 100) + started(NOW + 30, 1.0, NOW + 20)
    )
    with_zeros = one(extra, table, Options(starts_as_zeros=True))
    assert [time - NOW for time, _ in decoded(with_zeros)[M]] == [-100, 0, 10, 20, 30]
    assert with_zeros.samples == 3
    assert with_zeros.zeros == {(M, NOW - 100), (M, NOW + 20)}
    assert [time - NOW for time, _ in decoded(one(extra, table))[M]] == [0, 10, 30]


def test_the_work_is_bounded() -> None:
    """Fields of unusual form and label references have a most."""
    with pytest.raises(TooManyFields):
        Decoder2().decode(b"\x30\x01" * 5000, 1000)
    body = protobuf.field(5, protobuf.field(1, b"\x01" * 100_000))
    with pytest.raises(WireError, match="label references"):
        Decoder2().decode(protobuf.field(4, b"") + body)


@pytest.mark.parametrize("ref", [2**32, 2**63 - 1, 2**63, 2**64 - 1])
def test_a_reference_of_any_size_is_told(ref: int) -> None:
    """A place that no table has is wrong with its series alone, however large the number is."""
    table = SymbolTable()
    good = protobuf2.series(table, M, [(NOW, 1.0)])
    places = protobuf.varint(ref) + protobuf.varint(ref - 1)
    bad = protobuf.field(5, protobuf.field(1, places) + protobuf.field(2, protobuf.sample(NOW, 1.0)))
    request = Decoder2().decode(protobuf2.request([good, bad], table))
    assert decoded(request) == {M: [(NOW, struct.pack("<d", 1.0))]}
    assert [number for number, _ in request.errors] == [1]


def test_a_long_symbol_of_many_series_is_one_text() -> None:
    """A value that thousands of series share is decoded once, and what is wrong with them is told in short."""
    table = SymbolTable()
    long = "v" * 200_000
    good = [protobuf2.series(table, [*M, ("a", long), ("n", str(at))], [(NOW, 1.0)]) for at in range(300)]
    bad = [protobuf2.series(table, [("a", long), ("b", "\udcff" * 200_000)], [(NOW, 1.0)])] * 300
    request = Decoder2().decode(protobuf2.request([*good, *bad], table))
    assert len({id(dict(labels)["a"]) for labels in request.batch.series}) == 1
    assert len(request.batch.series) == len(request.errors) == 300
    assert all(len(text) < 10_000 for _, text in request.errors)
    assert request.errors[0][1].startswith("invalid metric name or labels, got {a=")


def test_labels_that_are_all_empty_are_shown_as_such() -> None:
    """A series without a label is told with an empty set."""
    table = SymbolTable()
    request = Decoder2().decode(
        protobuf2.request([protobuf2.series(table, [("a", "")], [(NOW, 1.0)])], table)
    )
    assert request.errors == [(0, "invalid metric name or labels, got {}")]
