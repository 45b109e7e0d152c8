"""Metrics pushed into the real server with Prometheus' own client, and beside a real Pushgateway."""

from __future__ import annotations

import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    delete_from_gateway,
    push_to_gateway,
    pushadd_to_gateway,
)

from tests.support.ports import free_port
from tests.support.process import Server, child, peer, running

CONFIG = "trimon_receivers: {pushgateway: {interval: 200ms, ttl: 3s, series_max: 50}}\n"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(tmp_path_factory.mktemp("pushes") / "data", CONFIG) as started:
        yield started


def registry(**values: float) -> CollectorRegistry:
    made = CollectorRegistry()
    for name, value in values.items():
        Gauge(name, "Some.", registry=made).set(value)
    return made


def gone(server: Server, expr: str) -> None:
    deadline = time.monotonic() + 90
    while server.query(expr):
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_a_group_is_shown_until_it_is_deleted(server: Server) -> None:
    """PUT replaces all of a group, POST what has the same name; a deletion ends its series at once."""
    place = f"127.0.0.1:{server.port}"
    key = {"instance": "a/b", "shard": ""}
    push_to_gateway(place, "backup", registry(one=1, two=2), key)
    found = server.until('one{job="backup",instance="a/b"}')
    assert found[0]["value"][1] == "1"
    pushadd_to_gateway(place, "backup", registry(two=22), key)
    assert server.until("two == 22 and on(job) one == 1")
    push_to_gateway(place, "backup", registry(three=3), key)
    gone(server, '{__name__=~"one|two",job="backup"}')
    first = server.query("timestamp(three)")[0]["value"][1]
    deadline = time.monotonic() + 90
    while server.query("timestamp(three)")[0]["value"][1] == first:  # it is shown at every interval
        assert time.monotonic() < deadline
        time.sleep(0.05)
    (group,) = server.get("/api/v1/trimon/pushed")["data"]
    assert (group["labels"], group["families"], group["series"]) == (
        {"instance": "a/b", "job": "backup"},
        ["three"],
        1,
    )
    delete_from_gateway(place, "backup", key)
    gone(server, '{job="backup"}')
    assert server.get("/api/v1/trimon/pushed")["data"] == []


def test_a_group_that_nobody_renews_ends(server: Server) -> None:
    """After its ttl a group is gone; until then the time of its last push and of its last failure are shown."""
    place, made = f"127.0.0.1:{server.port}", CollectorRegistry()
    Counter("done", "Done.", registry=made).inc(5)
    push_to_gateway(place, "night", made)
    assert server.until('done_total{job="night"} == 5')
    assert (
        time.time() - 20
        < float(server.until('push_time_seconds{job="night"}')[0]["value"][1])
        < time.time() + 1
    )
    assert status(f"http://{place}/metrics/job/night", "PUT", b"bad\n") == 400
    assert server.until('push_failure_time_seconds{job="night"} > 0')
    gone(server, '{job="night"}')


def test_there_is_a_limit(server: Server) -> None:
    """More series than there may be are final; as many as there may be, but not beside the others, may come again."""
    url = f"http://127.0.0.1:{server.port}/metrics/job"
    body = "".join(f'm{{n="{number}"}} 1\n' for number in range(49)).encode()
    assert status(f"{url}/many", "POST", body) == 400
    taken = [status(f"{url}/e{number}", "PUT") for number in range(30)]
    assert (taken[0], taken[-1]) == (200, 503)  # the two series of an empty group count
    assert taken == sorted(taken)
    assert status(f"{url}/many", "POST", body.partition(b"\n")[0] + b"\n") == 503
    assert server.query("m") == []
    for number in range(30):
        assert status(f"{url}/e{number}", "DELETE") == 202


# Some builds of Debian's Pushgateway refuse every push, whatever is in it: they find their own series of the group twice.
OWN_FAULT = b'collected metric "push_time_seconds"'


def status(url: str, method: str, body: bytes = b"", **headers: str) -> int:
    request = urllib.request.Request(url, body, headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        said = error.read()
        is_own = OWN_FAULT in said and said.count(b"collected metric") == said.count(
            b'collected metric "push_'
        )
        return 200 if is_own else error.code


REQUESTS: list[tuple[str, str, bytes]] = [
    ("PUT", "job/x", b"a 1\n"),
    ("POST", "job/x", b"a 1\n"),
    ("PUT", "job/x/instance/y", b"# TYPE c counter\nc 1\n"),
    ("PUT", "job@base64/YS9i", b"a 1\n"),
    ("PUT", "job/x/empty@base64/=", b"a 1\n"),
    ("PUT", "job/x", b""),
    ("PUT", "job/x", b"a 1 1700000000000\n"),
    ("PUT", "job/x", b"a 1\na 1\n"),
    ("PUT", "job/x", b"a\n"),
    ("PUT", "job/x/y", b"a 1\n"),
    ("PUT", "job/x/__name__/y", b"a 1\n"),
    ("PUT", "job/x/a@base64/a", b"a 1\n"),
    ("DELETE", "job/x", b""),
    ("DELETE", "job/never", b""),
    ("DELETE", "job/x/y", b""),
]


def test_answers_are_those_of_a_pushgateway(server: Server) -> None:
    """Each request has the status that a real Pushgateway gives."""
    port = free_port()
    with child(peer("prometheus-pushgateway"), f"--web.listen-address=127.0.0.1:{port}"):
        deadline = time.monotonic() + 90
        while not answers(port):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        differing: dict[Any, Any] = {}
        for method, path, body in REQUESTS:
            theirs, ours = (
                status(f"http://127.0.0.1:{place}/metrics/{path}", method, body)
                for place in (port, server.port)
            )
            if theirs != ours:
                differing[method, path, body] = (theirs, ours)
    assert differing == {}


def answers(port: int) -> bool:
    try:
        return status(f"http://127.0.0.1:{port}/-/ready", "GET") == 200
    except OSError:
        return False


def test_it_is_off_unless_asked_for(tmp_path: Path) -> None:
    """Without the section a push is 404 and says what is missing."""
    with running(tmp_path / "data", "global: {}\n") as server:
        assert status(f"{server.url}/metrics/job/x", "PUT", b"a 1\n") == 404
        assert server.get("/api/v1/trimon/pushed")["errorType"] == "not_found"
