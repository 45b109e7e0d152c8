"""The group supervisor: order, restarts, escalation, bounded stop."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from trio.testing import MockClock

from tests.actors.kernel.actors import QUICK, Drainer, Journal, Server, Worker, run_virtual, worker_spec
from trimon.actors.kernel import (
    BudgetExhausted,
    ChildSpec,
    CrashReports,
    Group,
    Mailbox,
    Pool,
    Restart,
    State,
    Strategy,
)


class Slow(Worker):
    """Ready only after a while."""

    def __init__(self, name: str, journal: Journal, ready_after_s: float) -> None:
        super().__init__(name, journal)
        self.ready = trio.Event()
        self.ready_after_s = ready_after_s

    async def run(self) -> None:
        await trio.sleep(self.ready_after_s)
        self.ready.set()
        await super().run()


def state_of(group: Group) -> State:
    return group.state


def states(group: Group) -> list[State]:
    return [child.state for child in group.children()]


async def test_children_start_in_order_each_after_the_one_before_is_ready(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    """A child with a `ready` event holds back the ones after it; the group is ready after the last."""
    journal = Journal()
    specs = [
        worker_spec("a", journal),
        ChildSpec("b", lambda: Slow("b", journal, 5)),
        worker_spec("c", journal),
    ]
    group = Group("root", specs)
    nursery.start_soon(group.run)
    await trio.sleep(1)
    assert states(group) == [State.RUNNING, State.STARTING, State.PLANNED]
    assert state_of(group) is State.STARTING
    await group.ready.wait()
    assert trio.current_time() == pytest.approx(5, abs=0.1)
    assert journal.names("start") == ["a", "b", "c"]
    await group.stop(10)
    assert group.state is State.STOPPED


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.booleans(), st.sampled_from([0.0, 1.0, 3.0, 9.0])), min_size=1, max_size=6),
    st.floats(0.1, 12),
)
def test_stop_is_the_reverse_of_start_and_bounded(
    children: list[tuple[bool, float]], within_s: float
) -> None:
    """Whatever the children, they end in reverse order, each within its drain time, all within the whole."""

    async def main() -> None:
        journal = Journal()
        specs = []
        for number, (drains, finish_s) in enumerate(children):
            name = f"c{number}"

            def make(name: str = name, drains: bool = drains, finish_s: float = finish_s) -> Worker:
                return Drainer(name, journal, finish_s) if drains else Worker(name, journal)

            specs.append(ChildSpec(name, make, drain_s=4))
        group = Group("root", specs)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(group.run)
            await group.ready.wait()
            started = trio.current_time()
            await group.stop(within_s)
            took = trio.current_time() - started
        bound = sum(min(finish_s, 4) for drains, finish_s in children if drains)
        assert took == pytest.approx(min(bound, within_s), abs=0.01)
        assert journal.names("end") == list(reversed(journal.names("start")))
        assert journal.running == []
        assert states(group) == [State.STOPPED] * len(children)

    run_virtual(main)


async def test_stopping_in_the_middle_of_the_start(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """A group that is told to stop while it waits for a child to get ready ends what runs, starts no more."""
    journal = Journal()
    specs = [
        worker_spec("a", journal),
        ChildSpec("b", lambda: Slow("b", journal, 500)),
        worker_spec("c", journal),
    ]
    group = Group("root", specs)
    nursery.start_soon(group.run)
    await trio.sleep(1)
    await group.stop(10)
    assert trio.current_time() < 2
    assert journal.names("start") == journal.names("end") == ["a"]
    assert states(group) == [State.STOPPED] * 3


async def test_a_stop_before_the_start_is_not_forgotten(autojump_clock: MockClock) -> None:
    """A signal that comes before the root runs ends that run; a later stop of what has ended does nothing."""
    journal = Journal()
    group = Group("root", [worker_spec("a", journal)])
    await group.stop(10)
    await group.run()
    assert journal.events == []
    await group.stop(10)
    with trio.move_on_after(5):
        await group.run()
    assert journal.names("start") == ["a"]


async def test_a_pool_inside_one_for_all_comes_back(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """When a sibling falls, a pool is ended with its children and comes back with what was wanted."""
    journal = Journal()
    pool: Pool[str] = Pool("pool")
    pool.reconcile({"x": worker_spec("x", journal), "y": worker_spec("y", journal)})
    lives = iter([2.0, None])
    group = Group(
        "root",
        [
            ChildSpec("pool", lambda: pool),
            ChildSpec("wild", lambda: Worker("wild", journal, next(lives)), policy=QUICK),
        ],
        strategy=Strategy.ONE_FOR_ALL,
    )
    nursery.start_soon(group.run)
    await trio.sleep(2.5)
    assert journal.running == []
    pool.reconcile({"x": worker_spec("x", journal), "z": worker_spec("z", journal)})
    await trio.sleep(10)
    assert sorted(journal.running) == ["wild", "x", "z"]
    assert [child.path for child in pool.children()] == ["root/pool/x", "root/pool/z"]
    await group.stop(10)
    assert journal.running == []


async def test_a_second_stop_skips_the_waiting(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """The second call cancels what is waited for, and everything still to come, in the same order."""
    journal = Journal()
    specs = [ChildSpec(name, partial(Drainer, name, journal, 50), drain_s=100) for name in "abc"]
    group = Group("root", specs)
    nursery.start_soon(group.run)
    await group.ready.wait()
    nursery.start_soon(group.stop, 1000)
    await trio.sleep(1)
    started = trio.current_time()
    await group.stop(1000)
    assert trio.current_time() - started < 0.1
    assert journal.names("end") == ["c", "b", "a"]
    assert journal.names("finished") == []


async def test_what_waits_in_a_mailbox_is_drained(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """A server actor that is stopped handles what is in its mailbox and then ends by itself."""
    handled: list[int] = []
    box: Mailbox[int] = Mailbox("m", max=100)
    group = Group("root", [ChildSpec("server", lambda: Server(box, handled.append), box)])
    nursery.start_soon(group.run)
    await group.ready.wait()
    for number in range(50):
        box.send_nowait(number)
    await group.stop(10)
    assert handled == list(range(50))
    assert not group.children()[0].forced


async def test_a_child_that_does_not_finish_is_forced(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    """A child that overruns its drain time is cancelled and marked."""
    journal = Journal()
    group = Group("root", [ChildSpec("a", lambda: Drainer("a", journal, 50), drain_s=2)])
    nursery.start_soon(group.run)
    await group.ready.wait()
    await group.stop(100)
    assert trio.current_time() == pytest.approx(2, abs=0.1)
    assert group.children()[0].forced


async def test_a_child_that_ignores_its_cancellation_is_left_behind(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    """The others end in order all the same; the group itself ends when the last of it does."""
    journal = Journal()
    freed = trio.Event()

    class Obstinate(Worker):
        async def run(self) -> None:
            with trio.CancelScope(shield=True):
                await freed.wait()

    specs = [worker_spec("first", journal), ChildSpec("obstinate", lambda: Obstinate("obstinate", journal))]
    group = Group("root", specs)
    nursery.start_soon(group.run)
    await group.ready.wait()
    nursery.start_soon(group.stop, 60)
    await trio.sleep(30)
    assert states(group) == [State.STOPPED, State.STOPPING]
    assert not group.ended.is_set()
    freed.set()
    await group.ended.wait()
    assert states(group) == [State.STOPPED, State.STOPPED]


@pytest.mark.parametrize("restarts_max", [0, 1, 4])
async def test_the_budget_is_exact_and_escalates(restarts_max: int, autojump_clock: MockClock) -> None:
    """A child that always falls is started 1 + restarts_max times; then the group stops all and raises."""
    journal = Journal()
    reports = CrashReports()
    policy = QUICK.__class__(restarts_max=restarts_max, window_s=1e6, delay_first_s=1)
    specs = [worker_spec("calm", journal), worker_spec("wild", journal, 0.5, policy=policy)]
    group = Group("root", specs, reports=reports)
    with pytest.raises(BudgetExhausted, match="root/wild"):
        await group.run()
    assert journal.names("start").count("wild") == 1 + restarts_max
    assert reports.total == 1 + restarts_max
    assert [report.attempt for report in reports.latest()] == list(range(1 + restarts_max, 0, -1))
    assert journal.names("start").count("calm") == 1
    assert journal.running == []
    assert states(group) == [State.STOPPED, State.FAILED]


@pytest.mark.parametrize(
    ("restart", "crashes", "starts"),
    [
        (Restart.ALWAYS, False, 4),
        (Restart.ALWAYS, True, 4),
        (Restart.ON_CRASH, False, 1),
        (Restart.ON_CRASH, True, 4),
        (Restart.NEVER, False, 1),
        (Restart.NEVER, True, 1),
    ],
)
async def test_the_restart_rule_decides(
    restart: Restart, crashes: bool, starts: int, nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    """ALWAYS restarts after any end, ON_CRASH after a crash, NEVER never."""
    count = 0

    class Once:
        async def run(self) -> None:
            nonlocal count
            count += 1
            await trio.sleep(0.1)
            if crashes:
                raise ValueError

        def inspect(self) -> dict[str, object]:
            return {}

    pool: Pool[str] = Pool("pool")
    pool.reconcile({"a": ChildSpec("a", Once, restart=restart, policy=QUICK)})
    nursery.start_soon(pool.run)
    await trio.sleep(50)
    assert count == starts
    await pool.stop(1)


async def test_one_for_one_restarts_the_fallen_alone(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    """Under ONE_FOR_ONE the others do not notice; restart and crash are visible on the child."""
    journal = Journal()
    group = Group("root", [worker_spec("a", journal), worker_spec("b", journal, 2.0)])
    nursery.start_soon(group.run)
    await trio.sleep(4)
    a, b = group.children()
    assert journal.names("start") == ["a", "b", "b"]
    assert (a.restarts, b.restarts, b.attempt) == (0, 1, 2)
    assert b.last_crash is not None
    assert b.last_crash.error == "ValueError: b fell"
    assert b.last_crash.uptime_s == pytest.approx(2)
    nursery.cancel_scope.cancel()


async def test_one_for_all_restarts_everybody_in_order(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    """Under ONE_FOR_ALL the others end in reverse order and all start again in order, with their mailboxes."""
    journal = Journal()
    lives = iter([2.0, None])
    specs = [
        worker_spec("a", journal),
        ChildSpec("b", lambda: Worker("b", journal, next(lives)), policy=QUICK),
        worker_spec("c", journal),
        worker_spec("d", journal),
    ]
    group = Group("root", specs, strategy=Strategy.ONE_FOR_ALL)
    nursery.start_soon(group.run)
    await trio.sleep(10)
    assert journal.names("start") == ["a", "b", "c", "d", "a", "b", "c", "d"]
    assert journal.names("end") == ["b", "d", "c", "a"]
    assert states(group) == [State.RUNNING] * 4
    assert [child.restarts for child in group.children()] == [0, 1, 0, 0]
    await group.stop(10)
    assert journal.names("end")[4:] == ["d", "c", "b", "a"]


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from(list(Strategy)),
    st.lists(st.lists(st.sampled_from([0.0, 0.3, 1.0, 2.5]), max_size=4), min_size=1, max_size=5),
    st.sampled_from([0.0, 0.7, 3.3, 40.0]),
    st.booleans(),
)
def test_no_child_is_lost_or_doubled(
    strategy: Strategy, falls: list[list[float]], stop_at: float, by_cancel: bool
) -> None:
    """However children fall and whenever it ends: never two of one child at once, all up again, none left."""

    async def main() -> None:
        journal = Journal()
        doubled: list[str] = []
        policy = QUICK.__class__(restarts_max=100, window_s=1e6, delay_first_s=0.5, delay_factor=1)

        class Faller(Worker):
            async def run(self) -> None:
                if self.name in self.journal.running:
                    doubled.append(self.name)
                await super().run()

        def maker(name: str, lives: list[float]) -> Callable[[], Worker]:
            left = iter(lives)
            return lambda: Faller(name, journal, next(left, None))

        specs = [
            ChildSpec(f"c{number}", maker(f"c{number}", lives), policy=policy)
            for number, lives in enumerate(falls)
        ]
        group = Group("root", specs, strategy=strategy)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(group.run)
            await trio.sleep(stop_at)
            if stop_at == 40.0:
                assert sorted(journal.running) == sorted(spec.name for spec in specs)
                assert states(group) == [State.RUNNING] * len(specs)
            if by_cancel:
                nursery.cancel_scope.cancel()
            else:
                await group.stop(100)
        assert doubled == []
        assert journal.running == []
        assert set(states(group)) <= {State.STOPPED}

    run_virtual(main)


async def test_groups_nest(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """A group is an actor: when it gives up its parent restarts it whole, and paths and reports are shared."""
    journal = Journal()
    reports = CrashReports()
    lives = iter([1.0, 1.0, 1.0, 1.0, 1.0])
    inner_specs = [
        worker_spec("calm", journal),
        ChildSpec("wild", lambda: Worker("wild", journal, next(lives, None)), policy=QUICK),
    ]
    outer = Group(
        "root",
        [ChildSpec("inner", lambda: Group("inner", inner_specs), policy=QUICK), worker_spec("last", journal)],
        reports=reports,
    )
    nursery.start_soon(outer.run)
    await trio.sleep(60)
    assert journal.names("start").count("calm") == 2
    assert journal.names("start").count("wild") == 6
    paths = [report.path for report in reports.latest()]
    assert paths.count("root/inner/wild") == 5
    assert paths.count("root/inner") == 1
    assert "root/inner/wild used up its restarts" in next(
        report.error for report in reports.latest() if report.path == "root/inner"
    )
    await outer.stop(10)
    assert journal.running == []
