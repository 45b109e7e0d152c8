"""In which order rules are evaluated: at once where a rule may be, in turn where one would see what is not there yet."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from trimon.query.language.options import QueryOptions
from trimon.rules.backtest.order import Dependencies, PlacedRule
from trimon.rules.file import read_rules
from trimon.rules.spec import RuleDefaults

OPTIONS = QueryOptions()


def dependencies(*groups: tuple[str, dict[str, str]]) -> Dependencies:
    """Of groups of a query offset and rules; what begins with a capital is an alert."""
    text = json.dumps(
        {
            "groups": [
                {
                    "name": str(at),
                    "query_offset": offset,
                    "rules": [
                        {"alert" if name[0].isupper() else "record": name, "expr": expr}
                        for name, expr in rules.items()
                    ],
                }
                for at, (offset, rules) in enumerate(groups)
            ]
        }
    )
    specs = read_rules(text, Path("r.yml"), RuleDefaults())
    placed = [PlacedRule(spec, place) for spec in specs for place in range(len(spec.rules))]
    return Dependencies(placed, OPTIONS, lambda: None)


def in_turn(*groups: tuple[str, dict[str, str]]) -> list[list[int]]:
    """The rules that are evaluated in turn; all are there once, in their order."""
    turns = dependencies(*groups).turns()
    every = [at for turn in turns for at in turn.rules]
    assert every == list(range(len(every)))
    assert all(len(turn.rules) == 1 for turn in turns if turn.at_once)
    return [list(turn.rules) for turn in turns if not turn.at_once]


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ({"a": "x", "b": "a / 2", "C": "rate(b[5m]) > 1"}, []),
        ({"a": "x", "b": "a + d", "c": "max(b)", "d": "c * 2", "e": "d"}, [[1, 2, 3]]),
        ({"a": "x", "b": "b offset 1m + a"}, [[1]]),
        ({"a": "x", "z": "x", "B": "a offset -1m"}, [[0, 1, 2]]),
        ({"a": "x", "B": "max_over_time(a[5m:1m] @ 17)"}, [[0, 1]]),
        ({"A": "x", "B": "x", "c": "ALERTS{alertname='B'}"}, []),
        ({"A": "x", "c": "ALERTS{alertname='B'}", "B": "x"}, [[1, 2]]),
        ({"a": "x", "B": "{__name__=~'a|b'}"}, []),
        ({"a": "{job='x'}", "b": "x"}, [[0, 1]]),
    ],
)
def test_what_is_in_turn(rules: dict[str, str], expected: list[list[int]]) -> None:
    """In turn is what reads a later rule or itself, or looks ahead of its time."""
    assert in_turn(("0s", rules)) == expected


def test_a_smaller_offset_would_see_the_future() -> None:
    """What a group records at an offset is read at once by groups of at least that offset alone."""
    assert in_turn(("1m", {"a": "x"}), ("2m", {"b": "a"})) == []
    assert in_turn(("1m", {"a": "x"}), ("30s", {"b": "a"})) == [[0, 1]]


def test_a_rule_needs_what_it_reads() -> None:
    """A rule is evaluated with those that it reads, directly or not."""
    found = dependencies(("0s", {"a": "x", "b": "y", "c": "a", "D": "c > 1"}))
    assert found.needed([3]) == [0, 2, 3]
