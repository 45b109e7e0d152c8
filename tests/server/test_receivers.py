"""Graphite and StatsD over real sockets into the real server."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.ports import free_port
from tests.support.process import Server, running

CONFIG = """
trimon_receivers:
  graphite:
    listen_address: 127.0.0.1:GRAPHITE
    labels: {source: graphite}
    mappings: [{match: "servers.*.load", name: "load", labels: {host: "$1"}}]
  statsd:
    listen_address: 127.0.0.1:STATSD
    flush_interval: 200ms
    ttl: 2s
"""


class Ports:
    def __init__(self, server: Server, graphite: int, statsd: int) -> None:
        self.server = server
        self.graphite = graphite
        self.statsd = statsd


@pytest.fixture(scope="module")
def ports(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ports]:
    graphite, statsd = free_port(), free_port()
    config = CONFIG.replace("GRAPHITE", str(graphite)).replace("STATSD", str(statsd))
    with running(tmp_path_factory.mktemp("receivers") / "data", config) as server:
        deadline = time.monotonic() + 90
        while not listens(graphite, statsd):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        yield Ports(server, graphite, statsd)


def listens(*ports: int) -> bool:
    for port in ports:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)):
                return False
    return True


def by_tcp(port: int, *pieces: bytes) -> None:
    with socket.create_connection(("127.0.0.1", port)) as sender:
        for piece in pieces:
            sender.sendall(piece)
            time.sleep(0.02)


def by_udp(port: int, *datagrams: bytes) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for datagram in datagrams:
            sender.sendto(datagram, ("127.0.0.1", port))


def metric(server: Server, name: str, **labels: str) -> float:
    wanted = {f'{label}="{value}"' for label, value in labels.items()}
    for line in server.text("/metrics")[1].splitlines():
        if line.startswith(name) and all(pair in line for pair in wanted):
            return float(line.split()[-1])
    return 0.0


def test_graphite_lines_are_samples(ports: Ports) -> None:
    """Lines over TCP, cut anywhere, and over UDP are stored at their times; mappings, tags and added labels are labels."""
    now_s = int(time.time()) - 5
    by_tcp(
        ports.graphite,
        f"servers.web1.load 1.5 {now_s}\nser".encode(),
        f"vers.web2.load 2.5 {now_s}\na.b;x=y 7".encode(),
    )
    by_udp(ports.graphite, f"udp.one 4 {now_s}\nudp.two 5 {now_s}\n".encode())
    server = ports.server
    assert server.until('load{host="web2"}')[0]["metric"] == {
        "__name__": "load",
        "host": "web2",
        "source": "graphite",
    }
    assert (
        server.get("/api/v1/query", query="load", time=str(now_s))["data"]["result"][0]["value"][1] == "1.5"
    )
    assert server.until('a_b{x="y"}')[0]["value"][1] == "7"
    assert server.until("udp_one + on(source) udp_two")[0]["value"][1] == "9"


def test_statsd_adds_up(ports: Ports) -> None:
    """Counters grow over flushes, timers are native histograms in seconds, and a series that is silent for ttl ends."""
    by_udp(ports.statsd, b"hits:1|c|#code:200\nhits:2|c|#code:200", b"took:250|ms\ntook:750|ms", b"temp:-3|g")
    server = ports.server
    assert server.until('hits{code="200"} == 3')
    by_tcp(ports.statsd, b"hits:4|c|#code:200\n")
    assert server.until('hits{code="200"} == 7')
    assert server.until("histogram_count(took)")[0]["value"][1] == "2"
    assert float(server.until("histogram_sum(took)")[0]["value"][1]) == 1.0
    assert 0.7 < float(server.until("histogram_quantile(1, took)")[0]["value"][1]) < 0.8
    deadline = time.monotonic() + 90
    while server.query("hits"):
        assert time.monotonic() < deadline
        time.sleep(0.2)


def test_what_cannot_be_taken_is_counted_and_told(ports: Ports) -> None:
    """Bad lines and late samples harm nobody: the good ones beside them are stored, the others are counted and in the log."""
    server = ports.server
    by_tcp(ports.graphite, b"nonsense\nlate 1 5\ngood 1 -1\n" + b"x" * 20_000)
    assert server.until("good")
    deadline = time.monotonic() + 90
    while metric(server, "trimon_receiver_lines_total", receiver="graphite", result="malformed") < 2:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert metric(server, "trimon_receiver_samples_total", receiver="graphite", result="refused") == 1
    told = server.log.read_text()
    assert "lines of graphite cannot be taken" in told
    named = r"{__name__=\"late\", source=\"graphite\"} at 1970-01-01T00:00:05.000Z"
    assert f'samples of graphite are not stored" err="out of bounds: {named}"' in told
    assert f'"lines are received" receiver=graphite address=127.0.0.1:{ports.graphite}' in told
    found = actor(server, "receivers/graphite")
    assert found["malformed"] == 2
    assert found["address"] == ["127.0.0.1", ports.graphite]


def actor(server: Server, path: str) -> dict[str, Any]:
    found: dict[str, Any] = server.get(f"/debug/actors/trimon/{path}")
    return dict(found.get("fields", found.get("inspect", found)))


def test_an_address_that_is_taken_is_told_and_tried_again(tmp_path: Path) -> None:
    """The server starts all the same, says so, and listens when the address is free; a reload without the section ends it."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        config = f"trimon_receivers: {{graphite: {{listen_address: '127.0.0.1:{port}'}}}}"
        with running(tmp_path / "data", config, "--web.enable-lifecycle") as server:
            deadline = time.monotonic() + 90
            while "graphite cannot be received" not in server.log.read_text():
                assert time.monotonic() < deadline
                time.sleep(0.05)
            taken.close()
            while not listens(port):
                assert time.monotonic() < deadline
                time.sleep(0.1)
            server.config.write_text("global: {}\n")
            assert server.text("/-/reload", "POST")[0] == 200
            while listens(port):
                assert time.monotonic() < deadline
                time.sleep(0.05)
