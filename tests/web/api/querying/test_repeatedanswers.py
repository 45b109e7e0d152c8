"""Answers that are told again: each is what computing it anew gives, whatever was stored meanwhile."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.storage.conftest import START_MS, Bench, batch, first_row, series
from tests.support.web_world import web_world
from trimon.actors.querying.gate import Queries
from trimon.model.sample import STALE_NAN
from trimon.model.snapshot import StatefulSnapshot
from trimon.query import engine
from trimon.query.answer.json import data_pieces
from trimon.query.answer.result import QueryResult
from trimon.query.execution.budget import Budget
from trimon.query.execution.grid import Grid
from trimon.query.language.options import QueryOptions
from trimon.query.planning.timeless import is_timeless
from trimon.web.api.querying.repeatedanswers import ANSWERS_MAX, RepeatedAnswers
from trimon.web.http.answer import success_in_parts

OPTIONS = QueryOptions(lookback_ms=20_000)
TIMELESS = (
    "m",
    'm{a=~"0|1"}',
    "m + on (a) n",
    "sum by (b) (m)",
    "-m",
    'label_replace(m, "c", "$1", "a", "(.*)")',
    "sort_desc(m)",
    "absent(nothing)",
    "m > 2",
    "nothing",
    "topk(1, m)",
    "scalar(n) + m",
)
TIMED = (
    "rate(m[20s])",
    "timestamp(m)",
    "m + time()",
    "m offset 5s",
    "m @ 1700006410",
    "hour(m)",
    "m[10s]",
    "hour()",
    "time()",
)
PANELS = (
    "m",
    "delta(m[10s])",
    "m / on (a) n",
    "sum(m)",
    "m + time()",
    "m @ end()",
    "max_over_time(sum(m)[10s:5s])",
    "nothing",
    "3",
)


def answered(bench: Bench, text: str, grid: Grid, end_ms: int | None) -> tuple[QueryResult, bytes]:
    budget = Budget(OPTIONS)
    snapshot = bench.store.snapshot()
    if end_ms is None:
        result = engine.instant(snapshot, text, grid.start_ms, OPTIONS, budget)
    else:
        result = engine.range_(snapshot, text, grid.start_ms, end_ms, grid.step_ms, OPTIONS, budget)
    return result, success_in_parts(data_pieces(result)).body


class Asking:
    """Asks as the handler does, and compares what is told again with what is computed."""

    def __init__(self, bench: Bench, repeated: RepeatedAnswers) -> None:
        self.bench = bench
        self.repeated = repeated
        self.told = 0

    def ask(self, text: str, grid: Grid, end_ms: int | None = None) -> bool:
        snapshot = self.bench.store.snapshot()
        result, body = answered(self.bench, text, grid, end_ms)
        found = self.repeated.find(snapshot, text, grid, OPTIONS, end_ms)
        if found is not None:
            self.told += 1
            assert found[0] == body, (text, grid)
            assert found[1].samples_total == result.stats.samples_total
            return True
        self.repeated.keep(snapshot, text, grid, OPTIONS, end_ms, result, body)
        return False


def store_something(bench: Bench, chance: random.Random, now_ms: int) -> None:
    """A scrape of some series, some of which end; or loose samples, also old ones and such of other metrics."""
    kind = chance.randrange(4)
    cells = {
        series(chance.choice("mn"), a=str(number), b=str(number % 2)): chance.choice(
            (1.0, 2.5, 7.0, STALE_NAN)
        )
        for number in chance.sample(range(4), 3)
    }
    if kind < 2:
        bench.append(first_row(f"g{kind}", now_ms, cells))
    elif kind == 2:
        bench.append(
            batch(*((labels, now_ms - chance.randrange(3) * 1000, value) for labels, value in cells.items()))
        )
    else:
        bench.append(first_row("other", now_ms, {series("other", a="1"): 1.0}))


@pytest.mark.parametrize("seed", range(8))
def test_what_is_told_again_is_what_is_computed(tmp_path: Path, seed: int) -> None:
    """Over random samples, times and pauses every answer that is told again is the computed one, to the byte."""
    chance = random.Random(seed)
    bench = Bench(tmp_path / "data")
    asking = Asking(bench, RepeatedAnswers())
    now_ms = START_MS
    for _ in range(150):
        now_ms += chance.choice((0, 1, 500, 1000, 7000))
        if chance.random() < 0.4:
            store_something(bench, chance, now_ms)
        for text in chance.sample(TIMELESS + TIMED, 4):
            asking.ask(text, Grid.instant(now_ms - chance.choice((0, 0, 0, 3000))))
        for text in chance.sample(PANELS, 3):
            start_ms = START_MS + chance.choice((0, 10_000))
            end_ms = start_ms + 60_000 + chance.choice((0, 500))
            asking.ask(text, Grid.between(start_ms, end_ms, 5_000), end_ms)
    assert asking.told > 50
    bench.store.close()


def test_it_is_told_until_something_changes(tmp_path: Path) -> None:
    """An instant answer is told again at later times, until a sample comes, one grows old, or an earlier time is asked for."""
    bench = Bench(tmp_path / "data")
    asking = Asking(bench, RepeatedAnswers())
    bench.append(first_row("g", START_MS, {series("m", a="1"): 1.0}))

    def ask(after_ms: int, text: str = "m") -> bool:
        return asking.ask(text, Grid.instant(START_MS + after_ms))

    assert [ask(1_000), ask(2_500), ask(1_000), ask(19_999)] == [False, True, True, True]
    assert ask(500) is False  # earlier
    assert [ask(20_000), ask(20_000)] == [
        False,
        True,
    ]  # it has left the window, and nothing is there any more
    bench.append(first_row("other", START_MS + 21_000, {series("other"): 1.0}))
    assert [ask(21_000), ask(21_000)] == [False, True]
    bench.append(batch((series("other"), START_MS + 90_000, 1.0)))
    assert [ask(22_000), ask(22_000)] == [False, False]  # a sample lies ahead
    bench.store.close()


def test_a_range_is_told_again_while_its_own_series_rest(tmp_path: Path) -> None:
    """What is stored for other series does not matter to a range; what is stored for its own does."""
    bench = Bench(tmp_path / "data")
    asking = Asking(bench, RepeatedAnswers())
    grid = Grid.between(START_MS, START_MS + 60_000, 5_000)
    for second in range(30):
        bench.append(first_row("g", START_MS + second * 1000, {series("m", a="1"): float(second)}))

    def ask() -> bool:
        return asking.ask("sum(delta(m[10s]))", grid, START_MS + 60_000)

    # storage keeps a frame the second time that it is asked for
    assert [ask() for _ in range(4)][-1] is True
    bench.append(first_row("other", START_MS + 40_000, {series("other"): 1.0}))
    assert ask() or ask()
    bench.append(first_row("g", START_MS + 41_000, {series("m", a="1"): 99.0}))
    assert ask() is False
    assert asking.ask("sum(delta(m[10s]))", grid, START_MS + 60_001) is False  # another end
    bench.store.close()


@pytest.mark.parametrize("text", ["sum(delta(m[10s]))", 'm{a=~"1|2"} * m{a=~"1|2"}'])
async def test_what_a_thread_computed_is_told_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    """A panel that is never quick enough for the loop is computed until storage keeps its frame, and told from then on."""
    monkeypatch.setattr(Queries, "run_quick", lambda *_: None)
    computed = Queries.run
    runs = 0

    async def counted(queries: Queries, *rest: Any, **named: Any) -> Any:
        nonlocal runs
        runs += 1
        return await computed(queries, *rest, **named)

    monkeypatch.setattr(Queries, "run", counted)
    async with web_world(tmp_path) as here:
        now_s = here.world.clock.now_ms() // 1000
        for second in range(30):
            await here.world.writer.append(
                first_row("g", (now_s - 30 + second) * 1000, {series("m", a="1"): float(second)})
            )
        path = f"/api/v1/query_range?query={quote(text)}&start={now_s - 30}&end={now_s}&step=5"
        answers = [await here.client.get(path) for _ in range(6)]
        assert {answer.body for answer in answers} == {answers[0].body}
        assert runs < 4
        before = runs
        await here.world.writer.append(first_row("g", now_s * 1000, {series("m", a="1"): 99.0}))
        changed = await here.client.get(path)
        assert runs == before + 1
        assert changed.body != answers[0].body


def test_memory_is_bounded(tmp_path: Path) -> None:
    """The oldest answers go when there are too many, and a long one is not kept."""
    bench = Bench(tmp_path / "data")
    bench.append(first_row("g", START_MS, {series("m", a=str(number)): 1.0 for number in range(50)}))
    repeated = RepeatedAnswers(40_000)
    asking = Asking(bench, repeated)
    for number in range(30):
        asking.ask(f"m + {number}", Grid.instant(START_MS + 1000))
        assert 0 < repeated.size_bytes <= 40_000
    assert 1 < len(repeated) < 30
    assert asking.ask("m + 29", Grid.instant(START_MS + 1000))
    assert not asking.ask("m + 0", Grid.instant(START_MS + 1000))
    bench.append(first_row("g", START_MS + 1, {series("m", a=str(number)): 1.0 for number in range(9000)}))
    asking.ask("m", Grid.instant(START_MS + 1000))
    assert not asking.ask("m", Grid.instant(START_MS + 1000))
    bench.store.close()


def test_texts_of_queries_are_counted(tmp_path: Path) -> None:
    """Long queries with tiny answers take no more than the limit either, and short ones are limited in number."""
    bench = Bench(tmp_path / "data")
    bench.append(first_row("g", START_MS, {series("m"): 1.0}))
    repeated = RepeatedAnswers(200_000)
    asking = Asking(bench, repeated)
    for number in range(50):
        asking.ask(f'nothing{{a="{number}{"x" * 7000}"}}', Grid.instant(START_MS + 1000))
    assert 0 < len(repeated) <= 200_000 // 7000
    assert repeated.size_bytes <= 200_000
    many = RepeatedAnswers()
    asking = Asking(bench, many)
    for number in range(ANSWERS_MAX + 40):
        asking.ask(f"m + {number}", Grid.instant(START_MS + 1000))
    assert len(many) == ANSWERS_MAX
    bench.store.close()


def test_what_is_timeless() -> None:
    """Plain selectors and what computes with their samples alone are; whatever looks at the time itself is not."""
    for text in TIMELESS:
        assert is_timeless(engine.parse(text, OPTIONS)), text
    for text in TIMED:
        assert not is_timeless(engine.parse(text, OPTIONS)), text
    assert not is_timeless(engine.parse(" + ".join(["m"] * 100), OPTIONS))


def test_a_state_is_another_one_after_every_append(tmp_path: Path) -> None:
    """Two snapshots with nothing between them have one state; after any sample there is another."""
    bench = Bench(tmp_path / "data")
    seen = set()
    for number in range(5):
        bench.append(first_row("g", START_MS + number, {series("m"): 1.0}))
        first, second = bench.store.snapshot(), bench.store.snapshot()
        assert isinstance(first, StatefulSnapshot)
        assert isinstance(second, StatefulSnapshot)
        state = first.state()
        assert state == second.state()
        assert state is not None
        assert state.newest_ms == START_MS + number
        seen.add(state.version)
    assert len(seen) == 5
    bench.store.close()
