"""Blocks: cut, merged, deleted from, dropped; what is read stays the same."""

from __future__ import annotations

import shutil
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from tests.storage.conftest import ALL, EVER, START_MS, Bench, Samples, batch, exact, first_row, read, series
from tests.support.upkeep import clean_tombstones
from trimon.clock import StoppedClock
from trimon.errors import OperatingError
from trimon.files import DiskFiles
from trimon.model.labels import Labels
from trimon.model.matcher import Matcher, MatchType
from trimon.model.rows import Row
from trimon.random import SeededRandomness
from trimon.storage.block.meta import BlockNames, is_ulid, next_ulid
from trimon.storage.store import Store

HOUR = 3_600_000
T = START_MS


def equal(name: str, value: str) -> Matcher:
    return Matcher(name, MatchType.EQUAL, value)


def fill(bench: Bench, hours: float, step_ms: int = 60_000, start_ms: int = T, seed: int = 0) -> None:
    """Two targets with churn, a rule group and loose samples; the clock follows."""
    random = np.random.default_rng(seed)
    names: list[Labels] = [series(f"m{i % 5}", i=str(i), job="x" if i % 2 else "y") for i in range(30)]
    columns: dict[str, np.ndarray] = {}
    for number, time_ms in enumerate(range(start_ms, int(start_ms + hours * HOUR), step_ms)):
        bench.clock.value_ms = max(bench.clock.value_ms, time_ms)
        for group, offset_ms in (("g", 0), ("h", 7)):
            own = [(*labels, ("target", group)) for labels in names]
            if group not in columns:
                (answer,) = bench.append(first_row(group, time_ms + offset_ms, dict.fromkeys(own, 1.0)))
                columns[group] = answer.columns
                continue
            values = np.floor(random.random(len(columns[group])) * 100)
            if number % 40 == 0:
                new = (series("churn", n=str(number), target=group),)
                held = columns[group]
                row = Row(
                    group,
                    time_ms + offset_ms,
                    held[:-1].copy(),
                    values[:-1].copy(),
                    new,
                    np.ones(1),
                    held[-1:].copy(),
                )
                (answer,) = bench.append(row)
                columns[group] = np.concatenate((held[:-1], answer.columns))
            else:
                bench.append(Row(group, time_ms + offset_ms, columns[group], values))
        bench.append(batch((series("loose", n=str(number % 3)), time_ms + 11, number / 7)))


def maintain(bench: Bench, rounds: int = 50) -> list[str]:
    """Do what is due until nothing is; what was done."""
    done: list[str] = []
    for _ in range(rounds):
        jobs = bench.store.plan(bench.clock.now_ms())
        if not jobs:
            return done
        for job in jobs:
            job.run()
            job.install()
            done.append(job.what)
    raise AssertionError(f"never done: {done[-3:]}")


def same(left: Samples, right: Samples) -> bool:
    """Equal bit for bit."""
    return exact(left) == exact(right)


def test_cutting_a_head_changes_nothing_that_is_read(bench: Bench) -> None:
    """After the window is cut the same samples come from a block, by every way of asking, also after a restart."""
    fill(bench, 2.5)
    before = bench.read()
    jobs = maintain(bench)
    assert [job.split()[0] for job in jobs] == ["cut"]
    assert len(bench.store.blocks()) == 1
    meta, path = bench.store.blocks()[0]
    assert (meta.min_ms, meta.max_ms, meta.level) == (T, T + 2 * HOUR, 1)
    assert sorted(file.name for file in path.iterdir()) == ["data", "index", "meta.json"]
    assert same(bench.read(), before)
    for matchers in (
        (equal("__name__", "m3"),),
        (equal("job", "x"), equal("target", "g")),
        (Matcher("__name__", MatchType.REGEXP, "m[12]"), Matcher("i", MatchType.NOT_EQUAL, "1")),
        (Matcher("n", MatchType.NOT_REGEXP, ".+"), Matcher("job", MatchType.REGEXP, "x|y")),
        (equal("nothing", ""), equal("__name__", "churn")),
        (equal("__name__", "unknown"),),
    ):
        wanted = {
            labels: pairs
            for labels, pairs in before.items()
            if all(m.matches(dict(labels).get(m.name, "")) for m in matchers)
        }
        assert same(bench.read(*matchers), wanted)
    part = {
        labels: [(t, v) for t, v in pairs if T + HOUR <= t <= T + HOUR + 300_000]
        for labels, pairs in before.items()
    }
    part = {labels: pairs for labels, pairs in part.items() if pairs}
    assert same(bench.read(start_ms=T + HOUR, end_ms=T + HOUR + 300_000), part)
    bench.reopen()
    assert same(bench.read(), before)


def test_columns_stay_valid_after_a_cut(bench: Bench) -> None:
    """A sender that was silent while its window was cut goes on with the columns it holds."""
    (answer,) = bench.append(first_row("slow", T + 1000, {series("a"): 1.0, series("b"): 2.0}))
    fill(bench, 2.5)
    maintain(bench)
    (later,) = bench.append(Row("slow", T + int(2.6 * HOUR), answer.columns, np.array([3.0, 4.0])))
    assert later.appended == 2
    assert bench.read(equal("__name__", "b"))[series("b")] == [(T + 1000, 2.0), (T + int(2.6 * HOUR), 4.0)]
    bench.reopen()
    assert bench.read(equal("__name__", "a"))[series("a")] == [(T + 1000, 1.0), (T + int(2.6 * HOUR), 3.0)]


def test_logs_of_cut_windows_are_removed(bench: Bench) -> None:
    """After a cut only the segments of the open windows are left, and nothing is replayed twice."""
    fill(bench, 4.5)
    names = {path.name for path in (bench.options.path / "wal").iterdir()}
    maintain(bench)
    left = {path.name for path in (bench.options.path / "wal").iterdir()}
    assert left < names
    report = bench.reopen()
    assert report.segments == len(left)


def test_old_blocks_are_merged_by_level(bench: Bench) -> None:
    """Three two-hour blocks become one of six hours, with its history in meta.json; the samples stay."""
    fill(bench, 10.5, step_ms=300_000)
    before = bench.read()
    jobs = maintain(bench)
    assert any("merge 3 blocks (level)" in job for job in jobs)
    metas = [meta for meta, _ in bench.store.blocks()]
    merged = next(meta for meta in metas if meta.level == 2)
    assert merged.max_ms - merged.min_ms == 6 * HOUR
    assert len(merged.parents) == 3
    assert len(merged.sources) == 3
    assert same(bench.read(), before)
    bench.reopen()
    assert same(bench.read(), before)


def test_late_samples_make_an_overlapping_block_that_is_merged(bench: Bench) -> None:
    """What comes late for a window that is on disk is written beside it and merged with it."""
    bench.configure(out_of_order_window_ms=6 * HOUR)
    fill(bench, 2.5)
    maintain(bench)
    bench.append(
        batch((series("m1", i="1", job="x", target="g"), T + 30_000, -1.0), (series("late"), T + 1, 5.0))
    )
    fill(bench, 2.5, start_ms=T + int(2.5 * HOUR))
    before = bench.read()
    jobs = maintain(bench)
    assert any("(overlap)" in job for job in jobs)
    assert same(bench.read(), before)
    ranges = sorted((meta.min_ms, meta.max_ms) for meta, _ in bench.store.blocks())
    assert all(left[1] <= right[0] for left, right in pairwise(ranges))


def test_deleted_samples_are_gone_from_block_and_head(bench: Bench) -> None:
    """A deletion hides samples at once, survives a restart and a merge, and leaves the rest."""
    fill(bench, 2.5)
    maintain(bench)
    before = bench.read()
    start_ms, end_ms = T + HOUR, T + int(2.2 * HOUR)
    hit = bench.store.delete_series((equal("job", "x"),), start_ms, end_ms)
    assert hit > 0
    wanted = {
        labels: [(t, v) for t, v in pairs if dict(labels).get("job") != "x" or not start_ms <= t <= end_ms]
        for labels, pairs in before.items()
    }
    assert same(bench.read(), wanted)
    (meta, path), *_ = bench.store.blocks()
    assert meta.tombstones > 0
    assert b'"numTombstones": ' in (path / "meta.json").read_bytes()
    bench.reopen()
    assert same(bench.read(), wanted)
    clean_tombstones(bench.store)
    assert same(bench.read(), wanted)
    (meta, path), *_ = bench.store.blocks()
    assert meta.tombstones == 0
    assert not (path / "tombstones").exists()


def test_samples_after_a_deletion_are_kept(bench: Bench) -> None:
    """A deletion up to the end of time takes what is there, not what comes later."""
    (answer,) = bench.append(first_row("g", T, {series("a"): 1.0}))
    bench.store.delete_series(ALL, *EVER)
    assert bench.read() == {}
    bench.append(Row("g", T + 1, answer.columns, np.array([2.0])))
    assert bench.read() == {series("a"): [(T + 1, 2.0)]}
    bench.reopen()
    assert bench.read() == {series("a"): [(T + 1, 2.0)]}


def test_a_block_with_everything_deleted_disappears(bench: Bench) -> None:
    """Cleaning a block of which nothing is left removes it."""
    fill(bench, 2.5)
    maintain(bench)
    bench.store.delete_series(ALL, T, T + 2 * HOUR)
    clean_tombstones(bench.store)
    assert bench.store.blocks() == []


def test_a_snapshot_is_a_data_directory(bench: Bench) -> None:
    """A snapshot opened as a store of its own holds the same samples; without the head, those of the blocks."""
    fill(bench, 2.5)
    maintain(bench)
    before = bench.read()
    name = bench.store.write_snapshot()
    assert len(name) == len("20231115T000000Z-0123456789abcdef")
    blocks_only = bench.store.write_snapshot(skip_head=True)
    for snapshot, wanted in (
        (name, before),
        (blocks_only, {k: [(t, v) for t, v in pairs if t < T + 2 * HOUR] for k, pairs in before.items()}),
    ):
        options = type(bench.options)(bench.options.path / "snapshots" / snapshot)
        copy = Store.open(options, DiskFiles(), bench.clock)
        copy.replay()
        assert same(read(copy), {labels: pairs for labels, pairs in wanted.items() if pairs})
        copy.close()


def test_a_snapshot_that_is_killed_is_none(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Until it is whole a snapshot has no name of one; what a kill leaves goes at the next start, of an error at once."""
    fill(bench, 2.5)
    maintain(bench)
    whole = bench.store.write_snapshot()
    snapshots = bench.options.path / "snapshots"
    killed = snapshots / "20231115T000000Z-0123456789abcdef.tmp-for-creation"
    seen: list[str] = []
    link = DiskFiles.link

    def linked(files: DiskFiles, existing: Path, new: Path) -> None:
        seen.extend(path.name for path in snapshots.iterdir() if path.name != whole)
        if len(seen) == 2:
            shutil.copytree(snapshots / seen[0], killed)
            raise OSError("the disk is gone")
        link(files, existing, new)

    monkeypatch.setattr(DiskFiles, "link", linked)
    with pytest.raises(OperatingError, match="the disk is gone"):
        bench.store.write_snapshot()
    assert all(name.endswith(".tmp-for-creation") for name in seen)
    assert sorted(path.name for path in snapshots.iterdir()) == sorted([whole, killed.name])
    bench.reopen()
    assert [path.name for path in snapshots.iterdir()] == [whole]


def test_time_retention_drops_old_blocks(bench: Bench) -> None:
    """Blocks that ended longer before the newest than the retention are removed; the newest stays."""
    bench.configure(retention_ms=5 * HOUR, max_block_ms=2 * HOUR)
    fill(bench, 10.5, step_ms=300_000)
    maintain(bench)
    starts = [meta.min_ms for meta, _ in bench.store.blocks()]
    assert starts == [T + 4 * HOUR, T + 6 * HOUR, T + 8 * HOUR]


def test_size_retention_drops_the_oldest_blocks(bench: Bench) -> None:
    """When blocks and log exceed the size, the oldest blocks go."""
    bench.configure(max_block_ms=2 * HOUR)
    fill(bench, 8.5, step_ms=300_000)
    maintain(bench)
    sizes = [meta.size_bytes for meta, _ in bench.store.blocks()]
    wal = sum(path.stat().st_size for path in (bench.options.path / "wal").iterdir())
    bench.configure(retention_bytes=wal + 300 + sizes[-1] + sizes[-2] + sizes[-3] // 2)
    maintain(bench)
    assert [meta.min_ms for meta, _ in bench.store.blocks()] == [T + 4 * HOUR, T + 6 * HOUR]


def test_idle_windows_are_cut_by_the_clock(bench: Bench) -> None:
    """When nothing comes any more, a window is still written as a block some time after its end."""
    fill(bench, 0.5)
    before = bench.read()
    bench.clock.value_ms = T + 2 * HOUR + 5 * 60_000
    assert maintain(bench) == []
    bench.clock.value_ms = T + 2 * HOUR + 11 * 60_000
    assert len(maintain(bench)) == 1
    assert same(bench.read(), before)


def test_a_block_from_the_future_ages_nothing(bench: Bench) -> None:
    """A block whose range lies ahead of the clock does not make time retention drop the others."""
    bench.configure(retention_ms=24 * HOUR)
    fill(bench, 4.5, step_ms=300_000)
    maintain(bench)
    starts = {meta.min_ms for meta, _ in bench.store.blocks()}
    now_ms = bench.clock.value_ms
    other = Bench(bench.options.path.with_name("future"))
    fill(other, 2.5, step_ms=300_000, start_ms=T + 10_000 * HOUR)
    maintain(other)
    other.store.close()
    (_, path), *_ = other.store.blocks()
    path.rename(bench.options.path / path.name)
    bench.clock.value_ms = now_ms
    bench.reopen()
    maintain(bench)
    assert {meta.min_ms for meta, _ in bench.store.blocks()} == {*starts, T + 10_000 * HOUR}
    (answer,) = bench.append(first_row("new", bench.clock.now_ms(), {series("fresh"): 1.0}))
    assert answer.appended == 1


def test_a_flipped_bit_in_a_block_is_an_error_never_a_wrong_sample(bench: Bench) -> None:
    """Damage in data or index is found by a checksum: the block is set aside, or reading it says so."""
    fill(bench, 2.5)
    maintain(bench)
    before = bench.read()
    _, path = bench.store.blocks()[0]
    bench.store.close()
    random = np.random.default_rng(1)
    for name in ("data", "index", "meta.json"):
        good = (path / name).read_bytes()
        for offset in random.integers(0, len(good), 12).tolist():
            broken = bytearray(good)
            broken[offset] ^= 1 << int(random.integers(8))
            (path / name).write_bytes(broken)
            bench.store = Store.open(bench.options, bench.files, bench.clock)
            bench.store.replay()
            try:
                found = bench.read()
                assert all(set(pairs) <= set(exact(before)[labels]) for labels, pairs in exact(found).items())
            except OperatingError:
                pass
            bench.store.close()
            aside = path.with_name(path.name + ".damaged")
            if aside.exists():
                assert bench.store.problems
                aside.rename(path)
            (path / name).write_bytes(good)
    bench.store = Store.open(bench.options, bench.files, bench.clock)
    bench.store.replay()
    assert same(bench.read(), before)


@pytest.mark.parametrize("name", ["data", "index"])
def test_a_missing_file_sets_the_block_aside(bench: Bench, name: str) -> None:
    """Without one of its files a block is put aside and named; the store goes on."""
    fill(bench, 2.5)
    maintain(bench)
    _, path = bench.store.blocks()[0]
    (path / name).unlink()
    bench.reopen()
    assert bench.store.blocks() == []
    assert any(path.name in problem for problem in bench.store.problems)
    assert path.with_name(path.name + ".damaged").is_dir()
    assert len(bench.read()) > 0


def test_a_block_of_another_directory_does_not_end_our_log(bench: Bench) -> None:
    """A block brought from elsewhere says nothing about our log: what only the log has is still replayed."""
    other = Bench(bench.options.path.with_name("other"))
    fill(other, 2.5)
    maintain(other)
    other.store.close()
    bench.append(first_row("g", T, {series("only_in_the_log"): 1.0}))
    ((meta, path),) = other.store.blocks()
    assert meta.epochs == (0,)
    path.rename(bench.options.path / path.name)
    bench.reopen()
    assert len(bench.store.blocks()) == 1
    assert bench.read(equal("__name__", "only_in_the_log")) == {series("only_in_the_log"): [(T, 1.0)]}


def test_columns_outlive_a_cut_beside_a_head_without_samples(bench: Bench) -> None:
    """A head that never got a sample stays open, and yet is not where the columns of a cut one go."""
    empty = np.zeros(0, np.int32)
    one = (series("late", i="1"),)
    bench.append(Row("g", T + 1_000, empty, np.zeros(0)))
    bench.clock.value_ms = T + 3 * HOUR
    (answer,) = bench.append(Row("g", T + 3 * HOUR, empty, np.zeros(0), one, np.ones(1), empty))
    bench.clock.value_ms = T + 5 * HOUR
    assert [done.split()[0] for done in maintain(bench)] == ["cut"]
    columns = np.asarray(answer.columns, np.int32)
    (again,) = bench.append(Row("g", T + 5 * HOUR, columns, np.array([2.0]), (), np.zeros(0), empty))
    assert again.appended == 1
    assert bench.read() == {one[0]: [(T + 3 * HOUR, 1.0), (T + 5 * HOUR, 2.0)]}


def test_names_of_blocks_ascend() -> None:
    """Names made in one millisecond, and after the clock was set back, sort by their making; a rewritten block stays."""
    clock = StoppedClock()
    given = BlockNames(clock, SeededRandomness(3))
    names = []
    for k in range(200):
        clock.value_ms = 1_700_000_000_000 - k // 2
        names.append(given.new())
    assert names == sorted(set(names))
    behind = [next_ulid(name) for name in names]
    assert all(is_ulid(name) for name in behind)
    assert sorted([*names, *behind]) == [name for pair in zip(names, behind, strict=True) for name in pair]
    assert next_ulid("0" * 25 + "Z") == "0" * 24 + "10"


def test_names_of_a_new_process_come_after_those_of_the_last_one() -> None:
    """Also where its clock was set back by a year; a name that no clock has given does not count."""
    clock = StoppedClock()
    clock.value_ms = 1_700_000_000_000
    before = [BlockNames(clock, SeededRandomness(3)).new() for _ in range(3)]
    clock.value_ms -= 365 * 24 * HOUR
    given = BlockNames(clock, SeededRandomness(4))
    given.follow([*before, "7" + "Z" * 25])
    assert max(before) < given.new() < given.new() < "4"
