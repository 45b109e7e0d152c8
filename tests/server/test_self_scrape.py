"""A server that scrapes itself, in each of its formats."""

from __future__ import annotations

from pathlib import Path

from tests.support.ports import free_port
from tests.support.process import Server

PROTOCOLS = ("PrometheusProto", "OpenMetricsText1.0.0", "PrometheusText0.0.4")


def test_every_format_gives_the_same_series(tmp_path: Path) -> None:
    """Counters, gauges, summaries and classic histograms are the same series in protobuf and in text, of the same types."""
    port = free_port()
    config = "global: {scrape_interval: 1s}\nscrape_configs:\n" + "".join(
        f"- job_name: {protocol}\n  scrape_protocols: [{protocol}]\n"
        f"  static_configs: [{{targets: ['127.0.0.1:{port}'], labels: {{instance: self}}}}]\n"
        for protocol in PROTOCOLS
    )
    server = Server(tmp_path / "data", config, port=port).start()
    try:
        server.until("count(up == 1) == 3", 60)
        server.until("count(trimon_target_scrapes_total) == 3", 60)
        names = '__name__=~"trimon_tsdb_.*|prometheus_http_request_duration_seconds_bucket|process_.*"'
        for other in PROTOCOLS[1:]:
            for one, two in ((PROTOCOLS[0], other), (other, PROTOCOLS[0])):
                lacking = server.query(
                    f'count({{{names}, job="{one}"}}) by (__name__) '
                    f'unless count({{{names}, job="{two}"}}) by (__name__)'
                )
                assert lacking == [], (one, two)
        assert server.query('process_start_time_seconds{job="PrometheusProto"} > 0')
    finally:
        server.kill()
