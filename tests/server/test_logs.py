"""The query log, the log of failed scrapes and the journal of running queries of the real server."""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from tests.support.ports import free_port
from tests.support.process import Server, child, peer, running

CONFIG = """
global: {{scrape_interval: 1s, evaluation_interval: 1s, query_log_file: query.log, scrape_failure_log_file: failed.log}}
rule_files: [rules.yml]
scrape_configs:
  - job_name: down
    static_configs: [{{targets: ["127.0.0.1:{port}"]}}]
"""
RULES = "groups:\n  - name: g\n    rules:\n      - {record: r, expr: vector(1)}\n"


def lines_of(path: Path, wanted: Callable[[dict[str, Any]], bool]) -> list[dict[str, Any]]:
    """The lines of a log that are wanted, as soon as there is one."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        if path.exists():
            found = [json.loads(line) for line in path.read_text().splitlines()]
            if picked := [line for line in found if wanted(line)]:
                return picked
        time.sleep(0.05)
    pytest.fail(f"nothing in {path}")


def test_logs_of_queries_rules_and_scrapes(tmp_path: Path) -> None:
    """Queries, rules and failed scrapes leave lines; a reload takes up a rotated file."""
    (tmp_path / "rules.yml").write_text(RULES)
    port = free_port()
    with running(tmp_path / "data", CONFIG.format(port=port), "--web.enable-lifecycle") as server:
        server.query("1 + 1")
        (line, *_) = lines_of(tmp_path / "query.log", lambda line: line["params"]["query"] == "1 + 1")
        assert line["httpRequest"] == {"clientIP": "127.0.0.1", "method": "GET", "path": "/api/v1/query"}
        assert set(line["stats"]["timings"]) >= {"evalTotalTime", "execTotalTime", "execQueueTime"}
        (rule, *_) = lines_of(tmp_path / "query.log", lambda line: "ruleGroup" in line)
        assert rule["ruleGroup"] == {"file": str(tmp_path / "rules.yml"), "name": "g"}
        (failed, *_) = lines_of(tmp_path / "failed.log", lambda line: True)
        assert (failed["level"], failed["job_name"]) == ("ERROR", "down")
        assert failed["target"] == f"http://127.0.0.1:{port}/metrics"
        assert "refused" in failed["msg"]
        (tmp_path / "query.log").rename(tmp_path / "query.log.1")
        assert server.text("/-/reload", "POST") == (200, "")
        server.query("2 + 2")
        lines_of(tmp_path / "query.log", lambda line: line["params"]["query"] == "2 + 2")
        assert "prometheus_engine_query_log_enabled 1.0" in server.text("/metrics")[1]


def test_queries_of_a_crash_are_told_at_the_next_start(tmp_path: Path) -> None:
    """A query that runs when the process is killed is in the journal, and the next start names it."""
    expr = "count_over_time(vector(1)[90d:1s])"
    with running(tmp_path / "data") as server:
        server.until("up")
        opened = urllib.request.Request(f"{server.url}/api/v1/query?query={expr.replace(' ', '')}")
        journal = tmp_path / "data" / "queries.active"
        deadline = time.monotonic() + 20

        def ask() -> None:
            try:
                urllib.request.urlopen(opened, timeout=30).read()
            except OSError:
                return

        asking = Thread(target=ask, daemon=True)
        while expr.encode() not in journal.read_bytes():
            assert time.monotonic() < deadline
            if not asking.is_alive():
                asking = Thread(target=ask, daemon=True)
                asking.start()
            time.sleep(0.001)
        server.kill()
        again = Server(tmp_path / "data", port=server.port).start()
        try:
            assert "these queries did not finish in the last run" in again.log.read_text()
            assert "count_over_time(vector(1)[90d:1s])" in again.log.read_text()
        finally:
            assert again.stop() == 0
        assert expr.encode() not in journal.read_bytes()


@pytest.mark.peer
def test_the_query_log_has_the_fields_of_a_real_one(tmp_path: Path) -> None:
    """Every field that a real Prometheus writes about a query is in our line too, with the same parameters."""
    prometheus = peer("prometheus")
    theirs_port = free_port()
    config = tmp_path / "prometheus.yml"
    config.write_text(f"global: {{query_log_file: {tmp_path / 'theirs.log'}}}\n")
    ours_config = f"global: {{query_log_file: {tmp_path / 'ours.log'}}}\n"
    path = "/api/v1/query_range"
    parameters = {"query": "vector(1)", "start": "1700000000", "end": "1700000060.5", "step": "15"}
    with (
        child(
            prometheus, f"--config.file={config}", f"--storage.tsdb.path={tmp_path / 'peer'}",
            f"--web.listen-address=127.0.0.1:{theirs_port}",
        ),
        running(tmp_path / "data", ours_config) as server,
    ):  # fmt: skip
        peer_server = Server(tmp_path / "y", port=theirs_port)
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            try:
                if peer_server.get(path, **parameters)["status"] == "success":
                    break
            except OSError:
                time.sleep(0.1)
        assert server.get(path, **parameters)["status"] == "success"
        theirs = lines_of(tmp_path / "theirs.log", lambda line: True)[0]
        ours = lines_of(tmp_path / "ours.log", lambda line: True)[0]
    assert ours["params"] == theirs["params"]
    assert ours["httpRequest"] == theirs["httpRequest"]
    assert set(ours["stats"]) >= set(theirs["stats"])
    assert set(ours["stats"]["timings"]) >= set(theirs["stats"]["timings"])
    # newer versions call the time `time`, and name a span only when there is one
    assert set(ours) | {"ts", "spanID"} >= set(theirs)
