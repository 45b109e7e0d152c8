"""Remote write from one server to another, with the sender killed in between."""

from __future__ import annotations

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest

from tests.support.process import Server, running

CONFIG = """
global: {scrape_interval: 200ms}
remote_write:
  - {url: 'URL/api/v1/write', queue_config: {batch_send_deadline: 300ms}}
scrape_configs:
  - job_name: self
    static_configs: [{targets: ["127.0.0.1:PORT"]}]
"""


def count(server: Server, at_s: float) -> float:
    """How many samples of `up` there are until a time."""
    found = server.get("/api/v1/query", query="count_over_time(up[5m])", time=f"{at_s:.3f}")
    return float(found["data"]["result"][0]["value"][1])


def test_a_killed_sender_loses_nothing(tmp_path: Path) -> None:
    """The sender is killed twice; the receiver ends up with what the sender has, sample for sample."""
    with running(tmp_path / "receiver", "global: {}\n", "--web.enable-remote-write-receiver") as receiver:
        for _ in range(2):
            sender = Server(
                tmp_path / "data",
                CONFIG.replace("URL", receiver.url).replace("PORT", str(receiver.port)),
            ).start()
            sender.until("up")
            time.sleep(2)
            sender.kill()
        sender = Server(
            tmp_path / "data", CONFIG.replace("URL", receiver.url).replace("PORT", str(receiver.port))
        ).start()
        try:
            sender.until("up")
            at_s = time.time()
            deadline = time.monotonic() + 20
            while count(sender, at_s) != count(receiver, at_s) and time.monotonic() < deadline:
                time.sleep(0.3)
            assert count(receiver, at_s) == count(sender, at_s) > 10
        finally:
            sender.stop()


class _Standin(BaseHTTPRequestHandler):
    """The metadata service of a cloud at GET, a receiver at POST."""

    authorizations: ClassVar[list[str]] = []
    asked: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        self.asked.append(self.path)
        self._answer(200, b'{"access_token": "token-of-a-stand-in", "expires_in": 3600}')

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.authorizations.append(self.headers.get("Authorization", ""))
        self._answer(204, b"")

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 # its name in the standard library
        del format, args


def test_tokens_of_clouds_go_with_every_request(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`azuread` and `google_iam` ask the service of their cloud once, and every request has the token that it gave."""
    standin = ThreadingHTTPServer(("127.0.0.1", 0), _Standin)
    threading.Thread(target=standin.serve_forever, daemon=True).start()
    place = f"127.0.0.1:{standin.server_port}"
    monkeypatch.setenv("IDENTITY_ENDPOINT", f"http://{place}/azure")
    monkeypatch.setenv("IDENTITY_HEADER", "h")
    monkeypatch.setenv("GCE_METADATA_HOST", place)
    monkeypatch.setenv("HOME", str(tmp_path))
    queue = {"batch_send_deadline": "100ms", "min_shards": 2}
    config = {
        "global": {"scrape_interval": "200ms"},
        "remote_write": [
            {"url": f"http://{place}/a", "azuread": {"managed_identity": {}}, "queue_config": queue},
            {"url": f"http://{place}/g", "google_iam": {}, "queue_config": queue},
        ],
        "scrape_configs": [{"job_name": "self", "static_configs": [{"targets": [place]}]}],
    }
    try:
        with running(tmp_path / "data", json.dumps(config)):
            deadline = time.monotonic() + 20
            while len(_Standin.authorizations) < 8 and time.monotonic() < deadline:
                time.sleep(0.05)
    finally:
        standin.shutdown()
        standin.server_close()
    assert len(_Standin.authorizations) >= 8
    assert set(_Standin.authorizations) == {"Bearer token-of-a-stand-in"}
    assert [path.split("?")[0] for path in sorted(_Standin.asked) if path != "/metrics"] == [
        "/azure",
        "/computeMetadata/v1/instance/service-accounts/default/token",
    ]
