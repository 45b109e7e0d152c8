"""The logs of earlier runs: how far their replay is, what it brings back, and when they go."""

from __future__ import annotations

from tests.storage.conftest import START_MS, Bench, batch, series
from trimon.model.rows import Metadata
from trimon.storage.store import Store

A = series("a")


def test_the_replay_tells_how_far_it_is(bench: Bench) -> None:
    """Before it nothing is done and the store is not ready; after it everything is done."""
    bench.append(batch((A, START_MS, 1.0)))
    bench.store.close()
    bench.store = Store.open(bench.options, bench.files, bench.clock)
    assert (bench.store.ready, bench.store.replay_progress) == (False, (0, 0))
    bench.store.replay()
    done, total = bench.store.replay_progress
    assert bench.store.ready
    assert done == total > 0


def test_metadata_comes_back_with_the_samples(bench: Bench) -> None:
    """What the log tells of families is known after the next start, without a file of metadata."""
    bench.store.append([Metadata((("a", "gauge", "Help.", ""),)), batch((A, START_MS, 1.0))])
    bench.store.close()
    (bench.options.path / "metadata").unlink(missing_ok=True)
    bench.store = Store.open(bench.options, bench.files, bench.clock)
    assert bench.store.metadata == {}
    bench.store.replay()
    assert bench.store.metadata == {"a": ("gauge", "Help.", "")}


def test_logs_of_a_window_without_samples_go_when_they_were_read(bench: Bench) -> None:
    """Starts that nothing came after do not pile up; the log of a sample that is in no block stays."""

    def runs() -> int:
        return len({path.name.partition("-")[0] for path in (bench.options.path / "wal").iterdir()})

    for _ in range(4):
        bench.reopen()
    assert runs() <= 2
    bench.append(batch((A, START_MS, 1.0)))
    for _ in range(4):
        bench.reopen()
    assert runs() >= 4
    assert bench.read() == {A: [(START_MS, 1.0)]}
