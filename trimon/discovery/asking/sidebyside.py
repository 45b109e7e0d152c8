"""Calls over several clients at once, one at a time over each; the first error ends all of them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

import trio

from trimon.discovery.asking.api import Api
from trimon.discovery.plugin import Context

T = TypeVar("T")
R = TypeVar("R")


async def of_each(
    context: Context,
    items: Sequence[T],
    ask: Callable[[Api, T], Awaitable[R]],
    at_once: int,
    timeout_s: float,
) -> list[R]:
    """What is asked about each item, in their order. Raises the first error, out of any group.

    One of the clients is that of the context, which is not to be used for anything else meanwhile.
    """
    fetches = [context.fetch, *(context.further_fetch() for _ in items[1:at_once])]
    found: dict[int, R] = {}
    errors: list[Exception] = []
    waiting = iter(enumerate(items))

    async def work(api: Api, scope: trio.CancelScope) -> None:
        for at, item in waiting:
            try:
                found[at] = await ask(api, item)
            except Exception as error:  # noqa: BLE001 # it is raised below, out of the nursery
                errors.append(error)
                scope.cancel()
                return

    try:
        async with trio.open_nursery() as nursery:
            for fetch in fetches:
                nursery.start_soon(work, Api(context, timeout_s, fetch), nursery.cancel_scope)
    finally:
        for fetch in fetches:
            if fetch is not context.fetch:
                await fetch.aclose()
    if errors:
        raise errors[0]
    return [found[at] for at in range(len(items))]
