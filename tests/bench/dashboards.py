"""Load B and about forty dashboard queries, trimon beside Prometheus and VictoriaMetrics over the same samples, in one run.

    python tests/bench/dashboards.py

Prints the cost of the load, bytes on disk a sample, and for each class of queries the median latency and the CPU;
every answer is compared with Prometheus'. With `--live` every server is sent a sample before each question, so
that none can know that nothing has changed. What a question costs when it is asked for the first time has a table
of its own.
"""

from __future__ import annotations

import argparse
import http.client
import json
import math
import re
import statistics
import sys
import tempfile
import threading
import time
import urllib.parse
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent.parent))

from tests.bench.load_b import Load, head, push, records, request, send
from tests.bench.servers import Server, disk_bytes, installed, table

HOUR_S = 3600
SPREAD_ROUNDS = 40


@dataclass(frozen=True)
class Query:
    """One question; `hours` 0 is an instant query."""

    kind: str
    expr: str
    hours: float = 0.0
    step_s: int = 60


QUERIES = [
    *(
        Query("24 h range", expr, 24)
        for expr in (
            'sum by (mode) (rate(node_cpu_seconds_total[5m]))',
            'sum by (instance) (rate(node_cpu_seconds_total{mode!="idle"}[5m]))',
            'sum(increase(node_disk_reads_total[1h]))',
            'avg by (instance) (avg_over_time(node_load[1h]))',
            'histogram_quantile(0.99, sum by (le) (rate(http_request_duration_seconds_bucket[5m])))',
        )
    ),
    *(
        Query("3 h functions", expr, 3)
        for expr in (
            'quantile_over_time(0.9, node_load[10m])',
            'max_over_time(node_memory_bytes[10m])',
            'stddev_over_time(node_load[10m])',
            'predict_linear(node_memory_bytes[30m], 3600)',
            'deriv(node_memory_bytes[10m])',
            'max_over_time(sum(rate(http_request_duration_seconds_count[5m]))[29m30s:1m])',
            'sum(rate(http_request_duration_seconds_count[5m] offset 1h))',
            'topk(5, sum by (device) (node_memory_bytes))',
        )
    ),
    *(
        Query("1 h panels", expr, 1, 15)
        for expr in (
            'sum by (handler) (rate(http_request_duration_seconds_count[5m]))',
            ('sum(rate(http_request_duration_seconds_count{code="500"}[5m]))'
            ' / sum(rate(http_request_duration_seconds_count[5m]))'),
            'histogram_quantile(0.9, sum by (le, handler) (rate(http_request_duration_seconds_bucket[5m])))',
            'rate(http_request_duration_seconds_sum[5m]) / rate(http_request_duration_seconds_count[5m])',
            'sum by (instance) (node_memory_bytes) / on (instance) sum by (instance) (node_limit_bytes)',
            'label_replace(sum by (instance) (node_load), "host", "$1", "instance", "(.*):.*")',
            'count by (job) (node_load)',
            '1 - avg by (instance) (rate(node_cpu_seconds_total{mode="idle"}[5m]))',
        )
    ),
    *(
        Query("instant aggregations", expr)
        for expr in (
            'sum by (instance, mode) (rate(node_cpu_seconds_total[5m]))',
            'histogram_quantile(0.95, sum by (le) (rate(http_request_duration_seconds_bucket[5m])))',
            'topk(10, node_memory_bytes)',
            'count by (__name__) ({job="node"})',
            'avg by (job) (node_load)',
        )
    ),
    Query("high cardinality", 'pod_requests_total'),
    Query("high cardinality", 'sum by (namespace) (rate(pod_requests_total[5m]))'),
    Query("high cardinality", 'sum(pod_requests_total)'),
    Query("high cardinality", 'count by (__name__) ({job="wide"})'),
    Query("plain range selects", 'node_cpu_seconds_total{cpu="0",mode=~"idle|user"}', 1, 15),
    Query("plain range selects", 'node_load{instance="10.1.0.0:9100"}', 3, 15),
    Query("tiny instant", 'node_load{instance="10.1.0.0:9100",device="d067"}'),
    Query("tiny instant", 'vector(1)'),
    Query("window 5m", 'sum by (mode) (rate(node_cpu_seconds_total[5m]))', 6),
    Query("window 1d", 'sum by (mode) (rate(node_cpu_seconds_total[1d]))', 6),
]  # fmt: skip

GOALS = {
    "24 h range": "0.15 × Prometheus, 1.2 × VM",
    "3 h functions": "0.35 × Prometheus",
    "1 h panels": "0.6 × Prometheus",
    "instant aggregations": "1.5 × Prometheus",
    "high cardinality": "0.6 × Prometheus",
    "plain range selects": "2 × Prometheus",
    "tiny instant": "1.5 ms",
    "twelve panels at once": "0.5 × Prometheus",
    "CPU s / million samples": "1.0 × Prometheus",
    "bytes / sample": "0.33 × Prometheus, 1.0 × VM",
}


class Asker:
    """One kept connection."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self._connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=120)

    def ask(self, query: Query, end_s: float) -> tuple[float, bytes]:
        """Seconds and body of an answer."""
        if query.hours:
            start = end_s - query.hours * HOUR_S
            params = {
                "query": query.expr,
                "start": f"{start:.0f}",
                "end": f"{end_s:.0f}",
                "step": str(query.step_s),
            }
            path = "/api/v1/query_range"
        else:
            params, path = {"query": query.expr, "time": f"{end_s:.0f}"}, "/api/v1/query"
        if self.server.kind == "victoria":
            params["nocache"] = "1"
        began = time.perf_counter()
        self._connection.request("GET", f"{path}?{urllib.parse.urlencode(params)}")
        answer = self._connection.getresponse()
        body = answer.read()
        took = time.perf_counter() - began
        if answer.status != 200:
            raise RuntimeError(f"{self.server.kind}: {query.expr}: {answer.status} {body[:200]!r}")
        return took, body


def points(body: bytes) -> dict[str, list[tuple[float, float]]]:
    """An answer as samples by label set."""
    out: dict[str, list[tuple[float, float]]] = {}
    for entry in json.loads(body)["data"]["result"]:
        values: list[Any] = entry.get("values") or [entry["value"]]
        out[json.dumps(entry["metric"], sort_keys=True)] = [
            (time_s, float(value)) for time_s, value in values
        ]
    return out


def window_s(expr: str) -> float:
    """The longest window that the expression names, in seconds."""
    units = {"s": 1, "m": 60, "h": 3600, "d": 86400}
    return max((int(n) * units[u] for n, u in re.findall(r"\[(\d+)([smhd])", expr)), default=300)


def differs(ours: bytes, theirs: bytes, from_s: float = 0.0) -> str:
    """Empty when two answers are equal within 1e-9 from a time on, else what is not."""
    left, right = points(ours), points(theirs)
    if left.keys() != right.keys():
        return f"{len(left)} series against {len(right)}"
    for labels, samples in left.items():
        if len(samples) != len(right[labels]):
            return f"{labels}: {len(samples)} samples against {len(right[labels])}"
        for (time_s, value), (their_s, other) in zip(samples, right[labels], strict=True):
            if time_s < from_s:
                continue
            if time_s != their_s or not (
                value == other
                or (math.isnan(value) and math.isnan(other))
                or math.isclose(value, other, rel_tol=1e-9)
            ):
                return f"{labels} at {time_s}: {value!r} against {other!r}"
    return ""


def tick(server: Server) -> float:
    """Sends a sample of a series of its own; the CPU seconds that took."""
    before = server.cost().cpu_s
    at_ms = np.array([int(time.time() * 1000)], np.int64)
    series = [head((("__name__", "bench_ticks_total"), ("job", "ticks")))]
    send(server, request(series, records(at_ms, np.ones((1, 1)))))
    return server.cost().cpu_s - before


def twelve_at_once(server: Server, end_s: float) -> float:
    """Wall seconds of twelve panels asked at the same time."""
    panels = [query for query in QUERIES if query.kind in ("24 h range", "1 h panels")][:12]
    threads = [
        threading.Thread(target=lambda query=query: Asker(server).ask(query, end_s)) for query in panels
    ]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return time.perf_counter() - began


def spread(server: Server, end_s: float) -> tuple[float, float]:
    """The median and the 95th percentile in ms of one question over all of the day, asked again and again."""
    query = next(query for query in QUERIES if query.expr.startswith("histogram_quantile") and query.hours)
    asker = Asker(server)
    took_ms = [asker.ask(query, end_s)[0] * 1000 for _ in range(SPREAD_ROUNDS)]
    return statistics.median(took_ms), statistics.quantiles(took_ms, n=20)[-1]


def restarts(servers: dict[str, Server]) -> dict[str, float]:
    """Seconds from the start of each loaded server to ready."""
    out = {}
    for kind, server in servers.items():
        server.stop()
        out[kind] = server.start()
    return out


def snapshot_bytes(server: Server) -> int:
    """Bytes of all samples in blocks, head included."""
    if server.kind == "victoria":
        return disk_bytes(server.directory / "data") + disk_bytes(server.directory / "indexdb")
    with urllib.request.urlopen(
        urllib.request.Request(f"{server.url}/api/v1/admin/tsdb/snapshot", method="POST"), timeout=600
    ) as answer:
        name = json.loads(answer.read())["data"]["name"]
    return disk_bytes(server.directory / "snapshots" / name)


def main() -> None:
    """Loads, asks, prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--servers", default=",".join(installed()))
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--hours", type=int, default=24)
    parser.add_argument("--live", action="store_true")
    options = parser.parse_args()
    kinds = options.servers.split(",")
    end_s = time.time() // 60 * 60 - 60
    load = Load(int(end_s * 1000), options.hours)
    with tempfile.TemporaryDirectory(prefix="trimon-bench-") as name:
        servers = {}
        for kind in kinds:
            config = Path(name) / f"{kind}.yml"
            config.write_text("scrape_configs: []\n")
            servers[kind] = Server(kind, Path(name) / kind, config)
        try:
            measure(options, servers, load, end_s)
        finally:
            for server in servers.values():
                server.stop()


def medians(by_class: dict[str, dict[str, list[float]]]) -> list[tuple[str, dict[str, float]]]:
    """Rows of a table: the median of a class for every server."""
    return [
        (kind, {name: statistics.median(values) for name, values in by.items()})
        for kind, by in by_class.items()
    ]


def load_all(servers: dict[str, Server], load: Load) -> None:
    """Starts every server, gives it the load, and prints what that cost."""
    loads: dict[str, dict[str, float]] = {
        "CPU s / million samples": {},
        "wall s": {},
        "bytes / sample": {},
        "anonymous MB": {},
    }
    for kind, server in servers.items():
        server.start()
        cpu_s, wall_s = push(server, load)
        loads["CPU s / million samples"][kind] = cpu_s / load.samples * 1e6
        loads["wall s"][kind] = wall_s
        time.sleep(20)  # blocks are cut and merged
        loads["bytes / sample"][kind] = snapshot_bytes(server) / load.samples
        loads["anonymous MB"][kind] = server.cost().anonymous_bytes / 2**20
    print(
        table(f"Load B: {load.samples / 1e6:.1f} million samples by remote write", list(loads.items()), GOALS)
    )


@dataclass
class Asked:
    """What the questions cost, by class and server, and how the answers compare with Prometheus'."""

    first_ms: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    median_ms: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    cpu_ms: dict[str, dict[str, float]] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    edge: list[str] = field(default_factory=list)

    def ask(self, query: Query, kind: str, server: Server, end_s: float, rounds: int, *, live: bool) -> bytes:
        """One question to one server, once and then for some rounds; the last answer."""
        asker = Asker(server)
        first_s, answer = asker.ask(query, end_s)
        before = server.cost().cpu_s
        took = []
        for _ in range(rounds):
            if live:
                before += tick(server)
            seconds, answer = asker.ask(query, end_s)
            took.append(seconds)
        used_s = server.cost().cpu_s - before
        self.first_ms.setdefault(query.kind, {}).setdefault(kind, []).append(first_s * 1000)
        self.median_ms.setdefault(query.kind, {}).setdefault(kind, []).append(statistics.median(took) * 1000)
        cpu_ms = self.cpu_ms.setdefault(query.kind, {})
        cpu_ms[kind] = cpu_ms.get(kind, 0.0) + used_s / rounds * 1000
        return answer

    def compare(self, query: Query, ours: bytes, theirs: bytes, first_s: float) -> None:
        """Holds our answer against Prometheus'; `first_s` is the time of the first sample."""
        why = differs(ours, theirs)
        if why and differs(ours, theirs, first_s + window_s(query.expr)):
            self.wrong.append(f"{query.expr}: {why}")
        elif why:
            self.edge.append(query.expr)


def measure(options: argparse.Namespace, servers: dict[str, Server], load: Load, end_s: float) -> None:
    """All figures."""
    load_all(servers, load)
    asked = Asked()
    for query in QUERIES:
        answers = {
            kind: asked.ask(query, kind, server, end_s, options.rounds, live=options.live)
            for kind, server in servers.items()
        }
        if "prometheus" in answers:
            asked.compare(query, answers["trimon"], answers["prometheus"], load.times_ms[0] / 1000)
        shown = "  ".join(f"{kind} {asked.median_ms[query.kind][kind][-1]:8.2f}" for kind in servers)
        print(f"{query.kind:22s} {shown}  {query.expr[:90]}", flush=True)
    at_once = {
        kind: min(twelve_at_once(server, end_s) for _ in range(3)) * 1000 for kind, server in servers.items()
    }
    print(table("p50 in ms by class", [*medians(asked.median_ms), ("twelve panels at once", at_once)], GOALS))
    print(table("The first time each query is asked, ms by class", medians(asked.first_ms)))
    time.sleep(5)  # what each gives back at once does not depend on whose turn was last
    after = {kind: server.cost().anonymous_bytes / 2**20 for kind, server in servers.items()}
    print(table("After all queries", [("anonymous MB", after)]))
    print(table("CPU in ms of one round by class", list(asked.cpu_ms.items())))
    spreads = {kind: spread(server, end_s) for kind, server in servers.items()}
    rows = [
        (name, {kind: each[at] for kind, each in spreads.items()}) for at, name in enumerate(("p50", "p95"))
    ]
    print(table("histogram_quantile over all of a day, ms", rows))
    print(table("Restart of the loaded server", [("s to ready", restarts(servers))]))
    print(f"{len(QUERIES) - len(asked.wrong)} of {len(QUERIES)} answers equal Prometheus' within 1e-9")
    for expr in asked.edge:
        print(
            f"  from the first full window on (2.42 extrapolates before the first sample otherwise): {expr}"
        )
    for line in asked.wrong:
        print(f"  differs: {line}")


if __name__ == "__main__":
    main()
