"""Rule groups in virtual time, over a real store."""

from __future__ import annotations

import gc
import itertools
from pathlib import Path
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from tests.support.collector import uncollected
from tests.support.rule_world import RuleWorld, rule_world
from tests.support.store_world import until
from trimon.actors.kernel.tree import find
from trimon.actors.querying.gate import Queries
from trimon.actors.rules.group import RuleGroupActor
from trimon.actors.storage.messages import Message
from trimon.actors.storage.writer import Writer
from trimon.errors import OperatingError
from trimon.model.rows import Appended

KEY = "/etc/rules/r.yml;g"


@pytest.fixture
def autojump_clock() -> MockClock:
    return MockClock(autojump_threshold=0)


async def refuses(_writer: Writer, *_messages: Message) -> list[Appended]:
    """What storage says that takes nothing."""
    await trio.lowlevel.checkpoint()
    raise OperatingError("the disk is full")


def rules(*lines: str, more: str = "") -> str:
    listed = "".join(f"      - {line}\n" for line in lines)
    return f"groups:\n  - name: g\n{more}    rules:\n{listed}"


async def keep_pushing(here: RuleWorld, *series: dict[str, str]) -> None:
    """A sample of `m` every second for each of the label sets."""
    count = 0
    while True:
        for labels in series:
            await here.push("m", float(count), **labels)
        count += 1
        await trio.sleep(1)


async def test_results_are_recorded_on_the_groups_own_grid(tmp_path: Path, autojump_clock: MockClock) -> None:
    """Every interval at the group's phase there is one sample of every series, with the rule's labels."""
    async with rule_world(tmp_path) as here, trio.open_nursery() as nursery:
        nursery.start_soon(keep_pushing, here, {"a": "1"}, {"a": "2"})
        here.configure(rules("{record: 'r:m', expr: 'm * 10', labels: {team: x, b: ''}}"))
        await trio.sleep(65)
        recorded = here.points("r:m")
        assert set(recorded) == {(("a", "1"), ("team", "x")), (("a", "2"), ("team", "x"))}
        group = here.manager.groups[KEY]
        for points in recorded.values():
            times = [time for time, _ in points]
            assert len(times) in (6, 7)
            assert {later - earlier for earlier, later in itertools.pairwise(times)} == {10_000}
            assert {time % 10_000 for time in times} == {group.offset_ms}
            assert all(value is not None and value % 10 == 0 for _, value in points)
        assert (group.rules[0].health, group.rules[0].samples, group.failures) == ("ok", 2, 0)
        assert group.evaluations == group.iterations
        nursery.cancel_scope.cancel()


async def test_later_rules_see_earlier_ones(tmp_path: Path, autojump_clock: MockClock) -> None:
    """A rule that reads what the rule before it recorded gets the sample of the same moment."""
    async with rule_world(tmp_path) as here:
        here.configure(rules("{record: one, expr: 'time()'}", "{record: two, expr: 'one * 2'}"))
        await until(lambda: len(here.points("two")) == 1)
        time_ms, value = here.points("one")[()][0]
        assert value is not None
        assert here.points("two")[()][0] == (time_ms, value * 2)


async def test_rules_that_read_no_other_are_evaluated_at_once(
    tmp_path: Path, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As many at once as the limit says; a rule that reads another comes after it; results are those of one by one."""
    at_work: list[int] = [0, 0]
    run = Queries.run

    async def counted(*args: Any) -> Any:
        at_work[0] += 1
        at_work[1] = max(at_work)
        await trio.sleep(0.1)
        try:
            return await run(*args)
        finally:
            at_work[0] -= 1

    monkeypatch.setattr(Queries, "run", counted)
    async with rule_world(tmp_path, rules_at_once=3) as here:
        lines = [f"{{record: r{number}, expr: 'time() + {number}'}}" for number in range(8)]
        here.configure(rules("{record: last, expr: 'r7 * 2'}", *lines))
        await until(lambda: len(here.points("last")) == 1)
        ((time_ms, value),) = here.points("last")[()][:1]
        assert here.points("r7")[()][0][0] == time_ms
        assert value == 2 * (time_ms / 1000 + 7)
        assert at_work[1] == 3


async def test_the_query_offset_moves_query_and_result(tmp_path: Path, autojump_clock: MockClock) -> None:
    """With an offset both the evaluation and the stored sample are that much earlier."""
    async with rule_world(tmp_path) as here:
        here.configure(rules("{record: t, expr: 'time()'}", more="    query_offset: 7s\n"))
        await until(lambda: len(here.points("t")) == 1)
        ((time, value),) = here.points("t")[()]
        group = here.manager.groups[KEY]
        assert value == time / 1000
        assert (time + 7_000) % 10_000 == group.offset_ms


async def test_what_vanishes_ends(tmp_path: Path, autojump_clock: MockClock) -> None:
    """A series that the result no longer has gets a marker, the others go on, and it may come back."""
    async with rule_world(tmp_path) as here:
        here.configure(rules("{record: r, expr: 'm > 0'}"))
        for value in (1.0, 0.0, 2.0):
            await here.push("m", value, a="1")
            await here.push("m", 5.0, a="2")
            await trio.sleep(10)
        assert [value for _, value in here.points("r")[(("a", "1"),)]] == [1.0, None, 2.0]
        assert [value for _, value in here.points("r")[(("a", "2"),)]] == [5.0, 5.0, 5.0]


async def test_a_failing_rule_is_a_health_field(tmp_path: Path, autojump_clock: MockClock) -> None:
    """A rule that fails has health err and its reason, is counted, stores and ends nothing; the others go on."""
    async with rule_world(tmp_path) as here:
        await here.push("m", 1.0, a="1")
        here.configure(
            rules("{record: bad, expr: 'm'}", "{record: good, expr: 'vector(1)'}", more="    limit: 1\n")
        )
        await trio.sleep(10)
        group = here.manager.groups[KEY]
        assert group.rules[0].health == "ok"
        await here.push("m", 1.0, a="1")
        await here.push("m", 1.0, a="2")
        await trio.sleep(10)
        assert (group.rules[0].health, group.rules[0].last_error) == (
            "err",
            "exceeded limit of 1 with 2 series",
        )
        assert (group.rules[1].health, group.failures, group.evaluations) == ("ok", 1, 4)
        assert [value for _, value in here.points("bad")[(("a", "1"),)]] == [1.0]
        assert len(here.points("good")[()]) == 2
        assert any(fields.get("rule") == "bad" for _, _, fields in here.world.log.entries)


@pytest.mark.parametrize(
    ("rule", "error"),
    [
        ("{record: r, expr: 'm', labels: {a: x}}", "vector contains metrics with the same labelset after applying rule labels"),
        ("{record: r, expr: '\"text\"'}", "rule result is not a vector or scalar"),
        ("{record: r, expr: 'm[5m]'}", "rule result is not a vector or scalar"),
        ("{record: r, expr: 'label_replace(m, \"a\", \"x\", \"a\", \".*\")'}",
         "vector cannot contain metrics with the same labelset"),
    ],
)  # fmt: skip
async def test_results_that_cannot_be_stored(
    rule: str, error: str, tmp_path: Path, autojump_clock: MockClock
) -> None:
    """Equal label sets and results that are no vector are errors with Prometheus' words."""
    async with rule_world(tmp_path) as here:
        await here.push("m", 1.0, a="1")
        await here.push("m", 1.0, a="2")
        here.configure(rules(rule))
        await trio.sleep(10)
        assert here.manager.groups[KEY].rules[0].last_error == error
        assert here.points("r") == {}


async def test_a_reload_keeps_what_is_the_same(tmp_path: Path, autojump_clock: MockClock) -> None:
    """An unchanged group goes on in the same actor; in a changed one known rules keep their series, others end."""
    async with rule_world(tmp_path) as here:
        before = rules("{record: one, expr: 'vector(1)'}", "{record: two, expr: 'vector(2)'}")
        here.configure(before)
        await until(lambda: len(here.points("two")) == 1)
        actor = here.actor(KEY)
        here.configure(before)
        await trio.sleep(10)
        assert here.actor(KEY) is actor
        here.configure(rules("{record: three, expr: 'vector(3)'}", "{record: one, expr: 'vector(1)'}"))
        await trio.sleep(20)
        assert here.actor(KEY) is not actor
        assert [value for _, value in here.points("one")[()]] == [1.0] * len(here.points("three")[()] * 2)
        assert here.points("two")[()][-1][1] is None
        assert [value for _, value in here.points("two")[()]].count(None) == 1
        assert here.manager.groups[KEY].iterations == len(here.points("one")[()])


async def test_a_removed_group_ends_after_two_intervals(tmp_path: Path, autojump_clock: MockClock) -> None:
    """The series of a group that a reload took away get a marker two intervals later."""
    async with rule_world(tmp_path) as here:
        here.configure(rules("{record: one, expr: 'vector(1)'}"))
        await until(lambda: len(here.points("one")) == 1)
        here.configure("")
        await trio.sleep(15)
        assert here.points("one")[()][-1][1] == 1.0
        await trio.sleep(10)
        assert here.points("one")[()][-1][1] is None
        assert here.manager.inspect() == {"groups": 0, "leaving": 0}


@pytest.mark.parametrize("removed", ["rule", "group"])
async def test_an_end_that_storage_refuses_is_offered_again(
    removed: str, tmp_path: Path, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While storage takes nothing the ends of a removed rule, and of a removed group, wait; markers keep their time."""
    append = Writer.append
    async with rule_world(tmp_path) as here:
        here.configure(rules("{record: one, expr: 'vector(1)'}", "{record: two, expr: 'vector(2)'}"))
        await until(lambda: len(here.points("two")) == 1)
        last_ms = here.points("two")[()][-1][0]
        here.configure(rules("{record: one, expr: 'vector(1)'}") if removed == "rule" else "")
        monkeypatch.setattr(Writer, "append", refuses)
        await trio.sleep(55)
        monkeypatch.setattr(Writer, "append", append)
        await trio.sleep(25)
        ended_ms, marker = here.points("two")[()][-1]
        assert marker is None
        assert last_ms < ended_ms <= last_ms + 10_000
        assert here.manager.inspect()["leaving"] == 0
        assert not any(group.ends for group in here.manager.groups.values())


async def test_an_end_that_was_refused_is_none_of_a_rule_that_comes_back(
    tmp_path: Path, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A group that was to end, could not, and comes back goes on with its series; those of its other rules end."""
    append = Writer.append
    async with rule_world(tmp_path) as here:
        here.configure(rules("{record: one, expr: 'vector(1)'}", "{record: two, expr: 'vector(2)'}"))
        await until(lambda: len(here.points("two")) == 1)
        here.configure("")
        monkeypatch.setattr(Writer, "append", refuses)
        await trio.sleep(55)
        here.configure(rules("{record: one, expr: 'vector(1)'}"))
        monkeypatch.setattr(Writer, "append", append)
        await trio.sleep(35)
        assert None not in [value for _, value in here.points("one")[()]]
        assert [value for _, value in here.points("two")[()]] == [2.0, None]


async def test_a_group_that_comes_back_in_time_goes_on(tmp_path: Path, autojump_clock: MockClock) -> None:
    """A group that is removed and comes back within two intervals keeps its series without a marker."""
    async with rule_world(tmp_path) as here:
        text = rules("{record: one, expr: 'vector(1)'}")
        here.configure(text)
        await until(lambda: len(here.points("one")) == 1)
        here.configure("")
        await trio.sleep(12)
        here.configure(text)
        await trio.sleep(40)
        values = [value for _, value in here.points("one")[()]]
        assert None not in values
        assert len(values) == 5


async def test_missed_iterations_are_counted(tmp_path: Path, autojump_clock: MockClock) -> None:
    """Slots that pass while a group is still at work are skipped and counted."""
    async with rule_world(tmp_path) as here:
        here.configure(rules("{record: one, expr: 'vector(1)'}"))
        await until(lambda: len(here.points("one")) == 1)
        group = here.manager.groups[KEY]
        places = here.actor(KEY)._seams.queries._queue.places
        for _ in range(4):
            assert places.try_enter("")
        await trio.sleep(35)
        for _ in range(4):
            places.leave("")
        await trio.sleep(10)
        assert group.missed in (2, 3)
        times = [time for time, _ in here.points("one")[()]]
        assert {time % 10_000 for time in times} == {group.offset_ms}


async def test_the_tree_names_file_and_group(tmp_path: Path, autojump_clock: MockClock) -> None:
    """A group is at rules/<file>/<group>, the file as seen from the configuration, and says which rules fail."""
    async with rule_world(tmp_path) as here:
        here.configure(rules("{record: r, expr: '\"x\"'}"))
        await trio.sleep(10)
        node = find(here.pool, f"{here.pool.path}/r.yml/g")
        assert node is not None
        fields = node["fields"]
        assert isinstance(fields, dict)
        assert fields["failing"] == {"r": "rule result is not a vector or scalar"}


async def test_a_rule_that_can_give_nothing_is_told_once(tmp_path: Path, autojump_clock: MockClock) -> None:
    """A selector that matches nothing for ten minutes makes a rule dead; it is told once, and again when it matches."""
    async with rule_world(tmp_path) as here, trio.open_nursery() as nursery:
        nursery.start_soon(keep_pushing, here, {"a": "1"})
        here.configure(rules("{record: 'r:x', expr: 'm / misspelt'}", "{record: 'r:m', expr: 'm'}"))
        await trio.sleep(500)
        group = here.manager.groups[KEY]
        assert [session.selectors.told for session in group.rules] == [False, False]
        await trio.sleep(300)
        assert [session.selectors.told for session in group.rules] == [True, False]
        use = group.rules[0].selectors.uses[0]
        assert use.matched
        assert use.last_matched_ms == group.last_evaluation_ms
        await here.push("misspelt", 1.0, a="1")
        await trio.sleep(20)
        assert not group.rules[0].selectors.told
        nursery.cancel_scope.cancel()


async def test_replaced_groups_leave_no_cycles(tmp_path: Path, autojump_clock: MockClock) -> None:
    """What a reload replaces goes at once, and does not wait for the collector of cycles."""

    def groups() -> int:
        return sum(type(each) is RuleGroupActor for each in gc.get_objects())

    async with rule_world(tmp_path) as here:
        with uncollected():
            before = groups()
            for number in range(5):
                here.configure(rules(f"{{record: one, expr: 'vector({number})'}}"))
                await trio.sleep(25)
            assert groups() == before + 1


async def test_a_group_that_fell_ends_when_it_is_removed(
    tmp_path: Path, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The series of a group whose actor crashed, and that a reload takes away before the next one starts, get their marker."""
    async with rule_world(tmp_path) as here:
        here.configure(rules("{record: one, expr: 'vector(1)'}"))
        await until(lambda: len(here.points("one")) == 1)

        async def falls(_actor: RuleGroupActor, _slot_ms: int) -> None:
            raise RuntimeError("a bug")

        monkeypatch.setattr(RuleGroupActor, "_iterate", falls)
        await until(lambda: KEY in here.manager._ended)
        here.configure("")
        await trio.sleep(30)
        assert here.points("one")[()][-1][1] is None
        assert here.manager.inspect() == {"groups": 0, "leaving": 0}
        assert here.world.reports.total > 0
        here.world.reports.total = 0  # the world looks that nothing else crashed
