"""Two hundred heavy queries at once against a server that scrapes two hundred targets a second and evaluates rules.

    python tests/attack/overload.py [--rounds 30] [--queries 200] [--targets 200]

A round is a second. Each client asks a heavy query over a connection of its own again and again; who is told 503 waits for as
long as `Retry-After` says. The figures: how late scrapes come (as their targets see them), how long rules take and how many
iterations are missed, how long `/-/healthy` and a small query of another client wait, and whether each 503 says when to come
back.
The targets run in a process of their own, so that the instrument's clients do not hold them up.
"""

from __future__ import annotations

import multiprocessing
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from itertools import pairwise
from multiprocessing.connection import Connection
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent.parent))

import h11
import trio

from tests.attack.connections import Crowd, probes
from tests.attack.figures import arguments, figure
from tests.support.counting_targets import CountingTargets
from tests.support.process import Server

SERIES = 100
RULES = """\
groups:
- name: steady
  interval: 1s
  rules:
  - {record: "job:m:sum", expr: "sum by (job) (m)"}
  - {record: "m:rate", expr: "sum(rate(m[1m]))"}
  - {alert: Never, expr: "sum(m) < 0", for: 1m}
"""
# Each looks at every series at thousands of steps.
HEAVY = (
    "sum by (job) (rate(m[5m])) / sum by (job) (m)",
    "sum(quantile by (series) (0.9, rate(m[1m]) + m))",
    "max(max_over_time(sum by (series) (rate(m[10s]))[1m:1s]))",
    "count(avg_over_time(m[10m]) * on (job, series, instance) m > 0)",
)
SMALL = "up{job='t0'}"
ANSWER_S_MAX = 120.0


@dataclass
class Overload:
    """What came of it."""

    statuses: Counter[int] = field(default_factory=Counter)
    without_retry: int = 0
    """Answers of 503 that do not say when to come back."""
    failures: int = 0
    """Connections that failed, or had no answer in two minutes."""
    heavy_s: list[float] = field(default_factory=list)
    small_s: list[float] = field(default_factory=list)
    small_statuses: Counter[int] = field(default_factory=Counter)
    probes: Crowd = field(default_factory=Crowd)
    late_s: list[float] = field(default_factory=list)
    """Of each interval between two scrapes of a target, how far it is from a second."""
    rules_s: float = 0.0
    """The longest that a group of rules took of a hundred times, but for one."""
    missed: float = 0.0
    stalls: float = 0.0
    stopped: int = -1
    tracebacks: int = 0


def quantile(values: list[float], share: float) -> float:
    """A quantile of values, 0 of none."""
    ordered = sorted(values)
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)] if ordered else 0.0


def serve_targets(count: int, pipe: Connection) -> None:
    """The targets, in a process of their own: tells its configuration, and when it is asked the times of all scrapes."""
    targets = CountingTargets(count, SERIES)
    pipe.send(targets.jobs())
    threading.Thread(target=targets.serve_forever, daemon=True).start()
    pipe.recv()
    pipe.send([sorted(targets.served_s(target).values()) for target in range(count)])


class Client:
    """One connection that asks queries, one after the other."""

    def __init__(self, port: int, local: str) -> None:
        self._port = port
        self._local = local

    async def ask(self, path: str) -> tuple[int, str]:
        """Status and Retry-After of an answer, whose body is read to its end. Raises OSError."""
        connection = h11.Connection(h11.CLIENT)
        stream = await trio.open_tcp_stream("127.0.0.1", self._port, local_address=self._local)
        async with stream:
            request = h11.Request(
                method="GET", target=path, headers=[("Host", "localhost"), ("Connection", "close")]
            )
            await stream.send_all(
                (connection.send(request) or b"") + (connection.send(h11.EndOfMessage()) or b"")
            )
            status, retry_after = 0, ""
            while True:
                event = connection.next_event()
                if event is h11.NEED_DATA:
                    connection.receive_data(await stream.receive_some(1 << 18))
                elif isinstance(event, h11.Response):
                    status = event.status_code
                    retry_after = dict(event.headers).get(b"retry-after", b"").decode()
                elif isinstance(event, h11.EndOfMessage | h11.ConnectionClosed):
                    return status, retry_after


async def heavy(port: int, number: int, end_s: float, result: Overload) -> None:
    """One client that asks heavy queries; all of them come from one address."""
    client = Client(port, "127.0.0.1")
    while trio.current_time() < end_s:
        now, began_s = time.time(), trio.current_time()
        expr = HEAVY[number % len(HEAVY)].replace(" ", "%20").replace("+", "%2B")
        # another one each time: nothing is remembered
        path = f"/api/v1/query_range?query={expr}&start={now - 3600 - number:.3f}&end={now:.3f}&step={0.5 + number / 1000}"
        try:
            with trio.fail_after(ANSWER_S_MAX):
                status, retry_after = await client.ask(path)
        except (OSError, h11.RemoteProtocolError, trio.TooSlowError, trio.BrokenResourceError):
            result.failures += 1
            await trio.sleep(0.5)
            continue
        result.statuses[status] += 1
        result.heavy_s.append(trio.current_time() - began_s)
        if status == 503:
            if not retry_after.isdigit():
                result.without_retry += 1
            await trio.sleep(min(float(retry_after or 1), 2.0))


async def small(port: int, end_s: float, result: Overload) -> None:
    """One client of another address that asks a small query now and then."""
    client = Client(port, "127.0.0.2")
    while trio.current_time() < end_s:
        began_s = trio.current_time()
        try:
            with trio.fail_after(ANSWER_S_MAX):
                status, _ = await client.ask(f"/api/v1/query?query={SMALL}")
        except (OSError, h11.RemoteProtocolError, trio.TooSlowError, trio.BrokenResourceError):
            status = 0
        result.small_statuses[status] += 1
        result.small_s.append(trio.current_time() - began_s)
        await trio.sleep(0.2)


async def attack(port: int, rounds: int, queries: int) -> Overload:
    """All clients for so many seconds."""
    result, end_s = Overload(), trio.current_time() + rounds
    async with trio.open_nursery() as nursery:
        for number in range(queries):
            nursery.start_soon(heavy, port, number, end_s, result)
        nursery.start_soon(small, port, end_s, result)
        nursery.start_soon(probes, port, result.probes, rounds, None)
        # Whoever still waits for an answer leaves, and what it asked for ends.
        await trio.sleep(rounds + 1)
        while not result.probes.waits_s and not result.probes.failures:  # noqa: ASYNC110 # a process ends
            await trio.sleep(0.1)
        nursery.cancel_scope.cancel()
    return result


def measured(server: Server, result: Overload) -> None:
    """What the server says of itself afterwards."""

    def value(start: str) -> float:
        lines = [line for line in server.text("/metrics")[1].splitlines() if line.startswith(start)]
        return max((float(line.rpartition(" ")[2]) for line in lines), default=-1.0)

    result.rules_s = value('prometheus_rule_group_duration_seconds{quantile="0.99"}')
    result.missed = value("prometheus_rule_group_iterations_missed_total{")
    result.stalls = value("trimon_event_loop_stalls_total ")


def run(folder: Path, rounds: int, queries: int = 200, count: int = 200, warm_s: float = 5.0) -> Overload:
    """The attack against a server of its own."""
    here, there = multiprocessing.get_context("spawn").Pipe()
    process = multiprocessing.get_context("spawn").Process(
        target=serve_targets, args=(count, there), daemon=True
    )
    process.start()
    jobs = here.recv()
    (folder / "rules.yml").write_text(RULES)
    config = (
        f"global: {{scrape_interval: 1s, scrape_timeout: 1s}}\nrule_files: [{folder / 'rules.yml'}]\n"
        f"scrape_configs:\n{jobs}"
    )
    server = Server(folder / "data", config, "--query.timeout=60s")
    server.start()
    try:
        time.sleep(warm_s)
        began_s = time.time()
        result = trio.run(attack, server.port, rounds, queries)
        ended_s = began_s + rounds
        here.send("end")
        for times_s in here.recv():
            within = [at for at in times_s if began_s <= at <= ended_s]
            result.late_s += [abs(after - before - 1) for before, after in pairwise(within)]
        measured(server, result)
        result.stopped = server.stop()
        result.tracebacks = server.log.read_text(errors="replace").count("Traceback")
    finally:
        if server.process is not None and server.process.poll() is None:
            server.kill()
        process.kill()
    return result


def main() -> None:
    """Attacks and prints the figures."""
    parser = arguments(__doc__ or "", 30)
    parser.add_argument("--queries", type=int, default=200, help="heavy queries at once")
    parser.add_argument("--targets", type=int, default=200, help="targets, each scraped every second")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        result = run(Path(folder), options.rounds, options.queries, options.targets)
    tried = f"{options.queries} heavy queries at once, {options.targets} targets at 1 s"
    for what, values in (
        ("scrape jitter", result.late_s),
        ("/-/healthy", result.probes.waits_s),
        ("small query", result.small_s),
    ):
        middle = statistics.median(values) if values else 0.0
        figure(
            tried,
            what,
            f"median {middle * 1000:.0f} ms, p99 {quantile(values, 0.99) * 1000:.0f} ms of {len(values)}",
        )
    figure(tried, "rules", f"p99 {result.rules_s * 1000:.0f} ms, {result.missed:.0f} iterations missed")
    figure(
        tried,
        f"answers {dict(result.statuses)}, small {dict(result.small_statuses)}",
        f"{result.failures} failed",
    )
    figure(
        tried,
        f"{result.without_retry} of 503 without Retry-After",
        f"exit code {result.stopped}, {result.tracebacks} tracebacks, {result.stalls:.0f} stalls",
    )


if __name__ == "__main__":
    main()
