"""Limits of our own: what is known goes on, what is new is refused."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tests.scrape.test_session import Scraper
from trimon.scrape.options import PoolOptions

OPTIONS = PoolOptions("j")


def shown(scraper: Scraper, body: bytes) -> set[str]:
    """The series that a body leaves, without those of the report."""
    return {name for name in scraper.scrape(body) if len(name) == 1}


def error_of(scraper: Scraper) -> str:
    return scraper.session.state.last_error


def test_known_series_go_on_beyond_the_sample_limit() -> None:
    """With keep_known the scrape is up, known series have values, new ones are left out and told."""
    scraper = Scraper(replace(OPTIONS, sample_limit=2, keep_known=True))
    assert shown(scraper, b"a 1\nb 2\n") == {"a", "b"}
    assert error_of(scraper) == ""
    values = scraper.scrape(b"c 5\na 3\nb 4\nd 6\n")
    assert (values["up"], values["a"], values["b"]) == (1, 3, 4)
    assert not {"c", "d"} & values.keys()
    assert error_of(scraper) == "2 new series are refused: sample_limit of 2 is reached"
    assert scraper.session.counts.series_refused == 2
    assert scraper.session.state.health == "up"
    # nothing changes while the body stays as it is
    assert shown(scraper, b"c 6\na 4\nb 5\nd 7\n") == {"a", "b"}
    assert scraper.session.counts.series_refused == 2


def test_a_first_body_is_filled_up_to_the_limit() -> None:
    """Of a target of which nothing is known the first series of the body are taken."""
    scraper = Scraper(replace(OPTIONS, sample_limit=2, keep_known=True))
    assert shown(scraper, b"a 1\nb 2\nc 3\n") == {"a", "b"}


def test_room_is_given_to_new_series_within_a_minute() -> None:
    """When a known series ends, one that was refused comes in as soon as the body is looked at again; others keep theirs."""
    scraper = Scraper(replace(OPTIONS, sample_limit=2, keep_known=True))
    shown(scraper, b"a 1\nb 2\nc 3\n")
    shown(scraper, b"b 2\nc 3\n")
    scraper.now_ms += 60_000
    assert shown(scraper, b"b 2\nc 3\n") == {"b", "c"}
    assert error_of(scraper) == ""


def test_without_it_the_scrape_fails() -> None:
    """The limits of Prometheus fail as ever, and so do those on names and on what is exposed."""
    cases: tuple[tuple[dict[str, Any], str], ...] = (
        ({"sample_limit": 1}, "sample limit exceeded"),
        ({"metric_name_limit": 1}, "metric_name_limit exceeded (metric: b, limit: 1)"),
        ({"exposed_sample_limit": 1}, "exposed_sample_limit exceeded (samples: 2, limit: 1)"),
    )
    for limits, error in cases:
        scraper = Scraper(replace(OPTIONS, **limits))
        assert scraper.scrape(b"a 1\n")["up"] == 1
        assert scraper.scrape(b"a 1\nb 2\n")["up"] == 0
        assert error_of(scraper) == error
        assert scraper.scrape(b"b 1\n")["up"] == 1, limits


def test_new_series_a_minute() -> None:
    """The first body may bring what it likes; then only so many new series a minute, the rest later."""
    scraper = Scraper(replace(OPTIONS, new_series_limit=1))
    assert shown(scraper, b"a 1\nb 2\n") == {"a", "b"}
    assert shown(scraper, b"a 1\nb 2\nc 3\nd 4\n") == {"a", "b", "c"}
    assert error_of(scraper) == "1 new series are refused: new_series_limit of 1 a minute is reached"
    scraper.now_ms += 61_000
    assert shown(scraper, b"a 1\nb 2\nc 3\nd 4\n") == {"a", "b", "c", "d"}
    assert error_of(scraper) == ""


def test_names_are_limited() -> None:
    """A series of a known name is taken, one of a new name is not."""
    scraper = Scraper(replace(OPTIONS, metric_name_limit=1, keep_known=True))
    scraper.scrape(b'a{x="1"} 1\n')
    assert shown(scraper, b'a{x="1"} 1\na{x="2"} 1\nb 1\n') == {"a"}
    assert sum(dict(labels)["__name__"] == "a" for labels in scraper.storage.labels) == 2
    assert error_of(scraper) == "1 new series are refused: metric_name_limit of 1 is reached"


def test_a_label_that_is_too_long_costs_its_series_alone() -> None:
    """With keep_known limits on labels refuse the series that breaks them."""
    scraper = Scraper(replace(OPTIONS, label_value_length_limit=5, keep_known=True))
    values = scraper.scrape(b'a{x="123456"} 1\nb{x="1"} 2\n')
    assert (values["up"], values["b"], "a" in values) == (1, 2, False)
    assert error_of(scraper).startswith("1 new series are refused: label_value_length_limit exceeded")


def test_what_is_exposed_is_limited_before_relabeling() -> None:
    """Beyond it known series go on and new ones do not come."""
    scraper = Scraper(replace(OPTIONS, exposed_sample_limit=2, keep_known=True))
    shown(scraper, b"a 1\nb 2\n")
    assert shown(scraper, b"a 1\nb 2\nc 3\n") == {"a", "b"}
    assert "exposed_sample_limit of 2 is reached" in error_of(scraper)


def test_a_failed_scrape_forgets_nothing() -> None:
    """Series that were known before a failure are taken first afterwards."""
    scraper = Scraper(replace(OPTIONS, sample_limit=2, keep_known=True))
    shown(scraper, b"a 1\nb 2\n")
    scraper.fail()
    assert shown(scraper, b"c 3\na 1\nb 2\n") == {"a", "b"}


def test_a_target_that_is_refused_whole_says_so_each_time() -> None:
    """Where every series breaks a limit on labels, each scrape says how many are refused, and nothing is counted twice."""
    scraper = Scraper(replace(OPTIONS, label_value_length_limit=1, keep_known=True))
    for _ in range(3):
        assert shown(scraper, b"a 1\nb 2\n") == set()
        assert error_of(scraper).startswith("2 new series are refused: label_value_length_limit exceeded")
    assert scraper.session.counts.series_refused == 2
