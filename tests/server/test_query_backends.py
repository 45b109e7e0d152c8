"""Queries that go back beyond local samples: the older part comes from another real server."""

from __future__ import annotations

import http.server
import json
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cramjam
import pytest

from tests.support import protobuf
from tests.support.process import Server, running
from tests.support.pusher import HEADERS

CONFIG = """
global: {external_labels: {cluster: a}}
trimon_query_backends:
  - {name: away, url: 'http://127.0.0.1:1', timeout: 1s}
  - {name: old, url: 'URL', dialect: metricsql}
"""


def push(server: Server, begin_s: int, end_s: int, *labels: dict[str, str]) -> None:
    """Writes series that are their own time, every ten seconds, one for each set of labels."""
    samples = [(at_s * 1000, float(at_s)) for at_s in range(begin_s, end_s, 10)]
    sets = [sorted({"__name__": "m", "job": "x", **each}.items()) for each in labels]
    body = b"".join(protobuf.series(each, samples) for each in sets)
    request = urllib.request.Request(
        f"{server.url}/api/v1/write", bytes(cramjam.snappy.compress_raw(body)), HEADERS, method="POST"
    )
    urllib.request.urlopen(request, timeout=10).read()


class World:
    def __init__(self, local: Server, engine: Server, now_s: int) -> None:
        self.local = local
        self.engine = engine
        self.now_s = now_s
        self.begin_s = now_s - 300


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A server with five minutes of samples, and an engine with an hour of those and of another cluster's."""
    folder = tmp_path_factory.mktemp("backends")
    enabled = "--web.enable-remote-write-receiver"
    now_s = int(time.time()) // 10 * 10
    with running(folder / "engine", "global: {}\n", enabled) as engine:
        push(engine, now_s - 3600, now_s + 10, {"cluster": "a"}, {"cluster": "b"})
        with running(folder / "local", CONFIG.replace("URL", engine.url), enabled) as local:
            push(local, now_s - 300, now_s + 10, {})
            yield World(local, engine, now_s)


def ranged(server: Server, query: str, begin_s: float, end_s: float, step_s: int = 10) -> Any:
    return server.get(
        "/api/v1/query_range", query=query, start=str(begin_s), end=str(end_s), step=str(step_s)
    )


def test_a_range_is_put_together(world: World) -> None:
    """Steps that need older samples are the engine's, the others local; series are one, without the server's own labels."""
    answer = ranged(world.local, "m", world.now_s - 900, world.now_s)
    (found,) = answer["data"]["result"]
    assert found["metric"] == {"__name__": "m", "job": "x"}
    assert [at_s for at_s, _ in found["values"]] == list(range(world.now_s - 900, world.now_s + 1, 10))
    assert all(float(value) == at_s for at_s, value in found["values"])
    told = [line for line in answer["warnings"] if "query backend old (metricsql)" in line]
    assert len(told) == 1
    assert told[0].endswith("those after it are local")
    assert any(line.startswith("query backend away failed") for line in answer["warnings"])


OF_CLUSTER = 'm{cluster="a"}'


@pytest.mark.parametrize(
    "query", ["rate(@[2m])", "sum by (job) (@) + 1", "@ offset 4m", "max_over_time(@[3m:20s])", "@ and @"]
)
def test_the_seam_is_not_seen(world: World, query: str) -> None:
    """A range over the boundary has the values that the engine has for all of it; `@` stands for the selector."""
    begin_s, end_s = world.now_s - 1200, world.now_s
    ours = ranged(world.local, query.replace("@", "m"), begin_s, end_s)["data"]["result"]
    theirs = ranged(world.engine, query.replace("@", OF_CLUSTER), begin_s, end_s)["data"]["result"]
    assert len(ours) == len(theirs) == 1
    for one, other in zip(ours, theirs, strict=True):
        assert {**one["metric"], "cluster": "a"} == {**other["metric"], "cluster": "a"}
        assert [at for at, _ in one["values"]] == [at for at, _ in other["values"]]
        assert [float(v) for _, v in one["values"]] == pytest.approx([float(v) for _, v in other["values"]])


def test_what_is_local_asks_nobody(world: World) -> None:
    """A query whose samples are all here has no warning, and an old instant is the engine's as a whole."""
    assert "warnings" not in ranged(world.local, "m", world.now_s, world.now_s)
    assert "warnings" not in world.local.get("/api/v1/query", query="m")
    old = world.local.get("/api/v1/query", query="m", time=str(world.now_s - 1800))
    assert old["data"]["result"][0]["value"] == [world.now_s - 1800, str(world.now_s - 1800)]
    assert any("all of this is the answer of query backend old" in line for line in old["warnings"])
    windows = world.local.get("/api/v1/query", query="m[30s]", time=str(world.now_s - 1800))
    assert [float(value) for _, value in windows["data"]["result"][0]["values"]] == [
        world.now_s - 1820.0,
        world.now_s - 1810.0,
        world.now_s - 1800.0,
    ]
    bad = world.local.get("/api/v1/query", query="m[", time=str(world.now_s - 1800))
    assert bad["errorType"] == "bad_data"


@contextmanager
def answering(body: bytes, status: int = 200) -> Iterator[str]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as the library has it
            del format, args

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


BAD = {
    "no JSON": b"<html>",
    "another shape": b"[]",
    "an error": json.dumps({"status": "error", "error": "too many"}).encode(),
    "an unknown type": json.dumps({"status": "success", "data": {"resultType": "x", "result": []}}).encode(),
    "no numbers": json.dumps(
        {
            "status": "success",
            "data": {"resultType": "matrix", "result": [{"metric": {}, "values": [[1, "x"]]}]},
        }
    ).encode(),
    "series that are none": json.dumps(
        {"status": "success", "data": {"resultType": "matrix", "result": [{"metric": [], "values": 3}]}}
    ).encode(),
}


@pytest.mark.parametrize("body", BAD.values(), ids=BAD)
def test_an_engine_that_answers_nonsense_fails_alone(body: bytes, tmp_path: Path) -> None:
    """The query goes on with what is here, and a warning says why the rest is missing."""
    with answering(body) as url:
        config = f"trimon_query_backends: [{{name: odd, url: '{url}'}}]\n"
        with running(tmp_path / "data", config) as server:
            now_s = int(time.time())
            answer = ranged(server, "vector(time()) + on() up or vector(1)", now_s - 60, now_s)
            assert answer["status"] == "success"
            assert answer["warnings"][0].startswith("query backend odd failed, what only it has is missing: ")
            assert server.process is not None
            assert server.process.poll() is None
