"""What a sample pushed by OTLP costs: trimon beside a Prometheus and a VictoriaMetrics that can take it.

    python tests/bench/otlp.py [--grpc]

Debian's Prometheus 2.42 cannot: `PROMETHEUS_BIN` names a newer one. Each request is what a collector sends of one moment:
points of many series, each series once a round. Prints CPU seconds per million samples, samples a second over one connection,
and the median time of a request.
"""

from __future__ import annotations

import argparse
import http.client
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parent.parent.parent))

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric

from tests.bench.servers import Server, installed, table
from tests.support.ports import free_port

SERIES = 10_000
BOUNDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0]
HEADERS = {"Content-Type": "application/x-protobuf"}
PATHS = {"victoria": "/opentelemetry/api/v1/push"}
FLAGS = {"trimon": ["--web.enable-otlp-receiver"], "prometheus": ["--web.enable-otlp-receiver"]}


class Shape(NamedTuple):
    """How requests look: resources, metrics of each, data points of each metric."""

    name: str
    resources: int
    metrics: int
    points: int
    kind: str
    total: int
    """Samples."""

    @property
    def samples(self) -> int:
        """Samples of one request, without those of `target_info`."""
        width = len(BOUNDS) + 3 if self.kind == "histogram" else 1
        return self.resources * self.metrics * self.points * width


SHAPES = (
    Shape("sums, 20 resources × 50 metrics × 2 points", 20, 50, 2, "sum", 600_000),
    Shape("gauges, 1 resource × 20 metrics × 100 points", 1, 20, 100, "gauge", 600_000),
    Shape("histograms of 11 bounds, 10 resources × 5 metrics × 10 points", 10, 5, 10, "histogram", 1_400_000),
    Shape("small: 1 resource × 20 metrics × 5 points", 1, 20, 5, "sum", 100_000),
)


def add_point(metric: Metric, kind: str, number: int, at_ns: int, step: int) -> None:
    """One data point with five attributes."""
    points = {
        "sum": metric.sum.data_points,
        "gauge": metric.gauge.data_points,
        "histogram": metric.histogram.data_points,
    }
    point = points[kind].add(time_unix_nano=at_ns)
    attributes = {
        "http.method": "GET",
        "http.route": f"/api/v{number % 7}/x",
        "http.status_code": "200",
        "pod": f"pod-{number}",
        "zone": "eu-west-1",
    }
    for key, value in attributes.items():
        point.attributes.add(key=key).value.string_value = value
    if kind == "histogram":
        point.bucket_counts.extend(range(step, step + len(BOUNDS) + 1))
        point.explicit_bounds.extend(BOUNDS)
        point.count, point.sum = sum(point.bucket_counts), 1.5 * step
        point.start_time_unix_nano = at_ns - 10**12
    else:
        point.as_double = 1.5 + number + step
        if kind == "sum":
            point.start_time_unix_nano = at_ns - 10**12


def body(shape: Shape, first: int, at_ns: int, step: int) -> bytes:
    """A request; `first` is the number of its first resource."""
    request = ExportMetricsServiceRequest()
    for resource in range(first, first + shape.resources):
        found = request.resource_metrics.add()
        for key, value in {
            "service.name": "shop",
            "service.namespace": "eu",
            "service.instance.id": f"host-{resource:04d}",
            "host.name": f"host-{resource:04d}.example.com",
        }.items():
            found.resource.attributes.add(key=key).value.string_value = value
        scope = found.scope_metrics.add()
        scope.scope.name = "bench"
        for number in range(shape.metrics):
            metric = scope.metrics.add(
                name=f"http.server.things.{number}", unit="s", description="What it is."
            )
            if shape.kind == "sum":
                metric.sum.aggregation_temporality, metric.sum.is_monotonic = 2, True
            elif shape.kind == "histogram":
                metric.histogram.aggregation_temporality = 2
            for place in range(shape.points):
                add_point(metric, shape.kind, place, at_ns, step)
    return bytes(request.SerializeToString())


def bodies(shape: Shape, begin_ns: int) -> list[bytes]:
    """All requests: resources in turn, a round every ten seconds."""
    groups = max(1, SERIES // shape.samples)
    return [
        body(shape, number % groups * shape.resources, begin_ns + number // groups * 10**10, number // groups)
        for number in range(shape.total // shape.samples)
    ]


def over_http(server: Server) -> Callable[[bytes], None]:
    """A sender over one connection."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port)
    path = PATHS.get(server.kind, "/api/v1/otlp/v1/metrics")

    def send(data: bytes) -> None:
        connection.request("POST", path, data, HEADERS)
        answer = connection.getresponse()
        text = answer.read()
        if answer.status != 200 or text:
            raise RuntimeError(f"{server.kind}: {answer.status} {text[:300]!r}")

    return send


def over_grpc(port: int) -> Callable[[bytes], None]:
    """A sender over one channel."""
    import grpc

    call = grpc.insecure_channel(f"127.0.0.1:{port}").unary_unary(
        "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export"
    )

    def send(data: bytes) -> None:
        call(data)

    return send


def one(kind: str, shape: Shape, directory: Path, *, grpc: bool) -> dict[str, float]:
    """The figures of one server; the first two rounds over all series are not measured."""
    config = directory / f"{kind}.yml"
    config.write_text("scrape_configs: []\n")
    server = Server(kind, directory / kind, config, list(FLAGS.get(kind, ())))
    port = free_port()
    if grpc:
        server.flags.append(f"--otlp.grpc-listen-address=127.0.0.1:{port}")
    server.start()
    try:
        requests = bodies(shape, time.time_ns() - 3_000 * 10**9)
        warm = 2 * max(1, SERIES // shape.samples)
        send = over_grpc(port) if grpc else over_http(server)
        took = []
        for number, data in enumerate(requests):
            if number == warm:
                before, began = server.cost(), time.monotonic()
            asked = time.perf_counter()
            send(data)
            took.append(time.perf_counter() - asked)
        wall_s, after = time.monotonic() - began, server.cost()
        samples = (len(requests) - warm) * shape.samples
        return {
            "CPU s / million samples": (after.cpu_s - before.cpu_s) / samples * 1e6,
            "samples / s": samples / wall_s,
            "samples / CPU s": samples / max(after.cpu_s - before.cpu_s, 0.01),
            "ms / request": sorted(took[warm:])[len(took[warm:]) // 2] * 1000,
        }
    finally:
        server.stop()
        server.clean()


def takes_otlp(kind: str) -> bool:
    """Whether a server that is installed starts with its receiver of OTLP."""
    with tempfile.TemporaryDirectory(prefix="trimon-bench-") as name:
        config = Path(name) / "x.yml"
        config.write_text("scrape_configs: []\n")
        server = Server(kind, Path(name) / kind, config, list(FLAGS.get(kind, ())))
        try:
            server.start()
            over_http(server)(body(SHAPES[0], 0, time.time_ns(), 0))
        except RuntimeError as error:
            print(f"{kind} takes no OTLP: {error}")
            return False
        finally:
            server.stop()
    return True


def main() -> None:
    """Reads the command line, measures, prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--servers", default=",".join(installed()))
    parser.add_argument("--grpc", action="store_true", help="over gRPC, trimon alone")
    options = parser.parse_args()
    kinds = ["trimon"] if options.grpc else list(filter(takes_otlp, options.servers.split(",")))
    for shape in SHAPES:
        with tempfile.TemporaryDirectory(prefix="trimon-bench-") as name:
            figures = {kind: one(kind, shape, Path(name), grpc=options.grpc) for kind in kinds}
        rows = [(what, {kind: figures[kind][what] for kind in kinds}) for what in figures[kinds[0]]]
        print(table(f"OTLP: {shape.name}", rows, {"CPU s / million samples": "1 × Prometheus"}))


if __name__ == "__main__":
    main()
