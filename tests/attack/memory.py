"""Queries and targets that want more memory than there is: the process stays within its budget, and goes on.

    python tests/attack/memory.py [--limit 2000] [--series 50000] [--queries 20] [--target-series 1000000] [--peer]

A process that comes to hold more than the limit is killed, as the kernel would do. Three parts, on one server: range queries
over many series at once; three targets of very many series each; and what is still held half a minute later. Meanwhile a small
target is scraped each second and /-/healthy is asked five times a second. Small texts that ask for much: memoryqueries.py.
"""

from __future__ import annotations

import json
import shutil
import socketserver
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

sys.path.insert(0, str(Path(__file__).parent.parent.parent))

from tests.attack.figures import arguments, figure
from tests.support.ports import free_port
from tests.support.process import Server

MIB = 2**20
KNOWN = "known"
CONFIG = """\
global: {{scrape_interval: 1s, scrape_timeout: 1s}}
scrape_configs:
- job_name: known
  static_configs: [{{targets: ['127.0.0.1:{port}']}}]
  metrics_path: /100/0
- job_name: many
  scrape_interval: {interval_s}s
  scrape_timeout: {interval_s}s
  static_configs: [{{targets: ['127.0.0.1:{port}']}}]
  metrics_path: /{series}/1
"""
HUGE = """\
- job_name: huge{number}
  scrape_interval: 15s
  scrape_timeout: 14s
  static_configs: [{{targets: ['127.0.0.1:{port}']}}]
  metrics_path: /{series}/{number}
"""


class Target(socketserver.StreamRequestHandler):
    """Answers /<series>/<number> with so many series; their values change with each answer."""

    server: Targets

    def handle(self) -> None:
        """One request after the other."""
        with suppress(ConnectionError):
            self._answer_all()

    def _answer_all(self) -> None:
        while line := self.rfile.readline():
            while self.rfile.readline().strip():
                pass
            _, series, number = line.split()[1].split(b"/")
            self.wfile.write(self.server.answer(int(series), int(number)))


class Targets(socketserver.ThreadingTCPServer):
    """Serves bodies that were made before."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Target)
        self.bodies: dict[tuple[int, int], bytes] = {}

    def answer(self, series: int, number: int) -> bytes:
        """The whole answer."""
        key = series, number
        if key not in self.bodies:
            lines = b"".join(
                b'metric_%d{job_part="%d",item="%07d"} %d\n' % (place % 50, number, place, place % 977)
                for place in range(series)
            )
            head = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\nContent-Length: %d\r\n\r\n"
            self.bodies[key] = head % len(lines) + lines
        return self.bodies[key]


@contextmanager
def targets() -> Iterator[tuple[int, Targets]]:
    """The port of running targets, and the server."""
    with Targets() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1], server
        server.shutdown()


def resident_mib(pid: int) -> int:
    """The memory of a process; 0 when it is gone."""
    try:
        text = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    found = next((line for line in text.splitlines() if line.startswith("VmRSS")), "")
    return int(found.split()[1]) // 1024 if found else 0


@dataclass
class Watch:
    """Memory and health of a process while something is done to it."""

    pid: int
    url: str
    limit_mib: int
    peak_mib: int = 0
    is_killed: bool = False
    slowest_s: float = 0.0
    probes: int = 0
    failed_probes: int = 0
    _over: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Self:
        self._threads = [threading.Thread(target=work, daemon=True) for work in (self._memory, self._health)]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(15)

    def _memory(self) -> None:
        while not self._over.wait(0.02):
            now_mib = resident_mib(self.pid)
            self.peak_mib = max(self.peak_mib, now_mib)
            if now_mib > self.limit_mib and not self.is_killed:
                self.is_killed = True
                subprocess.run(["kill", "-9", str(self.pid)], check=False)

    def _health(self) -> None:
        while not self._over.wait(0.2):
            began_s = time.monotonic()
            self.probes += 1
            try:
                with urllib.request.urlopen(f"{self.url}/-/healthy", timeout=10) as answer:
                    answer.read()
            except OSError:
                self.failed_probes += 1
            self.slowest_s = max(self.slowest_s, time.monotonic() - began_s)

    def text(self) -> str:
        """The figures in words."""
        return (
            f"peak {self.peak_mib} of {self.limit_mib} MiB; of {self.probes} probes {self.failed_probes} failed, "
            f"slowest {self.slowest_s * 1000:.0f} ms"
        )


def asked(url: str, path: str, timeout_s: float = 180.0, **params: str) -> tuple[int, bytes]:
    """Status and body of an answer; status 0 for none."""
    try:
        with urllib.request.urlopen(
            f"{url}{path}?{urllib.parse.urlencode(params)}", timeout=timeout_s
        ) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()
    except OSError:
        return 0, b""


def number(url: str, query: str) -> float:
    """The only value of an instant query; -1 without one."""
    status, body = asked(url, "/api/v1/query", query=query)
    result = json.loads(body)["data"]["result"] if status == 200 else []
    return float(result[0]["value"][1]) if result else -1.0


def queries(count: int) -> list[tuple[str, int]]:
    """Range queries over all series of the job, each with its number of steps."""
    kinds = (
        ('{job="many",__name__=~"metric_.+"}', 10),
        ('rate({job="many",__name__=~"metric_.+"}[1m])', 10),
        ('sum by (item) (rate({job="many",__name__=~"metric_.+"}[30s]))', 40),
        ('sum(max_over_time({job="many",__name__=~"metric_.+"}[20s]) * 2)', 60),
        ('quantile(0.9, {job="many",__name__=~"metric_.+"} + %d)', 60),
    )
    return [
        (kinds[place % len(kinds)][0].replace("%d", str(place)), kinds[place % len(kinds)][1])
        for place in range(count)
    ]


def storm(url: str, count: int) -> tuple[Counter[int], list[str], float]:
    """So many range queries at once: answers by status, texts of errors, and how long all took."""
    statuses: Counter[int] = Counter()
    errors: list[str] = []
    began_s, now = time.monotonic(), int(time.time())

    def ask(query: str, steps: int) -> None:
        status, body = asked(
            url,
            "/api/v1/query_range",
            query=query,
            start=str(now - 60),
            end=str(now),
            step=f"{60 / steps:.3f}",
        )
        statuses[status] += 1
        if status not in (0, 200):
            errors.append(json.loads(body).get("error", "") if body[:1] == b"{" else repr(body[:200]))

    threads = [threading.Thread(target=ask, args=one) for one in queries(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return statuses, errors, time.monotonic() - began_s


def settled_mib(pid: int, base_mib: int, within_s: float) -> tuple[int, float]:
    """The memory after a while, or as soon as it is close to what it was; and after how long."""
    began_s = time.monotonic()
    while (now_mib := resident_mib(pid)) > base_mib * 1.1 + 30 and time.monotonic() - began_s < within_s:
        time.sleep(0.25)
    return now_mib, time.monotonic() - began_s


@dataclass
class Size:
    """How large an attack is."""

    limit_mib: int = 2000
    series: int = 50_000
    queries: int = 20
    target_series: int = 1_000_000
    fill_s: float = 40.0
    hold_s: float = 60.0
    interval_s: int = 5


@dataclass
class Outcome:
    """What came of an attack on one server."""

    queries: Watch
    statuses: Counter[int]
    errors: list[str]
    took_s: float
    base_mib: int
    after_mib: int = 0
    after_s: float = 0.0
    targets: Watch | None = None
    known_scrapes: float = 0.0
    known_s: float = 0.0
    healths: tuple[str, ...] = ()
    target_errors: tuple[str, ...] = ()


def attack(url: str, pid: int, config: Path, port: int, size: Size, reload: Callable[[], object]) -> Outcome:
    """The three parts against a running server that scrapes the targets of CONFIG."""
    deadline_s = time.monotonic() + size.fill_s
    while time.monotonic() < deadline_s:
        time.sleep(0.5)
    base_mib = resident_mib(pid)
    with Watch(pid, url, size.limit_mib) as watch:
        statuses, errors, took_s = storm(url, size.queries)
    outcome = Outcome(watch, statuses, errors, took_s, base_mib)
    if watch.is_killed:
        return outcome
    outcome.after_mib, outcome.after_s = settled_mib(pid, base_mib, 30.0)
    text = config.read_text()
    config.write_text(
        text + "".join(HUGE.format(number=huge, port=port, series=size.target_series) for huge in (2, 3, 4))
    )
    reload()
    began_s = time.monotonic()
    with Watch(pid, url, size.limit_mib) as outcome.targets:
        while time.monotonic() < began_s + size.hold_s and not outcome.targets.is_killed:
            time.sleep(0.5)
    if outcome.targets.is_killed:
        return outcome
    outcome.known_s = time.monotonic() - began_s
    outcome.known_scrapes = number(url, f'count_over_time(up{{job="known"}}[{int(outcome.known_s)}s])')
    huge = _huge_targets(url)
    while any(one["health"] == "unknown" for one in huge) and time.monotonic() < began_s + 3 * size.hold_s:
        time.sleep(0.5)  # the first scrape of one that waits for the others takes as long as they do
        huge = _huge_targets(url)
    outcome.healths = tuple(one["health"] for one in huge)
    outcome.target_errors = tuple(one["lastError"] for one in huge)
    return outcome


def _huge_targets(url: str) -> list[dict[str, str]]:
    status, body = asked(url, "/api/v1/targets", state="active")
    active = json.loads(body)["data"]["activeTargets"] if status == 200 else []
    return [one for one in active if one["scrapePool"].startswith("huge")]


def tell(name: str, size: Size, outcome: Outcome) -> None:
    """Prints the figures."""
    statuses = ", ".join(
        f"{count} times {status or 'no answer'}" for status, count in sorted(outcome.statuses.items())
    )
    figure(
        f"{name}: {size.queries} range queries at once over {size.series} series, {size.limit_mib} MiB",
        "killed" if outcome.queries.is_killed else statuses,
        f"{outcome.queries.text()}; {outcome.took_s:.1f} s",
    )
    for error in sorted(set(outcome.errors))[:3]:
        sys.stdout.write(f"    {error}\n")
    if outcome.queries.is_killed or outcome.targets is None:
        return
    figure(
        f"{name}: memory after the queries",
        f"{outcome.after_mib} MiB",
        f"{outcome.base_mib} before, after {outcome.after_s:.1f} s",
    )
    figure(
        f"{name}: three targets of {size.target_series} series each",
        "killed" if outcome.targets.is_killed else f"targets {', '.join(outcome.healths)}",
        f"{outcome.targets.text()}; {outcome.known_scrapes:.0f} scrapes of a known target in {outcome.known_s:.0f} s",
    )
    for error in sorted(set(outcome.target_errors)):
        sys.stdout.write(f"    {error}\n")


def against_trimon(folder: Path, size: Size) -> Outcome:
    """The attack on a server of our own."""
    with targets() as (port, server):
        for part in (1, 2, 3, 4):
            server.answer(size.series if part == 1 else size.target_series, part)
        text = CONFIG.format(port=port, series=size.series, interval_s=size.interval_s)
        flags = (f"--storage.memory-max={size.limit_mib}MB", "--web.enable-lifecycle")
        trimon = Server(folder / "data", text, *flags).start()
        assert trimon.process is not None
        try:
            reload = lambda: trimon.text("/-/reload", "POST")  # noqa: E731 # as the peer's
            return attack(trimon.url, trimon.process.pid, trimon.config, port, size, reload)
        finally:
            trimon.kill()


def against_peer(folder: Path, size: Size) -> Outcome:
    """The attack on a real Prometheus; its garbage collector is told the limit, as it can be."""
    program = shutil.which("prometheus")
    if program is None:
        raise SystemExit("prometheus is not installed")
    with targets() as (port, server):
        for part in (1, 2, 3, 4):
            server.answer(size.series if part == 1 else size.target_series, part)
        config, own = folder / "peer.yml", free_port()
        config.write_text(CONFIG.format(port=port, series=size.series, interval_s=size.interval_s))
        url = f"http://127.0.0.1:{own}"
        with (folder / "peer.log").open("wb") as log, subprocess.Popen(
            [
                "env", f"GOMEMLIMIT={int(size.limit_mib * 0.9)}MiB", program, f"--config.file={config}",
                f"--storage.tsdb.path={folder}/peer", f"--web.listen-address=127.0.0.1:{own}", "--web.enable-lifecycle",
            ],
            stdout=log, stderr=log,
        ) as process:  # fmt: skip
            try:
                while asked(url, "/-/ready", 1.0)[0] != 200:
                    time.sleep(0.2)

                def reload() -> None:
                    request = urllib.request.Request(f"{url}/-/reload", method="POST")
                    urllib.request.urlopen(request, timeout=30).close()

                return attack(url, process.pid, config, port, size, reload)
            finally:
                process.kill()


def main() -> None:
    """Runs the attack and prints its figures."""
    parser = arguments(__doc__ or "", 1)
    size = Size()
    parser.add_argument("--limit", type=int, default=size.limit_mib, help="MiB that the process may hold")
    parser.add_argument("--series", type=int, default=size.series, help="series that are queried")
    parser.add_argument("--queries", type=int, default=size.queries, help="range queries at once")
    parser.add_argument(
        "--target-series", type=int, default=size.target_series, help="series of a huge target"
    )
    parser.add_argument(
        "--hold", type=float, default=size.hold_s, help="seconds that huge targets are scraped"
    )
    parser.add_argument("--peer", action="store_true", help="against a real Prometheus instead")
    options = parser.parse_args()
    size = Size(options.limit, options.series, options.queries, options.target_series, hold_s=options.hold)
    for _ in range(options.rounds):
        with tempfile.TemporaryDirectory() as folder:
            if options.peer:
                tell("prometheus", size, against_peer(Path(folder), size))
            else:
                tell("trimon", size, against_trimon(Path(folder), size))


if __name__ == "__main__":
    main()
