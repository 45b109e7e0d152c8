"""The layout against reading every body from scratch."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimon.scrape.exposition.layout import BodyLayout
from trimon.scrape.exposition.openmetrics import OpenMetricsFormat
from trimon.scrape.exposition.records import ExpositionError
from trimon.scrape.exposition.textformat import TextFormat
from trimon.scrape.options import PoolOptions
from trimon.scrape.series_labels import SeriesLabels

TARGET = (("instance", "i"), ("job", "j"))
Sample = tuple[tuple[tuple[str, str], ...], float]


def fresh(honor_timestamps: bool = True) -> BodyLayout:
    return BodyLayout(TextFormat(), SeriesLabels(TARGET, PoolOptions("j")), honor_timestamps=honor_timestamps)


class Follower:
    """Keeps labels by slot as a session does, so that readings can be compared as label sets."""

    def __init__(self) -> None:
        self.layout = fresh()
        self.labels: list[tuple[tuple[str, str], ...]] = []

    def read(self, body: bytes) -> dict[tuple[tuple[str, str], ...], float]:
        reading = self.layout.read(body)
        if reading.moved:
            new = iter(reading.new_labels)
            self.labels = [self.labels[old] if old >= 0 else next(new) for old in reading.old_slot.tolist()]
            assert next(new, None) is None
        out = dict(zip(self.labels, reading.values.tolist(), strict=True))
        return out | {labels: value for labels, _, value in reading.timed}


names = st.sampled_from(["a", "b_total", "c:d", "up"])
label_values = st.sampled_from(["", "x", "y z", 'q"uote', "back\\slash", "new\nline", "}", "ü", "{a}"])
numbers = st.one_of(st.floats(allow_nan=True, allow_infinity=True), st.integers(-(10**6), 10**6).map(float))


@st.composite
def bodies(draw: st.DrawFn) -> bytes:
    lines = []
    for _ in range(draw(st.integers(0, 8))):
        kind = draw(st.integers(0, 9))
        if kind == 0:
            lines.append(draw(st.sampled_from(["# HELP a text", "# TYPE a gauge", "# remark", "", "  "])))
            continue
        labels = draw(st.dictionaries(st.sampled_from(["l", "m"]), label_values, max_size=2))
        escaped = {
            name: value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
            for name, value in labels.items()
        }
        inner = ",".join(f'{name}="{value}"' for name, value in escaped.items())
        value = draw(numbers)
        text = {math.inf: "+Inf", -math.inf: "-Inf"}.get(value, repr(value)).replace("nan", "NaN")
        braces = f"{{{inner}}}" if inner or kind == 1 else ""
        lines.append(f"{draw(names)}{braces} {text}")
    return "\n".join(lines).encode() + (b"\n" if draw(st.booleans()) else b"")


@given(st.lists(bodies(), min_size=1, max_size=6))
def test_remembering_changes_nothing(sequence: list[bytes]) -> None:
    """Whatever the bodies before, a layout reads a body as a fresh layout does."""
    remembering = Follower()
    for body in sequence:
        expected = Follower().read(body)
        found = remembering.read(body)
        assert found.keys() == expected.keys()
        for labels, value in expected.items():
            assert found[labels] == value or (math.isnan(value) and math.isnan(found[labels]))


def test_same_heads_do_not_move() -> None:
    """A body in which only numbers change keeps its slots."""
    layout = fresh()
    assert layout.read(b'a{l="x"} 1\nb 2\n').moved
    reading = layout.read(b'a{l="x"} 1.5\nb NaN\n')
    assert not reading.moved
    assert reading.values[0] == 1.5
    assert math.isnan(reading.values[1])


def test_former_readings_stay() -> None:
    """Values handed out are never written again."""
    layout = fresh()
    first = layout.read(b"a 1\n").values
    layout.read(b"a 2\n")
    assert first.tolist() == [1.0]


def test_a_series_given_twice_counts_as_duplicate() -> None:
    """The first of two lines of one series wins, in whatever order its labels stand, in every scrape."""
    layout = fresh()
    for value in (1, 2, 3):
        body = f'a{{l="x",m="y"}} {value}\na{{m="y",l="x"}} 9\na{{l="x",m="y"}} 8\n'.encode()
        reading = layout.read(body + b"# moved\n" * value)
        assert (reading.values.tolist(), reading.duplicates) == ([value], 2)


def test_a_twin_outlives_its_double() -> None:
    """When the first of two equal lines goes, the second takes its place."""
    layout = fresh()
    layout.read(b"a 1\na 2\n")
    reading = layout.read(b"a 5\n")
    assert reading.values.tolist() == [5.0]
    assert reading.old_slot.tolist() == [0]


def test_timestamps_are_honoured_or_not() -> None:
    """A line with a timestamp is a timed sample, or an ordinary one when timestamps are not honoured."""
    reading = fresh().read(b"a 1 1700000000000\nb 2\n")
    assert [(timestamp, value) for _, timestamp, value in reading.timed] == [(1700000000000, 1.0)]
    assert reading.values.tolist() == [2.0]
    layout = fresh(honor_timestamps=False)
    layout.read(b"a 1 1700000000000\n")
    assert layout.read(b"a 2 1700000000001\n").values.tolist() == [2.0]


def test_a_line_may_gain_and_lose_its_timestamp() -> None:
    """The same series with a timestamp in one scrape and without in the next is read rightly each time."""
    layout = fresh()
    layout.read(b"a 1\n")
    assert [value for _, _, value in layout.read(b"a 2 1700000000000\n").timed] == [2.0]
    assert layout.read(b"a 3\n").values.tolist() == [3.0]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"a\n", "expected value after metric"),
        (b"a b\n", "strconv.ParseFloat"),
        (b"a 1_0\n", "unsupported character in float"),
        (b"a 0x1p3\n", "unsupported character in float"),
        (b"a 1 2 3\n", "expected next entry after timestamp"),
        (b"a 1 -5\n", "expected timestamp"),
        (b"a 1e999\n", "value out of range"),
        (b"a 1\r\n", "invalid syntax"),
        (b'a{l="x" 1\n', "expected label name"),
        (b"a{l=x} 1\n", "expected"),
        (b"{} 1\n", "metric name not set"),
        (b'{"a","b"} 1\n', "metric name already set"),
        (b'a{l="\xff"} 1\n', "invalid UTF-8 label value"),
        (b"# TYPE a blurb\n", "invalid metric type"),
        (b"= 1\n", "expected a valid start token"),
        (b'a{l="x",l="y"} 1\n', 'label name "l" is not unique: invalid sample'),
    ],
)
def test_bad_text_is_refused(body: bytes, message: str) -> None:
    """Each kind of malformed line fails the scrape with words that name it, first or later."""
    with pytest.raises(ExpositionError, match=message):
        fresh().read(body)
    layout = fresh()
    layout.read(b"a 1\n")
    with pytest.raises(ExpositionError, match=message):
        layout.read(body)


def test_utf8_names_in_quotes() -> None:
    """A quoted metric name and quoted label names are names like others."""
    labels = fresh().read(b'{"http.requests","my.label"="v",x="y"} 1\n').new_labels[0]
    assert dict(labels) == {
        "__name__": "http.requests",
        "my.label": "v",
        "x": "y",
        "instance": "i",
        "job": "j",
    }


def test_le_becomes_a_float_where_the_type_says_so() -> None:
    """`le` of a histogram is written in OpenMetrics' form; on other types it is left alone."""
    body = (
        b'# TYPE h histogram\nh_bucket{le="1"} 1\nh_bucket{le="1e6"} 1\n# TYPE g gauge\ng_bucket{le="1"} 1\n'
    )
    found = [dict(labels)["le"] for labels in fresh().read(body).new_labels]
    assert found == ["1.0", "1e+06", "1"]


def test_le_and_quantile_are_numbers_in_any_form_of_go() -> None:
    """Hexadecimal numbers, underscores and infinities become decimal; what Go does not read stays."""
    given = ["0x1p-3", "0X1.8P1", "1_000", "inf", "0x1", "1__0", "1e400", "x", "-0x0p0"]
    body = "# TYPE h histogram\n" + "".join(f'h_bucket{{le="{value}"}} 1\n' for value in given)
    body += "# TYPE s summary\n" + "".join(f's{{quantile="{value}"}} 1\n' for value in given)
    found = [dict(labels) for labels in fresh().read(body.encode()).new_labels]
    expected = ["0.125", "3.0", "1000.0", "+Inf", "0x1", "1__0", "1e400", "x", "0.0"]
    assert [labels["le"] for labels in found if "le" in labels] == expected
    assert [labels["quantile"] for labels in found if "quantile" in labels] == expected


def test_openmetrics_needs_its_end() -> None:
    """OpenMetrics without `# EOF`, or with something after it, is refused."""
    layout = BodyLayout(OpenMetricsFormat(), SeriesLabels(TARGET, PoolOptions("j")))
    with pytest.raises(ExpositionError, match="does not end with # EOF"):
        layout.read(b"a 1\n")
    with pytest.raises(ExpositionError, match="unexpected data after # EOF"):
        layout.read(b"a 1\n# EOF\nb 1\n")


def test_openmetrics_exemplars_and_seconds() -> None:
    """An exemplar is no part of the value, a timestamp is in seconds, and a unit must be a suffix."""
    layout = BodyLayout(OpenMetricsFormat(), SeriesLabels(TARGET, PoolOptions("j")))
    reading = layout.read(b'a_total 1 # {trace_id="x"} 0.5 1.5\nb 2 1700000000.5\n# EOF\n')
    assert reading.values.tolist() == [1.0]
    assert reading.timed[0][1:] == (1700000000500, 2.0)
    assert layout.read(b'a_total 2 # {trace_id="y"} 0.7\nb 2 1700000001\n# EOF\n').values.tolist() == [2.0]
    with pytest.raises(ExpositionError, match="not a suffix"):
        layout.read(b"# UNIT a seconds\na 1\n# EOF\n")
