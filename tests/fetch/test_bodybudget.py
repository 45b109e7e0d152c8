"""One budget for many bodies: it is never exceeded, everybody comes to an end, and what nobody refers to is given back."""

from __future__ import annotations

import gzip

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock

from tests.support.raw_peer import Peer, ok
from trimon.fetch import bodybudget
from trimon.fetch.bodybudget import BodyBudget
from trimon.fetch.client import HttpFetch
from trimon.fetch.request import FetchRequest, Response

ONE_MAX = 10
MAX = 25


@given(st.lists(st.lists(st.integers(1, 4), max_size=8), max_size=12))
def test_the_budget_holds_and_all_come_to_an_end(bodies: list[list[int]]) -> None:
    """Whatever grows beside each other, each to at most one body's length."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bodybudget, "UNCOUNTED_BYTES", 0)
        budget, most = BodyBudget(MAX, ONE_MAX), [0]

        async def body(steps: list[int]) -> None:
            lease, size = budget.lease(), 0
            for step in steps:
                size = min(size + step, ONE_MAX)
                await lease.hold(size)
                most[0] = max(most[0], budget.held_bytes)
                await trio.sleep(0.01)

        async def main() -> None:
            async with trio.open_nursery() as nursery:
                for steps in bodies:
                    nursery.start_soon(body, steps)

        trio.run(main, clock=MockClock(autojump_threshold=0))
        assert most[0] <= MAX
        assert (budget.held_bytes, budget.waiting) == (0, 0)


def test_a_budget_has_room_for_more_than_one() -> None:
    """Else whoever comes second would wait for ever."""
    with pytest.raises(ValueError, match="less than two bodies"):
        BodyBudget(19, 10)


@pytest.mark.parametrize("zipped", [False, True])
async def test_answers_wait_for_one_another(
    zipped: bool, peer: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A body that is held keeps the next one waiting, as it comes or as it is decompressed; in the end both are there."""
    monkeypatch.setattr(bodybudget, "UNCOUNTED_BYTES", 0)
    body = bytes(range(256)) * 4000
    peer.answers["/m"] = ok(gzip.compress(body, 0), "Content-Encoding: gzip\r\n") if zipped else ok(body)
    one_max = (2 if zipped else 1) * len(body) + 10_000
    budget = BodyBudget(2 * one_max, one_max)
    request = FetchRequest(peer.url("/m"), bodies=budget)
    found: list[bytes] = []
    kept: list[Response] = []

    async def ask() -> None:
        fetch = HttpFetch()
        response = await fetch.send(request)
        found.append(response.body)
        kept.append(response)
        await fetch.aclose()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask)
        while not found:  # noqa: ASYNC110 # the first has come, and is kept
            await trio.sleep(0.01)
        assert 0 < budget.held_bytes <= one_max
        nursery.start_soon(ask)
        while len(found) < 2:  # noqa: ASYNC110 # the second has the rest
            await trio.sleep(0.01)
        nursery.start_soon(ask)
        while not budget.waiting:  # noqa: ASYNC110 # there is no room for the third
            await trio.sleep(0.01)
        assert budget.held_bytes <= 2 * one_max
        kept.clear()
    assert found == [body] * 3
    kept.clear()
    assert (budget.held_bytes, budget.waiting) == (0, 0)
