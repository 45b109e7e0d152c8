"""The storage engine alone: appending, memory, log, replay, blocks, reading. Prints figures.

`python -m tests.bench.storage_engine [targets] [series per target] [rounds] [interval in s]`
"""

from __future__ import annotations

import gc
import sys
import tempfile
from pathlib import Path

from tests.bench.storage_world import World, resident_bytes, timed, tree_bytes
from trimon.files import DiskFiles
from trimon.model.matcher import Matcher, MatchType
from trimon.storage.store import Store

EVER = (-(1 << 60), 1 << 60)


def query(store: Store, what: str, *matchers: Matcher) -> None:
    """Read a selection twice: first from what is encoded, then again."""
    for turn in ("cold", "warm"):
        selection = store.snapshot().select(matchers, *EVER)
        with timed(f"{what}, {turn}: {selection.labels.rows} series", 1, "query"):
            frame = store.snapshot().select(matchers, *EVER).frame(*EVER)
        if turn == "warm":
            print(f"    {len(frame.values)} samples, {len(frame.time_offsets) - 1} time arrays")


def main(targets: int = 100, width: int = 1100, rounds: int = 240, interval_s: int = 15) -> None:
    """Run all of it."""
    with tempfile.TemporaryDirectory(prefix="trimon-bench-") as directory:
        path = Path(directory) / "data"
        world = World(path, targets, width)
        gc.collect()
        before = resident_bytes()
        with timed(f"{world.series} new series", world.series, "series"):
            world.begin()
        log = tree_bytes(path / "wal")
        print(f"    log {log / world.series:.1f} bytes a new series")
        made = sum(target.step().size for target in world.targets)
        with timed("making the values", made * rounds, "sample"):
            for _ in range(rounds):
                for target in world.targets:
                    target.step()
        with timed(f"{rounds} rounds, values made and appended", rounds * world.series, "sample"):
            samples = world.scrape(rounds, interval_s * 1000)
        gc.collect()
        grown = resident_bytes() - before
        print(
            f"    memory {grown / world.series:.0f} bytes a series, {world.store.figures().head_bytes / world.series:.0f} known"
        )
        print(f"    log {(tree_bytes(path / 'wal') - log) / samples:.3f} bytes a sample")
        metric = Matcher("__name__", MatchType.EQUAL, "node_metric_17_total")
        one = Matcher("instance", MatchType.EQUAL, "10.0.0.3:9100")
        query(world.store, "head, one metric", metric)
        query(world.store, "head, one target", one)
        world.store.close()
        store = Store.open(world.options, DiskFiles(), world.clock)
        with timed("replay", samples, "sample"):
            report = store.replay()
        assert report.samples >= samples
        world.store = store
        world.clock.value_ms += 4 * 3_600_000
        with timed("cutting the head", samples, "sample"):
            done = world.maintain()
        blocks = sum(meta.size_bytes for meta, _ in store.blocks())
        total = sum(meta.samples for meta, _ in store.blocks())
        print(f"    {', '.join(done)}: {blocks / total:.3f} bytes a sample, index included")
        store.close()
        with timed("opening the directory"):
            store = Store.open(world.options, DiskFiles(), world.clock)
        query(store, "block, one metric", metric)
        query(store, "block, one target", one)
        store.close()


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
