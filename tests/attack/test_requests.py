"""Odd requests, a few thousand, against the real server."""

from __future__ import annotations

from pathlib import Path

from tests.attack.oddrequests import Requests, routes
from tests.attack.requests import run


def test_no_request_is_a_failure(tmp_path: Path) -> None:
    """Whatever is asked, nothing is a 500, a crash report, a traceback, or without an end."""
    result = run(tmp_path, 20, 1500)
    assert result.failures == []
    assert result.crashes == []
    assert result.tracebacks == 0
    assert result.unanswered == []
    assert result.slowest_s < 10
    assert result.statuses[200] > 200
    assert result.statuses[400] > 200


def test_no_request_over_tls_is_a_failure(tmp_path: Path) -> None:
    """The same over TLS; requests that are not whole have no answer there before their time is over."""
    result = run(tmp_path, 21, 200, 16, tls=True)
    assert (result.failures, result.crashes, result.tracebacks, result.unanswered) == ([], [], 0, [])
    assert result.statuses[200] > 20


def test_requests_reach_every_route_and_are_the_same_again() -> None:
    """One seed makes the same requests, and among a few thousand there is one for each route."""
    made = Requests(5)
    texts = [made.next() for _ in range(3000)]
    again = Requests(5)
    assert [again.next().split(b" ")[:2] for _ in range(20)] == [text.split(b" ")[:2] for text in texts[:20]]
    for endpoint in routes():
        start = endpoint.path.partition("<")[0].encode()
        assert any(b" " + start in text for text in texts), endpoint.path
