"""Pages of loose samples that stay in the log after a replay until somebody reads them."""

from __future__ import annotations

import re
import threading
from pathlib import Path

import numpy as np
import pytest

from tests.storage.conftest import START_MS, Bench, batch, series
from trimon.model.matcher import Matcher, MatchType
from trimon.storage.head import loose
from trimon.storage.wal.lazy import LoggedHead

ALL = (Matcher("__name__", MatchType.REGEXP, ".+"),)
EVER = (0, 1 << 60)
LATER = (START_MS + 40_000, START_MS + 100_000)
NAMES = [series("m", i=f"{i:02}") for i in range(12)]


@pytest.fixture(autouse=True)
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """A page is full with forty samples."""
    monkeypatch.setattr(loose, "SEAL_SAMPLES", 40)


def fill(bench: Bench, seed: int = 1) -> None:
    """Batches of which some samples are late, a second batch in the same record, and a deletion in the middle."""
    random = np.random.default_rng(seed)
    bench.configure(out_of_order_window_ms=3_600_000)
    for step in range(60):
        late_ms = int(random.integers(0, 30)) * 1000
        times = [START_MS + step * 1000 - (late_ms if random.random() < 0.2 else 0) for _ in NAMES]
        bench.append(
            batch(*((name, at, float(random.normal())) for name, at in zip(NAMES, times, strict=True))),
            batch((series("other", i=str(step % 5)), START_MS + step * 1000 + 5, float(step))),
        )
        if step == 30:
            bench.store.delete_series(
                [Matcher("i", MatchType.EQUAL, "03")], START_MS + 5000, START_MS + 20_000
            )


def waiting(bench: Bench) -> int:
    """Pages in the log that nobody has asked for."""
    heads = [live.head for live in bench.store._core.state.heads]
    return sum(head.waiting for head in heads if isinstance(head, LoggedHead))


def test_pages_are_read_when_they_are_asked_for(bench: Bench) -> None:
    """After a restart nothing of a page is unpacked; what is read then is what was there, and nothing waits any more."""
    fill(bench)
    before = bench.read()
    bench.reopen()
    assert waiting(bench) > 10
    assert bench.read() == before
    assert waiting(bench) == 0
    assert bench.store.plan(bench.clock.now_ms()) == []


def test_readers_and_the_job_want_the_same_pages(bench: Bench) -> None:
    """While pages are unpacked in the background readers in other threads see all of it."""
    fill(bench)
    before = bench.read()
    bench.reopen()
    (job,) = bench.store.plan(bench.clock.now_ms())
    found: list[object] = []
    threads = [threading.Thread(target=lambda: found.append(bench.read())) for _ in range(4)]
    threads.append(threading.Thread(target=job.run))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    job.install()
    assert found == [before] * 4
    assert waiting(bench) == 0


def test_restarts_before_anybody_has_read(bench: Bench) -> None:
    """A head that was never unpacked is whole after the next restart, and in the block it becomes."""
    fill(bench)
    before = bench.read()
    for _ in range(3):
        bench.reopen()
        assert waiting(bench) > 10
    bench.clock.value_ms += 8 * 3_600_000
    while jobs := bench.store.plan(bench.clock.now_ms()):
        for job in jobs:
            job.run()
            job.install()
    assert len(bench.store.blocks()) > 0
    assert bench.read() == before


def test_a_late_sample_meets_what_is_in_the_log(bench: Bench) -> None:
    """A sample that contradicts one in a page that is still in the log is refused, and nothing is unpacked for it."""
    bench.append(*(batch((NAMES[0], START_MS + step * 1000, float(step))) for step in range(100)))
    bench.reopen()
    assert waiting(bench) == 2
    (answer,) = bench.append(batch((NAMES[0], START_MS + 99_000, 1.0)))
    assert (answer.appended, answer.duplicate) == (0, 1)
    assert waiting(bench) == 2
    assert bench.read()[NAMES[0]][-1] == (START_MS + 99_000, 99.0)


def test_a_log_that_changes_after_it_was_replayed(tmp_path: Path) -> None:
    """What cannot be read again is told as a fault and with every answer of its time; all other samples are there."""
    bench = Bench(tmp_path / "data")
    fill(bench)
    before = bench.read()
    bench.reopen()
    first = min(path for path in (tmp_path / "data" / "wal").iterdir() if path.stat().st_size > 5000)
    with first.open("r+b") as file:
        file.seek(first.stat().st_size // 2)
        file.write(b"\xff" * 8)
    for _ in range(2):
        (warning,) = bench.store.snapshot().select(ALL, *EVER).wide_frame(*EVER, lambda _bytes: None).missing
        assert (
            "pushed samples, which were there when it was replayed, cannot be read: samples from" in warning
        )
    assert bench.store.snapshot().missing(*EVER) == (warning,)
    assert bench.store.snapshot().select(ALL, *LATER).frame(*LATER).missing == ()
    (problem,) = bench.store.problems
    assert problem.startswith(warning)
    sections, samples = map(int, re.findall(r"(\d+) sections with (\d+) pushed", warning)[0])
    counts = bench.store.figures().counts
    assert counts["damaged_pages"] == counts["log_corruptions"] == sections > 0
    found = bench.read()
    gone = sum(map(len, before.values())) - sum(map(len, found.values()))
    assert 0 < gone <= samples < 100
    # Of two samples of one time the second is there where the first is lost.
    assert all(
        {at_ms for at_ms, _ in samples} <= {at_ms for at_ms, _ in before[name]}
        for name, samples in found.items()
    )
    bench.clock.value_ms += 8 * 3_600_000
    while jobs := bench.store.plan(bench.clock.now_ms()):
        for job in jobs:
            job.run()
            job.install()
    # What the block lacks is told as it was for the head.
    assert bench.store.blocks()
    assert bench.store.snapshot().select(ALL, *EVER).frame(*EVER).missing == (warning,)
    bench.store.close()
