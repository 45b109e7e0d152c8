"""Sections that change while what their sources find stays as it is: a reload has them take over what is known."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.support.process import Server, running

# Sources that say everything once: what follows comes of the reload alone.
SOURCES = {
    "static": "static_configs: [{targets: ['127.0.0.1:1']}]",
    "file": "file_sd_configs: [{files: ['%(folder)s/targets.json'], refresh_interval: 1h}]",
    "http": "http_sd_configs: [{url: 'http://%(address)s/', refresh_interval: 1h}]",
}
CONFIG = """\
global: {scrape_interval: 1h}
alerting:
  alertmanagers:
%(managers)s
scrape_configs:
%(jobs)s
"""
# What is in the section besides its sources, and the URLs that come of it.
FORMS = [
    ("path_prefix: /p0", "metrics_path: /m0", "http://127.0.0.1:1/p0/api/v2/alerts", "http://127.0.0.1:1/m0"),
    ("scheme: https", "scheme: https", "https://127.0.0.1:1/api/v2/alerts", "https://127.0.0.1:1/metrics"),
    (
        "relabel_configs: [{target_label: __address__, replacement: 'far:2'}]",
        "relabel_configs: [{target_label: __address__, replacement: 'far:2'}]",
        "http://far:2/api/v2/alerts",
        "http://far:2/metrics",
    ),
    ("path_prefix: /p0", "metrics_path: /m0", "http://127.0.0.1:1/p0/api/v2/alerts", "http://127.0.0.1:1/m0"),
    ("relabel_configs: [{action: drop}]", "relabel_configs: [{action: drop}]", "", ""),
]


def written(manager: str, job: str, folder: Path, address: str) -> str:
    """A set of Alertmanagers and a job for each kind of source."""
    place = {"folder": folder, "address": address}
    managers = "\n".join(f"  - {{{manager}, {source % place}}}" for source in SOURCES.values())
    jobs = "\n".join(f"- {{job_name: {name}, {job}, {source % place}}}" for name, source in SOURCES.items())
    return CONFIG % {"managers": managers, "jobs": jobs}


@contextmanager
def discovery_service() -> Iterator[tuple[str, list[str]]]:
    """A service of http_sd with one target: its address, and what it was asked."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            body = json.dumps([{"targets": ["127.0.0.1:1"]}]).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as service:
        threading.Thread(target=service.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{service.server_address[1]}", asked
        service.shutdown()


def seen(server: Server) -> tuple[list[str], list[str]]:
    """The URLs of all Alertmanagers and of all targets."""
    managers: dict[str, Any] = server.get("/api/v1/alertmanagers")["data"]
    targets: dict[str, Any] = server.get("/api/v1/targets")["data"]
    return (
        sorted(each["url"] for each in managers["activeAlertmanagers"]),
        sorted(each["scrapeUrl"] for each in targets["activeTargets"]),
    )


def until(found: Callable[[], Any], wanted: Any, within_s: float = 15.0) -> None:
    """Returns when a question gives what is wanted."""
    deadline = time.monotonic() + within_s
    while (answer := found()) != wanted:
        if time.monotonic() > deadline:
            pytest.fail(f"{answer}, not {wanted}, after {within_s} s")
        time.sleep(0.1)


def test_changed_sections_take_over_what_is_known(tmp_path: Path) -> None:
    """Alertmanagers and targets, static, of files and of HTTP, are as each of five forms of their sections says."""
    (tmp_path / "targets.json").write_text('[{"targets": ["127.0.0.1:1"]}]')
    with discovery_service() as (address, asked):
        texts = [written(manager, job, tmp_path, address) for manager, job, _, _ in FORMS]
        with running(tmp_path / "data", texts[0], "--web.enable-lifecycle") as server:
            for text, (_, _, manager, target) in zip(texts, FORMS, strict=True):
                server.config.write_text(text)
                assert server.text("/-/reload", "POST")[0] == 200
                kinds = len(SOURCES)
                wanted = ([manager] * kinds if manager else [], [target] * kinds if target else [])
                until(lambda: seen(server), wanted)
                lines = server.text("/metrics")[1].splitlines()
                label = "prometheus_notifications_sent_total{"
                told = {line.partition("} ")[0] for line in lines if line.startswith(label)}
                assert told == ({f'{label}alertmanager="{manager}"'} if manager else set())
        # Once for jobs and once for Alertmanagers: the source went on through all reloads.
        assert len(asked) == 2
