"""A server whose configuration is planned and changed, and what it scrapes."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest

from tests.support.process import Server

RULES = "groups: [{name: g, interval: 1s, rules: [{record: r, expr: 'up'}]}]\n"


class Exposition(BaseHTTPRequestHandler):
    """Three series at /metrics."""

    def do_GET(self) -> None:
        body = b"a 1\nb 2\nc 3\n"
        self.send_response(200 if self.path == "/metrics" else 404)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as the library has it
        del format, args


def configuration(*targets: str, path: str = "/metrics", rules: str = "rules.yml", job: str = "j") -> str:
    """A file with one job."""
    listed = ", ".join(f"'{each}'" for each in targets)
    return (
        "global: {scrape_interval: 1s, evaluation_interval: 1s}\n"
        f"rule_files: [{rules}]\n"
        f"scrape_configs: [{{job_name: {job}, metrics_path: {path}, static_configs: [{{targets: [{listed}]}}]}}]\n"
    )


def await_up(server: Server) -> None:
    """Until every target is up."""
    for _ in range(100):
        found = server.get("/api/v1/targets")["data"]["activeTargets"]
        if {one["health"] for one in found} == {"up"}:
            return
        time.sleep(0.1)
    raise AssertionError(found)


def post(server: Server, path: str, text: str) -> Any:
    """The JSON of the answer to a text."""
    request = urllib.request.Request(server.url + path, text.encode(), method="POST")
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        return json.load(error)


def await_targets(server: Server, count: int) -> None:
    """Returns when there are so many; discovery takes some seconds to tell of others."""
    for _ in range(100):
        if len(server.get("/api/v1/targets")["data"]["activeTargets"]) == count:
            return
        time.sleep(0.1)
    pytest.fail(f"there are never {count} targets")
