"""Load B by remote write: 24 h at 15 s of 20 targets × 244 series, and 20,000 series × 1 h; the same for every server."""

from __future__ import annotations

import time
import urllib.error
import urllib.request
from collections.abc import Iterator

import cramjam
import numpy as np

from tests.bench.servers import Server

STEP_MS = 15_000
HOURS = 24
SLICE_STEPS = 40
TARGETS = 20
SERIES = 244
WIDE_SERIES = 20_000
WIDE_STEPS = 240
Labels = tuple[tuple[str, str], ...]
BOUNDS = ("0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1.0", "2.5", "5.0", "10.0", "+Inf")


def varint(value: int) -> bytes:
    """A protobuf varint."""
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def head(labels: Labels) -> bytes:
    """The label fields of a TimeSeries."""
    out = b""
    for name, value in labels:
        pair = b"\x0a" + varint(len(name)) + name.encode() + b"\x12" + varint(len(value)) + value.encode()
        out += b"\x0a" + varint(len(pair)) + pair
    return out


def records(times_ms: np.ndarray, values: np.ndarray) -> list[bytes]:
    """For each row of float64[series, steps] the samples as protobuf: eighteen bytes each."""
    rows, steps = values.shape
    cells = np.empty((rows, steps, 18), np.uint8)
    cells[:, :, :3] = (0x12, 0x10, 0x09)
    cells[:, :, 3:11] = np.ascontiguousarray(values).view(np.uint8).reshape(rows, steps, 8)
    cells[:, :, 11] = 0x10
    shifted = (times_ms[:, None] >> (np.arange(6) * 7)) & 0x7F
    shifted[:, :5] |= 0x80
    cells[:, :, 12:] = shifted.astype(np.uint8)
    flat = cells.reshape(rows, -1)
    return [row.tobytes() for row in flat]


def request(heads: list[bytes], samples: list[bytes]) -> bytes:
    """A compressed WriteRequest."""
    parts = []
    for labels, data in zip(heads, samples, strict=True):
        parts += [b"\x0a", varint(len(labels) + len(data)), labels, data]
    return bytes(cramjam.snappy.compress_raw(b"".join(parts)))


class Load:
    """All series and values; deterministic."""

    def __init__(self, end_ms: int, hours: int = HOURS, wide: int = WIDE_SERIES) -> None:
        self.steps = hours * 3600_000 // STEP_MS
        # off the grid of the queries: Prometheus 2 counts a sample on the left edge of a window, 3 does not
        self.end_ms = end_ms // STEP_MS * STEP_MS - 8_000
        self.times_ms = self.end_ms - (self.steps - 1 - np.arange(self.steps, dtype=np.int64)) * STEP_MS
        self.targets = [self._target(index) for index in range(TARGETS)]
        generator = np.random.default_rng(99)
        self.wide_heads = [
            head((("__name__", "pod_requests_total"), ("instance", f"10.0.{i % 200}.1:80"), ("job", "wide"),
                  ("namespace", f"ns-{i % 40}"), ("pod", f"pod-{i:05d}")))
            for i in range(wide)
        ]  # fmt: skip
        self.wide_values = np.cumsum(generator.poisson(3.0, (wide, WIDE_STEPS)), axis=1).astype(np.float64)

    @property
    def samples(self) -> int:
        """Number of samples in all."""
        return sum(values.size for _, values in self.targets) + self.wide_values.size

    def _target(self, index: int) -> tuple[list[bytes], np.ndarray]:
        generator = np.random.default_rng(index)
        common = (("instance", f"10.1.0.{index}:9100"), ("job", "node" if index % 2 == 0 else "api"))
        labels: list[tuple[str, Labels]] = []
        rows: list[np.ndarray] = []
        if index % 2 == 0:
            for cpu in range(8):
                for mode in ("idle", "user", "system", "iowait", "irq", "softirq", "steal", "nice"):
                    rate = {"idle": 0.8, "user": 0.12, "system": 0.05}.get(mode, 0.004)
                    labels.append(("node_cpu_seconds_total", (("cpu", str(cpu)), ("mode", mode))))
                    rows.append(np.round(np.cumsum(generator.random(self.steps) * 2 * rate * 15), 2))
            while len(labels) < SERIES:
                kind = len(labels) % 4
                name = ("node_limit_bytes", "node_memory_bytes", "node_disk_reads_total", "node_load")[kind]
                labels.append((name, (("device", f"d{len(labels):03d}"),)))
                rows.append(self._plain(generator, kind))
        else:
            for handler in range(17):
                self._histogram(generator, handler, labels, rows)
            while len(labels) < SERIES:
                labels.append(("api_goroutines", (("worker", f"w{len(labels):03d}"),)))
                rows.append(self._plain(generator, 1))
        heads = [
            head(tuple(sorted((("__name__", name), *common, *extra)))) for name, extra in labels[:SERIES]
        ]
        return heads, np.array(rows[:SERIES])

    def _plain(self, generator: np.random.Generator, kind: int) -> np.ndarray:
        if kind == 0:
            return np.full(self.steps, float(generator.integers(1, 2**33)))
        if kind == 1:
            return 4096.0 * np.round(np.abs(np.cumsum(generator.normal(0, 50, self.steps))) + 1e5)
        if kind == 2:
            return np.cumsum(generator.poisson(generator.choice([0.0, 0.3, 20.0]), self.steps)).astype(
                np.float64
            )
        return np.round(np.abs(np.cumsum(generator.normal(0, 0.05, self.steps))), 2)

    def _histogram(
        self,
        generator: np.random.Generator,
        handler: int,
        labels: list[tuple[str, Labels]],
        rows: list[np.ndarray],
    ) -> None:
        busy = float(generator.choice([0.0, 1.0, 10.0, 80.0]))
        shares = np.cumsum(generator.dirichlet(np.ones(len(BOUNDS))))
        total = np.zeros(self.steps)
        below = np.zeros(self.steps)
        extra = (("code", "500" if handler % 5 == 4 else "200"), ("handler", f"/api/{handler}"))
        for index, bound in enumerate(BOUNDS):
            share = shares[index] - (shares[index - 1] if index else 0.0)
            below = below + generator.poisson(busy * share, self.steps)
            total = np.cumsum(below)
            labels.append(("http_request_duration_seconds_bucket", (*extra, ("le", bound))))
            rows.append(total)
        labels.append(("http_request_duration_seconds_count", extra))
        rows.append(total)
        labels.append(("http_request_duration_seconds_sum", extra))
        rows.append(np.round(np.cumsum(generator.random(self.steps) * busy * 0.3), 3))

    def requests(self) -> Iterator[tuple[bytes, int]]:
        """Requests in order of time, with the number of samples in each."""
        wide_from = self.steps - WIDE_STEPS
        for begin in range(0, self.steps, SLICE_STEPS):
            piece = slice(begin, begin + SLICE_STEPS)
            times = self.times_ms[piece]
            for heads, values in self.targets:
                yield request(heads, records(times, values[:, piece])), values[:, piece].size
            if begin >= wide_from:
                wide = slice(begin - wide_from, begin - wide_from + SLICE_STEPS)
                for first in range(0, len(self.wide_heads), 500):
                    values = self.wide_values[first : first + 500, wide]
                    yield request(self.wide_heads[first : first + 500], records(times, values)), values.size


def send(server: Server, body: bytes) -> None:
    """One remote-write request."""
    question = urllib.request.Request(
        f"{server.url}/api/v1/write",
        data=body,
        method="POST",
        headers={
            "Content-Encoding": "snappy",
            "Content-Type": "application/x-protobuf",
            "X-Prometheus-Remote-Write-Version": "0.1.0",
        },
    )
    try:
        with urllib.request.urlopen(question, timeout=120):
            pass
    except urllib.error.HTTPError as error:
        raise RuntimeError(f"{server.kind}: {error.code} {error.read()[:300]!r}") from None


def push(server: Server, load: Load) -> tuple[float, float]:
    """Writes everything; CPU seconds and wall seconds the server took."""
    before, began = server.cost().cpu_s, time.monotonic()
    for body, _ in load.requests():
        send(server, body)
    if server.kind == "victoria":
        with urllib.request.urlopen(f"{server.url}/internal/force_flush", timeout=60):
            pass
    return server.cost().cpu_s - before, time.monotonic() - began
