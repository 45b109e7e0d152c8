"""What questions took, and which of them may run on the loop."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

import pytest
import trio

from tests.actors.querying.test_gate import gate
from trimon.actors.loop import passes
from trimon.actors.loop.passes import LoopPass
from trimon.actors.querying.pastcosts import QUICK_S, REMEMBERED_MAX, PastCosts, question_of
from trimon.actors.querying.querylog import QueryRecord
from trimon.actors.querying.quickruns import HELD_S_MAX
from trimon.model.snapshot import Snapshot
from trimon.offload import InlineOffload
from trimon.query.execution.budget import Budget
from trimon.query.language.errors import FailureKind, QueryError
from trimon.query.language.options import QueryOptions

OPTIONS = QueryOptions()


def test_only_so_many_are_remembered() -> None:
    """Memory is bounded, and what was not asked for longest goes first."""
    costs = PastCosts()
    costs.note("first", 1.0, 7)
    for number in range(REMEMBERED_MAX - 1):
        costs.note(number, 0.0, 0)
    assert costs.of("first").core_s == 1.0
    assert costs.of("first").reserved_bytes == 7
    costs.note("last", 0.0, 0)
    assert costs.of("first").core_s == 0.0


def test_a_question_is_quick_after_it_was_twice() -> None:
    """Once is chance; one slow run, or one that needs more than it may, and it has to show it again."""
    costs = PastCosts()
    costs.note("q", QUICK_S / 2, 0)
    assert not costs.is_quick("q")
    costs.note("q", QUICK_S / 2, 0)
    assert costs.is_quick("q")
    costs.note("q", QUICK_S * 1.1, 0)
    assert not costs.is_quick("q")
    for _ in range(2):
        costs.note("q", QUICK_S / 2, 0)
    assert costs.is_quick("q")
    costs.slow("q")
    assert not costs.is_quick("q")


def test_what_once_took_long_is_not_quick_for_a_while() -> None:
    """What had to decode a block may have to do so again; the longer ago it was, the less it counts."""
    costs = PastCosts()
    costs.note("q", 0.02, 0)
    runs = 0
    while not costs.is_quick("q"):
        costs.note("q", 0.0001, 0)
        runs += 1
    assert 4 <= runs <= 12


def test_a_question_of_another_time_is_another_question() -> None:
    """The same text over other samples may have other costs: by length, step, and how long ago it begins."""
    now_ms = 1_000_000_000

    def asked(start_ms: int, end_ms: int, step_ms: int) -> object:
        return question_of("q", QueryRecord("q", start_ms, end_ms, step_ms), now_ms)

    questions = {
        asked(now_ms, now_ms, 0),
        asked(now_ms - 86_400_000, now_ms - 86_400_000, 0),
        asked(now_ms - 3_600_000, now_ms, 15_000),
        asked(now_ms - 3_600_000, now_ms, 60_000),
    }
    assert len(questions) == 4
    assert asked(now_ms - 1000, now_ms - 1000, 0) in questions


async def test_a_quick_question_is_answered_without_a_thread() -> None:
    """From the third time on, until it fails: then it is run as any other, and says why there."""
    offload = InlineOffload()
    queries = gate(offload)
    fails = False

    def work(_: Snapshot, budget: Budget) -> int:
        if fails:
            raise QueryError("too many", FailureKind.EXECUTION)
        assert budget.samples_max > 0
        return 5

    async def asked(answer: Callable[[Snapshot, Budget], int]) -> int:
        found = queries.run_quick("q", OPTIONS, answer)
        return found if found is not None else await queries.run("q", OPTIONS, answer)

    assert queries.run_quick("q", OPTIONS, work) is None
    for _ in range(2):
        assert await asked(work) == 5
    assert queries.run_quick("q", OPTIONS, work) == 5
    assert queries.served == 3
    fails = True
    assert queries.run_quick("q", OPTIONS, work) is None
    with pytest.raises(QueryError, match="too many"):
        await asked(work)
    fails = False
    assert queries.run_quick("q", OPTIONS, work) is None


async def test_a_crowd_that_is_ready_at_once_goes_to_threads() -> None:
    """When tasks of the same pass have held the loop for some milliseconds, the rest is run in threads."""
    held_s = 0.0
    queries = gate(InlineOffload(), held_s=lambda: held_s)
    for _ in range(2):
        await queries.run("q", OPTIONS, lambda *_: 5)
    assert queries.run_quick("q", OPTIONS, lambda *_: 5) == 5
    held_s = HELD_S_MAX * 2
    assert queries.run_quick("q", OPTIONS, lambda *_: 5) is None


async def test_a_pass_of_the_loop_begins_when_it_has_looked_at_sockets(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What tasks do is counted from the last look on, and nothing where nobody sees the loop."""
    loop_pass, now_s = LoopPass(), 7.0
    monkeypatch.setattr(passes, "time", SimpleNamespace(perf_counter=lambda: now_s))
    assert loop_pass.elapsed_s() == 0.0
    trio.lowlevel.add_instrument(loop_pass)
    try:
        await trio.lowlevel.checkpoint()
        assert loop_pass.elapsed_s() == 0
        now_s += 0.25
        assert loop_pass.elapsed_s() == 0.25
        await trio.lowlevel.checkpoint()
        assert loop_pass.elapsed_s() == 0
    finally:
        trio.lowlevel.remove_instrument(loop_pass)


def test_a_long_text_is_known_by_little() -> None:
    """What a question is known by takes no more memory the longer it is, and other questions are others."""
    keys = {question_of("x" * length + "y", None, 0) for length in (10_000, 100_000)}
    assert len(keys) == 2
    assert max(len(str(key)) for key in keys) < 100
