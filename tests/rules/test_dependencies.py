"""Rules of a group that do not read one another may be evaluated at once."""

from __future__ import annotations

import pytest

from trimon.query.language.options import QueryOptions
from trimon.rules.dependencies import batches_of, readings_of
from trimon.rules.spec import AlertingSpec, RecordingSpec, RuleSpec


def rules(*texts: str) -> list[RuleSpec]:
    """`name: expression` is a recording rule, `!name: expression` an alerting one."""
    found: list[RuleSpec] = []
    for text in texts:
        name, _, expr = text.partition(": ")
        found.append(AlertingSpec(name[1:], expr) if name.startswith("!") else RecordingSpec(name, expr))
    return found


@pytest.mark.parametrize(
    ("texts", "batches"),
    [
        ((), ()),
        (("a: x",), ((0,),)),
        (("a: x", "b: y", "c: z"), ((0, 1, 2),)),
        (("a: x", "b: a", "c: b", "d: y"), ((0, 3), (1,), (2,))),
        (("a: x", "b: a", "c: a"), ((0,), (1, 2))),
        (("b: a", "a: x"), ((1,), (0,))),
        (("a: a + 1", "b: x"), ((0, 1),)),
        (("a: x", 'b: {__name__=~"a|c"}'), ((0,), (1,))),
        (("a: x", 'b: count({job="j"})', "c: y"), ((0,), (1,), (2,))),
        (("a: x", 'b: rate({__name__="a"}[5m])', "c: max_over_time(b[5m:1m])"), ((0,), (1,), (2,))),
        (("!A: x", "!B: ALERTS", "c: y"), ((0, 2), (1,))),
        (("!A: x", '!B: ALERTS{alertname="C"}', "c: y"), ((0, 1, 2),)),
        (("!A: x", '!B: ALERTS_FOR_STATE{alertname="A"}'), ((0,), (1,))),
    ],
)
def test_rules_are_batched_by_what_they_read(
    texts: tuple[str, ...], batches: tuple[tuple[int, ...], ...]
) -> None:
    """First what reads no other rule, then the middle one by one, then what nobody reads; one unnamed selector stops it."""
    assert batches_of(rules(*texts), QueryOptions()) == batches


def test_long_chains_are_read() -> None:
    """A chain of operators that is longer than a stack is deep has its selectors found."""
    long = " + ".join(["x"] * 5000)
    assert batches_of(rules(f"a: {long}", f"b: a + {long}"), QueryOptions()) == ((0,), (1,))


@pytest.mark.parametrize(
    ("texts", "readings"),
    [
        (("a: x", "b: x", "!C: x > 1"), (0, 0, 0)),
        (("a: x", "b: a", "c: a"), (0, 1, 1)),
        (("a: a", "b: x", "c: b + a"), (0, 0, 2)),
        (("!A: x", '!B: ALERTS{alertname="A"}'), (0, 1)),
        (("a: x", 'b: {job="j"}', "c: x"), (0, 1, 1)),
    ],
)
def test_which_rules_share_a_reading(texts: tuple[str, ...], readings: tuple[int, ...]) -> None:
    """A new reading begins where a rule reads what another one has recorded since the last one began."""
    assert readings_of(rules(*texts), QueryOptions()) == readings


def test_a_template_may_read_anything() -> None:
    """A rule whose texts ask queries begins a reading."""
    asking = AlertingSpec("B", "x", annotations=(("s", '{{ query "a" }}'),))
    assert readings_of([*rules("a: x"), asking], QueryOptions()) == (0, 1)
