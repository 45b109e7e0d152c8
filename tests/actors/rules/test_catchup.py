"""Iterations that were missed without a server are caught up with, in virtual time, over a real store."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from tests.actors.rules.test_rules import KEY, keep_pushing, rules
from tests.support.rule_world import RuleWorld, rule_world
from trimon.actors.querying.gate import Queries
from trimon.actors.storage.messages import Message
from trimon.actors.storage.writer import Writer
from trimon.model.rows import Appended, Row
from trimon.query.language.errors import QueryError

START_MS = 1_700_000_000_000
RULES = rules(
    "{record: 'r:m', expr: 'm * 10'}",
    "{record: 'r:twice', expr: 'r:m * 2'}",
    "{record: 'r:before', expr: 'count_over_time(r:before[1h]) or vector(0)'}",
    "{alert: A, expr: 'm >= 0'}",
)


@pytest.fixture
def autojump_clock() -> MockClock:
    return MockClock(autojump_threshold=0)


async def first_run(directory: Path, text: str, seconds: float) -> dict[str, list[int]]:
    async with (
        rule_world(directory, start_ms=START_MS, catch_up_ms=3_600_000) as here,
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(keep_pushing, here, {"a": "1"}, {"a": "2"})
        here.configure(text)
        await trio.sleep(seconds)
        assert here.manager.groups[KEY].caught_up == 0
        nursery.cancel_scope.cancel()
        return times_of(here)


def times_of(here: RuleWorld) -> dict[str, list[int]]:
    """When each metric of the rules has a sample that is no marker; its series have the same."""
    found = {}
    for name in ("r:m", "r:twice", "r:before", "ALERTS"):
        every = [[t for t, value in points if value is not None] for points in here.points(name).values()]
        found[name] = sorted(set(itertools.chain.from_iterable(every)))
    return found


async def second_run(
    directory: Path, text: str, after_s: float, **how: int
) -> tuple[RuleWorld, dict[str, list[int]]]:
    catch_up_ms = how.get("catch_up_ms", 3_600_000)
    async with rule_world(
        directory, start_ms=START_MS + int(after_s * 1000), catch_up_ms=catch_up_ms
    ) as here:
        here.configure(text)
        await trio.sleep(45)
        return here, times_of(here)


def steps(times: list[int]) -> set[int]:
    return {later - earlier for earlier, later in itertools.pairwise(times)}


async def test_recording_rules_have_no_hole(tmp_path: Path, autojump_clock: MockClock) -> None:
    """After two minutes without a server every slot has its sample, also of rules that read others or themselves."""
    before = await first_run(tmp_path, RULES, 65)
    here, after = await second_run(tmp_path, RULES, 185)
    group = here.manager.groups[KEY]
    assert group.caught_up in (11, 12, 13)
    for name in ("r:m", "r:twice", "r:before"):
        assert after[name][: len(before[name])] == before[name]
        assert steps(after[name]) == {10_000}
        assert {time_ms % 10_000 for time_ms in after[name]} == {group.offset_ms}
    (counted,) = here.points("r:before").values()
    values = [value for _, value in counted]
    assert values == [float(number) for number in range(len(values))]
    assert max(steps(after["ALERTS"])) > 100_000  # alerts are not caught up with
    assert group.missed == 0


@pytest.mark.parametrize("after_s", [57, 185])
async def test_a_kill_between_two_rules_leaves_no_hole(
    tmp_path: Path, autojump_clock: MockClock, after_s: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The slot in which the first rule had recorded and the others had not is filled for the others, missed slots or none."""
    groups, killed = list[str](), trio.Event()

    async def append(writer: Writer, *messages: Message) -> tuple[Appended, ...]:
        answers = await store(writer, *messages)
        groups.extend(each.group for each in messages if isinstance(each, Row))
        if groups and groups.count(groups[0]) == 5 and not killed.is_set():
            killed.set()
            await trio.sleep_forever()
        return answers

    store = Writer.append
    async with rule_world(tmp_path, start_ms=START_MS) as here, trio.open_nursery() as nursery:
        nursery.start_soon(keep_pushing, here, {"a": "1"}, {"a": "2"})
        monkeypatch.setattr(Writer, "append", append)
        here.configure(RULES)
        await killed.wait()
        nursery.cancel_scope.cancel()
    before = times_of(here)
    monkeypatch.undo()
    assert len(before["r:m"]) == len(before["r:twice"]) + 1
    here, after = await second_run(tmp_path, RULES, after_s)
    for name in ("r:m", "r:twice", "r:before"):
        assert after[name][: len(before[name])] == before[name]
        assert steps(after[name]) == {10_000}
    assert len(after["r:m"]) == len(after["r:twice"]) == len(after["r:before"])


@pytest.mark.parametrize("after_s", range(180, 190))
async def test_catching_up_past_the_first_slot_does_not_leave_it_out(
    tmp_path: Path, autojump_clock: MockClock, after_s: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It takes four seconds of an interval of ten: wherever the start was, its first slot is evaluated, late or not."""
    quick = Queries.run

    async def slow(queries: Queries, expression: str, *rest: Any, **named: Any) -> Any:
        if expression.startswith("catch up"):
            await trio.sleep(4)
        return await quick(queries, expression, *rest, **named)

    await first_run(tmp_path, RULES, 65)
    monkeypatch.setattr(Queries, "run", slow)
    here, after = await second_run(tmp_path, RULES, after_s)
    assert steps(after["r:m"]) == steps(after["r:twice"]) == {10_000}
    assert here.manager.groups[KEY].missed == 0


async def test_a_first_pass_of_many_intervals_leaves_no_hole(
    tmp_path: Path, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reading the log takes the first pass four seconds, of a group of every second: those are caught up with, too."""
    quick, passes = Queries.run, list[float]()

    async def slow(queries: Queries, expression: str, *rest: Any, **named: Any) -> Any:
        if expression.startswith("catch up"):
            passes.append(trio.current_time())
            await trio.sleep(4 if len(passes) == 1 else 0.05)
        return await quick(queries, expression, *rest, **named)

    text = RULES.replace("    rules:", "    interval: 1s\n    rules:")
    await first_run(tmp_path, text, 65)
    monkeypatch.setattr(Queries, "run", slow)
    here, after = await second_run(tmp_path, text, 90)
    assert len(passes) == 2
    assert steps(after["r:m"]) == steps(after["r:twice"]) == steps(after["r:before"]) == {1000}
    assert here.manager.groups[KEY].missed == 0


@pytest.mark.parametrize("fails_at", [None, 3])
async def test_passes_follow_one_another(
    tmp_path: Path, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch, fails_at: int | None
) -> None:
    """Four slots a pass leave no hole; where the third pass fails, those of the first two stay and the rest is told."""
    quick, passes = Queries.run, 0

    async def failing(queries: Queries, expression: str, *rest: Any, **named: Any) -> Any:
        nonlocal passes
        if expression.startswith("catch up"):
            passes += 1
            if passes == fails_at:
                raise QueryError("it was enough")
        return await quick(queries, expression, *rest, **named)

    before = await first_run(tmp_path, RULES, 65)
    monkeypatch.setattr(Queries, "run", failing)
    monkeypatch.setattr("trimon.rules.catchup.SLOTS_AT_ONCE", 4)
    here, after = await second_run(tmp_path, RULES, 185)
    for name in ("r:m", "r:twice", "r:before"):
        holes = [step for step in steps(after[name]) if step > 10_000]
        assert bool(holes) == (fails_at is not None)
        caught_up = [time_ms for time_ms in after[name] if time_ms <= before[name][-1] + 80_000]
        assert len(caught_up) == len(before[name]) + 8
    told = [
        fields for _, message, fields in here.world.log.entries if "could not all be caught up" in message
    ]
    assert passes == 3
    if fails_at is None:
        assert not told
    else:
        assert (told[0]["groups"], told[0]["iterations_left_out"], told[0]["groups_unknown"]) == (1, 4, 0)


async def test_a_series_that_went_before_the_first_missed_slot_ends_there(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    """What a rule gave last and does not give at the first missed slot gets its marker there."""
    text = rules("{record: 'r:m', expr: 'last_over_time(m[20s])'}")
    before = await first_run(tmp_path, text, 65)
    here, _ = await second_run(tmp_path, text, 185)
    last_ms = before["r:m"][-1]
    for points in here.points("r:m").values():
        marker = next(time_ms for time_ms, value in points if value is None)
        assert last_ms < marker <= last_ms + 30_000
        assert points[-1] == (marker, None)


async def test_how_far_back_it_goes(tmp_path: Path, autojump_clock: MockClock) -> None:
    """Not further than the flag says; not at all with 0, or when the group says so; a new rule file has missed nothing."""
    await first_run(tmp_path, RULES, 65)
    here, after = await second_run(tmp_path, RULES, 185, catch_up_ms=40_000)
    assert here.manager.groups[KEY].caught_up == 4
    assert min(steps(after["r:twice"])) == 10_000
    assert len([step for step in steps(after["r:twice"]) if step > 10_000]) == 1
    here, _ = await second_run(tmp_path, RULES, 385, catch_up_ms=0)
    assert here.manager.groups[KEY].caught_up == 0
    unwilling = rules("{record: 'r:m', expr: 'm * 10'}", more="    catch_up: false\n")
    here, _ = await second_run(tmp_path, unwilling, 585)
    assert here.manager.groups[KEY].caught_up == 0
    here, _ = await second_run(tmp_path, rules("{record: 'new', expr: 'vector(1)'}"), 785)
    assert here.manager.groups[KEY].caught_up == 0


async def test_a_rule_that_fails_keeps_no_other_from_it(tmp_path: Path, autojump_clock: MockClock) -> None:
    """Its evaluations fail one by one, as they would have; the others are stored."""
    text = rules("{record: 'r:bad', expr: 'm + on () m'}", "{record: 'r:m', expr: 'm'}")
    before = await first_run(tmp_path, text, 65)
    here, after = await second_run(tmp_path, text, 185)
    assert here.manager.groups[KEY].caught_up >= 11
    assert len(after["r:m"]) > len(before["r:m"]) + 10


async def test_hundreds_of_groups_wait_for_a_place(tmp_path: Path, autojump_clock: MockClock) -> None:
    """More groups than queries may wait all catch up, some at a time, and one line tells of all."""
    groups = "".join(
        f"  - {{name: g{number}, rules: [{{record: 'r:{number}', expr: 'm'}}]}}\n" for number in range(400)
    )
    text = f"groups:\n{groups}"
    async with rule_world(tmp_path, start_ms=START_MS) as here, trio.open_nursery() as nursery:
        nursery.start_soon(keep_pushing, here, {"a": "1"})
        here.configure(text)
        await trio.sleep(25)
        nursery.cancel_scope.cancel()
    async with rule_world(tmp_path, start_ms=START_MS + 85_000, catch_up_ms=3_600_000) as here:
        here.configure(text)
        await trio.sleep(15)
        assert all(group.caught_up for group in here.manager.groups.values())
        told = [message for _, message, _ in here.world.log.entries if "caught up" in message]
        assert len(told) == 1
