"""Real senders of remote write in front of the real server."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.support.ports import free_port
from tests.support.process import Server, child, peer, running

pytestmark = pytest.mark.peer

RECEIVER = ("--web.enable-remote-write-receiver",)


def scraped(port: int) -> str:
    return (
        "global: {scrape_interval: 1s}\n"
        "scrape_configs:\n  - job_name: pushed\n    static_configs:\n"
        f"      - targets: ['127.0.0.1:{port}']\n"
    )


def check(server: Server) -> list[str]:
    """Samples of the sender's own scrapes are here; the answers other than 204."""
    server.until('count_over_time(up{job="pushed"}[1m]) >= 4')
    assert len(server.query('{job="pushed"}')) > 50
    (scrapes,) = server.query('up{job="pushed"}[1m]')
    times = [time for time, _ in scrapes["values"]]
    assert times == sorted(set(times))
    assert all(value == "1" for _, value in scrapes["values"])
    return [
        line
        for line in server.text("/metrics")[1].splitlines()
        if line.startswith("prometheus_http_requests_total") and "/write" in line and 'code="204"' not in line
    ]


def test_prometheus_writes_to_us(tmp_path: Path) -> None:
    """A real Prometheus sends what it scrapes; all requests are taken, and its metadata arrives."""
    prometheus = peer("prometheus")
    with running(tmp_path / "data", None, *RECEIVER) as server:
        port = free_port()
        config = tmp_path / "prometheus.yml"
        config.write_text(
            scraped(server.port)
            + f"remote_write:\n  - url: {server.url}/api/v1/write\n    metadata_config: {{send_interval: 2s}}\n"
            "    queue_config: {batch_send_deadline: 500ms}\n"
        )
        with child(
            prometheus, f"--config.file={config}", f"--storage.tsdb.path={tmp_path / 'peer'}",
            f"--web.listen-address=127.0.0.1:{port}",
        ):  # fmt: skip
            assert check(server) == []
            deadline = time.monotonic() + 20
            while (
                time.monotonic() < deadline
                and not server.get("/api/v1/metadata", metric="process_cpu_seconds_total")["data"]
            ):
                time.sleep(0.2)
            (about,) = server.get("/api/v1/metadata", metric="process_cpu_seconds_total")["data"].values()
            assert about[0]["type"] == "counter"


def test_vmagent_writes_to_us(tmp_path: Path) -> None:
    """A real vmagent, which tries a compression of its own first, falls back and sends what it scrapes."""
    vmagent = peer("vmagent")
    with running(tmp_path / "data", None, *RECEIVER) as server:
        config = tmp_path / "vmagent.yml"
        config.write_text(scraped(server.port))
        with child(
            vmagent, f"-promscrape.config={config}", f"-remoteWrite.url={server.url}/api/v1/write",
            f"-remoteWrite.tmpDataPath={tmp_path / 'queue'}", f"-httpListenAddr=127.0.0.1:{free_port()}",
        ):  # fmt: skip
            bad = check(server)
            # at most its one question which protocol we speak
            assert all('code="415"' in line or 'code="400"' in line for line in bad), bad
