"""Small questions and names, trimon beside its peers over the same samples in one run.

    python tests/bench/small_questions.py [--rounds 200] [--servers trimon,prometheus]

Every server scrapes twenty targets of ten series every second, whose `up` is asked for, and gets 4,880 series and 20,000 of one
wide metric by remote write, an hour of each.
Each question is asked over one kept connection; printed are the median and the 95th percentile of the rounds. Then
eight connections ask `up` for some seconds, and last each server is stopped and started again. `PROMETHEUS_BIN` and
`VICTORIA_BIN` name other peers than those on the path.
"""

from __future__ import annotations

import argparse
import http.client
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.parse
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent.parent))

from tests.bench.ingest import fleet, fleet_config
from tests.bench.load_b import Load, push
from tests.bench.servers import Server, installed, table

HOUR_S = 3600
PANEL_STEP_S = 15
WORK_CONNECTIONS = 8
Rows = dict[str, dict[str, float]]


@dataclass(frozen=True)
class Question:
    """A path of the API with its parameters; `START`, `END` and `NOW` stand for times."""

    name: str
    path: str
    parameters: tuple[tuple[str, str], ...]


def _panel(name: str, expr: str) -> Question:
    times = (("start", "START"), ("end", "END"), ("step", str(PANEL_STEP_S)))
    return Question(name, "/api/v1/query_range", (("query", expr), *times))


_SPAN = (("start", "START"), ("end", "END"))
QUESTIONS = (
    Question("up, instant", "/api/v1/query", (("query", "up"),)),
    Question("labels", "/api/v1/labels", _SPAN),
    Question("label values, 180", "/api/v1/label/device/values", _SPAN),
    Question(
        "series, 640", "/api/v1/series", (("match[]", 'node_cpu_seconds_total{job="node"}'), *_SPAN)
    ),
    Question("label values, 20,000", "/api/v1/label/pod/values", _SPAN),
    Question("series, 20,000", "/api/v1/series", (("match[]", "pod_requests_total"), *_SPAN)),
    _panel("1 h panel: select", 'node_cpu_seconds_total{cpu="0",mode=~"idle|user"}'),
    _panel(
        "1 h panel: label_replace", 'label_replace(node_load{device=~"d06.|d07."}, "host", "$1", "instance", "(.*):.*")'
    ),
    _panel("1 h panel: a / b", " / ".join(['node_cpu_seconds_total{cpu="0",mode=~"idle|user"}'] * 2)),
)  # fmt: skip


def target_of(question: Question, kind: str, end_s: float) -> str:
    """What stands in the request line."""
    times = {"START": f"{end_s - HOUR_S:.0f}", "END": f"{end_s:.0f}"}
    parameters = [(name, times.get(value, value)) for name, value in question.parameters]
    if kind == "victoria" and question.path.startswith("/api/v1/query"):
        parameters.append(("nocache", "1"))
    return f"{question.path}?{urllib.parse.urlencode(parameters)}"


def asked(server: Server, question: Question, end_s: float, rounds: int) -> tuple[list[float], int]:
    """Milliseconds of every round after the first, and the number of things in the answer."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    target = target_of(question, server.kind, end_s)
    took_ms: list[float] = []
    body = b""
    for _ in range(rounds + 1):
        began = time.perf_counter()
        connection.request("GET", target)
        answer = connection.getresponse()
        body = answer.read()
        took_ms.append((time.perf_counter() - began) * 1000)
        if answer.status != http.client.OK:
            raise RuntimeError(f"{server.kind}: {target}: {answer.status} {body[:200]!r}")
    data = json.loads(body)["data"]
    return took_ms[1:], len(data["result"] if isinstance(data, dict) else data)


def loaded(server: Server, load: Load, targets: Path) -> None:
    """Writes everything into a server, which then scrapes: what is an hour old is taken only before."""
    assert server.config is not None
    server.config.write_text("scrape_configs: []\n")
    server.start()
    push(server, load)
    server.stop()
    server.config.write_text(fleet_config(targets, "1s"))
    server.start()
    time.sleep(5)


def work(server: Server, end_s: float, seconds: int) -> tuple[float, float]:
    """Requests a second over eight connections, and milliseconds of CPU each; NaN without `wrk`."""
    if not shutil.which("wrk"):
        return float("nan"), float("nan")
    before = server.cost().cpu_s
    url = server.url + target_of(QUESTIONS[0], server.kind, end_s)
    command = ["wrk", "-t1", f"-c{WORK_CONNECTIONS}", f"-d{seconds}s", url]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    per_s = next(float(line.split()[1]) for line in said.splitlines() if line.startswith("Requests/sec"))
    count = next(float(line.split()[0]) for line in said.splitlines() if "requests in" in line)
    return per_s, (server.cost().cpu_s - before) / count * 1000


def measured(options: argparse.Namespace, servers: dict[str, Server], targets: Path, end_s: float) -> None:
    """Asks all questions of all servers in turn, and prints the tables."""
    load = Load(int(end_s * 1000), 1)
    for server in servers.values():
        loaded(server, load, targets)
    p50: Rows = {}
    p95: Rows = {}
    for question in QUESTIONS:
        for kind, server in servers.items():
            took_ms, count = asked(server, question, end_s, options.rounds)
            p50.setdefault(question.name, {})[kind] = statistics.median(took_ms)
            p95.setdefault(question.name, {})[kind] = statistics.quantiles(took_ms, n=20)[-1]
            middle_ms = p50[question.name][kind]
            print(f"{question.name:28s} {kind:10s} {middle_ms:8.3f} ms, {count} in the answer", flush=True)
    print(table("Small questions, p50 in ms", list(p50.items())))
    print(table("Small questions, p95 in ms", list(p95.items())))
    worked = {kind: work(server, end_s, options.seconds) for kind, server in servers.items()}
    rates = {kind: each[0] for kind, each in worked.items()}
    costs = {kind: each[1] for kind, each in worked.items()}
    print(table("`up` over eight connections", [("requests a second", rates), ("CPU ms each", costs)]))
    starts = {}
    for kind, server in servers.items():
        server.stop()
        starts[kind] = server.start()
    print(table("Restart of a loaded server", [("s to ready", starts)]))


def main() -> None:
    """Reads the command line, measures, prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--servers", default=",".join(installed()))
    options = parser.parse_args()
    end_s = time.time() // 60 * 60 - 60
    with tempfile.TemporaryDirectory(prefix="trimon-bench-") as name:
        targets = Path(name) / "targets.json"
        simulator = fleet(argparse.Namespace(targets=20, series=10, steps=90), targets, 0.0)
        servers = {}
        for kind in options.servers.split(","):
            config = Path(name) / f"{kind}.yml"
            servers[kind] = Server(kind, Path(name) / kind, config)
        try:
            measured(options, servers, targets, end_s)
        finally:
            for server in servers.values():
                server.stop()
            simulator.terminate()
            simulator.wait()


if __name__ == "__main__":
    main()
