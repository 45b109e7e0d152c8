"""Reading from other servers: from a real Prometheus in both forms of answers, and from another trimon."""

from __future__ import annotations

import json
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import cramjam
import pytest

from tests.server.test_remoteread import message
from tests.storage.prometheus.test_histogram_blocks import close
from tests.storage.prometheus.test_peer import ask, prometheus
from tests.support.process import Server, peer

_ACCEPTED = b"\x12\x02\x01\x00"
QUERIES = (
    "m",
    "sum(m)",
    "count_over_time(m[359500ms])",
    'avg_over_time(m{i=~"1|3"}[299500ms])',
    "sum by (i) (rate(m[119500ms]))",
    "max_over_time(sum(m)[179s:10s])",
)


@contextmanager
def without_chunks(url: str) -> Iterator[str]:
    """Passes requests on to a server and says that chunks are not accepted; gives its URL."""
    kinds: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = bytes(cramjam.snappy.decompress_raw(self.rfile.read(int(self.headers["Content-Length"]))))
            assert body.endswith(_ACCEPTED)
            sent = bytes(cramjam.snappy.compress_raw(body.removesuffix(_ACCEPTED)))
            headers = {name: self.headers[name] for name in ("Content-Type", "Content-Encoding")}
            with urllib.request.urlopen(urllib.request.Request(url, sent, headers), timeout=10) as answer:
                content = answer.read()
                kinds.append(answer.headers["Content-Type"])
                self.send_response(answer.status)
                self.send_header("Content-Type", kinds[-1])
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 # its name in the standard library
            del format, args

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
        assert set(kinds) == {"application/x-protobuf"}
    finally:
        server.shutdown()
        server.server_close()


def push(url: str, body: bytes) -> None:
    """Stores samples by remote write."""
    packed = bytes(cramjam.snappy.compress_raw(body))
    headers = {"Content-Encoding": "snappy", "Content-Type": "application/x-protobuf"}
    with urllib.request.urlopen(
        urllib.request.Request(f"{url}/api/v1/write", packed, headers), timeout=10
    ) as answer:
        assert answer.status == 204


def same(found: list[Any], wanted: list[Any]) -> bool:
    """Whether two results are the same, in any order."""
    return close(sorted(found, key=json.dumps), sorted(wanted, key=json.dumps))


@pytest.mark.peer
def test_a_real_prometheus_is_read(tmp_path: Path) -> None:
    """Queries over the samples of a Prometheus give what it gives itself, from chunks and from samples."""
    peer("prometheus")
    now_ms = int(time.time()) * 1000
    theirs = tmp_path / "p.yml"
    flag = "--web.enable-remote-write-receiver"
    with (
        prometheus(tmp_path / "theirs", theirs, flag) as url,
        without_chunks(f"{url}/api/v1/read") as sampled,
    ):
        push(url, message(now_ms))
        server = Server(tmp_path / "data", "global: {}\n")
        server.config.write_text(
            json.dumps({"remote_read": [{"url": f"{url}/api/v1/read", "read_recent": True}]})
        )
        server.command.append("--web.enable-lifecycle")
        server.start()
        try:
            for place in (f"{url}/api/v1/read", sampled):
                server.config.write_text(json.dumps({"remote_read": [{"url": place, "read_recent": True}]}))
                assert server.text("/-/reload", "POST")[0] == 200
                for query in QUERIES:
                    wanted = ask(url, query, now_ms / 1000)
                    answer = server.get("/api/v1/query", query=query, time=str(now_ms / 1000))
                    assert "warnings" not in answer, answer
                    assert wanted, query
                    assert same(answer["data"]["result"], wanted), f"{query}\n{answer}\n{wanted}"
                (state,) = server.get("/api/v1/trimon/remote_read")["data"]
                assert (state["health"], state["failed"]) == ("up", 0)
            text = server.text("/metrics")[1]
            assert "prometheus_remote_read_client_queries_total{" in text
            assert 'response_type="sampled"' in text
        finally:
            server.stop()


def test_another_trimon_is_read(tmp_path: Path) -> None:
    """One trimon reads from another over the network, beside what it has itself; when that one is gone, a warning says so."""
    now_ms = int(time.time()) * 1000
    flag = "--web.enable-remote-write-receiver"
    far = Server(tmp_path / "far", "global: {}\n", flag).start()
    config = json.dumps({"remote_read": [{"url": f"{far.url}/api/v1/read"}]})
    near = Server(tmp_path / "near", config, flag).start()
    try:
        push(far.url, message(now_ms))
        for query in QUERIES:
            asked = {"query": query, "time": str(now_ms / 1000)}
            wanted, answer = far.get("/api/v1/query", **asked), near.get("/api/v1/query", **asked)
            assert wanted["data"]["result"], query
            assert same(answer["data"]["result"], wanted["data"]["result"]), query
        far.stop()
        answer = near.get("/api/v1/query", query="m or vector(1)")
        assert [one["value"][1] for one in answer["data"]["result"]] == ["1"]
        (warning,) = answer["warnings"]
        assert warning.startswith(
            f'remote_read: error sending request: Post "{far.url}/api/v1/read": dial tcp'
        )
    finally:
        near.stop()
        far.kill()
