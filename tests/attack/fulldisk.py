"""A full disk under the real server: it starts, answers, says why it stores nothing, and goes on when there is room.

The data directory is on a tmpfs of a few megabytes, which takes root to mount; `--directory` names one that is there already.
Each round fills the disk under the running server, looks at it, makes room, and starts it anew on the full disk.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

if __package__ in {None, ""}:
    sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.attack.figures import arguments, figure
from tests.support.peer_prometheus import PROMETHEUS, ask
from tests.support.ports import free_port
from tests.support.process import Server

WAIT_S = 20.0
CONFIG = """
global: {{scrape_interval: 1s, scrape_timeout: 1s}}
scrape_configs:
  - job_name: self
    static_configs: [{{targets: ["127.0.0.1:{port}"]}}]
"""


@dataclass
class Tally:
    """What came of the rounds."""

    starts: int = 0
    rounds: int = 0
    failures: list[str] = field(default_factory=list)
    log_lines: int = 0
    resumed_s: list[float] = field(default_factory=list)

    def expect(self, good: object, what: str) -> None:
        """Note what is not as it should be."""
        if not good:
            self.failures.append(what)


@contextmanager
def small_disk(size: str) -> Iterator[Path]:
    """A file system of its own. Raises CalledProcessError where that may not be mounted."""
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "disk"
        path.mkdir()
        subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", path], check=True, capture_output=True
        )
        try:
            yield path
        finally:
            subprocess.run(["umount", "-l", path], check=True)


def may_mount() -> bool:
    """Whether this user can mount a file system."""
    try:
        with small_disk("64k"):
            return True
    except (OSError, subprocess.CalledProcessError):
        return False


def fill(disk: Path) -> Path:
    """A file that takes all the room there is."""
    filler = disk / "filler"
    with filler.open("ab", buffering=0) as file:
        for size in (1 << 16, 1 << 12, 1):
            try:
                while True:
                    file.write(b"x" * size)
            except OSError:
                continue
    return filler


def _until(condition: Callable[[], object], within_s: float = WAIT_S) -> bool:
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.1)
    return False


def _look(server: Server, tally: Tally, where: str) -> None:
    """What must hold on a full disk."""

    def refused() -> bool:
        return any(
            "samples are refused" in line for line in server.get("/api/v1/status/storage")["data"]["problems"]
        )

    tally.expect(_until(refused), f"{where}: no problem is told")
    tally.expect(server.query("vector(1)"), f"{where}: a query has no answer")

    def told() -> bool:
        targets = server.get("/api/v1/targets")["data"]["activeTargets"]
        return bool(targets and targets[0]["lastError"])

    tally.expect(_until(told), f"{where}: the target says nothing")
    (target,) = server.get("/api/v1/targets")["data"]["activeTargets"]
    tally.expect(target["health"] == "up", f"{where}: the target is {target['health']}")
    tally.expect("No space left" in target["lastError"], f"{where}: the target says {target['lastError']!r}")
    metrics = server.text("/metrics")[1].splitlines()
    failed = next(line for line in metrics if line.startswith("prometheus_tsdb_wal_writes_failed_total"))
    tally.expect(float(failed.split()[-1]) > 0, f"{where}: no failed write is counted")


def _samples(server: Server) -> int:
    found = server.query("count_over_time(up[1h])")
    return int(found[0]["value"][1]) if found else 0


def _goes_on(server: Server, tally: Tally, where: str) -> None:
    """Room again: samples come within seconds, and none that were there are gone."""
    before, began_s = _samples(server), time.monotonic()
    good = _until(lambda: _samples(server) > before)
    tally.expect(good, f"{where}: it does not go on when there is room")
    tally.resumed_s.append(time.monotonic() - began_s)


def attack(disk: Path, seed: int, rounds: int) -> Tally:
    """Fill and free the disk under a server, and start it on the full disk."""
    dice, tally = random.Random(seed), Tally()
    fill(disk)
    data = disk / "data"
    (disk / "filler").unlink()
    data.mkdir(exist_ok=True)
    fill(disk)
    with tempfile.TemporaryDirectory() as outside:
        server = Server(Path(outside) / "data")
        port = server.port
        server = Server(Path(outside) / "data", CONFIG.format(port=port), port=port)
        server.command[3] = f"--storage.tsdb.path={data}"
        try:
            for number in range(rounds):
                _round(server, disk, dice, tally, number)
        finally:
            server.stop()
    return tally


def _round(server: Server, disk: Path, dice: random.Random, tally: Tally, number: int) -> None:
    tally.rounds += 1
    fill(disk)
    server.start()
    tally.starts += 1
    _look(server, tally, f"round {number}, started on a full disk")
    (disk / "filler").unlink()
    _goes_on(server, tally, f"round {number}, started on a full disk")
    time.sleep(dice.random())
    fill(disk)
    _look(server, tally, f"round {number}, filled while it ran")
    (disk / "filler").unlink()
    _goes_on(server, tally, f"round {number}, filled while it ran")
    before = _samples(server)
    if dice.random() < 0.5:
        fill(disk)
    server.stop()
    lines = server.log.read_text().splitlines()
    tally.log_lines = max(tally.log_lines, sum("append failed" in line for line in lines))
    tally.expect(not any("Traceback" in line for line in lines), f"round {number}: a traceback")
    server.start()
    tally.expect(_samples(server) >= before, f"round {number}: samples are gone after a restart")
    server.stop()
    server.log.write_text("")


def attack_peer(disk: Path, rounds: int) -> Counter[str]:
    """The same disk under Debian's prometheus: how often what came of it."""
    assert PROMETHEUS is not None, "prometheus is not installed"
    results = Counter[str]()
    with tempfile.TemporaryDirectory() as outside:
        folder, port = Path(outside), free_port()
        (folder / "prometheus.yml").write_text(CONFIG.format(port=port))
        command = [
            PROMETHEUS, f"--config.file={folder / 'prometheus.yml'}", f"--storage.tsdb.path={disk / 'data'}",
            f"--web.listen-address=127.0.0.1:{port}", "--storage.tsdb.wal-segment-size=10MB", "--log.level=error",
        ]  # fmt: skip
        (disk / "data").mkdir(exist_ok=True)
        for _ in range(rounds):
            fill(disk)
            _peer_round(command, port, disk, results, "started on a full disk")
            (disk / "filler").unlink(missing_ok=True)
            _peer_round(command, port, disk, results, "filled while it ran")
            (disk / "filler").unlink(missing_ok=True)
    return results


def _peer_round(command: list[str], port: int, disk: Path, results: Counter[str], where: str) -> None:
    """One start; where the disk has room it is filled after some seconds, and has room again after some more."""
    url = f"http://127.0.0.1:{port}"

    def answers(expr: str) -> bool:
        try:
            return bool(ask(url, "query", query=expr)["data"]["result"])
        except (OSError, KeyError):
            return False

    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            started = _until(lambda: process.poll() is not None or answers("vector(1)"))
            if not started or process.poll() is not None:
                results[f"{where}: it does not start"] += 1
                return
            results[f"{where}: it starts"] += 1
            if not (disk / "filler").exists():
                _until(lambda: answers("up"))
                fill(disk)
                time.sleep(5)
            results[
                f"{where}: {'answers' if answers('vector(1)') else 'does not answer'} when it is full"
            ] += 1
            (disk / "filler").unlink(missing_ok=True)
            time.sleep(5)
            fresh = answers("timestamp(up) > time() - 4")
            results[f"{where}: {'goes on' if fresh else 'stores nothing'} when there is room"] += 1
        finally:
            process.kill()


def main() -> None:
    """Mount, attack, and print the table's line."""
    parser = arguments(__doc__ or "", rounds=10)
    parser.add_argument("--size", default="4m", help="of the tmpfs")
    parser.add_argument("--peer", action="store_true", help="fill the disk under Debian's prometheus instead")
    options = parser.parse_args()
    print(f"seed {options.seed}, {options.rounds} rounds", flush=True)
    if not may_mount():
        print(f"user {os.getuid()} may not mount a tmpfs: nothing was tried")
        return
    if options.peer:
        with small_disk(options.size) as disk:
            for result, count in sorted(attack_peer(disk, options.rounds).items()):
                figure("full disk under Prometheus", result, f"{count} times in {options.rounds} rounds")
        return
    with small_disk(options.size) as disk:
        tally = attack(disk, options.seed, options.rounds)
    for failure in tally.failures:
        print(failure)
    figure(
        "full disk at start and under the running server",
        f"{len(tally.failures)} failures; at most {tally.log_lines} lines about appends in the log of a round",
        f"{tally.rounds} rounds, goes on within {max(tally.resumed_s, default=0):.1f} s",
    )


if __name__ == "__main__":
    main()
