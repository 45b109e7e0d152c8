"""How cost grows with the number of series, from a thousand to a million. Prints a table.

`python -m tests.bench.storage_growth [largest]`: every step has ten times the series of the one before, 1,000 to a target;
each is scraped 24 times, cut to a block and merged to a block of a day.
"""

from __future__ import annotations

import gc
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from tests.bench.storage_world import World, resident_bytes, tree_bytes
from trimon.files import DiskFiles
from trimon.model.matcher import Matcher, MatchType
from trimon.storage.store import Store

EVER = (-(1 << 60), 1 << 60)
ROUNDS = 24


def read_ms(store: Store, name: str) -> float:
    """Milliseconds to select and read one metric."""
    began = time.perf_counter()
    matcher = Matcher("__name__", MatchType.EQUAL, name)
    store.snapshot().select((matcher,), *EVER).frame(*EVER)
    return (time.perf_counter() - began) * 1e3


def measure(targets: int, directory: Path) -> str:
    """One line of the table."""
    world = World(directory, targets, 1000)
    gc.collect()
    before = resident_bytes()
    began = time.process_time()
    world.begin()
    created = (time.process_time() - began) / world.series * 1e6
    began = time.process_time()
    samples = world.scrape(ROUNDS, 280_000)
    scraped = (time.process_time() - began) / samples * 1e9
    gc.collect()
    memory = (resident_bytes() - before) / world.series
    head_ms = read_ms(world.store, "node_metric_900_total")
    world.store.close()
    store = Store.open(world.options, DiskFiles(), world.clock)
    began = time.process_time()
    store.replay()
    replayed = (time.process_time() - began) / samples * 1e9
    world.store = store
    world.clock.value_ms += 3 * 3_600_000
    began = time.process_time()
    world.maintain()
    cut = (time.process_time() - began) / samples * 1e9
    disk = sum(meta.size_bytes for meta, _ in store.blocks()) / world.series
    store.close()
    began = time.perf_counter()
    store = Store.open(replace(world.options), DiskFiles(), world.clock)
    opened = (time.perf_counter() - began) * 1e3
    first, second = read_ms(store, "node_metric_900_total"), read_ms(store, "node_metric_900_total")
    store.close()
    return (
        f"{world.series:>9} {created:>11.2f} {scraped:>11.0f} {memory:>9.0f} {replayed:>10.0f} {cut:>8.0f} {disk:>9.1f} "
        f"{opened:>8.1f} {head_ms:>8.1f} {first:>9.1f} {second:>9.1f}"
    )


def main(largest: int = 100_000) -> None:
    """Run every size."""
    print(
        f"{'series':>9} {'new us each':>11} {'append ns/s':>11} {'mem B':>9} {'replay ns/s':>10} {'cut ns/s':>8} {'disk B':>9} "
        f"{'open ms':>8} {'head ms':>8} {'block ms':>9} {'again ms':>9}"
    )
    series = 1000
    while series <= largest:
        with tempfile.TemporaryDirectory(prefix="trimon-growth-") as directory:
            print(measure(series // 1000, Path(directory) / "data"), flush=True)
            assert tree_bytes(Path(directory))
        series *= 10


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
