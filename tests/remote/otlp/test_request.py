"""Requests in protobuf: what samples they are, by the quick way and by the long one, and bytes that are none."""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.otlp import buckets, encoded, gauge, histogram, point, request, samples, sum_
from trimon.config.otlp import OtlpConfig
from trimon.errors import UserError
from trimon.model.sample import STALE_NAN_BITS
from trimon.remote.otlp.json_request import protobuf_of
from trimon.remote.otlp.request import OtlpDecoder, TranslationError
from trimon.remote.otlp.series import Options
from trimon.wire import TooManyFields, WireError

T = 1_700_000_000_000
IJ = 'instance="i-1", job="ns/shop"'


def mixed(step: int) -> dict[str, Any]:
    """A request of all kinds; the next step has other times and values."""
    at = T + 15_000 * step
    exponential = {
        "timeUnixNano": str(at * 1_000_000),
        "count": str(3 + step),
        "sum": 2.5,
        "scale": 3,
        "zeroCount": str(step),
        "positive": {"offset": 2, "bucketCounts": ["1", "0", "2"]},
    }
    quantile = {
        "timeUnixNano": str(at * 1_000_000),
        "count": "4",
        "sum": 1.0 + step,
        "quantileValues": [{"quantile": 0.5, "value": 2.0 + step}],
    }
    return request(
        [
            gauge("g.a", point(at, 1.5 + step, zone="x"), point(at, 7 + step, T, zone="y"), point(at, 0.0)),
            sum_("c.a", point(at, 5 + step, T - 1000, code="200"), unit="By"),
            histogram("h.a", buckets(at, [1, 2, 3 + step], [0.1, 5.0], code="a"), buckets(at, [1, 1], [3.0])),
            histogram("e.a", exponential, kind="exponentialHistogram"),
            {"name": "s.a", "summary": {"dataPoints": [quantile]}},
        ]
    )


def test_what_was_seen_before_is_read_as_what_was_not() -> None:
    """A decoder that knows all series makes the same samples as a fresh one."""
    knows = OtlpDecoder(Options())
    knows.decode(encoded(mixed(0)))
    for step in (1, 2):
        known, fresh = knows.decode(encoded(mixed(step))), OtlpDecoder(Options()).decode(encoded(mixed(step)))
        assert samples(known) == samples(fresh)
    assert not known.metadata.families
    assert fresh.metadata.families[1] == ("c_a_bytes_total", "counter", "", "bytes")


def test_points_that_were_seen_cost_no_field() -> None:
    """What is read again of a known data point are its time and value: it does not count as fields."""
    points = [point(T, float(number), n=str(number)) for number in range(200)]
    decoder = OtlpDecoder(Options())
    body = encoded(request([gauge("g", *points), histogram("h", buckets(T, [1, 2], [1.0]))]))
    with pytest.raises(TooManyFields):
        decoder.decode(body, 100)
    decoder.decode(body)
    assert len(decoder.decode(body, 100).batch.values) == 200 + 4 + 1


def test_a_histogram_is_cumulative_with_its_sum_and_count() -> None:
    """Buckets are added up; with and without a sum, and with the least and greatest value behind the attributes."""
    plain = buckets(T, [1, 2, 3], [0.5, 5.0], 9.5, code="a")
    extremes = {**buckets(T, [4, 0, 0], [0.5, 5.0], 1.0, code="b"), "min": 0.1, "max": 0.4}
    no_sum = {
        key: value for key, value in buckets(T, [1, 1, 1], [0.5, 5.0], code="c").items() if key != "sum"
    }
    decoder = OtlpDecoder(Options())
    body = encoded(request([histogram("h", plain, extremes, no_sum)]))
    for _ in range(2):
        found = {series: value for series, _, value in samples(decoder.decode(body))}
        assert found.pop('target_info{instance="i-1", job="ns/shop", zone="a"}') == "1.0"
        expected = {
            ("sum", "a", ""): "9.5",
            ("count", "a", ""): "6.0",
            ("bucket", "a", "0.5"): "1.0",
            ("bucket", "a", "5"): "3.0",
            ("bucket", "a", "+Inf"): "6.0",
            ("sum", "b", ""): "1.0",
            ("count", "b", ""): "4.0",
            ("bucket", "b", "0.5"): "4.0",
            ("bucket", "b", "5"): "4.0",
            ("bucket", "b", "+Inf"): "4.0",
            ("count", "c", ""): "3.0",
            ("bucket", "c", "0.5"): "1.0",
            ("bucket", "c", "5"): "2.0",
            ("bucket", "c", "+Inf"): "3.0",
        }
        assert found == {
            f'h_{kind}{{code="{code}", {IJ}' + (f', le="{le}"}}' if le else "}"): value
            for (kind, code, le), value in expected.items()
        }


def test_a_point_without_a_recorded_value_ends_its_series() -> None:
    """The flag makes a staleness marker, also of a series that was seen before."""
    decoder = OtlpDecoder(Options())
    decoder.decode(encoded(request([gauge("g", point(T, 1.0, a="b"))])))
    batch = decoder.decode(encoded(request([gauge("g", {**point(T, 2.0, a="b"), "flags": 1})]))).batch
    assert batch.values.view("u8")[batch.series_index == 0].tolist() == [STALE_NAN_BITS]


@pytest.mark.parametrize(
    ("resource", "own", "series"),
    [
        ({"service.name": "", "service.instance.id": "i"}, {"job": "mine"}, 'g{instance="i", job="mine"}'),
        (
            {"service.name": "n", "service.instance.id": ""},
            {"instance": "mine"},
            'g{instance="mine", job="n"}',
        ),
        ({"service.name": "n"}, {"job": "mine"}, 'g{job="n"}'),
    ],
)
def test_what_identifies_goes_before_a_point_where_it_says_something(
    resource: dict[str, str], own: dict[str, Any], series: str
) -> None:
    """An empty service name or instance leaves the data point its own job or instance."""
    found = OtlpDecoder(Options()).decode(encoded(request([gauge("g", point(T, 1.0, **own))], resource)))
    assert samples(found) == [(series, T, "1.0")]


def test_target_info_has_its_own_job_where_no_service_is_named() -> None:
    """An attribute `job` of the resource is a label of target_info that an empty service name does not take away."""
    resource = {"service.name": "", "job": "mine"}
    found = OtlpDecoder(Options()).decode(encoded(request([gauge("g", point(T, 1.0))], resource)))
    assert [series for series, _, _ in samples(found)] == ["g", 'target_info{job="mine"}']


def test_an_attribute_that_is_there_twice() -> None:
    """Without escaping an empty value takes the label away, two values are refused; target_info counts service.name twice."""
    decoder = OtlpDecoder(Options(OtlpConfig(translation_strategy="NoTranslation")))

    def twice(*values: str) -> dict[str, Any]:
        message = request([gauge("g", point(T, 1.0))], {})
        attributes = message["resourceMetrics"][0]["scopeMetrics"][0]["metrics"][0]["gauge"]["dataPoints"][0]
        attributes["attributes"] = [{"key": "a", "value": {"stringValue": value}} for value in values]
        return message

    for values in (("x", ""), ("", "x"), ("x", "", "y")):
        assert [series for series, _, _ in samples(decoder.decode(encoded(twice(*values))))] == ["g"]
    with pytest.raises(UserError, match='label name "a" is not unique'):
        decoder.decode(encoded(twice("x", "y")))
    message = request([gauge("g", point(T, 1.0))], {"service.name": "n"})
    message["resourceMetrics"][0]["resource"]["attributes"] *= 2
    series = [series for series, _, _ in samples(OtlpDecoder(Options()).decode(encoded(message)))]
    assert series == ['g{job="n"}', 'target_info{job="n"}']


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ({"doubleValue": "NaN"}, "NaN"),
        ({"doubleValue": "Infinity"}, "Infinity"),
        ({"doubleValue": "-Infinity"}, "-Infinity"),
        ({"arrayValue": {"values": [{"doubleValue": 1.5}, {"intValue": "2"}]}}, "[1.5,2]"),
        ({"arrayValue": {"values": [{"doubleValue": "NaN"}, {"intValue": "2"}]}}, ""),
        ({"kvlistValue": {"values": [{"key": "a", "value": {"doubleValue": "Infinity"}}]}}, ""),
        ({"arrayValue": {"values": [{"arrayValue": {"values": [{"doubleValue": "NaN"}]}}]}}, ""),
    ],
)
def test_numbers_that_json_does_not_have(value: dict[str, Any], shown: str) -> None:
    """Alone they have their names; a list or map that has one in it says nothing."""
    message = request([gauge("g", point(T, 1.0))], {})
    data = message["resourceMetrics"][0]["scopeMetrics"][0]["metrics"][0]["gauge"]["dataPoints"][0]
    data["attributes"] = [{"key": "a", "value": value}]
    found = OtlpDecoder(Options()).decode(encoded(message))
    assert samples(found) == [(f'g{{a="{shown}"}}' if shown else "g", T, "1.0")]


@pytest.mark.parametrize("kind", ["histogram", "exponentialHistogram"])
def test_counts_beyond_63_bits_are_refused(kind: str) -> None:
    """Native histograms count with signed numbers: such a count is a negative one, and nothing is stored of it."""
    huge = buckets(T, [2**63], [])
    if kind != "histogram":
        huge = {
            "timeUnixNano": str(T * 1_000_000),
            "count": str(2**63),
            "sum": 1.0,
            "positive": {"bucketCounts": [str(2**63)]},
        }
    decoder = OtlpDecoder(Options(OtlpConfig(convert_histograms_to_nhcb=True)))
    with pytest.raises(TranslationError, match="has observation count of -9223372036854775808"):
        decoder.decode(encoded(request([histogram("h", huge, kind=kind)])))


def test_a_delta_that_is_left_out_says_nothing_of_its_resource() -> None:
    """A request of late deltas alone makes no target_info; a metric beside them makes one of its own time."""
    decoder = OtlpDecoder(Options(deltas_summed=True))
    late, newer = T - 600_000, T + 600_000
    kinds: list[Callable[[int], dict[str, Any]]] = [
        lambda at: sum_("s", point(at, 2, at - 9), temporality=1),
        lambda at: histogram("h", buckets(at, [1, 2], [5.0]), temporality=1),
    ]
    for delta in kinds:
        first = decoder.decode(encoded(request([delta(T)])))
        decoder.commit(0.0)
        assert any("target_info" in series for series, _, _ in samples(first))
        assert samples(decoder.decode(encoded(request([delta(late)])))) == []
        both = samples(decoder.decode(encoded(request([delta(late), gauge("g", point(newer, 1.0))]))))
        assert [time_ms for series, time_ms, _ in both if "target_info" in series] == [newer]


def test_an_exemplar_without_a_value_fails_its_metric() -> None:
    """No value is made up for it; those of gauges are not looked at."""
    bad = point(T, 1) | {"exemplars": [{"timeUnixNano": str(T * 1_000_000)}]}
    decoder = OtlpDecoder(Options())
    with pytest.raises(TranslationError, match="unsupported exemplar value type: Empty"):
        decoder.decode(encoded(request([sum_("c", bad)])))
    assert samples(decoder.decode(encoded(request([gauge("g", bad)], {})))) == [("g", T, "1.0")]


def test_a_bad_metric_fails_the_request_and_all_are_named() -> None:
    """Errors of several metrics stand in lines; the decoder takes the next request as if nothing had been."""
    decoder = OtlpDecoder(Options())
    bad = [
        sum_("d", point(T, 1), temporality=1),
        gauge("ok", point(T, 1.0)),
        {"name": "n"},
        gauge("***", point(T, 1.0)),
    ]
    with pytest.raises(TranslationError) as failure:
        decoder.decode(encoded(request(bad)))
    assert str(failure.value).split("\n") == [
        'invalid temporality and type combination for metric "d"',
        "could not get aggregation temporality for n as it has unsupported metric type Empty",
        'normalization for metric "***" resulted in empty name',
    ]
    assert not failure.value.is_limit
    assert len(decoder.decode(encoded(request([gauge("ok", point(T, 1.0))]))).batch.values) == 2


def test_times_of_a_resource_far_apart_do_not_make_millions_of_samples() -> None:
    """`target_info` between the first and the last time is bounded."""
    body = encoded(request([gauge("g", point(1, 1.0, a="1"), point(T, 1.0, a="2"))]))
    with pytest.raises(TranslationError, match="seconds apart, and at most 1500000"):
        OtlpDecoder(Options()).decode(body)


def test_starts_make_a_zero_once() -> None:
    """With the feature the start of a sum is a sample of 0; again only when the start is another one, or it was not stored."""
    decoder = OtlpDecoder(Options(starts_as_zeros=True))

    def zeros(start_ms: int) -> list[int]:
        body = encoded(
            request([sum_("c", point(T, 5, start_ms)), gauge("g", point(T, 5, start_ms))], resource={})
        )
        found = decoder.decode(body)
        assert (found.without_zeros is None) == (len(found.batch.values) == 2)
        return [time_ms for _, time_ms, value in samples(found) if value == "0.0"]

    assert zeros(T - 1000) == [T - 1000]
    decoder.forget()
    assert zeros(T - 1000) == [T - 1000]
    decoder.commit(0.0)
    assert zeros(T - 1000) == []
    assert zeros(T - 10) == [T - 10]
    assert zeros(T) == []


@given(st.binary(max_size=200))
def test_any_bytes_are_a_request_or_a_user_error(body: bytes) -> None:
    """Bytes at random raise nothing but UserError, as protobuf and as JSON."""
    for read in (lambda raw: raw, protobuf_of):
        with contextlib.suppress(UserError):
            OtlpDecoder(Options()).decode(read(body), 10_000)


BASE = encoded(mixed(0))
CONFIGS = [
    Options(),
    Options(OtlpConfig(translation_strategy="NoTranslation", promote_all_resource_attributes=True)),
    Options(OtlpConfig(convert_histograms_to_nhcb=True, promote_scope_metadata=True), deltas_summed=True),
    Options(starts_as_zeros=True, type_and_unit_labels=True),
]


@given(
    st.sampled_from(CONFIGS),
    st.lists(
        st.tuples(st.integers(0, len(BASE) - 1), st.integers(0, 255), st.sampled_from("rid")),
        min_size=1,
        max_size=8,
    ),
)
def test_a_damaged_request_is_a_request_or_a_user_error(
    options: Options, changes: list[tuple[int, int, str]]
) -> None:
    """Bytes replaced, put in and taken out of a request raise nothing but UserError, also where its parts are known."""
    decoder = OtlpDecoder(options)
    decoder.decode(BASE)
    damaged = bytearray(BASE)
    for at, byte, change in changes:
        at = min(at, len(damaged) - 1)
        if change == "r":
            damaged[at] = byte
        elif change == "i":
            damaged.insert(at, byte)
        else:
            del damaged[at]
    found = None
    with contextlib.suppress(UserError):
        found = decoder.decode(bytes(damaged), 10_000)
    fresh = None
    with contextlib.suppress(UserError):
        fresh = OtlpDecoder(options).decode(bytes(damaged), 10_000)
    if not options.starts_as_zeros and not options.deltas_summed:
        assert (found is None) == (fresh is None)
        if found is not None and fresh is not None:
            assert samples(found) == samples(fresh)


@given(st.data())
def test_damaged_json_is_a_request_or_a_user_error(data: st.DataObject) -> None:
    """A value anywhere in a request that is replaced by another one raises nothing but UserError."""
    message = mixed(0)
    here: Any = message
    while True:
        key = data.draw(st.sampled_from(sorted(here) if isinstance(here, dict) else range(len(here))))
        if not isinstance(here[key], dict | list) or not here[key] or data.draw(st.booleans()):
            break
        here = here[key]
    here[key] = data.draw(
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats()
        | st.text(max_size=5)
        | st.just([])
        | st.just({})
    )
    body = json.dumps(message).replace("NaN", "null").replace("Infinity", "1e400").encode()
    with contextlib.suppress(UserError):
        OtlpDecoder(Options()).decode(protobuf_of(body), 10_000)


def test_nan_and_infinity_are_values() -> None:
    """A gauge may be anything."""
    points = [point(T, value, n=str(value)) for value in (math.nan, math.inf, -math.inf)]
    for each in points:
        each["asDouble"] = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}[str(each["asDouble"])]
    found = samples(OtlpDecoder(Options()).decode(encoded(request([gauge("g", *points)], resource={}))))
    assert [value for _, _, value in found] == ["-inf", "inf", "NaN"]


def test_deep_values_are_refused() -> None:
    """Attributes nested without end fail the request, and not the interpreter."""
    value: Any = b""
    for _ in range(2000):
        inner = b"\x0a" + _varint(len(value)) + value
        value = b"\x2a" + _varint(len(inner)) + inner
    pair = b"\x0a\x01k\x12" + _varint(len(value)) + value
    resource = b"\x0a" + _varint(len(pair)) + pair
    metrics = b"\x0a" + _varint(len(resource)) + resource + b"\x12\x02\x12\x00"
    with pytest.raises(WireError, match="nested deeper"):
        OtlpDecoder(Options()).decode(b"\x0a" + _varint(len(metrics)) + metrics)


def _varint(number: int) -> bytes:
    out = bytearray()
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes((*out, number))
