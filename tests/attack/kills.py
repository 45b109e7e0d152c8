"""SIGKILL at random moments, also in start-up, cuts, merges, snapshots, deletions and reloads: what is there afterwards.

    python tests/attack/kills.py [--rounds 1000] [--worlds 2]

A round is a kill. Samples are pushed and scraped all the time, into blocks of four seconds. After each restart a part of what
was ever acknowledged is read back, at the end all of it: each sample once, with its value, and nothing else; what was deleted
stays away.
"""

from __future__ import annotations

import random
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Final

if __package__ in {None, ""}:
    sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.attack.figures import arguments, figure
from tests.support.counting_targets import CountingTargets
from tests.support.process import Server
from tests.support.pusher import Pusher

TARGETS: Final = 4
SERIES: Final = 10
WINDOW_S: Final = 30.0
SLACK_S: Final = 2.0
"""Between the timestamp of a scrape and its answer."""
CONFIG: Final = """
global: {scrape_interval: 200ms}
storage: {tsdb: {out_of_order_time_window: 10m}}
scrape_configs:
"""
FLAGS: Final = (
    "--web.enable-remote-write-receiver",
    "--web.enable-admin-api",
    "--web.enable-lifecycle",
    "--storage.tsdb.min-block-duration=4s",
    "--storage.tsdb.max-block-duration=2m",
)
REQUESTS: Final = {
    "a snapshot": "/api/v1/admin/tsdb/snapshot",
    "a deletion": "/api/v1/admin/tsdb/delete_series?match[]={selector}",
    "the cleaning of tombstones": "/api/v1/admin/tsdb/clean_tombstones",
    "a reload": "/-/reload",
}
"""What is asked for shortly before a kill."""
MOMENTS: Final = ("start-up", "start-up", "work", "work", "a block", "a block", *REQUESTS)


@dataclass
class Tally:
    """What came of the kills."""

    kills: Counter[str] = field(default_factory=Counter)
    checked: int = 0
    acknowledged: int = 0
    lost: int = 0
    doubled: int = 0
    phantoms: int = 0
    crashes: int = 0
    examples: list[str] = field(default_factory=list)

    def add(self, other: Tally) -> None:
        """Both together."""
        self.kills += other.kills
        for name in ("checked", "acknowledged", "lost", "doubled", "phantoms", "crashes"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.examples += other.examples

    def example(self, text: str) -> None:
        """One of the first few."""
        if len(self.examples) < 20:
            self.examples.append(text)


@dataclass
class World:
    """A server that is killed, who writes to it, and what came of it."""

    server: Server
    targets: CountingTargets
    pusher: Pusher
    dice: random.Random
    tally: Tally = field(default_factory=Tally)
    start_s: float = 0.7
    """How long a start takes here."""


@contextmanager
def world(folder: Path, seed: int) -> Iterator[World]:
    """A server that does not run yet, and its writers."""
    targets = CountingTargets(TARGETS, SERIES)
    thread = threading.Thread(target=partial(targets.serve_forever, 0.05), daemon=True)
    server = Server(folder / "data", CONFIG + targets.jobs(), *FLAGS)
    pusher = Pusher(server.port, seed)
    thread.start()
    pusher.start()
    try:
        yield World(server, targets, pusher, random.Random(seed))
    finally:
        pusher.stop()
        targets.shutdown()
        targets.server_close()
        if server.process is not None and server.process.poll() is None:
            server.kill()


def _request(here: World, what: str) -> None:
    """Asks for it; a deletion is of a series that gets no more samples."""
    key = here.pusher.deletable() if what == "a deletion" else None
    selector = urllib.parse.quote(f'p{{s="{key[0]}",life="{key[1]}"}}') if key else "none"
    if key:
        here.pusher.deletion_begins(key)
    url = here.server.url + REQUESTS[what].format(selector=selector)
    try:
        with urllib.request.urlopen(urllib.request.Request(url, method="POST"), timeout=10):
            pass
    except (OSError, urllib.error.URLError):
        return
    if key:
        here.pusher.deletion_is_done(key)


def _await_block(here: World) -> None:
    """Returns when a block is being written, after four seconds at the latest."""
    deadline_s = time.monotonic() + 4
    while time.monotonic() < deadline_s:
        if any(here.server.data.glob("*.tmp-for-creation")):
            break
        time.sleep(0.002)
    time.sleep(here.dice.uniform(0, 0.05))


def live(here: World) -> None:
    """One life of the server, from its start to its kill; what is there is looked at in between."""
    dice, moment = here.dice, here.dice.choice(MOMENTS)
    here.pusher.life += 1
    here.tally.kills[moment] += 1
    began_s = time.monotonic()
    if moment == "start-up":
        here.server.start(wait=False)
        time.sleep(here.start_s * dice.uniform(0.2, 1.1))
        here.server.kill()
        return
    here.server.start()
    here.start_s += (time.monotonic() - began_s - here.start_s) / 4
    now_s = time.time()
    check(here, now_s - WINDOW_S, now_s)
    before_s = now_s - dice.random() * (now_s - here.pusher.began_s)
    check(here, before_s - WINDOW_S / 2, before_s)
    time.sleep(dice.uniform(0, 0.4))
    if moment == "a block":
        _await_block(here)
    elif moment in REQUESTS:
        asking = threading.Thread(target=_request, args=(here, moment))
        asking.start()
        time.sleep(dice.uniform(0, 0.08))
        here.server.kill()
        asking.join()
        return
    here.server.kill()


def check(here: World, start_s: float, end_s: float) -> None:
    """Reads what is in a time, and compares it with what was acknowledged."""
    _check_pushed(here, start_s, end_s)
    _check_scraped(here, start_s, end_s)


def _read(
    here: World, selector: str, start_s: float, end_s: float
) -> dict[tuple[str, ...], list[tuple[int, int]]]:
    """Times in milliseconds and values by the values of the labels."""
    range_ms = round((end_s - start_s) * 1000)
    answer = here.server.get("/api/v1/query", query=f"{selector}[{range_ms}ms]", time=f"{end_s:.3f}")
    assert answer["status"] == "success", answer
    found = {}
    for entry in answer["data"]["result"]:
        labels = tuple(
            value for name, value in sorted(entry["metric"].items()) if name in {"life", "s", "series"}
        )
        found[labels] = [(round(time_s * 1000), int(float(value))) for time_s, value in entry["values"]]
    return found


def _check_pushed(here: World, start_s: float, end_s: float) -> None:
    start_ms, end_ms = round(start_s * 1000), round(end_s * 1000)
    expected = here.pusher.expected(start_ms, end_ms)
    found = _read(here, "p", start_ms / 1000, end_ms / 1000)
    tally = here.tally
    for (life, name), samples in found.items():
        tally.checked += len(samples)
        key, times = (name, int(life)), {time_ms for time_ms, _ in samples}
        if len(times) < len(samples):
            tally.doubled += len(samples) - len(times)
            tally.example(f"doubled: {key} in {start_ms}..{end_ms}")
        phantoms = [sample for sample in samples if not here.pusher.may_hold(key, *sample)]
        if phantoms:
            tally.phantoms += len(phantoms)
            tally.example(f"phantom: {key} {phantoms[:3]}")
    for key, times in expected.items():
        lost = times.difference(time_ms for time_ms, _ in found.get((str(key[1]), key[0]), ()))
        if lost:
            tally.lost += len(lost)
            tally.example(f"lost: {key} {sorted(lost)[:3]} of {len(times)} in {start_ms}..{end_ms}")
    here.pusher.saw(found, start_ms, end_ms)


def _check_scraped(here: World, start_s: float, end_s: float) -> None:
    tally = here.tally
    for target in range(TARGETS):
        acknowledged, served = here.targets.acknowledged(target), here.targets.served_s(target)
        found = _read(here, f'm{{job="t{target}"}}', start_s, end_s)
        must = {number for number in acknowledged if start_s + SLACK_S <= served[number] <= end_s - SLACK_S}
        served = here.targets.served_s(target)
        for series in range(SERIES):
            samples = found.get((str(series),), [])
            tally.checked += len(samples)
            numbers = {number for _, number in samples}
            tally.doubled += len(samples) - len(numbers)
            tally.lost += len(must - numbers)
            phantoms = [
                (time_ms, number)
                for time_ms, number in samples
                if number not in served or abs(served[number] - time_ms / 1000) > 2 * SLACK_S
            ]
            tally.phantoms += len(phantoms)
            if len(samples) > len(numbers) or must - numbers or phantoms:
                tally.example(
                    f"t{target}/{series}: lost {sorted(must - numbers)[:3]}, phantoms {phantoms[:3]}"
                )


def attack(folder: Path, seed: int, kills: int) -> Tally:
    """So many lives of one server; at the end everything is read."""
    with world(folder, seed) as here:
        for number in range(kills):
            live(here)
            if number % 50 == 49:
                sys.stderr.write(f"{number + 1} kills, {here.tally.lost} lost\n")
        here.pusher.stop()
        here.server.start()
        at_s, end_s = here.pusher.began_s - WINDOW_S, time.time()
        while at_s < end_s:
            check(here, at_s, at_s + WINDOW_S + 2 * SLACK_S)
            at_s += WINDOW_S
        tally, log = here.tally, here.server.log.read_text()
        assert here.server.stop() == 0
        tally.acknowledged = here.pusher.acknowledged()
        tally.acknowledged += SERIES * sum(len(here.targets.acknowledged(each)) for each in range(TARGETS))
    tally.crashes = log.count("actor crashed") + log.count("Traceback")
    ready = [line for line in log.splitlines() if "storage is ready" in line]
    for line in ready:
        if "lost_rows=0 lost_samples=0" not in line:
            tally.crashes += 1
            tally.example(line)
    return tally


def _attack_alone(seed: int, kills: int) -> Tally:
    with tempfile.TemporaryDirectory() as folder:
        return attack(Path(folder), seed, kills)


def run(act: Callable[[int, int], Tally], seed: int, rounds: int, worlds: int) -> Tally:
    """Several worlds side by side, each in a process of its own."""
    tally = Tally()
    with ProcessPoolExecutor(worlds, get_context("spawn")) as pool:
        seeds = [seed + number for number in range(worlds)]
        for one in pool.map(act, seeds, [rounds // worlds] * worlds):
            tally.add(one)
    return tally


def main() -> None:
    """Kills, and prints the table's line."""
    parser = arguments(__doc__ or "", 1000)
    parser.add_argument("--worlds", type=int, default=2, help="servers side by side")
    options = parser.parse_args()
    print(f"seed {options.seed}, {options.rounds} kills", flush=True)
    tally = run(_attack_alone, options.seed, options.rounds, options.worlds)
    for example in tally.examples:
        print(example)
    moments = ", ".join(f"{count} in {moment}" for moment, count in sorted(tally.kills.items()))
    figure(
        f"SIGKILL at {sum(tally.kills.values()):,} random moments: {moments}",
        f"{tally.lost} lost, {tally.doubled} doubled, {tally.phantoms} phantoms, {tally.crashes} crash reports",
        f"{tally.acknowledged:,} samples acknowledged, {tally.checked:,} checked",
    )


if __name__ == "__main__":
    main()
