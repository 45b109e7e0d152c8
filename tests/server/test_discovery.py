"""Where targets come from, and which came and went, by the real server."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from tests.support.process import Server, running


def await_change(server: Server, **wanted: str) -> dict[str, Any]:
    """The newest change that fits, as soon as there is one."""
    until_s = time.monotonic() + 20
    while time.monotonic() < until_s:
        found = server.get("/api/v1/discovery/changes", **wanted)["data"]["changes"]
        if found:
            newest: dict[str, Any] = found[0]
            return newest
        time.sleep(0.2)
    raise AssertionError(server.get("/api/v1/discovery/changes"))


def write(path: Path, *groups: dict[str, Any]) -> None:
    path.write_text(json.dumps(groups))


def test_a_target_that_vanished_can_be_found(tmp_path: Path) -> None:
    """Providers tell how they do; changes tell which target went, when, and by which label, secrets masked."""
    targets = tmp_path / "targets.json"
    write(targets, {"targets": ["127.0.0.1:1", "127.0.0.1:2"], "labels": {"__meta_token": "hide-me-please"}})
    config = (
        "scrape_configs:\n- job_name: j\n"
        f"  file_sd_configs: [{{files: ['{targets}']}}]\n"
        "- job_name: down\n  http_sd_configs: [{url: 'http://127.0.0.1:1/x', refresh_interval: 1s}]\n"
    )
    with running(tmp_path / "data", config) as server:
        first = await_change(server, kind="first publish", job="j")
        assert first["count"] == 2
        write(targets, {"targets": ["127.0.0.1:1"], "labels": {"__meta_token": "hide-me-too-now"}})
        went = await_change(server, kind="went")
        assert went["labels"]["__address__"] == "127.0.0.1:2"
        changed = await_change(server, address="127.0.0.1:1", kind="changed")
        assert changed["differing"] == {"__meta_token": {"before": "<secret>", "after": "<secret>"}}
        assert "hide-me" not in server.text("/api/v1/discovery/changes")[1]
        by_job = {one["jobs"][0]: one for one in server.get("/api/v1/discovery")["data"]["providers"]}
        assert (by_job["j"]["mechanism"], by_job["j"]["targets"], by_job["j"]["lastError"]) == ("file", 1, "")
        assert by_job["j"]["lastSuccess"].startswith("20")
        assert (by_job["j"]["name"], by_job["j"]["address"]) == ("j/file/0", str(targets))
        assert (by_job["down"]["index"], by_job["down"]["address"]) == (0, "http://127.0.0.1:1/x")
        assert server.get("/api/v1/discovery/changes", provider="j/file/0", kind="went")["data"]["changes"]
        assert not server.get("/api/v1/discovery/changes", provider="down/http/0")["data"]["changes"]
        assert "connection refused" in by_job["down"]["lastError"]
        assert not by_job["down"]["published"]
        assert server.get("/api/v1/discovery/changes", job="down")["data"]["changes"] == []
        metrics = server.text("/metrics")[1]
        assert "prometheus_sd_http_failures_total 0" not in metrics
        assert 'prometheus_sd_refresh_duration_seconds_count{config="down",mechanism="http"}' in metrics
        bad = server.get("/api/v1/discovery/changes", kind="nothing")
        assert (bad["status"], bad["errorType"]) == ("error", "bad_data")


def test_targets_of_a_job_that_a_reload_took_away_can_be_found(tmp_path: Path) -> None:
    """They went, under the name of the job, although neither it nor its provider is there any more."""
    targets = tmp_path / "targets.json"
    write(targets, {"targets": ["127.0.0.1:1"], "labels": {"__meta_from": "http://h/?token=hide-me-please"}})
    config = f"scrape_configs:\n- job_name: j\n  file_sd_configs: [{{files: ['{targets}']}}]\n"
    with running(tmp_path / "data", config, "--web.enable-lifecycle") as server:
        assert await_change(server, kind="first publish", job="j")["jobs"] == ["j"]
        server.config.write_text("scrape_configs: []\n")
        server.text("/-/reload", "POST")
        assert await_change(server, kind="provider removed", job="j")["count"] == 1
        went = await_change(server, kind="went", job="j")
        assert went["labels"]["__address__"] == "127.0.0.1:1"
        assert went["labels"]["__meta_from"] == "http://h/?token=<secret>"


def test_a_source_that_cannot_be_made_ends_alone(tmp_path: Path) -> None:
    """As in Prometheus the server starts, and the source says what is wrong."""
    config = (
        "scrape_configs:\n- job_name: bad\n  docker_sd_configs: [{host: blah}]\n"
        "- job_name: good\n  static_configs: [{targets: ['127.0.0.1:1']}]\n"
    )
    with running(tmp_path / "data", config) as server:
        assert await_change(server, kind="first publish", job="good")["count"] == 1
        [bad] = server.get("/api/v1/discovery", job="bad")["data"]["providers"]
        assert "blah" in bad["lastError"]
        assert bad["lastErrorTime"].startswith("20")


def test_rules_run_over_what_is_masked(tmp_path: Path) -> None:
    """Labels as they were shown, secrets masked, get the verdict of the true ones, and no step shows what is masked."""
    config = (
        "scrape_configs:\n- job_name: j\n"
        "  static_configs: [{targets: ['127.0.0.1:1'], labels: {__meta_password: hide-me-please}}]\n"
        "  relabel_configs:\n"
        "  - {source_labels: [__meta_password], target_label: __tmp_x}\n"
        "  - {source_labels: [__tmp_x], regex: 'hide-me-.*', action: drop}\n"
    )
    with running(tmp_path / "data", config) as server:
        await_change(server, kind="first publish", job="j")
        dropped: list[Any] = []
        while not dropped:
            dropped = server.get("/api/v1/targets", state="dropped")["data"]["droppedTargets"]
        labels = dropped[0]["discoveredLabels"]
        assert labels["__meta_password"] == "<secret>"
        asked = {"scrapePool": "j", "labels": json.dumps(labels)}
        first, second = server.get("/api/v1/targets/relabel_steps", **asked)["data"]["steps"]
        assert (first["keep"], first["output"]["__tmp_x"]) == (True, "<secret>")
        assert second["keep"] is False
        tried = server.get(
            "/api/v1/targets/relabel_steps",
            **asked,
            relabel_configs="[{source_labels: [__meta_password], regex: 'h.*', action: keep}]",
        )
        assert tried["data"]["steps"][0]["keep"] is False, (
            "nobody can find out a secret with rules of his own"
        )
        other = {"scrapePool": "j", "labels": json.dumps({**labels, "__address__": "x:1"})}
        answer = server.get("/api/v1/targets/relabel_steps", **other)
        assert "no target of the scrape pool has them" in answer["warnings"][0]
        assert answer["data"]["steps"][1]["keep"] is True
