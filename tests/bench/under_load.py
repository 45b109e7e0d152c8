"""A count while a fleet is scraped every second, and the start after SIGKILL in the middle of it, beside the peers.

    python tests/bench/under_load.py [--seconds 45] [--times 3] [--servers trimon,prometheus]

One server after the other scrapes 100 targets of 1,100 series. In the second half of the time a client asks `count()` of all
series of one family at the present time, ten times a second; printed are the median and the 95th percentile. Then the server
is killed and started again: seconds until it is ready, and until the samples of `up` of half a minute before are all there
again; and what share of them is still missing after half a minute. With `--times` servers take turns, and printed are the
medians: a machine that others share changes its speed.
"""

from __future__ import annotations

import argparse
import http.client
import json
import math
import signal
import statistics
import sys
import tempfile
import time
import urllib.error
import urllib.parse
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent.parent))

from tests.bench.ingest import scraping
from tests.bench.servers import Server, installed, table

EVERY_S = 0.1
FULL_WITHIN_S = 30.0


def asked(server: Server, expr: str, seconds: float) -> list[float]:
    """Milliseconds of each answer, asked at even times over one connection."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    took_ms: list[float] = []
    until_s = time.perf_counter() + seconds
    due_s = time.perf_counter()
    while due_s < until_s:
        time.sleep(max(0.0, due_s - time.perf_counter()))
        due_s += EVERY_S
        parameters = {"query": expr, "time": f"{time.time():.3f}"}
        if server.kind == "victoria":
            parameters["nocache"] = "1"
        began_s = time.perf_counter()
        connection.request("GET", f"/api/v1/query?{urllib.parse.urlencode(parameters)}")
        answer = connection.getresponse()
        body = answer.read()
        took_ms.append((time.perf_counter() - began_s) * 1000)
        if answer.status != http.client.OK:
            raise RuntimeError(f"{server.kind}: {answer.status} {body[:200]!r}")
    return took_ms


def samples_at(server: Server, at_s: float) -> float:
    """How many samples of the targets' health the last thirty seconds before a time have; NaN while nobody answers."""
    try:
        return server.value("sum(count_over_time(up[30s]))", at_s)
    except (urllib.error.URLError, OSError, json.JSONDecodeError, http.client.HTTPException):
        return math.nan


def killed(server: Server) -> dict[str, float]:
    """Kills a server and starts it again: seconds to ready and to the first full answer, and the share that is lost."""
    at_s = time.time() - 2
    before = samples_at(server, at_s)
    server.stop(signal.SIGKILL)
    began_s = time.perf_counter()
    ready_s = server.start()
    full_s = math.nan
    found = 0.0
    while time.perf_counter() - began_s < FULL_WITHIN_S:
        found = samples_at(server, at_s)
        if found >= before:
            full_s = time.perf_counter() - began_s
            break
        time.sleep(0.02)
    return {
        "after SIGKILL: s to ready": ready_s,
        "after SIGKILL: s to the first full answer": full_s,
        "after SIGKILL: % of samples lost": 100 * (1 - found / before),
    }


def one(kind: str, options: argparse.Namespace, work: Path) -> dict[str, float]:
    """The figures of one server."""
    with scraping(kind, options, work, 0.0, "1s") as server:
        time.sleep(options.seconds / 2)
        names = server.get("/api/v1/label/__name__/values")["data"]
        family = next(name for name in names if name.startswith("node_family"))
        took_ms = asked(server, f"count({family})", options.seconds / 2)
        figures = {
            "count() under load, p50 ms": statistics.median(took_ms),
            "count() under load, p95 ms": statistics.quantiles(took_ms, n=20)[-1],
        }
        return figures | killed(server)


def main() -> None:
    """Reads the command line, measures, prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--targets", type=int, default=100)
    parser.add_argument("--series", type=int, default=1100)
    parser.add_argument("--steps", type=int, default=90)
    parser.add_argument("--seconds", type=float, default=45)
    parser.add_argument("--times", type=int, default=1)
    parser.add_argument("--servers", default=",".join(installed()))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="trimon-bench-") as name:
        kinds = options.servers.split(",")
        turns = [
            {kind: one(kind, options, Path(name)) for kind in kinds} for _ in range(max(1, options.times))
        ]
    rows = [
        (what, {kind: statistics.median(turn[kind][what] for turn in turns) for kind in kinds})
        for what in turns[0][kinds[0]]
    ]
    print(table(f"{options.targets} targets × {options.series} series every second", rows))


if __name__ == "__main__":
    main()
