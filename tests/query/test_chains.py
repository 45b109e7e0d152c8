"""Chains of thousands of binary operators: trees that grow to the left, which no step may walk with a stack of calls."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from trimon.limits import QUERY_CHAIN_MAX, QUERY_FORMATTED_BYTES_MAX
from trimon.memory.texts import LONGEST
from trimon.model.labels import labels_of
from trimon.query import engine
from trimon.query.conformance.memory import MemoryStore
from trimon.query.execution.budget import Budget
from trimon.query.explain import explain
from trimon.query.language.errors import ParseError
from trimon.query.language.options import QueryOptions
from trimon.query.language.parser import Parser
from trimon.query.language.printer import print_expr

PLAIN = QueryOptions()
CHAINS: dict[str, Callable[[int], str]] = {
    "scalars": lambda count: "1" + "+1" * count,
    "vector and scalars": lambda count: "x" + " + 1" * count,
    "sets": lambda count: " or ".join(["x"] * (count + 1)),
    "sets of many selectors": lambda count: " or ".join(
        f'x{{i="{index % 7}{index}"}}' for index in range(count + 1)
    ),
    "matched": lambda count: "x" + " + on (i) x" * count,
    "fixed": lambda count: "x @ 1" + " + x @ 1" * count,
}


@pytest.fixture(autouse=True)
def shallow() -> Iterator[None]:
    """Calls may be no deeper than a text is nested: a walk that calls itself for every operator fails."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(1500)
    yield
    sys.setrecursionlimit(before)


def store() -> MemoryStore:
    """Three series of ten samples."""
    out = MemoryStore()
    for index in range(3):
        labels = labels_of({"__name__": "x", "i": str(index)})
        out.extend(labels, [(step * 1000, float(index)) for step in range(10)])
    return out


def everything(query: str) -> float:
    """Take a query through every step; the sum of what it gives."""
    world = store()
    expr = engine.parse(query, PLAIN)
    flat = print_expr(expr)
    assert print_expr(engine.parse(flat, PLAIN)) == flat
    assert " ".join(engine.format_query(query, PLAIN).split()) == flat
    assert engine.parse_query(query, PLAIN)["type"] == "binaryExpr"
    plan = explain(world, query, 5000, 5000, 0, PLAIN, analyze=True)
    assert len(plan.lines()) > 2000
    ranged = engine.range_(world, query, 1000, 5000, 1000, PLAIN, Budget(PLAIN))
    single = engine.instant(world, query, 5000, PLAIN, Budget(PLAIN))
    np.testing.assert_array_equal(ranged.values[:, -1], single.values[:, 0])
    return float(single.values.sum())


@pytest.mark.parametrize(
    ("kind", "wanted"),
    [
        ("scalars", 3001),
        ("vector and scalars", 9003),
        ("sets", 3),
        ("sets of many selectors", 0),
        ("matched", 9003),
        ("fixed", 9003),
    ],
)
def test_thousands_of_operators(kind: str, wanted: float) -> None:
    """A chain three times as long as text may be nested is parsed, printed, explained and answered."""
    assert everything(CHAINS[kind](3000)) == wanted


def test_the_longest_chain() -> None:
    """A chain of as many operators as the limit allows has a value."""
    result = engine.instant(store(), CHAINS["scalars"](QUERY_CHAIN_MAX), 0, PLAIN, Budget(PLAIN))
    assert result.values[0, 0] == QUERY_CHAIN_MAX + 1


def test_work_grows_with_the_length() -> None:
    """Eight times as many operators take eight times as many calls; were it the square, they would take sixty-four."""

    def calls(count: int) -> int:
        query = CHAINS["vector and scalars"](count) + " " * LONGEST
        counted = 0

        def count_calls(frame: object, event: str, arg: object) -> None:
            nonlocal counted
            counted += event in ("call", "c_call")

        sys.setprofile(count_calls)
        try:
            engine.parse_query(query, PLAIN)
            engine.format_query(query, PLAIN)
            engine.instant(store(), query, 5000, PLAIN, Budget(PLAIN))
            explain(store(), query, 5000, 5000, 0, PLAIN).lines()
        finally:
            sys.setprofile(None)
        return counted

    assert calls(4000) < 9 * calls(500)


def test_formatted_text_has_a_limit() -> None:
    """Indentation grows by a level an operator; what would become gigabytes is refused with the limit's name."""
    chain = CHAINS["sets"](QUERY_CHAIN_MAX)
    with pytest.raises(ParseError, match=str(QUERY_FORMATTED_BYTES_MAX)):
        engine.format_query(f"sum({chain}) + sum({chain})", PLAIN)


def test_a_power_is_nested() -> None:
    """`^` binds to the right: such a chain is as deep as it is long, and the limit of depth counts."""
    with pytest.raises(ParseError, match="nested deeper"):
        Parser("1" + "^1" * 3000, frozenset()).parse()
