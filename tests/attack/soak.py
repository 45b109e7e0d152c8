"""One server for a long time, with everything that comes and goes: whether anything of it stays behind.

    python tests/attack/soak.py [--rounds 60]

A round is a minute. Targets and their series come and go, answers and requests are cut in the middle, configurations are
reloaded, small blocks are cut, merged and dropped, queries of all kinds are asked. All of it rests for a while, is measured,
goes on for the rounds, rests again and is measured again: descriptors, threads, tasks and actors must be the same, memory flat.
"""

from __future__ import annotations

import json
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

if __package__ in {None, ""}:
    sys.path.insert(0, str(Path(__file__).parents[2]))

import numpy as np
import trio

from tests.attack.figures import arguments, figure
from tests.support.ports import free_port
from tests.support.process import Server

BASE_TARGETS: Final = 10
TARGETS: Final = 30
SERIES: Final = 50
CUT_SHARE: Final = 0.05
REST_S: Final = 15.0
"""So long an idle thread of the server stays, and some more."""
CALM_S: Final = 120.0
"""So long a busy machine may take to see that most targets have gone."""
SAMPLE_S: Final = 15.0
RELOADS_S: Final = 4.0
"""Between two configurations, each with another job and other rules: a short soak sees several."""
RULES: Final = """
groups:
  - {name: sums, interval: 2s, rules: [{record: 'job:m:sum%d', expr: 'sum by (job) (m)'}]}
  - name: alerts
    interval: 2s
    rules: [{alert: Down, expr: 'up == 0', for: 4s}, {alert: Odd, expr: 'm{series="0"} %% 2 == 1'}]
"""
CONFIG: Final = """
global: {scrape_interval: 2s, scrape_timeout: 1s}
rule_files: [rules.yml]
scrape_configs:
  - job_name: fleet
    file_sd_configs: [{files: [targets.json], refresh_interval: 5s}]
  - job_name: %s
    static_configs: [{targets: ['127.0.0.1:%d']}]
"""
FLAGS: Final = (
    "--web.enable-lifecycle",
    "--web.enable-admin-api",
    "--storage.tsdb.min-block-duration=20s",
    "--storage.tsdb.max-block-duration=3m",
    "--storage.tsdb.retention.time=6m",
)
QUERIES: Final = (
    "sum by (pod) (m)",
    "topk(5, rate(m[1m]))",
    "count_over_time(m[2m])",
    "quantile_over_time(0.9, m[1m])",
    "m * on (series, instance, job) group_left () m",
    "count({__name__=~'.+'})",
    "no_such + on () m",
)


@dataclass
class Measure:
    """What the server holds while it rests."""

    rss_bytes: int
    descriptors: int
    data_files: int
    """Open files of the data directory: of blocks, which are more or fewer as they are cut and merged, and of the log."""
    threads: int
    tasks: int
    actors: int

    def text(self) -> str:
        """In words."""
        return (
            f"{self.rss_bytes / 1e6:.0f} MB, {self.descriptors} descriptors and {self.data_files} of data, "
            f"{self.threads} threads, {self.tasks} tasks, {self.actors} actors"
        )


@dataclass
class Soak:
    """What came of it."""

    first: Measure
    last: Measure
    minutes: float
    mb_per_minute: float
    """The slope of the resident memory between both ends, under load."""
    done: dict[str, int]
    crashes: int


@dataclass
class Load:
    """What is done to the server, and how often it was."""

    server: Server
    folder: Path
    port: int
    generator: random.Random
    done: dict[str, int] = field(default_factory=dict)
    series_round: int = 0

    def count(self, what: str) -> None:
        """Once more."""
        self.done[what] = self.done.get(what, 0) + 1

    def publish(self, targets: int) -> None:
        """So many targets: the first ones always, the others by chance."""
        numbers = list(range(BASE_TARGETS)) + self.generator.sample(
            range(BASE_TARGETS, 100), targets - BASE_TARGETS
        )
        names = [f"127.0.0.{number + 1}:{self.port}" for number in numbers]
        new = self.folder / "targets.new"
        new.write_text(json.dumps([{"targets": names, "labels": {"batch": str(len(names))}}]))
        new.replace(self.folder / "targets.json")

    def reload(self, job: str = "", rule: int = 0) -> None:
        """Another configuration and other rules, taken over."""
        (self.folder / "rules.yml").write_text(RULES % rule)
        self.server.config.write_text(CONFIG % (job or "other", self.port))
        self.server.text("/-/reload", "POST")

    def query(self) -> None:
        """One of all kinds."""
        expr, now_s = self.generator.choice(QUERIES), time.time()
        if self.generator.random() < 0.5:
            self.server.get("/api/v1/query", query=expr)
        else:
            self.server.get(
                "/api/v1/query_range", query=expr, start=f"{now_s - 300}", end=f"{now_s}", step="5"
            )

    def administer(self) -> None:
        """A deletion, and blocks without what was deleted."""
        self.server.text(
            f"/api/v1/admin/tsdb/delete_series?match[]=m{{series='{self.generator.randrange(SERIES)}'}}",
            "POST",
        )
        self.server.text("/api/v1/admin/tsdb/clean_tombstones", "POST")


def body(load: Load) -> bytes:
    """An exposition; a part of its series has a label of its own time."""
    number = time.monotonic_ns()
    lines = [f'm{{series="{index}"}} {number % (97 + index)}' for index in range(SERIES - 5)]
    lines += [f'm{{series="{index}",pod="p{load.series_round}"}} {number % 1000}' for index in range(5)]
    return ("\n".join(lines) + "\n").encode()


async def target(load: Load, stream: trio.SocketStream) -> None:
    """Answers every request; some answers end in the middle."""
    async with stream:
        try:
            got = b""
            while part := await stream.receive_some(65536):
                got += part
                while b"\r\n\r\n" in got:
                    got = got.partition(b"\r\n\r\n")[2]
                    text = body(load)
                    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\nContent-Length: %d\r\n\r\n"
                    answer = head % len(text) + text
                    cut = load.generator.random() < CUT_SHARE
                    await stream.send_all(answer[: load.generator.randrange(len(answer))] if cut else answer)
                    if cut:
                        load.count("answers cut")
                        return
        except trio.BrokenResourceError:
            pass


async def _every(load: Load, period_s: float, what: str, act: Callable[[], object]) -> None:
    while True:
        await trio.sleep(period_s * load.generator.uniform(0.5, 1.5))
        try:
            await trio.to_thread.run_sync(act)
            load.count(what)
        except OSError:
            load.count(f"{what}, unanswered")


async def _cut_requests(load: Load) -> None:
    """Clients that leave: before, in and after their head, in a body, and while a query is at work."""
    query = f"GET /api/v1/query?query={'sum(m)%2B' * 50}1 HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
    form = b"POST /api/v1/query HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\nquery=1"
    while True:
        await trio.sleep(load.generator.uniform(0.5, 1.5))
        try:
            async with await trio.open_tcp_stream("127.0.0.1", load.server.port) as stream:
                text = load.generator.choice((query, form))
                await stream.send_all(text[: load.generator.choice((0, 20, len(text)))])
                await trio.sleep(load.generator.choice((0.0, 0.01, 3.0)))
            load.count("requests cut")
        except OSError:
            load.count("requests cut, refused")


async def _busy(load: Load, seconds: float, samples: list[tuple[float, int]]) -> None:
    """All of it at once, for so long; the memory is noted meanwhile."""
    rules = 0

    def change_series() -> None:
        load.series_round += 1

    def reload() -> None:
        nonlocal rules
        rules += 1
        load.reload(f"job{rules}", rules)

    with trio.move_on_after(seconds):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(
                _every,
                load,
                7,
                "other targets",
                lambda: load.publish(load.generator.randrange(BASE_TARGETS, TARGETS)),
            )
            nursery.start_soon(_every, load, 10, "other series", change_series)
            nursery.start_soon(_every, load, 1.0, "queries", load.query)
            nursery.start_soon(_every, load, RELOADS_S, "reloads", reload)
            nursery.start_soon(_every, load, 30, "deletions", load.administer)
            nursery.start_soon(_cut_requests, load)
            while True:
                await trio.sleep(SAMPLE_S)
                samples.append((trio.current_time(), rss_bytes(load.server)))


def status(server: Server, name: str) -> int:
    """A number of /proc/PID/status."""
    assert server.process is not None
    text = Path(f"/proc/{server.process.pid}/status").read_text()
    return int(next(line for line in text.splitlines() if line.startswith(f"{name}:")).split()[1])


def rss_bytes(server: Server) -> int:
    """The resident memory."""
    return status(server, "VmRSS") * 1024


def descriptors(server: Server) -> tuple[int, int]:
    """How many files it has open besides those of the data directory, and how many of these."""
    assert server.process is not None
    names = []
    for link in Path(f"/proc/{server.process.pid}/fd").iterdir():
        with suppress(FileNotFoundError):
            names.append(str(link.readlink()))
    data = sum(name.startswith(f"{server.data}/") for name in names)
    return len(names) - data, data


def _actors(server: Server) -> int:
    """How many there are."""
    waiting, found = [server.get("/debug/actors")], 0
    while waiting:
        waiting += waiting.pop()["children"]
        found += 1
    return found


async def _measure(load: Load, rest_s: float) -> Measure:
    """Lets everything rest, and looks."""
    server = load.server
    load.publish(BASE_TARGETS)
    await trio.to_thread.run_sync(load.reload)

    def targets() -> int:
        return len(server.get("/api/v1/targets", state="active")["data"]["activeTargets"])

    with trio.fail_after(CALM_S):
        while await trio.to_thread.run_sync(targets) != BASE_TARGETS + 1:  # noqa: ASYNC110 # the server's own work
            await trio.sleep(0.5)
    await trio.sleep(rest_s)
    with trio.move_on_after(CALM_S):
        # targets that were replaced leave at the end of their last interval
        before = 0
        while before != (actors := await trio.to_thread.run_sync(lambda: _actors(server))):
            before = actors
            await trio.sleep(5)
    return await trio.to_thread.run_sync(lambda: _look(server))


def _look(server: Server) -> Measure:
    actors = _actors(server)
    tasks = []
    for _ in range(8):
        # A scrape that is under way has tasks of its own, which are there at one look and not at the next.
        tasks.append(server.get("/api/v1/status/runtimeinfo")["data"]["goroutineCount"])
        time.sleep(0.3)
    return Measure(rss_bytes(server), *descriptors(server), status(server, "Threads"), min(tasks), actors)


async def attack(load: Load, settle_s: float, busy_s: float, rest_s: float = REST_S) -> Soak:
    """Busy until everything has its size, a look, busy for long, another look."""
    samples: list[tuple[float, int]] = []
    async with trio.open_nursery() as nursery:

        async def serve(stream: trio.SocketStream) -> None:
            await target(load, stream)

        listeners = await trio.open_tcp_listeners(load.port, host="0.0.0.0", backlog=200)
        nursery.start_soon(trio.serve_listeners, serve, listeners)
        await _busy(load, settle_s, [])
        first = await _measure(load, rest_s)
        sys.stderr.write(f"first: {first.text()}\n")
        await _busy(load, busy_s, samples)
        last = await _measure(load, rest_s)
        nursery.cancel_scope.cancel()
    times, sizes = np.array(samples, float).reshape(-1, 2).T
    slope = float(np.polyfit(times / 60, sizes / 1e6, 1)[0]) if len(times) > 2 else 0.0
    log = load.server.log.read_text()
    crashes = log.count("actor crashed") + log.count("Traceback")
    return Soak(first, last, busy_s / 60, slope, load.done, crashes)


@contextmanager
def world(folder: Path, seed: int) -> Iterator[Load]:
    """A server with small blocks, and what is done to it."""
    port = free_port()
    server = Server(folder / "data", CONFIG % ("other", port), *FLAGS)
    load = Load(server, folder, port, random.Random(seed))
    (folder / "rules.yml").write_text(RULES % 0)
    load.publish(BASE_TARGETS)
    server.start()
    try:
        yield load
    finally:
        server.kill()


def main() -> None:
    """Runs for the rounds and prints both ends."""
    parser = arguments(__doc__ or "", 60)
    parser.add_argument(
        "--settle", type=float, default=20.0, help="minutes before the first look; alerts are kept for 15"
    )
    options = parser.parse_args()
    sys.stderr.write(f"seed {options.seed}\n")
    with tempfile.TemporaryDirectory() as folder, world(Path(folder), options.seed) as load:
        soak = trio.run(attack, load, options.settle * 60, options.rounds * 60.0)
    done = ", ".join(f"{count:,} {what}" for what, count in sorted(soak.done.items()))
    figure(
        f"{soak.minutes:.0f} minutes of churn: {done}",
        f"first {soak.first.text()}; last {soak.last.text()}; {soak.crashes} crashes",
        f"{soak.mb_per_minute:+.2f} MB a minute",
    )


if __name__ == "__main__":
    main()
