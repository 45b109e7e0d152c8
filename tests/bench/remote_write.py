"""What a pushed sample costs by the shape of the requests: trimon beside Prometheus and VictoriaMetrics.

    python tests/bench/remote_write.py

Three shapes over 10,000 series of eight labels: many series with ten samples each, 2,000 series with one sample each (what a
Prometheus sends), and small requests. Prints CPU seconds per million samples, samples a second over one connection, and the
median time of a request.
"""

from __future__ import annotations

import argparse
import http.client
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import cramjam

sys.path.insert(0, str(Path(__file__).parent.parent.parent))

from tests.bench.servers import Server, installed, table
from tests.support import protobuf

SERIES = 10_000
HEADERS = {
    "Content-Encoding": "snappy",
    "Content-Type": "application/x-protobuf",
    "X-Prometheus-Remote-Write-Version": "0.1.0",
}


class Shape(NamedTuple):
    """How requests look."""

    name: str
    series: int
    samples: int
    total: int


SHAPES = (
    Shape("1,000 series × 10 samples", 1_000, 10, 1_000_000),
    Shape("2,000 series × 1 sample", 2_000, 1, 500_000),
    Shape("100 series × 1 sample", 100, 1, 100_000),
)


def labels_of(number: int) -> bytes:
    """The encoded labels of one series."""
    pairs = {
        "__name__": f"http_requests_total_{number % 50}",
        "code": "200",
        "handler": f"/api/v{number % 7}/x",
        "instance": f"host-{number // 50 % 200:03d}.example.com:9100",
        "job": "node",
        "le": str(number % 11),
        "pod": f"pod-{number}",
        "zone": "eu-west-1",
    }
    return protobuf.labels(sorted(pairs.items()))


def bodies(shape: Shape, begin_ms: int) -> list[bytes]:
    """The requests of a shape: series in turn, each with samples a second apart."""
    heads = [labels_of(number) for number in range(SERIES)]
    clocks = [0] * SERIES
    out = []
    position = 0
    for _ in range(shape.total // shape.series // shape.samples):
        parts = []
        for _ in range(shape.series):
            number = position % SERIES
            position += 1
            first = clocks[number]
            clocks[number] = first + shape.samples
            samples = b"".join(
                protobuf.field(2, protobuf.sample(begin_ms + step * 1000, 1.5 + number + step))
                for step in range(first, first + shape.samples)
            )
            parts.append(protobuf.field(1, heads[number] + samples))
        out.append(bytes(cramjam.snappy.compress_raw(b"".join(parts))))
    return out


def one(kind: str, shape: Shape, directory: Path) -> dict[str, float]:
    """The figures of one server; the first two rounds over all series are not measured."""
    config = directory / f"{kind}.yml"
    config.write_text("scrape_configs: []\n")
    server = Server(kind, directory / kind, config)
    server.start()
    try:
        requests = bodies(shape, int(time.time() * 1000) - 1_200_000)
        warm = 2 * SERIES // shape.series
        connection = http.client.HTTPConnection("127.0.0.1", server.port)
        took = []
        for number, body in enumerate(requests):
            if number == warm:
                before, began = server.cost(), time.monotonic()
            asked = time.perf_counter()
            connection.request("POST", "/api/v1/write", body, HEADERS)
            answer = connection.getresponse()
            text = answer.read()
            took.append(time.perf_counter() - asked)
            if answer.status != 204:
                raise RuntimeError(f"{kind}: {answer.status} {text[:300]!r}")
        wall_s, after = time.monotonic() - began, server.cost()
        samples = (len(requests) - warm) * shape.series * shape.samples
        return {
            "CPU s / million samples": (after.cpu_s - before.cpu_s) / samples * 1e6,
            "samples / s": samples / wall_s,
            "ms / request": sorted(took[warm:])[len(took[warm:]) // 2] * 1000,
        }
    finally:
        server.stop()
        server.clean()


def main() -> None:
    """Reads the command line, measures, prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--servers", default=",".join(installed()))
    kinds = parser.parse_args().servers.split(",")
    for shape in SHAPES:
        with tempfile.TemporaryDirectory(prefix="trimon-bench-") as name:
            figures = {kind: one(kind, shape, Path(name)) for kind in kinds}
        rows = [(what, {kind: figures[kind][what] for kind in kinds}) for what in figures[kinds[0]]]
        print(table(f"Remote write: {shape.name}", rows, {"CPU s / million samples": "1 × Prometheus"}))


if __name__ == "__main__":
    main()
