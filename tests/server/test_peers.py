"""trimon beside the real programs that its users have: a node exporter below it, promtool above it."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path

import pytest

from tests.support.ports import free_port
from tests.support.process import ROOT, Server, child, peer, running

pytestmark = pytest.mark.peer


def run(*command: str, given: str = "") -> str:
    done = subprocess.run(command, input=given, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, (done.stdout, done.stderr)
    return done.stdout


def test_sample_config_scrapes_a_node_exporter(tmp_path: Path) -> None:
    """The minimal sample, with the exporter's port, scrapes a real node exporter and answers a dashboard's query."""
    exporter = peer("prometheus-node-exporter")
    port = free_port()
    sample = (ROOT / "config" / "minimal.yml").read_text()
    assert "127.0.0.1:9100" in sample
    config = sample.replace("127.0.0.1:9100", f"127.0.0.1:{port}").replace("15s", "1s")
    with (
        child(exporter, f"--web.listen-address=127.0.0.1:{port}"),
        running(tmp_path / "data", config) as server,
    ):
        (up,) = server.until(f'up{{instance="127.0.0.1:{port}"}} == 1')
        assert up["value"][1] == "1"
        server.until("rate(node_cpu_seconds_total[1m])")
        busy = server.query("sum by (mode) (rate(node_cpu_seconds_total[1m])) * 100 > 0")
        assert {entry["metric"]["mode"] for entry in busy} & {"idle", "user", "system"}
        (series,) = server.query(f'scrape_samples_scraped{{instance="127.0.0.1:{port}"}}')
        assert int(series["value"][1]) > 300
        assert (
            server.get("/api/v1/metadata", metric="node_cpu_seconds_total")["data"]["node_cpu_seconds_total"][
                0
            ]["type"]
            == "counter"
        )


def test_promtool_queries(tmp_path: Path) -> None:
    """promtool's query commands work against the server, and our own print the same."""
    promtool = peer("promtool")
    with running(tmp_path / "data") as server:
        server.until("up")
        shown = run(promtool, "query", "instant", server.url, "up")
        assert shown.startswith(f'up{{instance="127.0.0.1:{server.port}", job="trimon"}} => 1 @[')
        now = int(time.time()) + 1
        ranged = run(
            promtool,
            "query",
            "range",
            f"--start={now - 30}",
            f"--end={now}",
            "--step=5s",
            server.url,
            "up * 2",
        )
        assert "=>\n" in ranged
        assert "2 @[" in ranged
        assert 'job="trimon"' in run(promtool, "query", "series", "--match=up", server.url)
        assert run(promtool, "query", "labels", server.url, "job").strip() == "trimon"
        python = Server(tmp_path / "x").command[0]
        ours = run(python, "-m", "trimon", "query", "instant", server.url, "up * 3")
        assert f'{{instance="127.0.0.1:{server.port}", job="trimon"}} => 3 @[' in ours


def test_promtool_takes_our_metrics(tmp_path: Path) -> None:
    """`promtool check metrics` finds nothing to complain about in our own /metrics but a name that Prometheus gave."""
    promtool = peer("promtool")
    with running(tmp_path / "data") as server:
        server.until("up")
        done = subprocess.run(
            [promtool, "check", "metrics"],
            input=server.text("/metrics")[1], capture_output=True, text=True, timeout=30, check=False,
        )  # fmt: skip
        of_prometheus = "prometheus_target_scrapes_exceeded_native_histogram_bucket_limit_total "
        lines = [
            line for line in (done.stdout + done.stderr).splitlines() if not line.startswith(of_prometheus)
        ]
        assert lines == []


def test_prometheus_takes_our_samples_of_configuration(tmp_path: Path) -> None:
    """`promtool check config` accepts the sample configurations that use nothing of our own."""
    promtool = peer("promtool")
    for name in ("minimal.yml", "rules.yml"):
        text = run(promtool, "check", "config", str(ROOT / "config" / name))
        assert "SUCCESS" in text


def test_prometheus_federates_what_it_scrapes_from_us(tmp_path: Path) -> None:
    """A real Prometheus scrapes our /metrics and finds the same target up."""
    prometheus = peer("prometheus")
    with running(tmp_path / "data") as server:
        port = free_port()
        config = tmp_path / "prometheus.yml"
        config.write_text(
            "global: {scrape_interval: 1s}\nscrape_configs:\n  - job_name: t\n    static_configs:\n"
            f"      - targets: ['127.0.0.1:{server.port}']\n"
        )
        with child(
            prometheus, f"--config.file={config}", f"--storage.tsdb.path={tmp_path / 'peer'}",
            f"--web.listen-address=127.0.0.1:{port}",
        ):  # fmt: skip
            asking = Server(tmp_path / "y", port=port)
            deadline = time.monotonic() + 30
            while time.monotonic() < deadline:
                try:
                    found = asking.query("up == 1")
                except (OSError, json.JSONDecodeError, AssertionError):
                    found = []
                if found:
                    break
                time.sleep(0.3)
            assert found, "Prometheus did not see us up"
