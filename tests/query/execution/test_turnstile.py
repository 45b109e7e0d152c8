"""Turns of queries that take long: few compute at once, in order, small ones need none, and who is stopped has none."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from trimon.query.execution.turnstile import FREE_S, LOOK_S, TURN_S, Turns, Turnstile
from trimon.query.language.errors import QueryError


def burn(core_s: float) -> None:
    """Takes so much of a core."""
    end_s = time.thread_time() + core_s
    while time.thread_time() < end_s:
        pass


def until(condition: Callable[[], bool]) -> None:
    end_s = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end_s
        time.sleep(0.001)


def test_few_compute_at_once_and_all_come_to_their_end() -> None:
    """Of many threads never more than there are turns compute beyond their free time; each gets turns, and all end."""
    stile, inside, most, order = Turnstile(2), 0, 0, []
    lock = threading.Lock()

    def query(name: int) -> None:
        nonlocal inside, most
        turns = Turns(stile)
        turns.begin()
        burn(FREE_S * 1.5)
        for _ in range(6):
            turns.pass_(lambda: None)
            with lock:
                inside += 1
                most = max(most, inside)
                order.append(name)
            time.sleep(TURN_S / 2)
            with lock:
                inside -= 1
        turns.end()

    threads = [threading.Thread(target=query, args=(name,)) for name in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert most == 2
    assert stile.taken == stile.waiting == 0
    assert sorted(order) == sorted(list(range(6)) * 6)
    # in turn: all have begun before the first has ended
    first_end = min(len(order) - 1 - order[::-1].index(name) for name in range(6))
    assert max(order.index(name) for name in range(6)) < first_end


def test_what_is_small_needs_no_turn() -> None:
    """With all turns taken a query goes on as long as it takes little of a core, however long that lasts."""
    stile = Turnstile(1)
    stile.enter(lambda: None)
    turns = Turns(stile)
    turns.begin()
    time.sleep(FREE_S * 3)
    turns.pass_(lambda: None)
    turns.end()
    assert (stile.taken, stile.waiting) == (1, 0)


def test_who_is_stopped_while_it_waits_has_no_turn() -> None:
    """The check of one that waits is called, and its error passes; the turn goes to the next, or is free."""
    stile = Turnstile(1)
    stile.enter(lambda: None)
    began_s = time.monotonic()

    def stopped() -> None:
        raise QueryError("stopped")

    with pytest.raises(QueryError, match="stopped"):
        stile.enter(stopped)
    assert time.monotonic() - began_s >= LOOK_S * 0.9
    assert (stile.taken, stile.waiting) == (1, 0)
    entered = threading.Thread(target=stile.enter, args=(lambda: None,))
    entered.start()
    until(lambda: stile.waiting == 1)
    stile.leave()
    entered.join(20)
    assert (stile.taken, stile.waiting) == (1, 0)
    stile.leave()
    assert stile.taken == 0
