"""Calls over several clients: their order, their number at once, and their first error."""

from __future__ import annotations

from dataclasses import replace

import pytest
import trio

from trimon.discovery.asking.api import Api
from trimon.discovery.asking.record import SourceError
from trimon.discovery.asking.sidebyside import of_each
from trimon.discovery.doubles import PreparedFetch, context_of_doubles


async def test_results_come_in_order_and_clients_are_bounded(autojump_clock: object) -> None:
    """Each item has its result, no more run at once than there may; every client but that of the context is closed."""
    made: list[PreparedFetch] = []
    closed: list[PreparedFetch] = []

    class Closing(PreparedFetch):
        async def aclose(self) -> None:
            closed.append(self)

    def another() -> PreparedFetch:
        made.append(Closing())
        return made[-1]

    running = most = 0

    async def ask(api: Api, item: int) -> int:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await trio.sleep(10 - item % 7)
        running -= 1
        return item * 2

    context = replace(context_of_doubles(), another_fetch=another)
    assert await of_each(context, range(50), ask, 8, 1.0) == [item * 2 for item in range(50)]
    assert (most, len(made), closed) == (8, 7, made)
    assert await of_each(context, [], ask, 8, 1.0) == []


async def test_the_first_error_ends_all(autojump_clock: object) -> None:
    """It is raised as it is, in no group, and no other call goes on."""
    ended = []

    async def ask(api: Api, item: int) -> None:
        if item == 2:
            raise SourceError("no")
        await trio.sleep(100)
        ended.append(item)

    with pytest.raises(SourceError, match=r"^no$"):
        await of_each(context_of_doubles(), range(10), ask, 4, 1.0)
    assert not ended
