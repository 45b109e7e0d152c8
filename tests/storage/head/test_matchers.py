"""Matchers: what stands for an automaton matches as the automaton does."""

from __future__ import annotations

import pytest
import re2

from trimon.errors import UserError
from trimon.model.matcher import Matcher, MatchType, _programs

PATTERNS = (
    "a",
    "a|b",
    "(a|b)",
    "(?:a|b)",
    "",
    "()",
    "a|",
    "(?:)",
    "a.*",
    "a.+",
    ".*",
    ".+",
    "(.+)",
    "é|b",
    "[ab]",
)
BROKEN = ("?:a", "(a", "a|b)", "a|*", "(?:?:a)", "a{2", "\\", "a|\ud800")


@pytest.mark.parametrize("pattern", PATTERNS)
def test_short_cuts_match_as_the_automaton(pattern: str) -> None:
    """Every way of matching says of each value what the expression itself says."""
    compiled = re2.compile(f"(?s:{pattern})")
    for value in ("", "a", "b", "ab", "a\n", "é", "a|b", "?:a"):
        wanted = compiled.fullmatch(value) is not None
        assert Matcher("x", MatchType.REGEXP, pattern).matches(value) == wanted
        assert Matcher("x", MatchType.NOT_REGEXP, pattern).matches(value) != wanted


@pytest.mark.parametrize("pattern", BROKEN)
def test_broken_expressions_are_refused(pattern: str) -> None:
    """What RE2 refuses is refused, also where it looks like a list of names."""
    try:
        re2.compile(pattern)
    except (re2.error, UnicodeEncodeError):
        with pytest.raises(UserError, match="error parsing regexp"):
            Matcher("x", MatchType.REGEXP, pattern)
    else:
        Matcher("x", MatchType.REGEXP, pattern)


def test_lists_of_names_leave_no_automaton() -> None:
    """A dashboard's alternation of names is compared as a set; automata that are kept are few."""
    for number in range(50):
        pattern = "|".join(f"name-{number}-{k}" for k in range(100))
        Matcher("x", MatchType.REGEXP, pattern)
        assert _programs.get(pattern) is None
