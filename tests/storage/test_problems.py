"""Faults are listed by cause: a flood of one leaves room for all others."""

from __future__ import annotations

from trimon.clock import StoppedClock
from trimon.storage.problems import SUBJECTS_MAX, Problems
from trimon.storage.wal.replay import ReplayReport


def test_a_cause_is_one_line_with_count_and_times() -> None:
    """The same again is counted, with the text of the last and the times of first and last."""
    clock = StoppedClock(1_700_000_000_000)
    problems = Problems(clock)
    problems.note("blocks", "A", "a page of A")
    assert problems.lines() == ["a page of A"]
    clock.value_ms += 60_000
    problems.note("blocks", "A", "another page of A", 4)
    assert problems.lines() == [
        "another page of A (5 times, first 2023-11-14T22:13:20.000Z, last 2023-11-14T22:14:20.000Z)"
    ]
    assert problems.total == 5


def test_a_flood_of_one_kind_leaves_others() -> None:
    """Thousands of subjects of one kind take so many lines and one for the rest; every kind is there."""
    problems = Problems(StoppedClock(0))
    problems.note("files", "metadata", "first")
    for number in range(5000):
        problems.note("groups", f"g{number}", f"group {number}")
    problems.note("blocks", "B", "last")
    lines = problems.lines()
    assert len(lines) == SUBJECTS_MAX + 3
    assert (lines[0], lines[-1]) == ("first", "last")
    assert any(line.startswith(f"group 4999 ({5000 - SUBJECTS_MAX} times") for line in lines)


def test_a_damaged_group_of_the_log_is_one_line() -> None:
    """What builds on a lost row is counted, not listed."""
    report = ReplayReport()
    for _ in range(500):
        report.problem("groups of the log", "group g", "group g: a row that builds on a lost one")
    report.problem("segments of the log", "0", "bytes are damaged")
    assert report.problems == [
        "group g: a row that builds on a lost one (500 times)",
        "bytes are damaged",
    ]


def test_what_is_over_says_since_when() -> None:
    """A cause that does not happen any more says so, until it happens again."""
    clock = StoppedClock(1_700_000_000_000)
    problems = Problems(clock)
    problems.over("log", "append")
    problems.note("log", "append", "samples are refused")
    clock.value_ms += 5_000
    problems.over("log", "append")
    clock.value_ms += 5_000
    problems.over("log", "append")
    assert problems.lines() == ["samples are refused; it is over since 2023-11-14T22:13:25.000Z"]
    problems.note("log", "append", "samples are refused")
    assert "over since" not in problems.lines()[0]
