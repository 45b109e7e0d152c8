"""Native histograms of /federate: in protobuf as they are, in text those with custom bounds alone, as classic ones."""

from __future__ import annotations

import struct
from pathlib import Path

import cramjam

from tests.support import protobuf
from tests.support.asgi import Call
from tests.support.protobuf import field, varint, zigzag
from tests.support.web_world import WebWorld, web_world
from tests.web.test_federation import DELIMITED, NOW_MS, OPTIONS, WRITE, asked, changes
from trimon.model.sample import STALE_NAN

WHOLE = {
    "count_int": 16, "sum": 25.5, "schema": 1, "zero_threshold": 0.001, "zero_count_int": 2,
    "negative_spans": [{"offset": -1, "length": 1}], "negative_deltas": [2],
    "positive_spans": [{"length": 2}, {"offset": 2, "length": 1}], "positive_deltas": [3, 1, 1],
    "timestamp": NOW_MS,
}  # fmt: skip
GAUGE = {
    "count_float": 1.5, "sum": -1.0, "schema": -2, "zero_threshold": 0.0, "zero_count_float": 0.0,
    "positive_spans": [{"offset": 1, "length": 1}], "positive_counts": [1.5], "reset_hint": 3, "timestamp": NOW_MS,
}  # fmt: skip
CUSTOM = {
    "count_int": 6, "sum": 9.0, "schema": -53, "positive_spans": [{"length": 3}], "positive_deltas": [1, 1, 1],
    "custom_values": [1.0, 2.5], "timestamp": NOW_MS,
}  # fmt: skip
MATCH = "?match[]={__name__=~%22c|h%22}"


async def stored(here: WebWorld) -> None:
    """Histograms of each kind and a value, of two names; and one that is stale."""
    stale = {"count_int": 0, "sum": STALE_NAN, "timestamp": NOW_MS}
    every = (
        ({"__name__": "c"}, CUSTOM), ({"__name__": "h", "kind": "gauge"}, GAUGE),
        ({"__name__": "h", "kind": "whole"}, WHOLE), ({"__name__": "h", "kind": "ended"}, WHOLE | {"timestamp": NOW_MS - 1}),
        ({"__name__": "h", "kind": "ended"}, stale),
    )  # fmt: skip
    parts = [protobuf.series(sorted(labels.items()), [], protobuf.histogram(each)) for labels, each in every]
    parts.append(protobuf.series([("__name__", "h"), ("kind", "value")], [(NOW_MS, 7.0)]))
    for part in parts:
        body = bytes(cramjam.snappy.compress_raw(part))
        status, _, text = await Call("POST", "/api/v1/write", WRITE, body).to(here.client.app)
        assert status == 204, text


def double(number: int, value: float) -> bytes:
    return varint(number << 3 | 1) + struct.pack("<d", value)


def whole(number: int, value: int) -> bytes:
    return varint(number << 3) + varint(value)


def span(number: int, offset: int, length: int) -> bytes:
    return field(number, whole(1, zigzag(offset)) + whole(2, length))


def family(name: str, kind: int, held: bytes, *labels: tuple[str, str]) -> bytes:
    """A message of one metric after its length."""
    pairs = b"".join(
        field(1, field(1, key.encode()) + field(2, value.encode()))
        for key, value in (*labels, ("instance", ""))
    )
    metric = field(4, pairs + held + whole(6, NOW_MS))
    message = field(1, name.encode()) + whole(3, kind) + metric
    return varint(len(message)) + message


async def test_protobuf_has_them_with_spans(tmp_path: Path) -> None:
    """Counts are floats, as those of 3.14; a name has a family for each type; custom bounds are classic buckets."""
    custom = double(2, 9.0) + field(3, double(2, 1.0) + double(4, 1.0))
    custom += field(3, double(2, 2.5) + double(4, 3.0)) + double(4, 6.0)
    gauge = double(2, -1.0) + double(4, 1.5) + whole(5, zigzag(-2)) + double(6, 0.0) + double(8, 0.0)
    gauge += span(12, 1, 1) + double(14, 1.5)
    plain = double(2, 25.5) + double(4, 16.0) + whole(5, zigzag(1)) + double(6, 0.001) + double(8, 2.0)
    plain += span(9, -1, 1) + double(11, 2.0) + span(12, 0, 2) + span(12, 2, 1)
    plain += double(14, 3.0) + double(14, 4.0) + double(14, 5.0)
    async with web_world(tmp_path, OPTIONS, changes(())) as here:
        await stored(here)
        status, _, body = await asked(here, MATCH, DELIMITED)
    assert status == 200
    assert body == (
        family("c", 4, field(7, custom))
        + family("h", 5, field(7, gauge), ("kind", "gauge"))
        + family("h", 3, field(5, double(1, 7.0)), ("kind", "value"))
        + family("h", 4, field(7, plain), ("kind", "whole"))
    )


async def test_text_of_protobuf_has_the_fields_as_they_are_declared(tmp_path: Path) -> None:
    """Compact, a message a line; over several lines the same fields."""
    held = (
        'histogram:{sample_count_float:16 sample_sum:25.5 schema:1 zero_threshold:0.001 zero_count_float:2 '
        "negative_span:{offset:-1 length:1} negative_count:2 positive_span:{offset:0 length:2} "
        "positive_span:{offset:2 length:1} positive_count:3 positive_count:4 positive_count:5}"
    )  # fmt: skip
    custom = (
        "histogram:{sample_count_float:6 sample_sum:9 bucket:{cumulative_count_float:1 upper_bound:1} "
        "bucket:{cumulative_count_float:3 upper_bound:2.5}}"
    )
    async with web_world(tmp_path, OPTIONS, changes(())) as here:
        await stored(here)
        compact = (await asked(here, MATCH, DELIMITED.replace("delimited", "compact-text")))[2].decode()
        text = (await asked(here, MATCH, DELIMITED.replace("delimited", "text")))[2].decode()
    lines = compact.splitlines()
    assert [line.partition(" metric:")[0].strip() for line in lines if line] == [
        'name:"c" type:HISTOGRAM', 'name:"h" type:GAUGE_HISTOGRAM', 'name:"h" type:UNTYPED', 'name:"h" type:HISTOGRAM',
    ]  # fmt: skip
    assert f'{custom} timestamp_ms:{NOW_MS}}}' in compact  # fmt: skip
    assert f'{held} timestamp_ms:{NOW_MS}}}' in compact  # fmt: skip
    assert "".join(text.split()) == "".join(compact.split())


async def test_text_has_custom_bounds_alone(tmp_path: Path) -> None:
    """As classic buckets, +Inf last; the format has nothing for exponential ones, which are left out as in 3.14."""
    async with web_world(tmp_path, OPTIONS, changes(())) as here:
        await stored(here)
        body = (await asked(here, MATCH))[2].decode()
    assert body == (
        "# TYPE c histogram\n"
        f'c_bucket{{instance="",le="1"}} 1 {NOW_MS}\n'
        f'c_bucket{{instance="",le="2.5"}} 3 {NOW_MS}\n'
        f'c_bucket{{instance="",le="+Inf"}} 6 {NOW_MS}\n'
        f'c_sum{{instance=""}} 9 {NOW_MS}\nc_count{{instance=""}} 6 {NOW_MS}\n'
        "# TYPE h untyped\n"
        f'h{{kind="value",instance=""}} 7 {NOW_MS}\n'
    )
