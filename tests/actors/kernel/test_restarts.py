"""Restart budgets: exact counts, growing delays, jitter from the path."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trimon.actors.kernel import TRANSITIONS, RestartBudget, RestartPolicy, State, lifecycle_table
from trimon.actors.kernel.lifecycle import FINAL, Lifecycle


@settings(deadline=None)  # the machine may be busy
@given(
    st.integers(0, 5),
    st.floats(1, 50),
    st.lists(st.floats(0, 30), max_size=40),
)
def test_no_window_holds_more_restarts_than_allowed(
    restarts_max: int, window_s: float, gaps: list[float]
) -> None:
    """Over any sequence of ends, a restart is granted exactly when fewer than the maximum lie in the window."""
    policy = RestartPolicy(restarts_max=restarts_max, window_s=window_s, healthy_after_s=1e9)
    budget = RestartBudget(policy, "a/b")
    granted: list[float] = []
    now = 0.0
    for gap in gaps:
        now += gap
        recent = [at for at in granted if now - at < window_s]
        delay = budget.spend(now, uptime_s=0)
        assert (delay is not None) == (len(recent) < restarts_max)
        if delay is not None:
            granted.append(now)
        assert budget.used(now) <= restarts_max


def test_delays_grow_to_their_limit_within_the_jitter() -> None:
    """The n-th delay is first x factor^n, capped, within the jitter either way, equal for equal paths."""
    policy = RestartPolicy(restarts_max=1000, delay_first_s=1, delay_factor=2, delay_max_s=60, jitter=0.25)
    for trouble in range(200):
        plain = min(2.0**trouble, 60)
        delay = policy.delay_s("scrape/a/b", trouble)
        assert 0.75 * plain <= delay <= 1.25 * plain
        assert delay == policy.delay_s("scrape/a/b", trouble)
    spread = {policy.delay_s(f"scrape/a/{number}", 0) for number in range(100)}
    assert len(spread) == 100


def test_a_healthy_run_forgets_earlier_trouble() -> None:
    """After a run of healthy_after_s both the count and the delay start anew."""
    policy = RestartPolicy(restarts_max=2, window_s=1000, jitter=0, delay_first_s=1, healthy_after_s=50)
    budget = RestartBudget(policy, "a")
    assert [budget.spend(now, 0) for now in (1, 2, 3)] == [1, 2, None]
    assert budget.spend(60, 57) == 1
    assert budget.used(60) == 1


@pytest.mark.parametrize("bad", [{"restarts_max": -1}, {"jitter": 1.0}])
def test_a_policy_without_meaning_is_refused(bad: dict[str, Any]) -> None:
    """Negative counts and a jitter that could make a delay negative are programming errors."""
    with pytest.raises(ValueError, match="must"):
        RestartPolicy(**bad)


def test_the_lifecycle_is_closed_and_printable() -> None:
    """Every state has a row, every state is reachable from planned, and the table names all of them."""
    seen = {State.PLANNED}
    while True:
        more = {after for state in seen for after in TRANSITIONS[state]} | seen
        if more == seen:
            break
        seen = more
    assert seen == set(State)
    assert set(TRANSITIONS) == set(State)
    assert State.STOPPED in FINAL
    table = lifecycle_table()
    assert all(state.value in table for state in State)


def test_an_illegal_move_is_a_bug() -> None:
    """A child cannot leave a final state."""
    life = Lifecycle(0)
    life.move(State.STOPPED, 1)
    with pytest.raises(AssertionError):
        life.move(State.STARTING, 2)


def test_what_is_excused_uses_up_nothing() -> None:
    """Crashes of excused types wait longer each time and are restarted for ever, also in a group; others count."""
    policy = RestartPolicy(restarts_max=2, delay_first_s=1, jitter=0, excused=(OSError,))
    budget = RestartBudget(policy, "p")
    delays = [budget.spend(0.0, 0.0, ConnectionResetError("down")) for _ in range(8)]
    assert delays == [1, 2, 4, 8, 16, 30, 30, 30]
    group = BaseExceptionGroup("two", [OSError("one"), TimeoutError("other")])
    assert budget.spend(0.0, 0.0, group) is not None
    assert budget.used(0.0) == 0
    mixed = BaseExceptionGroup("two", [OSError("one"), ValueError("bug")])
    assert [budget.spend(0.0, 0.0, crash) is None for crash in (mixed, ValueError(), ValueError())] == [
        False,
        False,
        True,
    ]
