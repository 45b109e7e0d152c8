"""Scrape sessions against a little model of storage that hands out columns."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimon.fetch.request import BodyTooBig, FetchError, Response
from trimon.model.components import is_component
from trimon.model.labels import Labels
from trimon.model.rows import Appended, Row
from trimon.scrape.options import PoolOptions
from trimon.scrape.outcome import ScrapeOutcome
from trimon.scrape.session import ScrapeSession
from trimon.scrape.target import Target, build_target


class Columns:
    """Hands out columns as storage does, and knows which series are alive with which last value."""

    def __init__(self) -> None:
        self.labels: list[Labels] = []
        self.live: dict[int, float] = {}
        self.stale: list[Labels] = []
        self.refuse: set[str] = set()
        self.refuse_components = False

    def append(self, row: Row) -> Appended:
        assert len(set(row.columns.tolist())) == len(row.columns)
        self.stale = []
        for column, value in zip(row.columns.tolist(), row.values.tolist(), strict=True):
            assert column in self.live, "a row names a column that is not held"
            self.live[column] = value
        granted = []
        refused = 0
        for labels, value in zip(row.new_series, row.new_values.tolist(), strict=True):
            if dict(labels)["__name__"] in self.refuse or (self.refuse_components and is_component(labels)):
                granted.append(-1)
                refused += 1
                continue
            if labels in self.labels:
                column = self.labels.index(labels)
            else:
                column = len(self.labels)
                self.labels.append(labels)
            self.live[column] = value
            granted.append(column)
        for column in row.ended.tolist():
            del self.live[column]
            self.stale.append(self.labels[column])
        return Appended(np.array(granted, np.int32), series_refused=refused)

    def values(self) -> dict[str, float]:
        return {dict(self.labels[column])["__name__"]: value for column, value in self.live.items()}


class Scraper:
    """A session and its storage."""

    def __init__(self, options: PoolOptions | None = None) -> None:
        options = options or PoolOptions("j")
        target = build_target({"__address__": "h:1"}, options)
        assert isinstance(target, Target)
        self.session = ScrapeSession(target, options)
        self.storage = Columns()
        self.now_ms = 0

    def scrape(self, body: bytes, content_type: str = "text/plain", status: int = 200) -> dict[str, float]:
        self.now_ms += 1000
        response = Response(status, "OK" if status == 200 else "Not Found", content_type, body, len(body))
        return self.store(self.session.succeed(response, self.now_ms, 0.25))

    def fail(self) -> dict[str, float]:
        self.now_ms += 1000
        return self.store(self.session.fail(FetchError("refused"), self.now_ms, 0.5))

    def store(self, outcome: ScrapeOutcome) -> dict[str, float]:
        self.session.granted(self.storage.append(outcome.row), self.now_ms)
        return self.storage.values()


def test_report_series() -> None:
    """Each scrape adds up, duration, scraped, kept and added series under the target's labels."""
    scraper = Scraper()
    values = scraper.scrape(b"a 1\nb 2\n")
    assert values == {
        "a": 1, "b": 2, "up": 1, "scrape_duration_seconds": 0.25, "scrape_samples_scraped": 2,
        "scrape_samples_post_metric_relabeling": 2, "scrape_series_added": 2,
    }  # fmt: skip
    assert scraper.scrape(b"a 1\nb 2\n")["scrape_series_added"] == 0
    assert (("__name__", "up"), ("instance", "h:1"), ("job", "j")) in scraper.storage.labels


def test_vanished_series_end() -> None:
    """A series that is not in the next body gets its staleness marker there, and may come back."""
    scraper = Scraper()
    scraper.scrape(b"a 1\nb 2\n")
    assert "b" not in scraper.scrape(b"a 1\n")
    assert [dict(labels)["__name__"] for labels in scraper.storage.stale] == ["b"]
    assert scraper.scrape(b"a 1\nb 3\n")["b"] == 3


@pytest.mark.parametrize(
    ("body", "content_type", "status", "error"),
    [
        (b"", "text/plain", 404, "server returned HTTP status 404 Not Found"),
        (b"c b\na 2\nb 3\n", "text/plain", 200, "strconv.ParseFloat"),
        (b"a 1\n", "", 200, "blank Content-Type"),
        (b"a 1\n", "text/html", 200, 'unsupported Content-Type "text/html"'),
        (b"a 1\n", "nonsense", 200, 'unsupported Content-Type "nonsense"'),
        (b"a 1\n", "text/plain; x", 200, "cannot parse Content-Type"),
        (b"a 1\n", "application/vnd.google.protobuf", 200, "insufficient length of buffer"),
    ],
)
def test_a_failed_scrape_ends_everything(body: bytes, content_type: str, status: int, error: str) -> None:
    """After a bad answer `up` is 0, all series have ended, the reason is kept; the next good one heals it."""
    scraper = Scraper()
    scraper.scrape(b"a 1\nb 2\n")
    values = scraper.scrape(body, content_type, status)
    assert (values["up"], scraper.session.state.health) == (0, "down")
    assert not {"a", "b"} & values.keys()
    assert error in scraper.session.state.last_error
    assert scraper.scrape(b"a 4\n")["a"] == 4
    assert scraper.session.state.health == "up"


def test_sample_limit() -> None:
    """A body over the sample limit is rolled back; all of it is counted, and what is above the limit does not end."""
    scraper = Scraper(PoolOptions("j", sample_limit=2))
    assert scraper.scrape(b"a 1\nb 2\n")["up"] == 1
    values = scraper.scrape(b"b 7\nd 1\na 1\nc 3\n")
    assert (values["up"], values["b"], "a" in values) == (0, 2, False)
    assert (values["scrape_samples_scraped"], values["scrape_series_added"]) == (4, 1)
    assert scraper.session.counts.sample_limit_exceeded == 1


def test_extra_metrics() -> None:
    """With extra_scrape_metrics the limits and the body size are series too."""
    values = Scraper(PoolOptions("j", extra_metrics=True, sample_limit=9)).scrape(b"a 1\n")
    assert values["scrape_timeout_seconds"] == 10
    assert values["scrape_sample_limit"] == 9
    assert values["scrape_body_size_bytes"] == 4


def test_refused_series_are_left_out_and_offered_again() -> None:
    """Series that storage refuses do not disturb the others, and are offered again after a minute."""
    scraper = Scraper()
    scraper.storage.refuse = {"b"}
    assert scraper.scrape(b"a 1\nb 2\n")["a"] == 1
    assert "b" not in scraper.scrape(b"a 2\nb 3\n")
    scraper.storage.refuse = set()
    scraper.now_ms += 60_000
    values = scraper.scrape(b"a 3\nb 4\n")
    assert (values["a"], values["b"]) == (3, 4)


def test_lost_rows_leave_nothing_behind() -> None:
    """When storage cannot take a row, the next one tells everything, also which series ended meanwhile."""
    scraper = Scraper()
    scraper.scrape(b"a 1\nb 2\n")
    response = Response(200, "OK", "text/plain", b"a 2\nc 1\n", 0)
    scraper.session.succeed(response, 5000, 0.1)
    scraper.session.lost("disk full")
    assert scraper.session.state.last_error == "disk full"
    scraper.scrape(b"a 3\nc 2\n")
    values = scraper.scrape(b"a 3\nc 2\n")
    assert (values["a"], values["c"], "b" in values) == (3, 2, False)


def test_end_closes_every_series() -> None:
    """The last row of a target ends all that it holds, the report series too."""
    scraper = Scraper()
    scraper.scrape(b"a 1\n")
    (row,) = scraper.session.end(9000)
    assert isinstance(row, Row)
    scraper.storage.append(row)
    assert scraper.storage.live == {}
    assert Scraper().session.end(1) == []


def test_format_may_change() -> None:
    """A target may turn from the text format to OpenMetrics and its series go on."""
    scraper = Scraper()
    scraper.scrape(b"a 1\nb 1\n")
    scraper.scrape(b"a 2\n# EOF\n", "application/openmetrics-text; version=1.0.0")
    values = scraper.scrape(b"a 2\n# EOF\n", "application/openmetrics-text; version=1.0.0")
    assert (values["a"], "b" in values) == (2, False)


def test_a_series_may_come_back_before_its_end_was_written() -> None:
    """A series that was missing after a change of format, and is there again in the next body, goes on."""
    scraper = Scraper()
    scraper.scrape(b"a 1\nb 1\n")
    scraper.scrape(b"c 1\n# EOF\n", "application/openmetrics-text")
    assert scraper.scrape(b"a 2\n")["a"] == 2
    assert {"b", "c"} & scraper.scrape(b"a 3\n").keys() == set()
    assert scraper.scrape(b"a 4\n")["a"] == 4


def test_a_series_in_other_words_is_the_same() -> None:
    """Labels in another order, or another spelling of an empty one, leave a series where it is, but count as added."""
    scraper = Scraper()
    scraper.scrape(b'a{x="1",y="2"} 1\nb 1\n')
    for body in (b'a{y="2",x="1"} 2\nb 1\n', b'b 1\na{x="1",y="2",z=""} 2\n'):
        values = scraper.scrape(body)
        assert (values["a"], values["scrape_series_added"], scraper.storage.stale) == (2, 1, [])


def test_an_exposed_report_series_wins() -> None:
    """`up` of the target itself is stored in place of the report's while it is shown, under one column."""
    scraper = Scraper()
    assert scraper.scrape(b"a 1\n")["up"] == 1
    assert scraper.scrape(b"a 1\nup 7\n")["up"] == 7
    assert scraper.scrape(b"a 1\nup 8\n")["up"] == 8
    assert scraper.fail()["up"] == 0
    assert scraper.scrape(b"up 9\n")["up"] == 9
    assert scraper.scrape(b"a 1\n")["up"] == 1
    assert len([labels for labels in scraper.storage.labels if ("__name__", "up") in labels]) == 1


steps = st.lists(
    st.one_of(
        st.none(),
        st.just(b"broken"),
        st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 3), max_size=6),
    ),
    max_size=12,
)


@given(steps)
def test_live_series_are_those_of_the_last_good_body(sequence: list[dict[str, int] | bytes | None]) -> None:
    """After any sequence of bodies and failures exactly the last body's series are alive, or those above its fault."""
    scraper = Scraper()
    for step in sequence:
        if step is None:
            values = scraper.fail()
            expected: dict[str, float] = {}
        elif isinstance(step, bytes):
            # nobody knows whether `a` is gone: it is above the fault
            expected = {name: value for name, value in scraper.storage.values().items() if name == "a"}
            values = scraper.scrape(b"a 1\nb =\n")
        else:
            values = scraper.scrape("".join(f"{name} {value}\n" for name, value in step.items()).encode())
            expected = {name: float(value) for name, value in step.items()}
        assert {name: value for name, value in values.items() if len(name) == 1} == expected


@pytest.mark.parametrize("known", [0, 3000])
def test_a_body_is_not_read_on_after_its_time(known: int) -> None:
    """What takes too long to read has failed, with the words of a time-out, in both ways of reading."""
    scraper = Scraper()
    if known:
        scraper.scrape("".join(f"m{number} 1\n" for number in range(known)).encode())
    asked = 0

    def is_late() -> bool:
        nonlocal asked
        asked += 1
        return asked > 2

    body = "".join(f"m{number} 1\n" for number in range(known + 5000)).encode()
    answer = Response(200, "OK", "text/plain; version=0.0.4", body, len(body))
    outcome = scraper.session.succeed(answer, scraper.now_ms + 15_000, 0.1, is_late)
    assert scraper.session.state.health == "down"
    assert "context deadline exceeded" in scraper.session.state.last_error
    assert 2 < asked < 8
    assert scraper.store(outcome)["up"] == 0.0


def test_an_error_is_not_as_long_as_its_body() -> None:
    """A number of a million digits is told in a few thousand characters."""
    scraper = Scraper()
    scraper.scrape(b"m " + b"1" * 1_000_000 + b"x\n")
    assert scraper.session.state.health == "down"
    assert 1000 < len(scraper.session.state.last_error) < 5000


@pytest.mark.parametrize(
    ("options", "error"),
    [
        (PoolOptions("j", body_size_limit=10, body_bytes_max=9), "body size limit exceeded"),
        (PoolOptions("j", body_bytes_max=9),
         "body of more than 9 bytes, the most that is taken without body_size_limit"),
    ],
)  # fmt: skip
def test_a_body_that_is_too_big_names_the_limit_that_it_met(options: PoolOptions, error: str) -> None:
    """A limit of the configuration has Prometheus' words, the one that always holds its value; both count."""
    scraper = Scraper(options)
    outcome = scraper.session.fail(BodyTooBig(9), 1000, 0.5)
    assert scraper.store(outcome)["up"] == 0
    assert scraper.session.state.last_error == error
    assert scraper.session.counts.body_size_exceeded == 1


def test_what_costs_more_a_byte_is_told() -> None:
    """Plain text is read on the loop up to a megabyte; protobuf and texts that are assembled are not."""
    scraper = Scraper()
    protobuf = b"\x0b\x0a\x01a\x18\x01\x22\x04\x12\x02\x08\x01"
    for body, content_type, dense in (
        (b"a 1\n", "text/plain", False),
        (protobuf, "application/vnd.google.protobuf", True),
        (b"a 1\n", "text/plain", False),
    ):
        scraper.scrape(body, content_type)
        assert scraper.session.is_dense == dense
    assert Scraper(PoolOptions("j", convert_classic_histograms=True)).session.is_dense


OPENMETRICS = "application/openmetrics-text; version=1.0.0"


@pytest.mark.parametrize("is_known", [False, True])
@pytest.mark.parametrize(
    ("body", "content_type", "line", "column"),
    [
        (b"a 1\nb 2\n", OPENMETRICS, 3, 1),
        (b"a 1\nb 2", OPENMETRICS, 2, 4),
        (b'a 1\nb 2 # {x="y"} 1', OPENMETRICS, 2, 16),
        (b"a 1\nb", OPENMETRICS, 2, 2),
        (b'a 1\nb{x="y"', OPENMETRICS, 2, 8),
        (b"a 1\n# TYPE b", OPENMETRICS, 2, 9),
        (b"a 1\n# EOF\nb 2\n", OPENMETRICS, 3, 1),
        (b"a 1\n# EO", OPENMETRICS, 2, 1),
        (b"a 1\nb", "text/plain", 2, 2),
        (b'a 1\nb{x="y"', "text/plain", 2, 8),
        (b"a 1\n# TYPE b", "text/plain", 2, 9),
    ],
)
def test_a_fault_at_the_end_of_a_body_is_told_there(
    body: bytes, content_type: str, line: int, column: int, is_known: bool
) -> None:
    """Where the body ends too early, or goes on behind its end; whether or not its lines were seen before."""
    scraper = Scraper()
    if is_known:
        scraper.scrape(b"a 1\n# EOF\n", content_type)
    scraper.scrape(body, content_type)
    fault = scraper.session.state.fault
    assert fault is not None
    assert (fault.line, fault.column) == (line, column)


def test_exemplars_of_samples_that_are_too_old_are_left_out() -> None:
    """Storage refuses the sample, so it gets no exemplar of it either."""
    scraper = Scraper(PoolOptions("j"))
    body = b'# TYPE a counter\na_total 0 123 # {a="b"} 0.5\n# EOF\n'
    answer = Response(200, "OK", "application/openmetrics-text; version=1.0.0", body, len(body))
    outcome = scraper.session.succeed(answer, 1_700_000_000_000, 0.1)
    assert outcome.exemplars is None


def test_series_of_a_body_that_fails_each_time_are_new_once() -> None:
    """Also where there are so many that what is remembered of failed bodies is forgotten after each."""
    scraper = Scraper(PoolOptions("j"))
    body = b"".join(b"m%d 1\n" % number for number in range(1500)) + b"bad{\n"
    assert [scraper.scrape(body)["scrape_series_added"] for _ in range(3)] == [1500, 0, 0]
