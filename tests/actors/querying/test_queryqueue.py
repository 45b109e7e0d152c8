"""The queue before the engine, by itself: turns of heavy queries, places, and who may wait."""

from __future__ import annotations

import pytest
import trio

from trimon.actors.kernel.mailbox import MailboxFull
from trimon.actors.querying.places import Asker
from trimon.actors.querying.query import ActiveQuery, Phase
from trimon.actors.querying.queryqueue import HEAVY_MAX, PATIENCE_S, QueryQueue
from trimon.cli.server.flags import FLAGS
from trimon.query.execution.budget import Budget
from trimon.query.language.options import QueryOptions


def query(client: str = "") -> ActiveQuery:
    return ActiveQuery(1, "up", 0, Budget(QueryOptions()), Asker(client, client), trio.CancelScope())


async def test_a_heavy_query_waits_for_its_turn_but_not_for_ever(autojump_clock: trio.abc.Clock) -> None:
    """Who has no turn after a quarter of a second goes on without one, and takes none away when it ends."""
    queue = QueryQueue(20)
    heavy = [query() for _ in range(HEAVY_MAX)]
    for each in heavy:
        assert await queue.take_turn(each)
    late, began_s = query(), trio.current_time()
    assert not await queue.take_turn(late)
    assert trio.current_time() - began_s == pytest.approx(PATIENCE_S)
    assert (late.phase, queue.waiting, queue.heavy.taken) == (Phase.WAITS_FOR_TURN, 0, HEAVY_MAX)
    for each in heavy:
        queue.end_turn(each)
    assert queue.inspect()["heavy"] == 0


async def test_who_waits_is_counted_until_there_is_a_place(nursery: trio.Nursery) -> None:
    """A query that waits shows as one, and as one that runs when the one before it has left."""
    queue, first, second = QueryQueue(1), query("a"), query("b")
    await queue.enter(first)
    nursery.start_soon(queue.enter, second)
    await trio.testing.wait_all_tasks_blocked()
    fields = queue.inspect()
    assert (fields["running"], fields["waiting"], second.phase) == (1, 1, Phase.WAITS_FOR_PLACE)
    queue.leave(first)
    await trio.testing.wait_all_tasks_blocked()
    fields = queue.inspect()
    assert (fields["running"], fields["waiting"]) == (1, 0)


async def test_one_client_has_a_share_of_the_room_to_wait(nursery: trio.Nursery) -> None:
    """Of four that may wait one client has three; who asks for nobody may have them all."""
    queue, one = QueryQueue(1, waiting_max=4), Asker("a", "a")
    await queue.enter(query("a"))
    for count in range(3):
        queue.check_room(one)
        nursery.start_soon(queue.enter, query("a"))
        await trio.testing.wait_all_tasks_blocked()
        assert queue.waiting == count + 1
    with pytest.raises(MailboxFull, match="queries of a"):
        queue.check_room(one)
    queue.check_room(Asker("b", "b"))
    queue.check_room(Asker())
    nursery.start_soon(queue.enter, query())
    await trio.testing.wait_all_tasks_blocked()
    with pytest.raises(MailboxFull):
        queue.check_room(Asker())
    nursery.cancel_scope.cancel()


def test_a_client_may_ask_on_all_connections_that_there_are() -> None:
    """Whoever opens as many connections as may be, and asks on each, waits and is not refused."""
    (flag,) = [flag for flag in FLAGS if flag.name == "web.max-connections"]
    queue, asker = QueryQueue(20), Asker("this machine")
    queue.waiting = queue._waiting_of[asker.key] = int(flag.default) - 1
    queue.check_room(asker)
