"""Damage in a block costs a page: the rest answers, what is missing is told once, and merges and tools go on."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.storage.block.test_blocks import HOUR, fill, maintain
from tests.storage.conftest import ALL, EVER, START_MS, Bench, exact, first_row, series
from trimon.files import DiskFiles
from trimon.model.matcher import Matcher, MatchType
from trimon.model.rows import Row
from trimon.query.engine import instant
from trimon.query.execution.budget import Budget
from trimon.query.language.errors import QueryError
from trimon.query.language.options import QueryOptions
from trimon.storage.block.reader import Block
from trimon.storage.store import Store
from trimon.storage.tools.checking import repair, verify

T = START_MS


def flip(path: Path, offset: int) -> None:
    """Change a bit of a byte of a file."""
    content = bytearray(path.read_bytes())
    content[offset] ^= 4
    path.write_bytes(content)


def wide(bench: Bench, hours: float) -> None:
    """Samples of 700 series: two bands in each block."""
    names = tuple(series("wide", i=f"{i:03d}") for i in range(700))
    columns = np.zeros(0, np.int32)
    for step in range(int(hours * 30)):
        time_ms = bench.clock.value_ms = T + step * 120_000
        values = np.sin(np.arange(len(columns)) + step)
        new = names if step == 0 else ()
        (answer,) = bench.append(Row("g", time_ms, columns, values, new, np.zeros(len(new))))
        if step == 0:
            columns = answer.columns
    bench.clock.value_ms += HOUR


def open_blocks_of(bench: Bench) -> tuple[Block, ...]:
    """The open blocks."""
    return bench.store._core.state.blocks


def lose_first_page(bench: Bench) -> Path:
    """Damage the first page of the oldest block, and open the store again; the block's directory."""
    maintain(bench)
    path = open_blocks_of(bench)[0].path
    bench.store.close()
    flip(path / "data", 60)
    bench.store = Store.open(bench.options, bench.files, bench.clock)
    bench.store.replay()
    return path


def test_a_damaged_page_costs_its_samples_and_is_told_once(bench: Bench) -> None:
    """Series of other pages are whole and without a warning; log lines, problems and count do not grow with queries."""
    wide(bench, 2.5)
    before = exact(bench.read())
    path = lose_first_page(bench)
    for _ in range(3):
        selection = bench.store.snapshot().select(ALL, *EVER)
        frame = selection.wide_frame(*EVER, lambda _bytes: None)
        (line,) = frame.missing
        assert path.name in line
        assert "2023-11-15T00:00:00.000Z to " in line
    after = exact(bench.read())
    lost = [labels for labels in before if after[labels] != before[labels]]
    assert 0 < len(lost) <= 512
    assert all(set(after[labels]) <= set(before[labels]) for labels in before)
    assert sum(path.name in problem for problem in bench.store.problems) == 1
    assert bench.store.figures().counts["damaged_pages"] == 1
    fine = next(labels for labels in before if labels not in lost)
    one = Matcher("i", MatchType.EQUAL, dict(fine)["i"])
    assert bench.store.snapshot().select((one,), *EVER).frame(*EVER).missing == ()
    later = (T + 2 * HOUR, T + 3 * HOUR)
    assert bench.store.snapshot().select(ALL, *later).frame(*later).missing == ()


def test_a_query_warns_and_a_strict_one_is_refused(bench: Bench) -> None:
    """The answer of a query has what storage misses among its warnings; with strict reads it is an error that says it."""
    wide(bench, 2.5)
    path = lose_first_page(bench)
    query, time_ms, options = "count(wide)", T + HOUR, QueryOptions()
    answer = instant(bench.store.snapshot(), query, time_ms, options, Budget(options))
    (warning,) = answer.warnings
    assert warning.startswith(f"block {path.name}: page at byte 8 of its data")
    assert answer.values[0, 0] < 700
    bench.options = replace(bench.options, strict_reads=True)
    bench.reopen()
    with pytest.raises(QueryError, match=f"block {path.name}: page at byte 8"):
        instant(bench.store.snapshot(), query, time_ms, options, Budget(options))
    fine = instant(bench.store.snapshot(), query, T + int(2.4 * HOUR), options, Budget(options))
    assert fine.values[0, 0] == 700


def test_a_damaged_timetable_costs_its_series(bench: Bench) -> None:
    """Samples whose times cannot be read are missing, those with times in other pages are not."""
    fill(bench, 2.5)
    maintain(bench)
    before = exact(bench.read())
    (block,) = open_blocks_of(bench)
    offset = int(block._samples._times["offset"][-1])
    bench.store.close()
    flip(block.path / "data", offset + 30)
    bench.store = Store.open(bench.options, bench.files, bench.clock)
    bench.store.replay()
    after = exact(bench.read())
    assert after != before
    assert all(set(pairs) <= set(before[labels]) for labels, pairs in after.items())
    (problem,) = bench.store.problems
    assert "timetable page" in problem


@pytest.mark.parametrize("place", [3, 40, -3, -30, -200])
def test_a_flipped_bit_in_the_index_costs_nothing(bench: Bench, place: int) -> None:
    """The index is there twice: what is damaged in one copy is read from the other; verify names it."""
    fill(bench, 2.5)
    maintain(bench)
    before = exact(bench.read())
    path = open_blocks_of(bench)[0].path
    bench.store.close()
    flip(path / "index", place % (path / "index").stat().st_size)
    assert any("index" in line for fine, line in verify(DiskFiles(), bench.options.path) if not fine)
    bench.store = Store.open(bench.options, bench.files, bench.clock)
    bench.store.replay()
    assert exact(bench.read()) == before
    assert bench.store.snapshot().missing(*EVER) == ()


def test_an_index_that_is_lost_with_its_copy_costs_the_block(bench: Bench) -> None:
    """Nothing of the block can be found: queries answer without it and say so, also those that ask for labels."""
    fill(bench, 2.5)
    maintain(bench)
    (block,) = open_blocks_of(bench)
    sections = [copy.sections["series/band"] for copy in block._index._copies]
    bench.store.close()
    for offset, length, _, _ in sections:
        flip(block.path / "index", offset + length // 2)
    bench.store = Store.open(bench.options, bench.files, bench.clock)
    bench.store.replay()
    snapshot = bench.store.snapshot()
    selection = snapshot.select(ALL, *EVER)
    (line,) = selection.frame(*EVER).missing
    assert block.path.name in line
    assert "series/band" in line
    assert snapshot.missing(*EVER) == (line,)
    assert snapshot.missing(T + 3 * HOUR, T + 4 * HOUR) == ()
    assert snapshot.label_names((), *EVER)
    assert bench.store.delete_series(ALL, *EVER) >= 0


@pytest.mark.parametrize("damage", ["flipped", "torn", "missing", "foreign"])
def test_a_damaged_meta_is_made_anew(bench: Bench, damage: str) -> None:
    """The block stays and says what it said; that it was damaged is a problem."""
    fill(bench, 5)
    maintain(bench)
    before, metas = exact(bench.read()), [meta for meta, _ in bench.store.blocks()]
    path = open_blocks_of(bench)[0].path / "meta.json"
    bench.store.close()
    content = path.read_bytes()
    path.unlink()
    if damage != "missing":
        changed = content[:50] if damage == "torn" else content.replace(b'"trimon"', b'"trimom"')
        path.write_bytes(content.replace(b'"level"', b'"lever"') if damage == "flipped" else changed)
    bench.store = Store.open(bench.options, bench.files, bench.clock)
    assert any("meta.json" in problem and "made anew" in problem for problem in bench.store.problems)
    bench.store.replay()
    restored = [replace(meta, epochs=(), log="") for meta, _ in bench.store.blocks()]
    assert restored == [replace(meta, epochs=(), log="") for meta in metas]
    assert exact(bench.read()) == before
    bench.reopen()
    assert bench.store.problems == []


def test_a_merge_goes_on_without_what_is_damaged(bench: Bench) -> None:
    """Blocks are merged as far as they can be read; the damaged one is kept aside, and queries go on to say what is missing."""
    bench.configure(max_block_ms=6 * HOUR)
    wide(bench, 8.5)
    for job in bench.store.plan(bench.clock.now_ms()):
        job.run()
        job.install()
    path = open_blocks_of(bench)[0].path
    bench.store.close()
    flip(path / "data", 60)
    bench.store = Store.open(bench.options, bench.files, bench.clock)
    bench.store.replay()
    before = exact(bench.read())
    bench.clock.value_ms += HOUR
    maintain(bench)
    assert any(meta.max_ms - meta.min_ms == 6 * HOUR for meta, _ in bench.store.blocks())
    assert exact(bench.read()) == before
    assert path.with_name(path.name + ".damaged").is_dir()
    for _ in range(2):
        missing = bench.store.snapshot().select(ALL, *EVER).frame(*EVER).missing
        assert [line for line in missing if path.name in line]
        assert bench.store.snapshot().missing(T + 3 * HOUR, T + 4 * HOUR) == ()
        assert sum(path.name in problem for problem in bench.store.problems) == 1
        bench.reopen()
    bench.store.close()
    lines = list(repair(DiskFiles(), bench.options.path))
    assert not any(path.name in line for line in lines)


def test_repair_brings_back_a_block_that_was_set_aside(bench: Bench) -> None:
    """A block set aside though its samples can be read is written anew by repair, and is in use again."""
    fill(bench, 2.5)
    maintain(bench)
    before = exact(bench.read())
    path = open_blocks_of(bench)[0].path
    bench.store.close()
    aside = path.with_name(path.name + ".damaged")
    path.rename(aside)
    assert any(aside.name in line for fine, line in verify(DiskFiles(), bench.options.path) if not fine)
    bench.store = Store.open(bench.options, bench.files, bench.clock)
    assert any("was set aside" in problem for problem in bench.store.problems)
    assert bench.store.snapshot().missing(T, T + HOUR)
    bench.store.close()
    assert any("written anew" in line for line in repair(DiskFiles(), bench.options.path))
    assert not aside.exists()
    bench.store = Store.open(bench.options, bench.files, bench.clock)
    bench.store.replay()
    assert exact(bench.read()) == before
    assert bench.store.problems == []


def test_a_superseded_block_that_is_damaged_is_not_thrown_away_untold(bench: Bench) -> None:
    """If the process died before it set a merged block aside the next start does, and tells what is missing."""
    bench.configure(max_block_ms=6 * HOUR)
    wide(bench, 8.5)
    maintain(bench)
    merged = open_blocks_of(bench)[0]
    ulid = merged.meta.parents[1][0]
    bench.store.close()
    bench.store = Store.open(
        replace(bench.options, path=bench.options.path.with_name("other")), bench.files, bench.clock
    )
    shutil.copytree(merged.path, bench.options.path / ulid)
    meta = replace(merged.meta, ulid=ulid, parents=())
    (bench.options.path / ulid / "meta.json").write_bytes(meta.to_json())
    flip(bench.options.path / ulid / "data", 60)
    bench.store.close()
    bench.store = Store.open(bench.options, bench.files, bench.clock)
    bench.store.replay()
    assert open_blocks_of(bench)[0].meta.ulid == merged.meta.ulid
    (line,) = bench.store.snapshot().missing(T, T + HOUR)
    assert ulid in line
    assert (bench.options.path / f"{ulid}.damaged" / "losses.json").exists()


def test_what_was_set_aside_goes_with_the_retention(bench: Bench) -> None:
    """When blocks of its time are dropped a block set aside is removed, and queries say no more that it is missing."""
    bench.configure(retention_ms=24 * HOUR)
    wide(bench, 4.5)
    path = lose_first_page(bench)
    bench.store.close()
    aside = path.with_name(path.name + ".damaged")
    path.rename(aside)
    bench.store = Store.open(bench.options, bench.files, bench.clock)
    bench.store.replay()
    assert bench.store.snapshot().missing(*EVER)
    later_ms = bench.clock.value_ms = T + 40 * HOUR
    for step in range(3):
        bench.clock.value_ms = later_ms + step * 2 * HOUR
        bench.append(first_row("h", bench.clock.value_ms, {series("new", i=str(step)): 1.0}))
        bench.clock.value_ms += HOUR
        maintain(bench)
    assert not aside.exists()
    assert bench.store.snapshot().missing(*EVER) == ()


@pytest.mark.parametrize("copies", [1, 2])
def test_deletions_are_there_twice(bench: Bench, copies: int) -> None:
    """One damaged copy shows nothing of what was deleted, and is told; with both the block is set aside."""
    fill(bench, 2.5)
    maintain(bench)
    bench.store.delete_series((Matcher("__name__", MatchType.EQUAL, "m0"),), *EVER)
    before = exact(bench.read())
    path = open_blocks_of(bench)[0].path
    bench.store.close()
    size = (path / "tombstones").stat().st_size
    for copy in range(copies):
        flip(path / "tombstones", 20 + copy * size // 2)
    assert not all(fine for fine, _ in verify(DiskFiles(), bench.options.path))
    bench.store = Store.open(bench.options, bench.files, bench.clock)
    bench.store.replay()
    (problem,) = bench.store.problems
    assert "tombstones" in problem
    if copies == 1:
        assert exact(bench.read()) == before
    else:
        assert not any(dict(labels)["__name__"] == "m0" for labels in bench.read())
        assert bench.store.snapshot().missing(T, T + HOUR)
