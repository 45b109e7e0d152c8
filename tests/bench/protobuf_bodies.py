"""What it takes to read a body in protobuf: CPU a series, where only numbers change, and where a series is new each time.

python tests/bench/protobuf_bodies.py [METRICS]
"""

from __future__ import annotations

import random
import struct
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent.parent))

from tests.support.protobuf import field, varint
from trimon.scrape.exposition.families import MetadataCache
from trimon.scrape.exposition.protobuf.histograms import HistogramRules
from trimon.scrape.exposition.protobuf.layout import ProtobufLayout
from trimon.scrape.exposition.protobuf.memory import MetricRules
from trimon.scrape.exposition.protobuf.shape import Shapes
from trimon.scrape.options import PoolOptions
from trimon.scrape.series_labels import SeriesLabels

BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 30.0)


def double(tag: int, value: float) -> bytes:
    """A double as a field."""
    return varint(tag << 3 | 1) + struct.pack("<d", value)


def labels(number: int) -> bytes:
    """Three labels."""
    pairs = (("handler", f"/api/v1/resource/{number}"), ("method", "GET"), ("code", str(200 + number % 4)))
    return b"".join(field(1, field(1, name.encode()) + field(2, value.encode())) for name, value in pairs)


def family(name: str, kind: int, metrics: list[bytes]) -> bytes:
    """A family with its length before it."""
    body = field(1, name.encode()) + field(2, b"Help.") + b"\x18" + varint(kind)
    body += b"".join(field(4, metric) for metric in metrics)
    return varint(len(body)) + body


def gauges(count: int, step: int) -> tuple[bytes, int]:
    """Gauges of a hundred metrics each."""
    out = [
        family(
            f"gauge_{first}",
            1,
            [labels(n) + field(2, double(1, n * 1.5 + step)) for n in range(first, first + 100)],
        )
        for first in range(0, count, 100)
    ]
    return b"".join(out), count


def classic(count: int, step: int) -> tuple[bytes, int]:
    """Classic histograms of 16 buckets."""
    generator = random.Random(count)
    metrics = []
    for number in range(count):
        rate = generator.choice((0, 0, 1, 13, 400))
        total = generator.randrange(10**5) + rate * step
        buckets = b"".join(
            field(3, b"\x08" + varint(total * (index + 1) // 16) + double(2, bound))
            for index, bound in enumerate(BOUNDS)
        )
        metrics.append(labels(number) + field(7, b"\x08" + varint(total) + double(2, total * 0.3) + buckets))
    return family("requests_seconds", 4, metrics), count * 18


def native(count: int, step: int) -> tuple[bytes, int]:
    """Native histograms of 20 buckets."""
    generator = random.Random(count)
    metrics = []
    for number in range(count):
        rate = generator.choice((0, 0, 1, 13, 400))
        counts = [generator.randrange(1000) + rate * step * (index % 3) for index in range(20)]
        deltas = [after - before for before, after in zip([0, *counts], counts, strict=False)]
        written = b"".join(b"\x68" + varint(delta << 1 if delta >= 0 else -delta * 2 - 1) for delta in deltas)
        body = b"\x08" + varint(sum(counts)) + double(2, sum(counts) * 0.3) + b"\x28" + varint(6)
        body += (
            double(6, 1e-9) + b"\x38\x00" + field(12, b"\x08" + varint(20) + b"\x10" + varint(20)) + written
        )
        metrics.append(labels(number) + field(7, body))
    return family("native_seconds", 4, metrics), count * 23


def layout() -> ProtobufLayout:
    """One of a target that is asked for native histograms."""
    rule = SeriesLabels((("instance", "host:9100"), ("job", "bench")), PoolOptions("bench"))
    return ProtobufLayout(
        MetricRules(rule, True, Shapes(HistogramRules(native=True)), False), MetadataCache()
    )


def measure(name: str, make: Callable[[int, int], tuple[bytes, int]], count: int) -> None:
    """Reads ten bodies and tells the first, and the mean of the others."""
    bodies = [make(count, step) for step in range(10)]
    series = bodies[0][1]
    reader = layout()
    times = []
    for body, _ in bodies:
        begin = time.process_time()
        reader.read(body)
        times.append((time.process_time() - begin) / series * 1e6)
    longer = len({len(body) for body, _ in bodies}) - 1
    print(
        f"{name:10} {series:7} series, {len(bodies[0][0]) / series:5.1f} bytes a series: first {times[0]:6.2f} µs, "
        f"then {sum(times[1:]) / 9:6.3f} µs a series ({longer} of 9 bodies of another length)"
    )


def with_a_new_one(make: Callable[[int, int], tuple[bytes, int]]) -> Callable[[int, int], tuple[bytes, int]]:
    """The same, with a gauge whose label is another at each scrape."""

    def made(count: int, step: int) -> tuple[bytes, int]:
        body, series = make(count, step)
        return family("pod", 1, [labels(10**6 + step) + field(2, double(1, 1.0))]) + body, series + 1

    return made


def main() -> None:
    """Gauges, classic and native histograms."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    measure("gauges", gauges, count * 10)
    measure("classic", classic, count)
    measure("native", native, count)
    for name, make, many in (
        ("gauges", gauges, count * 10),
        ("classic", classic, count),
        ("native", native, count),
    ):
        measure(f"{name}+1", with_a_new_one(make), many)


if __name__ == "__main__":
    main()
