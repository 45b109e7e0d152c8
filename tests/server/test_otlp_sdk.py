"""OpenTelemetry's own SDK pushes metrics over HTTP and gRPC into a real server, and queries give what it counted."""

from __future__ import annotations

import base64
import json
import ssl
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import bcrypt
import grpc
import trustme
from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter as GrpcExporter
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter as HttpExporter
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2_grpc import MetricsServiceStub
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import MetricExporter, PeriodicExportingMetricReader
from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation, View
from opentelemetry.sdk.resources import Resource

from tests.support.ports import free_port
from tests.support.process import Server, running

SERVICE = Resource({"service.name": "shop", "service.instance.id": "i-1", "zone": "a"})


def push(exporter: MetricExporter, count: int) -> bool:
    """Counts, measures, observes and exports; whether the exporter was content."""
    reader = PeriodicExportingMetricReader(exporter, export_interval_millis=1e9)
    views = [View(instrument_name="wait", aggregation=ExponentialBucketHistogramAggregation())]
    provider = MeterProvider([reader], SERVICE, views=views, shutdown_on_exit=False)
    meter = provider.get_meter("shop.meter", "1.2")
    orders = meter.create_counter("orders", "1", "Orders taken.")
    took = meter.create_histogram("took", "s", explicit_bucket_boundaries_advisory=[0.1, 1.0])
    wait = meter.create_histogram("wait", "s")
    open_ = meter.create_up_down_counter("open")
    heat = meter.create_gauge("heat", "Cel")
    for number in range(count):
        orders.add(2, {"kind": "b" if number % 2 else "a"})
        took.record(0.05 * number)
        wait.record(1.5)
        open_.add(-1)
    heat.set(21.5, {"room": "kitchen"})
    content = provider.force_flush(20_000)
    provider.shutdown(20_000)
    return content


def export_of(channel: Any) -> Any:
    return MetricsServiceStub(channel).Export  # type: ignore[no-untyped-call]  # it is generated, without types


def value(server: Server, query: str) -> Any:
    (result,) = server.get("/api/v1/query", query=query)["data"]["result"]
    return float(result["value"][1])


def check(server: Server, count: int) -> None:
    assert value(server, 'orders_total{kind="a", job="shop", instance="i-1"}') == 2 * -(-count // 2)
    assert value(server, "sum(orders_total)") == 2 * count
    assert value(server, 'took_seconds_bucket{le="+Inf"}') == count
    assert value(server, 'took_seconds_bucket{le="0.1"}') == 3
    assert value(server, "took_seconds_count") == count
    assert value(server, "histogram_count(wait_seconds)") == count
    assert value(server, "histogram_sum(wait_seconds)") == 1.5 * count
    assert value(server, "open") == -count
    assert value(server, 'heat_celsius{room="kitchen"}') == 21.5
    assert value(server, 'target_info{zone="a"}') == 1


def test_the_sdk_pushes_over_http(tmp_path: Path) -> None:
    """Counters, histograms of both kinds, gauges; plain and packed with gzip."""
    with running(tmp_path / "data", "{}", "--web.enable-otlp-receiver") as server:
        url = f"http://127.0.0.1:{server.port}/api/v1/otlp/v1/metrics"
        assert push(HttpExporter(url), 4)
        check(server, 4)
        assert push(HttpExporter(url, compression=Compression.Gzip), 7)
        check(server, 7)


def test_the_sdk_pushes_over_grpc(tmp_path: Path) -> None:
    """On the port that is asked for, while HTTP stays closed; plain and packed with gzip."""
    port = free_port()
    with running(tmp_path / "data", "{}", f"--otlp.grpc-listen-address=127.0.0.1:{port}") as server:
        endpoint = f"127.0.0.1:{port}"
        assert push(GrpcExporter(endpoint, insecure=True), 4)
        check(server, 4)
        assert push(GrpcExporter(endpoint, insecure=True, compression=grpc.Compression.Gzip), 7)
        check(server, 7)
        assert server.text("/api/v1/otlp/v1/metrics", "POST")[0] == 404
        with grpc.insecure_channel(endpoint) as channel:  # an open connection keeps no stop waiting
            assert code_of(export_of(channel)) is grpc.StatusCode.OK
            assert server.stop(10) == 0


def test_grpc_has_tls_and_users_of_the_web_config_file(tmp_path: Path) -> None:
    """Who does not say who he is is refused; with a name and a password, over TLS, he is welcome."""
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1", "localhost")
    certificate.private_key_pem.write_to_path(str(tmp_path / "key.pem"))
    certificate.cert_chain_pems[0].write_to_path(str(tmp_path / "cert.pem"))
    web = {
        "tls_server_config": {"cert_file": "cert.pem", "key_file": "key.pem"},
        "basic_auth_users": {"u": bcrypt.hashpw(b"p", bcrypt.gensalt(4)).decode()},
    }
    (tmp_path / "web.yml").write_text(json.dumps(web))
    port = free_port()
    flags = (f"--otlp.grpc-listen-address=127.0.0.1:{port}", f"--web.config.file={tmp_path / 'web.yml'}")
    server = Server(tmp_path / "data", "{}", *flags).start(wait=False)
    try:
        context = ssl.create_default_context(cadata=authority.cert_pem.bytes().decode())
        server.wait_ready(context)
        credentials = grpc.ssl_channel_credentials(authority.cert_pem.bytes())
        with grpc.secure_channel(f"127.0.0.1:{port}", credentials) as channel:
            export = export_of(channel)
            assert code_of(export) is grpc.StatusCode.UNAUTHENTICATED
            assert code_of(export, "u:wrong") is grpc.StatusCode.UNAUTHENTICATED
            assert code_of(export, "u:p") is grpc.StatusCode.OK
    finally:
        server.kill()


def code_of(export: Callable[..., Any], user: str = "") -> Any:
    """What a call is answered, as soon as the log is replayed."""
    metadata = (("authorization", f"Basic {base64.b64encode(user.encode()).decode()}"),) if user else ()
    deadline = time.monotonic() + 30
    while True:
        try:
            export(ExportMetricsServiceRequest(), metadata=metadata, timeout=20)
        except grpc.RpcError as error:
            if error.code() is not grpc.StatusCode.UNAVAILABLE or time.monotonic() > deadline:
                return error.code()
            time.sleep(0.1)
        else:
            return grpc.StatusCode.OK
