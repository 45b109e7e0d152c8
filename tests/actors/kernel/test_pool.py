"""The pool supervisor: reconcile to a wanted set, budgets per child, quarantine."""

from __future__ import annotations

import time
from collections import Counter
from functools import partial

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from trio.testing import MockClock, wait_all_tasks_blocked

from tests.actors.kernel.actors import QUICK, Drainer, Journal, Worker, run_virtual, worker_spec
from trimon.actors.kernel import ChildSpec, Mailbox, Pool, RestartPolicy, State


def spec_of(name: str, journal: Journal, version: int = 0, drain_s: float = 0.0) -> ChildSpec:
    return ChildSpec(
        name, lambda: Drainer(f"{name}@{version}", journal, 2.0), drain_s=drain_s, version=version
    )


async def test_reconcile_starts_keeps_restarts_and_stops(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    """New keys start, equal specs are kept, changed ones are restarted after their drain, gone ones drained."""
    journal = Journal()
    pool: Pool[str] = Pool("pool")
    pool.reconcile({name: spec_of(name, journal, drain_s=9) for name in "abc"})
    nursery.start_soon(pool.run)
    await pool.ready.wait()
    await wait_all_tasks_blocked()
    kept = pool.child("a")
    pool.reconcile(
        {
            "a": spec_of("a", journal, drain_s=9),
            "b": spec_of("b", journal, version=1, drain_s=9),
            "d": spec_of("d", journal, drain_s=9),
        }
    )
    await wait_all_tasks_blocked()
    assert sorted(journal.running) == ["a@0", "b@0", "c@0", "d@0"]
    await trio.sleep(5)
    assert sorted(journal.running) == ["a@0", "b@1", "d@0"]
    assert pool.child("a") is kept
    assert pool.child("c") is None
    assert journal.names("finished") in (["b@0", "c@0"], ["c@0", "b@0"])
    await pool.stop(10)
    assert journal.running == []


@settings(max_examples=80, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.dictionaries(st.sampled_from("abcde"), st.integers(0, 2), max_size=5),
            st.sampled_from([0.0, 0.5, 1.0, 2.0, 2.5]),
        ),
        min_size=1,
        max_size=12,
    ),
    st.sampled_from([0.0, 1.0, 9.0]),
)
def test_after_any_sequence_the_children_are_exactly_the_wanted_ones(
    steps: list[tuple[dict[str, int], float]], drain_s: float
) -> None:
    """For any sequence of wanted sets at any pace: never two of one key, at rest exactly the last set."""

    async def main() -> None:
        journal = Journal()
        worst = 0
        pool: Pool[str] = Pool("pool")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(pool.run)
            for wanted, pause_s in steps:
                pool.reconcile(
                    {name: spec_of(name, journal, version, drain_s) for name, version in wanted.items()}
                )
                if pause_s:
                    await trio.sleep(pause_s)
                running = Counter(name.partition("@")[0] for name in journal.running)
                worst = max([worst, *running.values()])
            await trio.sleep(30)
            last = steps[-1][0]
            assert sorted(journal.running) == sorted(f"{name}@{version}" for name, version in last.items())
            assert {child.spec.name for child in pool.children()} == set(last)
            await pool.stop(100)
        assert worst <= 1
        assert journal.running == []
        assert len(journal.names("start")) == len(journal.names("end"))

    run_virtual(main)


async def test_an_exhausted_child_is_quarantined_alone(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    """It stays visible and down while its spec is unchanged, the others live on, and a new spec releases it."""
    journal = Journal()
    pool: Pool[str] = Pool("pool")
    wanted = {"calm": worker_spec("calm", journal), "wild": worker_spec("wild", journal, 0.1)}
    pool.reconcile(wanted)
    nursery.start_soon(pool.run)
    await trio.sleep(50)
    wild = pool.child("wild")
    assert wild is not None
    assert wild.state is State.QUARANTINED
    assert journal.names("start").count("wild") == 1 + QUICK.restarts_max
    assert journal.running == ["calm"]
    pool.reconcile({name: worker_spec(name, journal) for name in ("calm",)} | {"wild": wanted["wild"]})
    await trio.sleep(50)
    assert pool.child("wild") is wild
    assert pool.inspect()["quarantined"] == 1
    pool.reconcile(wanted | {"wild": worker_spec("wild", journal, version=1)})
    await trio.sleep(1)
    released = pool.child("wild")
    assert released is not None
    assert (released.state, released.attempt) == (State.RUNNING, 1)
    assert journal.names("start").count("calm") == 1
    await pool.stop(10)


async def test_a_quarantined_child_that_is_not_wanted_disappears(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    """A key that leaves the wanted set leaves the pool, also from quarantine."""
    journal = Journal()
    pool: Pool[str] = Pool("pool")
    pool.reconcile({"wild": worker_spec("wild", journal, 0.1)})
    nursery.start_soon(pool.run)
    await trio.sleep(50)
    pool.reconcile({})
    assert pool.children() == ()
    nursery.cancel_scope.cancel()


async def test_the_budget_of_each_child_is_its_own(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """Ten children that always fall are each started exactly 1 + restarts_max times."""
    journal = Journal()
    policy = RestartPolicy(restarts_max=4, window_s=1e6, delay_first_s=1)
    pool: Pool[int] = Pool("pool")
    pool.reconcile({n: worker_spec(f"w{n}", journal, 0.1, policy=policy) for n in range(10)})
    nursery.start_soon(pool.run)
    await trio.sleep(1000)
    assert Counter(journal.names("start")) == {f"w{n}": 5 for n in range(10)}
    await pool.stop(1)


async def test_a_healthy_child_keeps_its_budget(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """A child that falls now and then, with healthy runs in between, is restarted for ever."""
    journal = Journal()
    policy = RestartPolicy(restarts_max=2, window_s=1e6, healthy_after_s=30)
    pool: Pool[str] = Pool("pool")
    pool.reconcile({"a": worker_spec("a", journal, 40.0, policy=policy)})
    nursery.start_soon(pool.run)
    await trio.sleep(1000)
    assert len(journal.names("start")) == 25
    await pool.stop(1)


async def test_children_of_a_pool_stop_together_the_youngest_told_first(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    """Stopping takes the longest drain, not their sum."""
    journal = Journal()
    pool: Pool[int] = Pool("pool")
    pool.reconcile({n: spec_of(f"w{n}", journal, drain_s=9) for n in range(20)})
    nursery.start_soon(pool.run)
    await pool.ready.wait()
    await wait_all_tasks_blocked()
    started = trio.current_time()
    await pool.stop(100)
    assert trio.current_time() - started == pytest.approx(2, abs=0.1)
    assert len(journal.names("finished")) == 20


async def test_a_pool_runs_again_with_what_was_wanted(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    """The wanted set outlives a run, also when it changed while the pool was down."""
    journal = Journal()
    pool: Pool[str] = Pool("pool")
    pool.reconcile({"a": worker_spec("a", journal)})
    nursery.start_soon(pool.run)
    await trio.sleep(1)
    await pool.stop(1)
    pool.reconcile({"a": worker_spec("a", journal), "b": worker_spec("b", journal)})
    nursery.start_soon(pool.run)
    await trio.sleep(1)
    assert sorted(journal.running) == ["a", "b"]
    await pool.stop(1)


async def test_a_mailbox_kept_for_the_next_spec_opens_again(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    """A changed spec with the same mailbox: closed for the drain, open for the successor."""
    box: Mailbox[int] = Mailbox("m", max=5)
    seen: list[tuple[int, int]] = []

    class Reader:
        def __init__(self, version: int) -> None:
            self.version = version

        async def run(self) -> None:
            async for message in box:
                seen.append((self.version, message))  # noqa: PERF401 - it is read while the loop runs

        def inspect(self) -> dict[str, object]:
            return {}

    pool: Pool[str] = Pool("pool")
    nursery.start_soon(pool.run)
    for version in (1, 2):
        pool.reconcile({"a": ChildSpec("a", partial(Reader, version), box, version=version)})
        await trio.sleep(1)
        await box.send(version * 10)
        await trio.sleep(1)
    assert seen == [(1, 10), (2, 20)]
    await pool.stop(1)


def test_a_thousand_children_are_cheap() -> None:
    """Starting and stopping 1,000 children works in one go; the time is printed, not asserted."""

    async def main() -> tuple[float, float]:
        journal = Journal()
        pool: Pool[int] = Pool("pool")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(pool.run)
            started = time.perf_counter()
            pool.reconcile({n: ChildSpec(f"w{n}", lambda: Worker("w", journal)) for n in range(1000)})
            await wait_all_tasks_blocked()
            assert len(journal.running) == 1000
            up = time.perf_counter() - started
            started = time.perf_counter()
            await pool.stop(10)
            return up, time.perf_counter() - started

    up, down = trio.run(main)
    print(f"1,000 children: start {up * 1e3:.1f} ms, stop {down * 1e3:.1f} ms")


def test_two_children_of_one_name_are_refused() -> None:
    """A name is a place in the tree; two keys cannot share it."""
    pool: Pool[str] = Pool("pool")
    journal = Journal()
    with pytest.raises(ValueError, match="same name"):
        pool.reconcile({"a": worker_spec("x", journal), "b": worker_spec("x", journal)})


async def test_thousands_of_changes_are_made_a_slice_at_a_time(nursery: trio.Nursery) -> None:
    """Ten thousand children start, change and stop while other tasks get their turn; the last word counts."""
    journal = Journal()
    pool: Pool[int] = Pool("pool")
    nursery.start_soon(pool.run)
    await pool.ready.wait()
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            await trio.lowlevel.checkpoint()
            turns += 1

    async def settled(count: int, version: int) -> None:
        def is_settled() -> bool:
            versions = [child.spec.version for child in pool.children()]
            return versions == [version] * count and len(journal.running) == count

        with trio.fail_after(60):
            while not is_settled():  # noqa: ASYNC110 - a pool says nothing of its own progress
                await trio.sleep(0.01)

    def specs(version: int, keys: range) -> dict[int, ChildSpec]:
        return {key: worker_spec(f"c{key}", journal, version=version, drain_s=0) for key in keys}

    nursery.start_soon(other)
    before = turns
    pool.reconcile(specs(1, range(10_000)))
    assert len(pool.children()) <= 1_000
    await settled(10_000, 1)
    assert turns - before >= 20
    pool.reconcile(specs(1, range(5_000)))
    pool.reconcile(specs(2, range(2_500, 7_500)))
    await settled(5_000, 2)
    pool.reconcile(specs(3, range(10_000)))
    await pool.stop(30)
    assert journal.running == []
    nursery.cancel_scope.cancel()
