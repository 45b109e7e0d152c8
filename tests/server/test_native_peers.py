"""Native histograms of one target, scraped by us and by a real Prometheus: both answer the same."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.support.metricfamilies import FamilyNumbers, HistogramNumbers, MetricNumbers, body_of
from tests.support.ports import free_port
from tests.support.process import Server, child, peer, running

pytestmark = pytest.mark.peer

CONTENT_TYPE = "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"
WHOLE = HistogramNumbers(
    17, 25.5, (), 1, 0.001, 2, ((-3, 1), (0, 3), (1, 4), (5, 5)), ((-1, 2),), packed=False
)
FAMILIES = (
    FamilyNumbers(
        "h",
        "histogram",
        (
            MetricNumbers((("kind", "whole"),), histogram=WHOLE),
            MetricNumbers(
                (("kind", "wide"),), histogram=HistogramNumbers(6, 1e6, (), -2, 0.5, 0, ((1, 1), (2, 5)))
            ),
            MetricNumbers(
                (("kind", "fine"),),
                histogram=HistogramNumbers(9, 4.0, (), 8, 1e-9, 3, ((100, 2), (101, 4)), packed=False),
            ),
        ),
    ),
    FamilyNumbers("g", "gauge", (MetricNumbers((), 4.25),)),
)
# Between Prometheus 2 and 3 sums over other zero buckets and the interpolation of quantiles changed.
QUERIES = ("h", "histogram_count(h)", "histogram_sum(h)", "sum(histogram_count(h))", "g")


class _Exposition(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = body_of(FAMILIES)
        self.send_response(200)
        self.send_header("Content-Type", CONTENT_TYPE)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nobody reads it."""


@contextmanager
def target() -> Iterator[int]:
    """The port of a target with native histograms."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Exposition) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join(10)


def answers(server: Server) -> list[object]:
    """What it says to all queries, without times."""
    out: list[object] = []
    for expr in QUERIES:
        found = server.query(expr)
        out.append(
            sorted(
                json.dumps(
                    [entry["metric"], entry.get("histogram", [0, None])[1], entry.get("value", [0, None])[1]]
                )
                for entry in found
            )
        )
    return out


def test_a_real_prometheus_says_the_same(tmp_path: Path) -> None:
    """Buckets with their bounds, counts and sums are those of Prometheus, text by text."""
    prometheus = peer("prometheus")
    with target() as scraped:
        job = (
            "global: {scrape_interval: 1s}\nscrape_configs:\n- job_name: t\n"
            f"  static_configs: [{{targets: ['127.0.0.1:{scraped}'], labels: {{instance: t}}}}]\n"
        )
        port, config = free_port(), tmp_path / "prometheus.yml"
        config.write_text(job)
        ours = job.replace("- job_name: t\n", "- job_name: t\n  scrape_native_histograms: true\n")
        with (
            child(
                prometheus, f"--config.file={config}", f"--storage.tsdb.path={tmp_path / 'peer'}",
                f"--web.listen-address=127.0.0.1:{port}", "--enable-feature=native-histograms",
            ),
            running(tmp_path / "data", ours) as server,
        ):  # fmt: skip
            server.until("g", 60)
            other = Server(tmp_path / "other", port=port)
            until = time.monotonic() + 60
            found: list[object] = []
            while not found and time.monotonic() < until:
                try:
                    found = list(other.query("g"))
                except (OSError, ValueError, AssertionError):
                    time.sleep(0.3)
            assert found, "Prometheus has not scraped"
            assert answers(server) == answers(other)
            (whole,) = server.query('h{kind="whole"}')
            assert whole["histogram"][1]["count"] == "17"


def test_a_real_prometheus_federates_them(tmp_path: Path) -> None:
    """What it scrapes of our /federate has the counts and buckets that were scraped here."""
    prometheus = peer("prometheus")
    with target() as scraped:
        ours = (
            "global: {scrape_interval: 1s}\nscrape_configs:\n- job_name: t\n  scrape_native_histograms: true\n"
            f"  static_configs: [{{targets: ['127.0.0.1:{scraped}'], labels: {{instance: t}}}}]\n"
        )
        with running(tmp_path / "data", ours) as server:
            server.until("g", 60)
            port, config = free_port(), tmp_path / "prometheus.yml"
            config.write_text(
                "global: {scrape_interval: 1s}\nscrape_configs:\n- job_name: f\n  honor_labels: true\n"
                "  metrics_path: /federate\n  params: {'match[]': ['{job=\"t\"}']}\n"
                f"  static_configs: [{{targets: ['127.0.0.1:{server.port}']}}]\n"
            )
            with child(
                prometheus, f"--config.file={config}", f"--storage.tsdb.path={tmp_path / 'peer'}",
                f"--web.listen-address=127.0.0.1:{port}", "--enable-feature=native-histograms",
            ):  # fmt: skip
                other = Server(tmp_path / "other", port=port)
                until = time.monotonic() + 60
                found: list[object] = []
                while not found and time.monotonic() < until:
                    try:
                        found = list(other.query("h"))
                    except (OSError, ValueError, AssertionError):
                        time.sleep(0.3)
                assert found, "Prometheus has not scraped"
                assert answers(server) == answers(other)
