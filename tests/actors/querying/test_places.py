"""Places for clients: given in turn, one kept for newcomers, nothing lost when somebody leaves early."""

from __future__ import annotations

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import wait_all_tasks_blocked

from trimon.actors.querying.places import Places


async def test_clients_are_admitted_in_turn(nursery: trio.Nursery) -> None:
    """Of one with many that wait and two with few, each gets the next place in turn."""
    places, order = Places(1), []
    assert places.try_enter("crowd")

    async def come(key: str) -> None:
        await places.enter(key)
        order.append(key)

    for key in ("crowd", "crowd", "crowd", "a", "a", "b"):
        nursery.start_soon(come, key)
        await wait_all_tasks_blocked()
    held = "crowd"
    while len(order) < 6:
        places.leave(held)
        await wait_all_tasks_blocked()
        held = order[-1]
    assert order == ["crowd", "a", "b", "crowd", "a", "crowd"]
    places.leave(held)
    assert places.taken == 0


async def test_the_last_place_is_for_a_newcomer(nursery: trio.Nursery) -> None:
    """One client alone gets all places but one, however long it waits; another gets that at once; who is nobody gets all."""
    places = Places(4, keeps_one=True)
    assert [places.try_enter("crowd") for _ in range(4)] == [True, True, True, False]
    nursery.start_soon(places.enter, "crowd")
    await wait_all_tasks_blocked()
    assert places.taken == 3
    with trio.fail_after(8):
        await places.enter("other")
    assert places.taken == 4
    places.leave("crowd")
    await wait_all_tasks_blocked()
    assert places.taken == 3  # again the last one is kept
    places.leave("other")
    await wait_all_tasks_blocked()
    assert places.taken == 3  # the one that waited has come in
    anybody = Places(4, keeps_one=True)
    assert all(anybody.try_enter("") for _ in range(4))


async def test_who_is_cancelled_has_no_place() -> None:
    """One that gives up while it waits, or in the moment in which it is admitted, leaves nothing taken."""
    places = Places(1)
    assert places.try_enter("a")
    with trio.move_on_after(0) as scope:
        await places.enter("b")
    assert scope.cancelled_caught
    async with trio.open_nursery() as nursery:
        nursery.start_soon(places.enter, "b")
        await wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
        places.leave("a")  # admits b, which is cancelled before it runs
    assert places.taken == 0
    assert places.try_enter("c")


@given(
    places_max=st.integers(1, 5), keeps=st.booleans(),
    steps=st.lists(st.tuples(st.sampled_from(["enter", "leave", "cancel"]), st.sampled_from(["", "a", "b", "c"])), max_size=60),
)  # fmt: skip
def test_places_add_up(places_max: int, keeps: bool, steps: list[tuple[str, str]]) -> None:
    """Whatever comes, leaves and gives up: never more than there are, and nobody waits while he may have one."""

    async def play() -> None:
        places, inside = Places(places_max, keeps_one=keeps), list[str]()
        waiting: list[tuple[str, trio.CancelScope]] = []

        async def come(key: str, scope: trio.CancelScope) -> None:
            with scope:
                await places.enter(key)
                inside.append(key)
            waiting.remove((key, scope))

        async with trio.open_nursery() as nursery:
            for action, key in steps:
                if action == "enter":
                    scope = trio.CancelScope()
                    waiting.append((key, scope))
                    nursery.start_soon(come, key, scope)
                elif action == "leave" and key in inside:
                    inside.remove(key)
                    places.leave(key)
                elif action == "cancel":
                    for other, scope in waiting[:]:
                        if other == key:
                            scope.cancel()
                await wait_all_tasks_blocked()
                assert places.taken == len(inside) <= places_max
                free = places_max - places.taken
                for other, _ in waiting:
                    assert free <= int(keeps)
                    assert not free or other in inside
            nursery.cancel_scope.cancel()

    trio.run(play)


@pytest.fixture
async def nursery() -> object:
    """A nursery that ends with the test."""
    async with trio.open_nursery() as opened:
        yield opened
        opened.cancel_scope.cancel()
