"""What is remembered of queries that have ended."""

from __future__ import annotations

import trio

from trimon.actors.querying.pastqueries import TEXT_CHARACTERS_MAX, PastQueries
from trimon.actors.querying.querylog import QueryRecord
from trimon.query.execution.budget import Budget
from trimon.query.execution.stats import QueryStats
from trimon.query.language.options import QueryOptions
from trimon.virtualclock import VirtualClock


def record(text: str, evaluation_s: float = 0.0) -> QueryRecord:
    made = QueryRecord(text, 1000, 61_000, 15_000, {"httpRequest": {"clientIP": "10.0.0.1"}})
    made.stats = QueryStats(5, evaluation_s=evaluation_s, queue_s=0.25)
    return made


class Spent(Budget):
    """A budget of a query that took so long."""

    elapsed_s = 0.0


def spent(took_s: float, *, queue_s: float = 0.0, read: int = 0, canceled: bool = False) -> Budget:
    made = Spent(QueryOptions())
    made.elapsed_s, made.queue_s, made.read = took_s, queue_s, read
    if canceled:
        made.cancel()
    return made


async def test_the_slowest_run_of_each_text_is_kept(autojump_clock: trio.testing.MockClock) -> None:
    """Texts are ordered by their slowest run; a later quick run changes count, sum and last alone."""
    past = PastQueries(VirtualClock())
    past.add(record("a", 2.0), spent(3.0))
    past.add(record("b"), spent(5.0))
    past.add(record("a", 0.1), spent(0.5), error="query timed out")
    first, second = past.slowest(10)
    assert (first.text, second.text) == ("b", "a")
    assert (second.count, second.errors, second.total_s) == (2, 1, 3.5)
    assert (second.slowest.took_s, second.slowest.evaluation_s, second.slowest.error) == (3.0, 2.0, "")
    assert (second.last.took_s, second.last.error) == (0.5, "query timed out")
    shown = second.slowest.as_data()
    assert (shown["start"], shown["step_s"], shown["queue_s"]) == ("1970-01-01T00:00:01.000Z", 15.0, 0.25)
    assert shown["httpRequest"] == {"clientIP": "10.0.0.1"}
    assert past.slowest(1) == [first]


async def test_a_bounded_number_of_texts_is_kept(autojump_clock: trio.testing.MockClock) -> None:
    """Those that were asked longest ago go, and long texts are cut."""
    past = PastQueries(VirtualClock(), most=3)
    for text in ("a", "b", "c", "a", "d" * (TEXT_CHARACTERS_MAX + 10)):
        past.add(record(text), spent(1.0))
    assert {each.text for each in past.slowest(10)} == {"a", "c", "d" * TEXT_CHARACTERS_MAX}


async def test_what_pages_ask_is_kept_apart(autojump_clock: trio.testing.MockClock) -> None:
    """It is counted by itself, drives nothing out that a person asked, and can be left out."""
    past = PastQueries(VirtualClock(), most=2, most_of_pages=2)
    for text in ("a", "b"):
        past.add(record(text), spent(1.0))
    for text in ("a", "time()", "count(up)"):
        asked = record(text)
        asked.by_page = True
        past.add(asked, spent(2.0))
    shown = [(each.text, each.by_page, each.count) for each in past.slowest(10)]
    assert shown == [("time()", True, 1), ("count(up)", True, 1), ("a", False, 1), ("b", False, 1)]
    assert [each.text for each in past.slowest(10, by_pages=False)] == ["a", "b"]


async def test_what_did_not_end_says_what_it_did(autojump_clock: trio.testing.MockClock) -> None:
    """A run that failed or was stopped has its waiting, its computing and its samples; stopping is no error."""
    past = PastQueries(VirtualClock())
    for error, canceled in (("query timed out in evaluation", False), ("query was canceled", True)):
        made = QueryRecord("a", 0, 0, 0, {})
        past.add(made, spent(5.0, queue_s=1.0, read=700, canceled=canceled), error)
    (found,) = past.slowest(10)
    assert (found.count, found.errors, found.canceled) == (2, 1, 1)
    assert (found.last.queue_s, found.last.evaluation_s, found.last.samples, found.last.canceled) == (
        1.0,
        4.0,
        700,
        True,
    )
    never = QueryRecord("b", 0, 0, 0, {})
    past.add(never, spent(2.0), "query timed out in query queue")
    assert (past.slowest(10)[1].last.queue_s, past.slowest(10)[1].last.evaluation_s) == (2.0, 0.0)
