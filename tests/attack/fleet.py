"""A fleet that is dead, and one whose labels all change at once: how long the event loop is held meanwhile.

    python tests/attack/fleet.py [--targets 20000] [--rounds 3]

A round is a file of targets with other labels. Every target refuses the connection. The figures are the longest wait of a
probe of /-/healthy, twenty times a second, and the stalls that the server's own watchdog has told.
"""

from __future__ import annotations

import json
import random
import statistics
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent.parent))

from tests.attack.figures import arguments, figure
from tests.support.process import Server

CONFIG = """\
global: {{scrape_interval: {interval_s}s, scrape_timeout: {timeout_s}s}}
scrape_configs:
- job_name: dead
  file_sd_configs: [{{files: ["{file}"], refresh_interval: 1s}}]
"""
PAUSE_S = 0.05


@dataclass
class Waits:
    """What came of one part of an attack."""

    waits_s: list[float] = field(default_factory=list)
    failures: int = 0
    took_s: float = 0.0

    def text(self) -> str:
        """The figures in words."""
        if not self.waits_s:
            return f"none of {self.failures} probes was answered"
        return (
            f"probe {statistics.median(self.waits_s) * 1000:.0f} ms, longest {max(self.waits_s) * 1000:.0f} ms, "
            f"{self.failures} failed"
        )


class Probe(threading.Thread):
    """Asks /-/healthy again and again."""

    def __init__(self, url: str) -> None:
        super().__init__(daemon=True)
        self.waits = Waits()
        self._url = url
        self._over = threading.Event()

    def run(self) -> None:
        """Until it is told to stop."""
        while not self._over.wait(PAUSE_S):
            began_s = time.monotonic()
            try:
                with urllib.request.urlopen(f"{self._url}/-/healthy", timeout=30) as answer:
                    answer.read()
                self.waits.waits_s.append(time.monotonic() - began_s)
            except OSError:
                self.waits.failures += 1

    def stop(self) -> Waits:
        """What it found."""
        self._over.set()
        self.join()
        return self.waits


def fleet(targets: int, generation: int, generator: random.Random) -> str:
    """A file of dead targets; each generation has other labels."""
    ports = generator.sample(range(1, 30_000), min(targets, 29_000))
    return json.dumps(
        [
            {"targets": [f"127.0.0.1:{port}"], "labels": {"generation": f"{generation}-{port}"}}
            for port in ports
        ]
    )


def known(server: Server, generation: int) -> int:
    """How many targets of a generation there are."""
    _, text = server.text("/metrics")
    del generation
    for line in text.splitlines():
        if line.startswith('prometheus_sd_discovered_targets{config="dead"'):
            return int(float(line.rpartition(" ")[2]))
    return 0


def awaited(condition: Callable[[], bool], within_s: float) -> float:
    """How long it took until something was so."""
    began_s = time.monotonic()
    while not condition():
        if time.monotonic() - began_s > within_s:
            raise TimeoutError(f"not so after {within_s} s")
        time.sleep(0.2)
    return time.monotonic() - began_s


def attack(
    folder: Path, targets: int, rounds: int, seed: int, interval_s: int
) -> tuple[dict[str, Waits], list[str]]:
    """The waits of every part, and the lines of stalls in the log."""
    generator = random.Random(seed)
    file = folder / "targets.json"
    file.write_text("[]")
    server = Server(folder / "data", CONFIG.format(interval_s=interval_s, timeout_s=interval_s, file=file))
    server.start()
    found: dict[str, Waits] = {}

    def part(name: str, changes: Callable[[], None]) -> None:
        probe = Probe(server.url)
        probe.start()
        began_s = time.monotonic()
        changes()
        waits = probe.stop()
        waits.took_s = time.monotonic() - began_s
        found[name] = waits

    def publish(text: str, count: int) -> None:
        (folder / "next.json").write_text(text)
        (folder / "next.json").rename(file)
        awaited(lambda: known(server, 0) == count, 120)
        time.sleep(interval_s + 1)

    count = min(targets, 29_000)

    def turn(number: int) -> None:
        publish(fleet(count, number, generator), count)

    try:
        part(f"{count:,} dead targets begin", partial(turn, 0))
        part("they are scraped", lambda: time.sleep(2 * interval_s))
        for number in range(1, rounds + 1):
            part(
                f"all {count:,} label sets change ({number})",
                partial(turn, number),
            )
        part("all vanish", lambda: publish("[]", 0))
    finally:
        server.kill()
    stalls = [line for line in server.log.read_text().splitlines() if "event loop" in line]
    return found, stalls


def main() -> None:
    """Runs the attack and prints its figures."""
    parser = arguments(__doc__ or "", 2)
    parser.add_argument("--targets", type=int, default=20_000, help="targets at once")
    parser.add_argument("--interval", type=int, default=15, help="seconds between scrapes")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found, stalls = attack(Path(folder), options.targets, options.rounds, options.seed, options.interval)
    for name, waits in found.items():
        figure(name, waits.text(), f"took {waits.took_s:.0f} s")
    figure("all of it", f"{len(stalls)} stalls of the event loop told", f"seed {options.seed}")
    for line in stalls:
        print(line[:2000], file=sys.stderr)


if __name__ == "__main__":
    main()
