"""Spans of queries, scrapes, rules and notifications, as a collector gets them from the real server."""

from __future__ import annotations

import gzip
import threading
import time
import urllib.request
from collections.abc import Iterator
from concurrent import futures
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import grpc
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from tests.support.process import running

METHOD = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"


class Collected:
    """The spans that came, and how requests looked."""

    def __init__(self) -> None:
        self.spans: list[Any] = []
        self.headers: list[dict[str, str]] = []

    def take(self, message: bytes, headers: dict[str, str]) -> None:
        self.headers.append(headers)
        for resource in ExportTraceServiceRequest.FromString(message).resource_spans:
            for scope in resource.scope_spans:
                self.spans += scope.spans

    def await_names(self, *names: str) -> dict[str, Any]:
        """One span of each name, as soon as there are all."""
        until_s = time.monotonic() + 40
        while time.monotonic() < until_s:
            found = {span.name: span for span in list(self.spans)}
            if found.keys() >= set(names):
                return found
            time.sleep(0.2)
        raise AssertionError(f"there are only {sorted({span.name for span in self.spans})}")


class _Service(grpc.GenericRpcHandler):  # type: ignore[misc] # it has no types
    def __init__(self, collected: Collected) -> None:
        self._collected = collected

    def service(self, details: Any) -> Any:
        def export(message: bytes, context: Any) -> bytes:
            self._collected.take(message, dict(context.invocation_metadata()))
            return bytes(ExportTraceServiceResponse().SerializeToString())

        return grpc.unary_unary_rpc_method_handler(export) if details.method == METHOD else None


@contextmanager
def grpc_collector() -> Iterator[tuple[int, Collected]]:
    collected = Collected()
    server = grpc.server(futures.ThreadPoolExecutor(2), handlers=[_Service(collected)])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield port, collected
    finally:
        server.stop(None).wait()


class _Collector(BaseHTTPRequestHandler):
    server: _Peer

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path == "/v1/traces":
            if self.headers["Content-Encoding"] == "gzip":
                body = gzip.decompress(body)
            self.server.collected.take(body, {name.lower(): value for name, value in self.headers.items()})
        else:  # an Alertmanager
            self.server.alerts.append(self.headers["Traceparent"])
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_GET(self) -> None:
        self.server.scrapes.append(self.headers["Traceparent"])
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", "4")
        self.end_headers()
        self.wfile.write(b"m 1\n")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as the library has it
        del format, args


class _Peer(ThreadingHTTPServer):
    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Collector)
        self.collected = Collected()
        self.alerts: list[str] = []
        self.scrapes: list[str] = []


@contextmanager
def http_peer() -> Iterator[Any]:
    """A collector, an Alertmanager and a target in one."""
    with _Peer() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def configuration(peer: int, tracing: str, rules: Path) -> str:
    rules.write_text("groups: [{name: g, interval: 1s, rules: [{alert: A, expr: vector(1)}]}]")
    return (
        f"global: {{scrape_interval: 1s, evaluation_interval: 1s}}\ntracing: {{{tracing}}}\n"
        f"rule_files: ['{rules}']\n"
        f"alerting: {{alertmanagers: [{{static_configs: [{{targets: ['127.0.0.1:{peer}']}}]}}]}}\n"
        f"scrape_configs: [{{job_name: j, static_configs: [{{targets: ['127.0.0.1:{peer}']}}]}}]\n"
    )


@pytest.mark.parametrize("client", ["grpc", "http"])
def test_all_that_is_done_is_traced(tmp_path: Path, client: str) -> None:
    """Requests with their queries, scrapes, rules and notifications arrive; peers are told the trace they belong to."""
    with grpc_collector() as (grpc_port, by_grpc), http_peer() as peer:
        port, collected = (grpc_port, by_grpc) if client == "grpc" else (peer.server_port, peer.collected)
        tracing = (
            f"endpoint: '127.0.0.1:{port}', client_type: {client}, insecure: true, sampling_fraction: 1, "
            "compression: gzip, headers: {X-Tenant: me}"
        )
        text = configuration(peer.server_port, tracing, tmp_path / "rules.yml")
        with running(tmp_path / "data", text) as server:
            asked = urllib.request.Request(
                f"{server.url}/api/v1/query?query=1%2B1",
                headers={"traceparent": f"00-{'ab' * 16}-{'cd' * 8}-01"},
            )
            urllib.request.urlopen(asked, timeout=10).read()
            found = collected.await_names("/api/v1/query", "promqlExec", "Scrape", "rule", "Send Alerts")
            spans = list(collected.spans)
            metrics = server.text("/metrics")[1]
    of_query = {span.name: span for span in spans if span.trace_id == b"\xab" * 16}
    assert of_query.keys() >= {"/api/v1/query", "promqlExec"}
    assert of_query["/api/v1/query"].parent_span_id == b"\xcd" * 8
    assert of_query["promqlExec"].parent_span_id == of_query["/api/v1/query"].span_id
    assert {pair.key: pair.value.string_value for pair in of_query["promqlExec"].attributes} == {
        "query": "1+1"
    }
    scraped = {f"00-{span.trace_id.hex()}-{span.span_id.hex()}-01" for span in spans if span.name == "Scrape"}
    assert scraped & set(peer.scrapes)
    alerted = {
        f"00-{span.trace_id.hex()}-{span.span_id.hex()}-01" for span in spans if span.name == "Send Alerts"
    }
    assert alerted & set(peer.alerts)
    assert all(headers["x-tenant"] == "me" for headers in collected.headers)
    assert found["rule"].end_time_unix_nano >= found["rule"].start_time_unix_nano > 0
    assert 'trimon_tracing_spans_total{result="sent"}' in metrics


def test_a_collector_that_is_down_costs_spans_and_nothing_else(tmp_path: Path) -> None:
    """Scrapes and queries go on, the failure is told once and counted; a reload without the section ends it."""
    with http_peer() as peer:
        tracing = "endpoint: '127.0.0.1:1', insecure: true, sampling_fraction: 1"
        text = configuration(peer.server_port, tracing, tmp_path / "rules.yml")
        with running(tmp_path / "data", text) as server:
            server.until("m")
            until_s = time.monotonic() + 90
            while 'spans_total{result="failed"} 0' in server.text("/metrics")[1]:
                assert time.monotonic() < until_s
                time.sleep(0.5)
            assert server.log.read_text().count("traces export") == 1
            assert server.query("up")[0]["value"][1] == "1"
