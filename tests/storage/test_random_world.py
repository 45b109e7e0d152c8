"""Whatever happens to a store, queries that ask again are answered as a plain list of what was appended answers."""

from __future__ import annotations

import random
import tempfile
from pathlib import Path

import numpy as np
import orjson
import pytest

from tests.storage.read.test_framecache import rows_of, small_pages
from tests.support.sample_world import MATCHERS, STEP_MS, SampleWorld
from tests.support.seeds import new_seed
from trimon.errors import TrimonError
from trimon.model.labels import Labels
from trimon.model.matcher import Matcher
from trimon.model.snapshot import Snapshot
from trimon.query.answer.json import render_data
from trimon.query.conformance.memory import MemoryStore
from trimon.query.engine import instant, range_
from trimon.query.execution.budget import Budget
from trimon.query.language.options import QueryOptions

OPTIONS = QueryOptions()
STEPS = 60
WORLDS = 6
SELECTORS = ("a", "c", '{__name__=~".+"}', '{i=~"1|3"}', '{target!=""}', 'b{i="2"}')
QUERIES = (
    "{s}",
    "{s} offset 7m",
    "{s} @ end()",
    "{s} @ {at}",
    "rate({s}[4m])",
    "increase({s}[1h])",
    "sum by (i) (count_over_time({s}[10m]))",
    "last_over_time({s}[15s])",
    "max_over_time({s}[5m] offset -3m)",
    "changes({s}[1m:20s])",
    "max_over_time((rate({s}[2m]))[11m:37s])",
    "count_over_time({s}[30m] @ start())",
    "absent({s})",
    "count({s}) - count({s} offset 1h)",
    "present_over_time({s}[3h])",
)


def kept(
    world: SampleWorld, matcher: Matcher, start_ms: int, end_ms: int
) -> dict[Labels, list[tuple[int, int]]]:
    """What a query is given, in the closed interval."""
    selection = world.store.snapshot().select((matcher,), start_ms, end_ms)
    frame = selection.wide_frame(start_ms, end_ms, lambda _: None)
    rows = rows_of(frame, start_ms, end_ms)
    labels = [selection.labels.labels(row) for row in range(frame.rows)]
    assert len(set(labels)) == len(labels) == len(rows)
    return {name: row for name, row in zip(labels, rows, strict=True) if row}


def answer(snapshot: Snapshot, query: str, start_ms: int, end_ms: int, step_ms: int) -> object:
    """The series of a query by their labels, or the text of its failure."""
    try:
        if start_ms == end_ms:
            result = instant(snapshot, query, start_ms, OPTIONS, Budget(OPTIONS))
        else:
            result = range_(snapshot, query, start_ms, end_ms, step_ms, OPTIONS, Budget(OPTIONS))
    except TrimonError as error:
        return str(error)
    found = orjson.loads(render_data(result))["result"]
    return {
        orjson.dumps(item["metric"]).decode(): item["values"] if "values" in item else [item["value"]]
        for item in found
    }


def agree(
    world: SampleWorld, memory: MemoryStore, query: str, start_ms: int, end_ms: int, step_ms: int
) -> None:
    """One query, of the store and of the list."""
    mine = answer(world.store.snapshot(), query, start_ms, end_ms, step_ms)
    theirs = answer(memory, query, start_ms, end_ms, step_ms)
    note = f"{query} {start_ms} {end_ms} {step_ms}"
    if isinstance(mine, str) or isinstance(theirs, str):
        assert isinstance(mine, str), f"{note}: {theirs}"
        assert isinstance(theirs, str), f"{note}: {mine}"
        return
    assert isinstance(mine, dict)
    assert isinstance(theirs, dict)
    assert mine.keys() == theirs.keys(), note
    for metric, points in mine.items():
        ours = np.array([[float(t), float(v)] for t, v in points])
        other = np.array([[float(t), float(v)] for t, v in theirs[metric]])
        np.testing.assert_allclose(ours, other, rtol=1e-10, atol=1e-10, err_msg=f"{note} {metric}")


def look(world: SampleWorld, pick: random.Random) -> None:
    """Some questions of a dashboard and some of a visitor, each compared."""
    for _ in range(pick.randint(1, 4)):
        matcher = pick.choice(MATCHERS)
        length_ms = pick.choice((0, 1, 20, 240, 241, 2000)) * STEP_MS
        end_ms = world.now_ms - pick.choice((0, 0, 0, 0, 1, 15_000, 7_200_000))
        start_ms = end_ms - length_ms + pick.choice((0, 0, 1))
        wanted = world.written.matching((matcher,), start_ms, end_ms)
        for _ in range(pick.choice((1, 1, 3))):
            assert kept(world, matcher, start_ms, end_ms) == wanted, f"{matcher} {start_ms} {end_ms}"
    memory = world.written.memory()
    for _ in range(pick.randint(0, 2)):
        query = pick.choice(QUERIES).replace("{s}", pick.choice(SELECTORS))
        query = query.replace("{at}", str((world.now_ms - pick.randint(0, 300) * STEP_MS) / 1000))
        end_ms = world.now_ms - pick.choice((0, 0, 7, 3_600_000))
        start_ms = end_ms - pick.choice((0, 0, 40, 400)) * STEP_MS
        for _ in range(pick.choice((1, 3))):
            agree(world, memory, query, start_ms, end_ms, pick.choice((STEP_MS, 60_000, 47_001)))


def live(seed: int, steps: int) -> None:
    """A world from its beginning to its end."""
    with tempfile.TemporaryDirectory(prefix="trimon-world-") as directory, small_pages(60):
        world = SampleWorld(seed, Path(directory) / "data")
        pick = random.Random(seed + 1)
        try:
            for _ in range(steps):
                world.happen()
                look(world, pick)
        except BaseException as error:
            error.add_note(f"seed {seed}; " + "; ".join(world.log[-25:]))
            raise
        finally:
            world.close()


@pytest.mark.parametrize("turn", range(WORLDS))
def test_a_random_world_is_read_as_it_was_written(turn: int) -> None:
    """After any events every kept reading, and every query over it, equals that of the plain list of samples."""
    seed = new_seed()
    live(seed, STEPS)
