"""The last scrapes of targets, their bodies, a scrape at once, and other rules on a kept body, by the real server."""

from __future__ import annotations

import gzip
import json
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.support.process import Server, running

SECRET = "hunter2-hunter2"


class _Target(BaseHTTPRequestHandler):
    """Answers with what its server says; compressed where that is asked for and said."""

    server: _Targets

    def do_GET(self) -> None:
        body, compressed = self.server.body, self.server.compressed
        if compressed:
            body = gzip.compress(body)
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.send_header("Content-Length", str(len(body)))
        if compressed:
            self.send_header("Content-Encoding", "gzip")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as the library has it
        del format, args


class _Targets(ThreadingHTTPServer):
    def __init__(self, body: bytes, *, compressed: bool) -> None:
        super().__init__(("127.0.0.1", 0), _Target)
        self.body, self.compressed = body, compressed


@contextmanager
def target(body: bytes, *, compressed: bool = True) -> Iterator[Any]:
    with _Targets(body, compressed=compressed) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def configuration(*ports: int) -> str:
    listed = ", ".join(f"'127.0.0.1:{port}'" for port in ports)
    return (
        "scrape_configs:\n"
        "- job_name: j\n"
        "  scrape_interval: 1h\n"
        f"  authorization: {{credentials: {SECRET}}}\n"
        "  metric_relabel_configs: [{source_labels: [__name__], regex: gone, action: drop}]\n"
        f"  static_configs: [{{targets: [{listed}]}}]\n"
    )


def post(server: Server, path: str, **form: str) -> dict[str, Any]:
    request = urllib.request.Request(server.url + path, data=urllib.parse.urlencode(form).encode())
    with urllib.request.urlopen(request, timeout=30) as answer:
        found: dict[str, Any] = json.load(answer)
    return found


def only(server: Server) -> str:
    """The id of the only target."""
    for _ in range(100):
        listed = server.get("/api/v1/targets/scrapes", scrapePool="j")["data"]["targets"]
        if listed:
            break
        time.sleep(0.1)
    [found] = listed
    assert found["labels"]["job"] == "j"
    return str(found["id"])


@pytest.mark.parametrize("compressed", [True, False])
def test_a_scrape_at_once_is_stored_and_its_body_kept(tmp_path: Path, compressed: bool) -> None:
    """The record has times and sizes, the sample can be queried, the body is what was sent without our credentials."""
    body = f'# HELP m x\n# TYPE m gauge\nm{{echo="{SECRET}"}} 7\ngone 1\n'.encode()
    with (
        target(body, compressed=compressed) as there,
        running(tmp_path, configuration(there.server_port)) as server,
    ):
        name = only(server)
        record = post(server, f"/api/v1/targets/{name}/scrape")["data"]
        assert (record["health"], record["status"], record["samples"], record["series"]) == ("up", 200, 2, 1)
        assert record["bodyBytes"] == len(body)
        assert (record["wireBytes"] != len(body)) == compressed
        assert record["hasBody"]
        assert record["parts"]["firstByte"] > 0
        assert record["parts"]["connect"] > 0 or record["parts"]["resolve"] == 0
        assert [one["value"][1] for one in server.query("m")] == ["7"]
        shown = server.get(f"/api/v1/targets/{name[:8]}/scrapes")["data"]
        assert shown["scrapes"][0]["id"] == record["id"]
        _, text = server.text(f"/api/v1/targets/{name}/scrapes/{record['id']}/body")
        assert text == body.decode().replace(SECRET, "<secret>")
        tried = "[{source_labels: [__name__], regex: m, action: drop}]"
        replayed = post(server, f"/api/v1/targets/{name}/replay", metric_relabel_configs=tried)["data"]
        assert (replayed["series"], replayed["keptNow"], replayed["keptThen"]) == (2, 1, 1)
        assert (replayed["dropped"], replayed["gained"]) == (1, 1)


def test_a_parse_error_has_its_place(tmp_path: Path) -> None:
    """A body at fault is kept, with line, column and a mark under the place."""
    with target(b"a 1\nb{x=y} 2\n") as there, running(tmp_path, configuration(there.server_port)) as server:
        name = only(server)
        record = post(server, f"/api/v1/targets/{name}/scrape")["data"]
        assert record["health"] == "down"
        assert (record["fault"]["line"], record["fault"]["column"]) == (2, 5)
        assert record["fault"]["text"].startswith("b{x=y}")
        assert record["fault"]["mark"] == "    ^"
        assert server.text(f"/api/v1/targets/{name}/scrapes/{record['id']}/body")[1] == "a 1\nb{x=y} 2\n"


@pytest.mark.parametrize(
    ("method", "path", "status", "says"),
    [
        ("GET", "/api/v1/targets/short/scrapes", 400, "at least 8 characters"),
        ("GET", "/api/v1/targets/00000000/scrapes", 404, "no target with id"),
        ("GET", "/api/v1/targets/{id}/scrapes/x/body", 400, 'not \\"x\\"'),
        ("GET", "/api/v1/targets/{id}/scrapes/5/body", 404, "is not kept"),
        (
            "POST",
            "/api/v1/targets/{id}/replay?metric_relabel_configs=5",
            400,
            "line 1: cannot unmarshal !!int",
        ),
        (
            "POST",
            "/api/v1/targets/{id}/replay?metric_relabel_configs=[{action: nope}]",
            400,
            "unknown relabel action",
        ),
        ("POST", "/api/v1/targets/{id}/replay?limit=x", 400, "limit"),
        (
            "GET",
            "/api/v1/targets/relabel_steps?scrapePool=j&labels={}&relabel_configs=[5]",
            400,
            "line 1: cannot unmarshal !!int",
        ),
    ],
)
def test_bad_questions_say_what_is_wrong(
    tmp_path: Path, method: str, path: str, status: int, says: str
) -> None:
    """Unknown targets and scrapes, bad rules and parameters are 400 or 404 with the reason."""
    with target(b"m 1\n") as there, running(tmp_path, configuration(there.server_port)) as server:
        name = only(server)
        post(server, f"/api/v1/targets/{name}/scrape")
        asked = urllib.parse.quote(path.replace("{id}", name), safe="/?=&")
        request = urllib.request.Request(server.url + asked, method=method)
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(request, timeout=10)
        assert caught.value.code == status
        assert says in caught.value.read().decode()


def test_without_bodies_the_rest_is_there(tmp_path: Path) -> None:
    """--no-scrape.keep-bodies keeps none, and the record is as before."""
    with (
        target(b"m 1\n") as there,
        running(tmp_path, configuration(there.server_port), "--no-scrape.keep-bodies") as server,
    ):
        record = post(server, f"/api/v1/targets/{only(server)}/scrape")["data"]
        assert (record["health"], record["hasBody"]) == ("up", False)


def test_what_came_of_a_body_that_is_too_big_is_told(tmp_path: Path) -> None:
    """Status, type and how much came are known of an answer whose body was given up; of a 404 the status."""
    with (
        target(b"m 1\n" * 50_000, compressed=False) as there,
        running(
            tmp_path,
            configuration(there.server_port).replace(
                "  scrape_interval", "  body_size_limit: 1KB\n  scrape_interval"
            ),
        ) as server,
    ):
        record = post(server, f"/api/v1/targets/{only(server)}/scrape")["data"]
        assert (record["health"], record["error"]) == ("down", "body size limit exceeded")
        assert (record["status"], record["contentType"]) == (200, "text/plain; version=0.0.4")
        assert not record["hasBody"]
