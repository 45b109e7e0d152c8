"""Requests in JSON: the same series as in protobuf."""

from __future__ import annotations

import json
from typing import Any

import pytest
from google.protobuf import json_format
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from tests.support.otlp import encoded, gauge, point, request, samples, sum_
from trimon.remote.otlp.json_request import JsonError, protobuf_of
from trimon.remote.otlp.request import OtlpDecoder
from trimon.remote.otlp.series import Options

T = 1_700_000_000_000
NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8)
TIMES = st.integers(T, T + 100).map(lambda time_ms: str(time_ms * 1_000_000))
COUNTS = st.lists(st.integers(0, 9).map(str), max_size=4)
VALUES = st.one_of(
    st.builds(lambda value: {"stringValue": value}, NAMES),
    st.builds(lambda value: {"boolValue": value}, st.booleans()),
    st.builds(lambda value: {"intValue": str(value)}, st.integers(-(2**63), 2**63 - 1)),
    st.builds(lambda value: {"doubleValue": value}, st.floats(allow_nan=False, allow_infinity=False)),
    st.just({"arrayValue": {"values": [{"stringValue": "a"}, {"intValue": "2"}]}}),
    st.just({"kvlistValue": {"values": [{"key": "k", "value": {"bytesValue": "AAEC"}}]}}),
)
ATTRIBUTES = st.dictionaries(st.sampled_from(["a", "b.c", "é", "x-y"]), VALUES, max_size=3).map(
    lambda found: [{"key": key, "value": value} for key, value in found.items()]
)
EXEMPLARS = st.lists(
    st.fixed_dictionaries(
        {"timeUnixNano": TIMES, "asDouble": st.floats(-5, 5)},
        optional={"filteredAttributes": ATTRIBUTES},
    ),
    max_size=2,
)
COMMON: dict[str, Any] = {"timeUnixNano": TIMES, "attributes": ATTRIBUTES}
OPTIONAL: dict[str, Any] = {"flags": st.integers(0, 1), "startTimeUnixNano": TIMES}
NUMBERS = st.one_of(
    st.fixed_dictionaries({**COMMON, "asDouble": st.floats(-1e9, 1e9)}, optional={**OPTIONAL, "exemplars": EXEMPLARS}),
    st.fixed_dictionaries({**COMMON, "asInt": st.integers(-(2**63), 2**63 - 1).map(str)}, optional=OPTIONAL),
)  # fmt: skip
BOUNDS = st.lists(st.floats(-9, 9), max_size=4)
HISTOGRAMS = st.fixed_dictionaries(
    {**COMMON, "count": st.integers(0, 9).map(str), "bucketCounts": COUNTS, "explicitBounds": BOUNDS},
    optional={**OPTIONAL, "sum": st.floats(-9, 9), "exemplars": EXEMPLARS},
)
QUANTILES = st.lists(
    st.fixed_dictionaries({"quantile": st.floats(0, 1), "value": st.floats(-9, 9)}), max_size=2
)
SUMMARIES = st.fixed_dictionaries(
    {**COMMON, "count": st.integers(0, 9).map(str), "sum": st.floats(-9, 9)},
    optional={**OPTIONAL, "quantileValues": QUANTILES},
)
CUMULATIVE = st.sampled_from([2, "AGGREGATION_TEMPORALITY_CUMULATIVE"])
DATA = st.one_of(
    st.builds(lambda points: {"gauge": {"dataPoints": points}}, st.lists(NUMBERS, max_size=3)),
    st.builds(
        lambda points, kind, up: {
            "sum": {"dataPoints": points, "aggregationTemporality": kind, "isMonotonic": up}
        },
        st.lists(NUMBERS, max_size=3),
        CUMULATIVE,
        st.booleans(),
    ),
    st.builds(
        lambda points, kind: {"histogram": {"dataPoints": points, "aggregationTemporality": kind}},
        st.lists(HISTOGRAMS, max_size=3),
        CUMULATIVE,
    ),
    st.builds(lambda points: {"summary": {"dataPoints": points}}, st.lists(SUMMARIES, max_size=3)),
)
METRICS = st.builds(
    lambda name, unit, data: {"name": f"m{name}", "unit": unit, **data},
    NAMES,
    st.sampled_from(["", "s", "By/s", "{x}"]),
    DATA,
)


@given(st.lists(METRICS, max_size=4))
def test_a_request_in_json_has_the_series_that_it_has_in_protobuf(metrics: list[dict[str, Any]]) -> None:
    """OpenTelemetry's own classes read the JSON; what they write as protobuf gives the same samples and exemplars."""
    message = request(metrics)
    binary = OtlpDecoder(Options()).decode(encoded(message))
    written = json_format.MessageToDict(
        json_format.ParseDict(message, ExportMetricsServiceRequest()), use_integers_for_enums=True
    )
    for form in (message, written):
        textual = OtlpDecoder(Options()).decode(protobuf_of(json.dumps(form).encode()))
        assert samples(textual) == samples(binary)
        assert textual.exemplars == binary.exemplars
        assert textual.metadata.families == binary.metadata.families


def test_ids_are_hexadecimal() -> None:
    """Unlike protobuf's own mapping to JSON, which has them in base 64."""
    exemplar = {
        "timeUnixNano": str(T * 1_000_000),
        "asInt": 3,
        "traceId": "5B8EFFF798038103D269B633813FC60C",
        "spanId": "eee19b7ec3c1b174",
    }
    message = request([sum_("c", {**point(T, 1), "exemplars": [exemplar]})])
    (found,) = OtlpDecoder(Options()).decode(protobuf_of(json.dumps(message).encode())).exemplars
    assert dict(found[1]) == {"trace_id": "5b8efff798038103d269b633813fc60c", "span_id": "eee19b7ec3c1b174"}
    assert found[2:] == (3.0, T)


def test_unknown_fields_are_ignored_and_snake_case_is_one() -> None:
    """As the specification says of both."""
    message = {
        **request([gauge("g", {**point(T, 1.0), "quality": {"x": [1]}})]),
        "resource_metrics": [{}],
        "q": 1,
    }
    assert len(OtlpDecoder(Options()).decode(protobuf_of(json.dumps(message).encode())).batch.values) == 2


@pytest.mark.parametrize(
    ("body", "what"),
    [
        (b'{"resourceMetrics": [', "invalid JSON: "),
        (b"[]", "not an object"),
        (b'{"resourceMetrics": {}}', "resourceMetrics is not a list"),
        (b'{"resourceMetrics": [{"scopeMetrics": [{"metrics": [{"name": 1}]}]}]}', "not a text: 1"),
        (b'{"resourceMetrics": [{"scopeMetrics": [{"metrics": [{"name": "\\ud800"}]}]}]}', "invalid JSON"),
        (
            b'{"resourceMetrics": [{"scopeMetrics": [{"metrics": [{"gauge": {"dataPoints": [{"timeUnixNano": "x"}]}}]}]}]}',
            "not a whole number: 'x'",
        ),
        (
            b'{"resourceMetrics": [{"scopeMetrics": [{"metrics": [{"gauge": {"dataPoints": [{"timeUnixNano": -1}]}}]}]}]}',
            "not a whole number from 0 to 18446744073709551615: -1",
        ),
    ],
)
def test_what_is_wrong_is_said(body: bytes, what: str) -> None:
    """The first thing that cannot be read is named."""
    with pytest.raises(JsonError, match=what.replace("(", "\\(")):
        protobuf_of(body)
