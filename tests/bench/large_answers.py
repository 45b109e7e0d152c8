"""A range answer of a million values, trimon beside Prometheus: how fast it comes, and how much memory it takes.

    python tests/bench/large_answers.py [--series 1000] [--steps 1000]

Both are filled by remote write with the same samples and asked in turn, plain and as gzip; the body is read and thrown away.
Memory is the highest resident size of the process during a question (`VmHWM`, set back before it) less that before the first
large one, as a multiple of the plain body; the second figure is without what our server keeps of the samples for the next
question (`trimon_tsdb_kept_bytes`), which is a cache with a limit of its own.
"""

from __future__ import annotations

import argparse
import http.client
import statistics
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent.parent))

from tests.bench.load_b import head, records, request, send
from tests.bench.servers import Server

STEP_MS = 15_000
SLICE_STEPS = 50
KINDS = {"integers": "big_total", "decimals": "big_load", "long floats": "big_load / 3"}
ENCODINGS = ("identity", "gzip", "zstd")


@dataclass
class Asked:
    """What several questions of one kind took."""

    seconds: list[float] = field(default_factory=list)
    body_bytes: int = 0
    peak_bytes: int = 0
    kept_bytes: int = 0


def fill(servers: list[Server], series: int, steps: int) -> int:
    """Two metrics of so many series and steps; the end in milliseconds."""
    end_ms = int(time.time() * 1000) // STEP_MS * STEP_MS
    times_ms = end_ms - (steps - 1 - np.arange(steps, dtype=np.int64)) * STEP_MS
    generator = np.random.default_rng(7)
    metrics = {
        "big_total": np.cumsum(generator.poisson(3.0, (series, steps)), axis=1).astype(np.float64),
        "big_load": np.round(generator.random((series, steps)) * 100, 2),
    }
    heads = {
        name: [
            head((("__name__", name), ("instance", f"10.0.{i % 200}.1:80"), ("pod", f"pod-{i:05d}")))
            for i in range(series)
        ]
        for name in metrics
    }
    for at in range(0, steps, SLICE_STEPS):
        part = slice(at, at + SLICE_STEPS)
        for name, values in metrics.items():
            body = request(heads[name], records(times_ms[part], values[:, part]))
            for server in servers:
                send(server, body)
    return end_ms


def memory(server: Server, name: str) -> int:
    """A size of the process in bytes, as the kernel counts it."""
    for line in Path(f"/proc/{server.pid()}/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    raise AssertionError(name)


def kept(server: Server) -> int:
    """What the server keeps of samples that were asked for."""
    with urllib.request.urlopen(f"{server.url}/metrics") as answer:
        lines = answer.read().decode().splitlines()
    return sum(int(float(line.split()[1])) for line in lines if line.startswith("trimon_tsdb_kept_bytes "))


def ask(server: Server, expr: str, end_ms: int, steps: int, encoding: str) -> tuple[float, int]:
    """Seconds to the end of an answer, and its bytes."""
    values = {
        "query": expr,
        "start": (end_ms - (steps - 1) * STEP_MS) / 1000,
        "end": end_ms / 1000,
        "step": 15,
    }
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=300)
    path = f"/api/v1/query_range?{urllib.parse.urlencode(values)}"
    began, size = time.perf_counter(), 0
    connection.request("GET", path, headers={"Accept-Encoding": encoding})
    answer = connection.getresponse()
    assert answer.status == 200, answer.read(1000)
    while part := answer.read(1 << 18):
        size += len(part)
    took = time.perf_counter() - began
    connection.close()
    return took, size


def measured(
    servers: list[Server], end_ms: int, steps: int, rounds: int
) -> Iterator[tuple[str, str, str, Asked]]:
    """Kind, encoding, server and what came of it."""
    before = {server.kind: memory(server, "VmRSS") for server in servers}
    for kind, expr in KINDS.items():
        for encoding in ENCODINGS:
            found = {server.kind: Asked() for server in servers}
            for _ in range(rounds):
                for server in servers:
                    here = found[server.kind]
                    Path(f"/proc/{server.pid()}/clear_refs").write_text("5")
                    took, here.body_bytes = ask(server, expr, end_ms, steps, encoding)
                    here.seconds.append(took)
                    here.peak_bytes = max(here.peak_bytes, memory(server, "VmHWM") - before[server.kind])
                    here.kept_bytes = kept(server)
            for name, asked in found.items():
                yield kind, encoding, name, asked


def main() -> None:
    """Fills, asks, prints a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--series", type=int, default=1000)
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--only", choices=("trimon", "prometheus"))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "empty.yml"
        config.write_text("global: {}\n")
        servers = [
            Server(kind, Path(folder) / kind, config)
            for kind in ("trimon", "prometheus")
            if options.only in (None, kind)
        ]
        for server in servers:
            server.start()
        try:
            end_ms = fill(servers, options.series, options.steps)
            sys.stdout.write(
                "| values | encoding | server | median s | best s | body MB | peak × plain body | without cache |\n"
            )
            plain = 1
            for kind, encoding, name, asked in measured(servers, end_ms, options.steps, options.rounds):
                if encoding == "identity":
                    plain = asked.body_bytes
                sys.stdout.write(
                    f"| {kind} | {encoding} | {name} | {statistics.median(asked.seconds):.3f} | {min(asked.seconds):.3f} "
                    f"| {asked.body_bytes / 1e6:.1f} | {asked.peak_bytes / plain:.2f} "
                    f"| {(asked.peak_bytes - asked.kept_bytes) / plain:.2f} |\n"
                )
                sys.stdout.flush()
        finally:
            for server in servers:
                server.stop()


if __name__ == "__main__":
    main()
