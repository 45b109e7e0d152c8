"""What the log keeps of its warnings and errors."""

from __future__ import annotations

import io

from trimon.log import make_log
from trimon.problems import TEXT_CHARACTERS_MAX, RecentProblems
from trimon.redaction import REDACTOR


def test_warnings_and_errors_are_kept_and_equal_ones_counted() -> None:
    """What differs in numbers alone is one problem, with the fields of the last time; information is none."""
    problems = RecentProblems()
    log = make_log("info", "logfmt", io.StringIO(), problems)
    log.info("fine", target="a")
    for number in range(3):
        log.warning("slow", target="a", took_s=number)
    log.error("down", target="b")
    log.warning("slow", target="c", took_s=1)
    log.bind(job="x").warning("slow", target="a", took_s=9)
    kept = problems.latest()
    assert [(each.message, each.fields.get("target"), each.count) for each in kept] == [
        ("slow", "a", 1),
        ("slow", "c", 1),
        ("down", "b", 1),
        ("slow", "a", 3),
    ]
    assert kept[3].fields["took_s"] == 2
    assert kept[0].fields["job"] == "x"
    assert [each.level for each in kept] == ["warning", "warning", "error", "warning"]


def test_what_is_not_written_is_not_kept() -> None:
    """The level of the log holds for pages, too."""
    problems = RecentProblems()
    make_log("error", "json", io.StringIO(), problems).warning("slow")
    assert problems.latest() == []


def test_their_memory_is_bounded() -> None:
    """The oldest go first, and long texts are cut."""
    problems = RecentProblems(most=3)
    log = make_log("info", "logfmt", io.StringIO(), problems)
    for number in range(10):
        message = f"message {number}"
        log.warning(message, text="x" * 10_000)
    kept = problems.latest()
    assert [each.message for each in kept] == ["message 9", "message 8", "message 7"]
    assert len(str(kept[0].fields["text"])) == TEXT_CHARACTERS_MAX


def test_credentials_are_out() -> None:
    """A secret that a message holds is masked in what is kept, as in what is written."""
    problems = RecentProblems()
    REDACTOR.add("hunter2hunter2")
    make_log("info", "logfmt", io.StringIO(), problems).error(
        "failed", err="password hunter2hunter2 is wrong"
    )
    assert "hunter2" not in str(problems.latest()[0].fields)
