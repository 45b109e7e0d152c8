"""All ways of reading a body against the scanner, which reads record by record; and no body stops a target."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.scrape.test_session import Scraper
from trimon.gotext.strings import go_quote_bytes
from trimon.model.labels import Labels
from trimon.scrape.exposition.bodymemory import BrokenBody
from trimon.scrape.exposition.families import FamilyDeclaration
from trimon.scrape.exposition.layout import BodyLayout
from trimon.scrape.exposition.openmetrics import OpenMetricsFormat
from trimon.scrape.exposition.records import ExpositionError, LineExemplar, MetadataLine, Pairs
from trimon.scrape.exposition.scanner import ScannedSample
from trimon.scrape.exposition.textformat import ExpositionFormat, TextFormat
from trimon.scrape.options import PoolOptions

TEXT = (
    b"# HELP node_cpu_seconds_total Seconds the CPUs spent in each mode.\n"
    b"# TYPE node_cpu_seconds_total counter\n"
    b'node_cpu_seconds_total{cpu="0",mode="idle"} 1.2345e+06\n'
    b'node_cpu_seconds_total{cpu="0",mode="user"} 12\n'
    b"# just a remark\n"
    b"\n"
    b'info{path="C:\\\\dir",say="a \\"b\\"\\n",zone="\xc3\xa4"} 1\n'
    b"up_time NaN\n"
    b"bound +Inf\n"
    b"old 3 1700000000000\n"
    b'{"a.b","c.d"="e"} 4\n'
    b"last -0.5"
)
OPENMETRICS = (
    b"# TYPE http_requests counter\n"
    b"# HELP http_requests Requests.\n"
    b'http_requests_total{code="200"} 17 # {trace_id="abc"} 0.5 1700000000.5\n'
    b'http_requests_total{code="500"} 2\n'
    b"# TYPE size_bytes gauge\n"
    b"# UNIT size_bytes bytes\n"
    b"size_bytes 1e9\n"
    b"at 1 1700000000.123\n"
    b'both 1 1700000000 # {t="x",u="y"} 1\n'
    b'{"a.b",c="e"} 4\n'
    b"# EOF\n"
)
# What a body is made wrong with.
PIECES = [
    b"", b"\n", b" ", b"  ", b"\t", b"\r", b"\0", b'"', b"\\", b"{", b"}", b",", b",,", b"=", b"#", b"# ", b"# EOF\n",
    b"0", b"5", b"1e400", b"-", b"+", b"NaN", b"+NaN", b"Inf", b"_", b"p", b"x", b"\xff", b"\xc3\xa4",
    b" 1700000000000", b" 1e18", b" 9223372036854775808", b' # {a="b"} 1', b' # {a="b"} 1 1e30', b"# TYPE a gauge\n",
    b"# TYPE a\n", b"# UNIT a b\n", b"# HELP a\n", b'a{b="c"', b'"x"',
]  # fmt: skip


@st.composite
def mutated(draw: st.DrawFn, base: bytes, most: int = 4) -> bytes:
    """A body with some pieces put in, taken out or put elsewhere."""
    body = base
    for _ in range(draw(st.integers(0, most))):
        begin = draw(st.integers(0, len(body)))
        kind = draw(st.sampled_from(["insert", "replace", "delete", "line", "cut", "numbers"]))
        if kind == "insert":
            body = body[:begin] + draw(st.sampled_from(PIECES)) + body[begin:]
        elif kind == "replace":
            body = body[:begin] + draw(st.sampled_from(PIECES)) + body[begin + 1 :]
        elif kind == "delete":
            body = body[:begin] + body[begin + draw(st.integers(1, 5)) :]
        elif kind == "cut":
            body = body[:begin]
        elif kind == "numbers":
            body = body.replace(b"1", b"2", draw(st.integers(1, 5)))
        else:
            lines = body.split(b"\n")
            line = lines.pop(draw(st.integers(0, len(lines) - 1)))
            for _ in range(draw(st.integers(0, 2))):
                lines.insert(draw(st.integers(0, len(lines))), line)
            body = b"\n".join(lines)
    return body


def sequences(base: bytes) -> st.SearchStrategy[list[bytes]]:
    return st.lists(mutated(base), min_size=1, max_size=4)


def plain_labels(pairs: Pairs, _: FamilyDeclaration) -> Labels:
    """Labels as they are exposed, whatever type is declared: what was seen before keeps them in every way."""
    names = [name for name, _ in pairs]
    if len(set(names)) != len(names):
        raise ExpositionError("twice")
    return tuple(sorted((name, value) for name, value in pairs if value))


Read = tuple[object, ...]


def value_of(number: float) -> object:
    return "NaN" if math.isnan(number) else number


def by_scanner(text_format: ExpositionFormat, body: bytes) -> Read:
    """What the records of a body say, one by one."""
    values: dict[Labels, object] = {}
    timed: list[tuple[Labels, int, object]] = []
    exemplars: list[tuple[Labels, LineExemplar]] = []
    samples = 0
    scanner = text_format.scanner(body)
    try:
        while (record := scanner.next()) is not None:
            if isinstance(record, str | MetadataLine):
                continue
            assert isinstance(record, ScannedSample)
            samples += 1
            labels = plain_labels(record.pairs, FamilyDeclaration())
            if record.tail.exemplar is not None:
                exemplars.append((labels, record.tail.exemplar))
            if record.tail.timestamp_ms is not None:
                timed.append((labels, record.tail.timestamp_ms, value_of(record.tail.value)))
            else:
                values.setdefault(labels, value_of(record.tail.value))
    except ExpositionError as error:
        return str(error), samples
    return values, timed, exemplars, samples


class Remembering:
    """A layout, and the labels of its slots."""

    def __init__(self, text_format: ExpositionFormat) -> None:
        self.layout = BodyLayout(text_format, plain_labels)
        self.labels: list[Labels] = []

    def read(self, body: bytes) -> Read:
        try:
            reading = self.layout.read(body)
        except BrokenBody as error:
            self.layout.failed(error.slots)
            self.labels = [self.labels[slot] for slot in error.slots.tolist()]
            return str(error), error.samples
        if reading.moved:
            new = iter(reading.new_labels)
            self.labels = [self.labels[old] if old >= 0 else next(new) for old in reading.old_slot.tolist()]
        values = dict(zip(self.labels, map(value_of, reading.values.tolist()), strict=True))
        timed = [(labels, time, value_of(value)) for labels, time, value in reading.timed]
        exemplars = [(one.series, one.exemplar) for one in reading.exemplars]
        return values, timed, exemplars, reading.samples


def compare(text_format: type[TextFormat | OpenMetricsFormat], base: bytes, bodies: Sequence[bytes]) -> None:
    remembering = Remembering(text_format())
    remembering.read(base)
    for body in bodies:
        if not body:
            continue  # no format reads that: the session knows
        expected = by_scanner(text_format(), body)
        assert Remembering(text_format()).read(body) == expected
        assert remembering.read(body) == expected


@settings(max_examples=600, deadline=None)
@example([TEXT.replace(b"up_time NaN", b"up_time +NaN")])
@example([TEXT.replace(b"# just a remark", b"# just a remark!!").replace(b"last -0.5", b"-0.5")])
@example([TEXT.replace(b'{cpu="0"', b'{5cpu="0"')])
@example([TEXT.replace(b'="0"', b'="0\n"')])
@example([TEXT.replace(b"# just", b"#  TYPE \n# just")])
@example([TEXT.replace(b'"c.d"', b'"\nc.d"').removesuffix(b"\nlast -0.5")])
@given(sequences(TEXT))
def test_text_is_read_alike_in_all_ways(bodies: list[bytes]) -> None:
    """Samples, timestamps, counts and the words of errors are those of the scanner, whatever was read before."""
    compare(TextFormat, TEXT, bodies)


@settings(max_examples=600, deadline=None)
@example([OPENMETRICS.replace(b"size_bytes 1e9", b"size_bytes  1e9"), OPENMETRICS + b"\n"])
@example([OPENMETRICS.replace(b"# EOF\n", b"")])
@given(sequences(OPENMETRICS))
def test_openmetrics_is_read_alike_in_all_ways(bodies: list[bytes]) -> None:
    """The same for OpenMetrics, exemplars too."""
    compare(OpenMetricsFormat, OPENMETRICS, bodies)


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.tuples(mutated(TEXT), st.just("text/plain")),
            st.tuples(mutated(OPENMETRICS), st.just("application/openmetrics-text")),
            st.tuples(
                st.binary(max_size=60), st.sampled_from(["text/plain", "application/openmetrics-text", ""])
            ),
        ),
        max_size=5,
    ),
    st.booleans(),
)
def test_no_body_stops_a_target(scrapes: list[tuple[bytes, str]], limited: bool) -> None:
    """Whatever a target answers, its session goes on: it is up or down with a reason, and a good body heals it."""
    scraper = Scraper(PoolOptions("j", sample_limit=5, label_limit=4) if limited else None)
    for body, content_type in scrapes:
        values = scraper.scrape(body, content_type)
        state = scraper.session.state
        assert values["up"] in (0, 1) or b"up" in body
        assert (state.health == "up") == (state.last_error == "")
        state.last_error.encode()
    assert scraper.scrape(b"good 1\n")["good"] == 1
    assert scraper.session.state.health == "up"


@pytest.mark.parametrize(
    "time", ["1e18", "-1e18", "1e300", "9223372036854775.807", "-9223372036854775.808", "1e15"]
)
def test_times_that_nobody_can_store_are_dropped(time: str) -> None:
    """A timestamp beyond all bounds loses its sample, which is counted; the scrape is good."""
    scraper = Scraper()
    values = scraper.scrape(f"a 1 {time}\nb 2\n# EOF\n".encode(), "application/openmetrics-text")
    assert (values["up"], values["b"], values["scrape_samples_scraped"]) == (1, 2, 2)
    assert scraper.session.counts.out_of_bounds == 1


def test_errors_quote_what_cannot_be_shown() -> None:
    """Bytes that are no text, quotes and control characters are escaped as Go does."""
    assert (
        go_quote_bytes(b'a"\\\n\t\x00\xff\xc3\xa4\xe2\x80\xa8') == '"a\\"\\\\\\n\\t\\x00\\xff\u00e4\\u2028"'
    )
