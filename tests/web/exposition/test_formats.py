"""Families written in each format, and names escaped for it."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from tests.support import protobuf
from trimon.selfmetrics import SelfMetrics
from trimon.web.exposition.escaping import SCHEMES
from trimon.web.exposition.families import FamilyType, Metric, MetricFamily, written
from trimon.web.exposition.protobuf import ProtobufEncoding
from trimon.web.exposition.protojson import protojson
from trimon.web.exposition.prototext import PrototextEncoding
from trimon.web.exposition.selffamilies import families_of
from trimon.web.exposition.text import TextEncoding, number

COUNTER = MetricFamily("c_total", 'what\\is "it"\n', FamilyType.COUNTER, [Metric([("a", 'x"\\\n')], 3.0)])
SUMMARY = MetricFamily(
    "s", "", FamilyType.SUMMARY, [Metric((), count=2, sum=1.5, points=((0.5, math.nan), (0.9, 2.0)))]
)
HISTOGRAM = MetricFamily(
    "h",
    "",
    FamilyType.HISTOGRAM,
    [Metric((), count=3, sum=4.0, points=((0.1, 1.0), (math.inf, 3.0)), time_ms=7)],
)
ALL = [COUNTER, SUMMARY, HISTOGRAM]


def test_text() -> None:
    """Help, type, and a line for each value; quotes are escaped within labels alone."""
    assert written(TextEncoding(), ALL).decode() == (
        '# HELP c_total what\\\\is "it"\\n\n# TYPE c_total counter\nc_total{a="x\\"\\\\\\n"} 3\n'
        '# TYPE s summary\ns{quantile="0.5"} NaN\ns{quantile="0.9"} 2\ns_sum 1.5\ns_count 2\n'
        '# TYPE h histogram\nh_bucket{le="0.1"} 1 7\nh_bucket{le="+Inf"} 3 7\nh_sum 4 7\nh_count 3 7\n'
    )


def test_text_with_names_of_any_kind() -> None:
    """A name that is no identifier stands in quotes within the braces, or is escaped."""
    odd = [MetricFamily("a.b", "", FamilyType.GAUGE, [Metric((), 1.0), Metric([("c d", "e")], 2.0)])]
    assert written(TextEncoding("allow-utf-8"), odd).decode() == (
        '# TYPE "a.b" gauge\n{"a.b"} 1\n{"a.b","c d"="e"} 2\n'
    )
    assert written(TextEncoding("values"), odd).decode() == (
        '# TYPE U__a_2e_b gauge\nU__a_2e_b 1\nU__a_2e_b{U__c_20_d="e"} 2\n'
    )


def test_protobuf() -> None:
    """Each message after its length, fields as the schema numbers them."""
    label = protobuf.field(1, protobuf.field(1, b"a") + protobuf.field(2, b'x"\\\n'))
    value = protobuf.field(3, b"\x09" + b"\x00\x00\x00\x00\x00\x00\x08\x40")
    message = protobuf.field(1, b"c_total") + protobuf.field(2, COUNTER.help.encode()) + b"\x18\x00"
    message += protobuf.field(4, label + value)
    assert written(ProtobufEncoding("underscores"), [COUNTER]) == protobuf.varint(len(message)) + message


def test_protobuf_of_what_has_no_single_value() -> None:
    """Summaries have quantiles, histograms cumulative buckets and a time."""
    body = written(ProtobufEncoding("underscores"), [SUMMARY, HISTOGRAM])
    quantile = b"\x09" + b"\x00\x00\x00\x00\x00\x00\xe0?"
    assert quantile in body
    assert b"\x08\x03\x11" + b"\x00\x00\x00\x00\x00\x00\xf0\x7f" in body
    assert body.endswith(b"\x30\x07")


def test_prototext() -> None:
    """The compact form has a line a family, the other a line a field; texts are quoted."""
    compact = written(PrototextEncoding("underscores", compact=True), ALL).decode().splitlines()
    assert compact[0].rstrip() == (
        'name:"c_total" help:"what\\\\is \\"it\\"\\n" type:COUNTER '
        'metric:{label:{name:"a" value:"x\\"\\\\\\n"} counter:{value:3}}'
    )
    assert "quantile:{quantile:0.5 value:nan}" in compact[1]
    assert "bucket:{cumulative_count:3 upper_bound:inf}} timestamp_ms:7}" in compact[2]
    assert len(compact) == 3


def test_prototext_over_lines() -> None:
    """A field has a line, fields of a message are two spaces further in, and an empty line ends a family."""
    assert written(PrototextEncoding("dots", compact=False), [COUNTER, HISTOGRAM]).decode() == (
        'name: "c__total"\nhelp: "what\\\\is \\"it\\"\\n"\ntype: COUNTER\n'
        'metric: {\n  label: {\n    name: "a"\n    value: "x\\"\\\\\\n"\n  }\n'
        "  counter: {\n    value: 3\n  }\n}\n\n"
        'name: "h"\ntype: HISTOGRAM\nmetric: {\n  histogram: {\n    sample_count: 3\n    sample_sum: 4\n'
        "    bucket: {\n      cumulative_count: 1\n      upper_bound: 0.1\n    }\n"
        "    bucket: {\n      cumulative_count: 3\n      upper_bound: inf\n    }\n"
        "  }\n  timestamp_ms: 7\n}\n\n"
    )


@pytest.mark.parametrize("compact", [True, False])
def test_prototext_of_samples(compact: bool) -> None:
    """Samples of one family are written as metrics of it are, floats as Go writes them, control characters escaped."""
    encoding = PrototextEncoding("underscores", compact=compact)
    labels, numbers = (("a", "\t\r\x01é"),), [1e6, -0.0, 0.00001]
    body = encoding.values("m", [encoding.label(*labels[0])] * 3, numbers, [7, 8, 9])
    family = MetricFamily("m", "", FamilyType.UNTYPED, [])
    metrics = [Metric(labels, number, time_ms=7 + place) for place, number in enumerate(numbers)]
    assert body == b"".join(encoding.metric(family, metric) for metric in metrics)
    space = "" if compact else " "
    for text in ("1e+06", "-0", "1e-05", r'"\t\r\x01é"'):
        assert f"value:{space}{text}" in body.decode()


def test_protojson() -> None:
    """It is JSON; whole numbers of 64 bits are texts, and what JSON has no number for is a word."""
    shown = json.loads(protojson(SUMMARY))
    assert shown["metric"][0]["summary"] == {
        "sampleCount": "2",
        "sampleSum": 1.5,
        "quantile": [{"quantile": 0.5, "value": "NaN"}, {"quantile": 0.9, "value": 2}],
    }
    shown = json.loads(protojson(HISTOGRAM))
    assert shown["metric"][0]["timestampMs"] == "7"
    assert shown["metric"][0]["histogram"]["bucket"][1] == {"cumulativeCount": "3", "upperBound": "Infinity"}
    assert "help" not in shown


@pytest.mark.parametrize(
    ("name", "dots", "values", "underscores"),
    [
        ("a_b:c", "a__b:c", "a_b:c", "a_b:c"),
        ("a.b_c", "a_dot_b__c", "U__a_2e_b__c", "a_b_c"),
        ("1é", "____", "U___31__e9_", "__"),
        ("a1", "a1", "a1", "a1"),
    ],
)
def test_names_are_escaped(name: str, dots: str, values: str, underscores: str) -> None:
    """Each scheme in its own way; `allow-utf-8` leaves them."""
    found = [SCHEMES[scheme](name) for scheme in ("dots", "values", "underscores", "allow-utf-8")]
    assert found == [dots, values, underscores, name]


@given(st.floats(allow_nan=False))
def test_a_number_reads_back(value: float) -> None:
    """The text of a float is that float; of a zero it has no sign, as Prometheus' text format has none."""
    again = float(number(value))
    assert again == value
    assert math.copysign(1, again) == math.copysign(1, value or 0.0)


def test_own_metrics_are_the_same_in_every_way() -> None:
    """What the library writes as text and what our families write as text is the same data."""
    metrics = SelfMetrics()
    metrics.process()
    metrics.counter("a_total", "A.", ("x",)).labels('q"').inc(3)
    metrics.histogram("h", "H.", ("x",), (0.1, 1.0)).labels("v").observe(0.5)
    metrics.summary("s", "S.").observe(2.0)
    ours = written(TextEncoding(), families_of(metrics.collected())).decode()
    assert _data(ours) == _data(metrics.expose().decode())


def _data(text: str) -> dict[str, set[tuple[object, ...]]]:
    return {
        family.name: {
            (
                sample.name,
                *sorted(map(_number, sample.labels.items())),
                *([] if sample.name.startswith("p") else [sample.value]),
            )
            for sample in family.samples
        }
        for family in text_string_to_metric_families(text)
        if family.samples
    }


def _number(label: tuple[str, str]) -> tuple[str, str]:
    """Bounds without the fraction of whole numbers."""
    return (label[0], str(float(label[1]))) if label[0] in ("le", "quantile") else label
