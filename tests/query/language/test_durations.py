"""Duration expressions: where they end, what they come to, how they are printed, and what is wrong with them."""

from __future__ import annotations

import pytest

from trimon.query.conformance.memory import MemoryStore
from trimon.query.engine import format_query, instant, parse, parse_query, range_
from trimon.query.execution.budget import Budget
from trimon.query.language.errors import ParseError, QueryError
from trimon.query.language.nodes import Binary
from trimon.query.language.options import QueryOptions
from trimon.query.language.printer import print_expr

PLAIN = QueryOptions()


@pytest.mark.parametrize(
    ("query", "printed"),
    [
        ("g[2 * 1m]", "g[2 * 1m]"),
        ("g[((2 * 1m))]", "g[(2 * 1m)]"),
        ("g[(5m)]", "g[(5m)]"),
        ("g[300]", "g[5m]"),
        ("g[+(5m)]", "g[(5m)]"),
        ("g[1.5*1m]", "g[1.5 * 1m]"),
        ("g[-(5m)]", "g[-(5m)]"),
        ("g[2 ^ 3:step()]", "g[2 ^ 3:step()]"),
        ("g offset +step()", "g offset step()"),
        ("g offset 0", "g"),
        ("g offset (0)", "g offset (0)"),
        (
            "g[min_of(1m, 90):max_of(10s,20)] offset (1m + 30)",
            "g[min_of(1m, 90):max_of(10s, 20)] offset (1m + 30)",
        ),
    ],
)
def test_printing(query: str, printed: str) -> None:
    """Numbers in an expression are printed as numbers, a number alone as a duration; parentheses once, a plus not at all."""
    assert print_expr(parse(query, PLAIN)) == printed
    assert format_query(query, PLAIN) == printed


@pytest.mark.parametrize(
    ("query", "offset_ms"),
    [
        ("g offset (5m) * 2", 600_000),
        ("g offset (5m) + 2", 302_000),
        ("g offset (1m + 30s) * 2 ^ 2", 360_000),
    ],
)
def test_an_offset_in_parentheses_goes_on(query: str, offset_ms: int) -> None:
    """Behind a parenthesis arithmetic is still about the offset: the tree is a selector."""
    store = MemoryStore()
    store.extend((("__name__", "g"),), [(1_000_000 - offset_ms, 7.0), (1_000_000, 8.0)])
    assert parse_query(query, PLAIN)["type"] == "vectorSelector"
    assert instant(store, query, 1_000_000, PLAIN, Budget(PLAIN)).values.tolist() == [[7.0]]


@pytest.mark.parametrize(
    "offset", ["5m", "-5m", "-(5m)", "+(5m)", "step()", "-step()", "min_of(1m, 2m)", "-2"]
)
def test_other_offsets_end_at_once(offset: str) -> None:
    """Behind a literal, a call and a sign arithmetic is about the values."""
    assert isinstance(parse(f"g offset {offset} * 2", PLAIN), Binary)


@pytest.mark.parametrize(
    ("query", "complaint"),
    [
        ("g[step():15s]", "1:10: parse error: unexpected colon before duration in duration expression"),
        ("g[:15s]", "1:4: parse error: unexpected colon before duration in duration expression"),
        ("g[5m::]", "1:6: parse error: unexpected colon ':'"),
        ("g[0]", "1:3: parse error: duration must be greater than 0"),
        ("g[-5m]", "1:3: parse error: duration must be greater than 0"),
        ("g[5m:0s]", "1:6: parse error: duration must be greater than 0"),
        ("g[5m / 0]", "1:6: parse error: division by zero"),
        ("g[5m % 0]", "1:6: parse error: modulo by zero"),
        ("g[x]", "1:3: parse error: unexpected character in duration expression: 'x'"),
        ("g[5m x]", "1:6: parse error: unexpected character: 'x', expected ':'"),
        ("g[", "1:3: parse error: unexpected end of input in duration expression"),
        (
            "g[step]",
            '1:7: parse error: unexpected "]" in subquery or range selector, expected number, duration, step(), or range()',
        ),
    ],
)
def test_complaints(query: str, complaint: str) -> None:
    """What is wrong with a text is told where it stands."""
    with pytest.raises(ParseError) as caught:
        parse(query, PLAIN)
    assert str(caught.value) == complaint


@pytest.mark.parametrize(
    ("query", "complaint"),
    [
        ("g[5m-5m]", "2:7: duration must be greater than 0"),
        ("g[-(5m)]", "2:6: duration must be greater than 0"),
        ("g[5m:step()]", "5:11: duration must be greater than 0"),
        ("sum_over_time(g[range()])", "16:23: duration must be greater than 0"),
        ("g[5m / (1-1)]", "2:11: division by zero"),
        ("g offset (10 ^ 300)", "10:18: duration is out of range"),
        ("g offset (10 ^ 400)", "10:18: duration is NaN or infinite"),
    ],
)
def test_values_that_can_not_be(query: str, complaint: str) -> None:
    """What only the query's times show is bad data as well, told with the bytes from where to where it stands."""
    with pytest.raises(ParseError) as caught:
        instant(MemoryStore(), query, 0, PLAIN, Budget(PLAIN))
    assert caught.value.message == complaint


def test_less_than_a_millisecond() -> None:
    """A computed step of less than a millisecond is the default; one that is written is refused, where 3.14 divides by zero."""
    store = MemoryStore()
    store.extend((("__name__", "g"),), [(0, 1.0)])
    whole = range_(store, "count_over_time(g[2m:(1 / 10000)])", 120_000, 120_000, 1000, PLAIN, Budget(PLAIN))
    assert whole.values.tolist() == [[2.0]]
    with pytest.raises(QueryError, match="less than a millisecond"):
        instant(store, "g[2m:0.0001]", 0, PLAIN, Budget(PLAIN))
