"""Parsing: what is accepted, how it is printed, and the words of every complaint."""

from __future__ import annotations

import pytest

from trimon.limits import QUERY_CHAIN_MAX, QUERY_DEPTH_MAX
from trimon.query.engine import format_query, parse, parse_query
from trimon.query.language.errors import ParseError
from trimon.query.language.nodes import NumberLiteral
from trimon.query.language.options import ALL_LANGUAGE_FEATURES, QueryOptions
from trimon.query.language.printer import print_expr
from trimon.query.language.selectors import parse_selector
from trimon.query.language.signatures import FUNCTIONS

ALL = QueryOptions(features=ALL_LANGUAGE_FEATURES)
PLAIN = QueryOptions()

SELECTORS = "an instant vector selector or range vector selector or a subquery"
ERRORS = [
    ("sum(a b)", '1:7: parse error: unexpected identifier "b" in aggregation'),
    ("sum(abs((a) b))", '1:13: parse error: unexpected identifier "b" in aggregation'),
    ("sum(a) b", '1:8: parse error: unexpected identifier "b"'),
    (
        "sum(a{b c})",
        '1:9: parse error: unexpected identifier "c" in label matching, expected label matching operator',
    ),
    ("sum(a end())", '1:7: parse error: unexpected "end" in aggregation'),
    ("}", "1:1: parse error: unexpected character: '}'"),
    ("a\x00", "1:2: parse error: unexpected character: '\\x00'"),
    ("a\u00a0", "1:2: parse error: unexpected character: '\\u00a0'"),
    ('"\\c"', "1:1: parse error: unknown escape sequence U+0063 'c'"),
    ("", "unknown position: parse error: no expression found in input"),
    ("foo(", "1:5: parse error: unclosed left parenthesis"),
    ("foo{", "1:5: parse error: unexpected end of input inside braces"),
    ("foo[5m", "1:7: parse error: unclosed left bracket"),
    ("a b", '1:3: parse error: unexpected identifier "b"'),
    (
        "sum by (a b) (c)",
        '1:11: parse error: unexpected identifier "b" in grouping opts, expected "," or ")"',
    ),
    ("1 == 2", "1:3: parse error: comparisons between scalars must use BOOL modifier"),
    ("1 + bool 2", "1:3: parse error: bool modifier can only be used on comparison operators"),
    (
        "rate(foo)",
        '1:6: parse error: expected type range vector in call to function "rate", got instant vector',
    ),
    ("abs(a, b)", '1:1: parse error: expected 1 argument(s) in call to "abs", got 2'),
    ("round()", '1:1: parse error: expected at least 1 argument(s) in call to "round", got 0'),
    ("round(a, 1, 2)", '1:1: parse error: expected at most 2 argument(s) in call to "round", got 3'),
    ("abs(a,)", "1:6: parse error: trailing commas not allowed in function call args"),
    ("nope(1)", '1:1: parse error: unknown function with name "nope"'),
    ("sum()", "1:1: parse error: no arguments for aggregate expression provided"),
    (
        "sum(1, a)",
        "1:1: parse error: wrong number of arguments for aggregate expression provided, expected 1, got 2",
    ),
    (
        "topk(a)",
        "1:1: parse error: wrong number of arguments for aggregate expression provided, expected 2, got 1",
    ),
    ("sum(1)", "1:5: parse error: expected type instant vector in aggregation expression, got scalar"),
    ('topk("a", b)', "1:6: parse error: expected type scalar in aggregation parameter, got string"),
    ("{}", "1:1: parse error: vector selector must contain at least one non-empty matcher"),
    ('{a=~".*"}', "1:1: parse error: vector selector must contain at least one non-empty matcher"),
    ('a{__name__="b"}', '1:1: parse error: metric name must not be set twice: "a" or "b"'),
    ("{a=b}", '1:4: parse error: unexpected identifier "b" in label matching, expected string'),
    ("(a)[5m]", "1:4: parse error: ranges only allowed for vector selectors"),
    ("a offset 1m[5m]", "1:12: parse error: no offset modifiers allowed before range"),
    ("a @ 1 [5m]", "1:7: parse error: no @ modifiers allowed before range"),
    ("a[0s]", "1:3: parse error: duration must be greater than 0"),
    (
        "1 offset 5m",
        f"1:1: parse error: offset modifier must be preceded by {SELECTORS}",
    ),
    ("a offset 5m offset 5m", "1:1: parse error: offset may not be set multiple times"),
    ("a @ 1 @ 2", "1:1: parse error: @ <timestamp> may not be set multiple times"),
    ("a @ Inf", "1:1: parse error: timestamp out of bounds for @ modifier: +Inf"),
    ("a @ foo", '1:5: parse error: unexpected identifier "foo" in @, expected timestamp'),
    (
        "a offset",
        "1:9: parse error: unexpected end of input in offset, expected number, duration, step(), or range()",
    ),
    ("a[5m:1m", "1:8: parse error: unclosed left bracket"),
    ("1[5m:]", "1:1: parse error: subquery is only allowed on instant vector, got scalar instead"),
    (
        '-"a"',
        '1:1: parse error: unary expression only allowed on expressions of type scalar or instant vector, got "string"',
    ),
    ("a and 1", '1:1: parse error: set operator "and" not allowed in binary scalar expression'),
    ("a + on(x) 1", "1:1: parse error: vector matching only allowed between instant vectors"),
    ("a and on(x) group_left b", '1:1: parse error: no grouping allowed for "and" operation'),
    (
        "a + on(x) group_left(x) b",
        '1:3: parse error: label "x" must not occur in ON and GROUP clause at once',
    ),
    ("a[5m] + 1", "1:1: parse error: binary expression must contain only scalar and instant vector types"),
    ('"x', "1:1: parse error: unterminated quoted string"),
    ("5mm", '1:1: parse error: bad number or duration syntax: "5mm"'),
    ("1.5h", '1:1: parse error: unknown unit "." in duration "1.5h"'),
    ("g[0.5m:1m]", '1:3: parse error: unknown unit "." in duration "0.5m"'),
    ("g offset -1.h", '1:11: parse error: unknown unit ".h" in duration "1.h"'),
    ("1e3s", '1:1: parse error: unknown unit "e" in duration "1e3s"'),
    (".5h", '1:1: parse error: not a valid duration string: ".5h"'),
    ("1h.5m", '1:3: parse error: unexpected duration ".5m"'),
    ("g[1h.5]", '1:5: parse error: unexpected number ".5" in subquery or range, expected ":" or "]"'),
    ("5m1.5s", '1:1: parse error: bad number or duration syntax: "5m1"'),
    ("1.5.2", '1:1: parse error: bad number or duration syntax: "1.5."'),
    ("1.5hour", '1:1: parse error: bad number or duration syntax: "1.5ho"'),
    ("1x", '1:1: parse error: bad number or duration syntax: "1"'),
    ("0x1.5", '1:1: parse error: bad number or duration syntax: "0x1."'),
    ("0xee", '1:1: parse error: bad number or duration syntax: "0xee"'),
    ("1e5e", '1:1: parse error: bad number or duration syntax: "1e5e"'),
    ("1__5", '1:1: parse error: bad number or duration syntax: "1__"'),
    ("(1_)", '1:2: parse error: error parsing number: strconv.ParseFloat: parsing "1_": invalid syntax'),
    (
        "g[1h:2-]",
        '1:8: parse error: unexpected "]" in subquery selector, expected number, duration, step(), range(), or "]"',
    ),
    ("foo !x", "1:5: parse error: unexpected character after '!': 'x'"),
    ("a =~ b", "1:3: parse error: unexpected character after '=': '~'"),
    ("é", "1:1: parse error: unexpected character: 'é'"),
    ("a)", "1:3: parse error: unexpected right parenthesis ')'"),
    ("\n  a +\n  ", "3:3: parse error: unexpected end of input"),
    ('a{b=~"("}', "1:3: parse error: error parsing regexp: missing closing ): `(`"),
    ("sum foo", '1:5: parse error: unexpected identifier "foo" in aggregation'),
    ("info(a, b)", "1:9: parse error: expected label selectors only, got vector selector instead"),
]


@pytest.mark.parametrize(("query", "message"), ERRORS)
def test_error_text(query: str, message: str) -> None:
    """A wrong query is refused with Prometheus' words and position."""
    with pytest.raises(ParseError) as caught:
        parse(query, ALL)
    assert str(caught.value) == message


EXPERIMENTAL = [
    (
        "limitk(1, a)",
        "limitk() is experimental and must be enabled with --enable-feature=promql-experimental-functions",
    ),
    ("mad_over_time(a[5m])", 'function "mad_over_time" is not enabled'),
    ("a[5m] anchored", "anchored modifier is experimental and not enabled"),
    ("a smoothed", "smoothed modifier is experimental and not enabled"),
    ("a + fill(0) b", "binop fill modifiers are experimental and not enabled"),
]


@pytest.mark.parametrize(("query", "message"), EXPERIMENTAL)
def test_experimental_syntax_needs_its_flag(query: str, message: str) -> None:
    """Experimental functions and syntax parse only with their feature flag."""
    parse(query, ALL)
    with pytest.raises(ParseError, match=r"experimental|not enabled") as caught:
        parse(query, PLAIN)
    assert caught.value.message == message


def test_functions_that_need_the_flag() -> None:
    """These functions are experimental in 3.14, and no others."""
    experimental = {name for name, signature in FUNCTIONS.items() if signature.experimental}
    assert experimental == {
        "double_exponential_smoothing", "end", "histogram_quantiles", "info", "mad_over_time", "max_of", "min_of", "range",
        "sort_by_label", "sort_by_label_desc", "start", "start_timestamp", "step", "ts_of_first_over_time",
        "ts_of_last_over_time", "ts_of_max_over_time", "ts_of_min_over_time",
    }  # fmt: skip
    parse("first_over_time(a[5m])", PLAIN)


PRINTED = [
    ("foo", "foo"),
    ("sum(a) by (b,c)", "sum by (b, c) (a)"),
    ("sum without(b) (a)", "sum without (b) (a)"),
    ('a{z="1",b!~"x|y"}', 'a{b!~"x|y",z="1"}'),
    ('{"c d"="e"}', '{"c d"="e"}'),
    ("a[90] offset -5400 @ 5", "a[1m30s] @ 5.000 offset -1h30m"),
    ("a[5m:]", "a[5m:]"),
    ("rate(a[5m])[1h:30s] @ end() offset 1d", "rate(a[5m])[1h:30s] @ end() offset 1d"),
    ("a+on(b)group_left(c)d", "a + on (b) group_left (c) d"),
    ("a>bool 1", "a > bool 1"),
    ("-1^2", "-1 ^ 2"),
    ("1e6", "1000000"),
    ("0x1F", "31"),
    ("010", "8"),
    ("1_000", "1000"),
    (".5", "0.5"),
    ("1h", "1h"),
    ("topk(3, a)", "topk(3, a)"),
    ("a + fill_left(1) fill_right(2) b", "a + fill_left (1) fill_right (2) b"),
    ("a[5m] smoothed", "a[5m] smoothed"),
    ("a[step()+1m]", "a[step() + 1m]"),
    ("a offset (1h/2)", "a offset (1h / 2)"),
    ("# comment\na # more", "a"),
]


@pytest.mark.parametrize(("query", "printed"), PRINTED)
def test_printing(query: str, printed: str) -> None:
    """A tree prints in Prometheus' form, and that form reads back as the same tree."""
    expr = parse(query, ALL)
    assert print_expr(expr) == printed
    assert print_expr(parse(printed, ALL)) == printed


def test_long_queries_are_split_over_lines() -> None:
    """What is longer than a hundred characters is split at operators and arguments, two spaces a level."""
    query = (
        'sum by (job, mode) (rate(node_cpu_seconds_total{mode!="idle"}[5m])) / on (job) group_left ()'
        " sum by (job) (rate(node_cpu_seconds_total[5m]))"
    )
    assert format_query(query, ALL) == (
        '  sum by (job, mode) (rate(node_cpu_seconds_total{mode!="idle"}[5m]))\n'
        "/ on (job) group_left ()\n"
        "  sum by (job) (rate(node_cpu_seconds_total[5m]))"
    )


def test_precedence() -> None:
    """Power binds tightest and to the right, a sign like a product, comparison below sums, or last."""
    tree = parse_query("a or b and c == d + e * -f ^ g ^ h", ALL)
    assert tree["op"] == "or"
    assert tree["rhs"]["op"] == "and"
    assert tree["rhs"]["rhs"]["op"] == "=="
    plus = tree["rhs"]["rhs"]["rhs"]
    assert plus["op"] == "+"
    assert plus["rhs"]["op"] == "*"
    assert plus["rhs"]["rhs"]["type"] == "unaryExpr"
    power = plus["rhs"]["rhs"]["expr"]
    assert power["op"] == "^"
    assert power["rhs"]["op"] == "^"


def test_keywords_are_names_where_they_can_be() -> None:
    """Operators and keywords may be metrics, labels and grouping labels."""
    for query in (
        "sum",
        "by",
        "offset",
        "and",
        "start",
        "step + step",
        "sum by (by, on, bool) (avg)",
        'a{offset="1"}',
    ):
        parse(query, ALL)


def test_deep_nesting_is_refused() -> None:
    """Nesting is parsed up to the limit and refused beyond it, without a traceback; so is a chain, with a limit of its own."""
    depth = QUERY_DEPTH_MAX - 5
    parse("(" * depth + "1" + ")" * depth, ALL)
    for query in ("(" * 5000 + "1" + ")" * 5000, "-" * 5000 + "1", "a[" + "(" * 5000, "1" + "^1" * 5000):
        with pytest.raises(ParseError, match=f"deeper than the limit of {QUERY_DEPTH_MAX}"):
            parse(query, ALL)
    parse("1" + "+1" * QUERY_CHAIN_MAX, ALL)
    with pytest.raises(ParseError, match=f"1:20002: .*longer than the limit of {QUERY_CHAIN_MAX}"):
        parse("1" + "+1" * (QUERY_CHAIN_MAX + 1), ALL)


def test_selector() -> None:
    """A series selector gives its matchers; whatever stands behind it is unexpected."""
    assert [str(matcher) for matcher in parse_selector('up{job=~"a.*"}')] == ['job=~"a.*"', '__name__="up"']
    assert parse_selector("{}") == ()
    assert [matcher.value for matcher in parse_selector("sum")] == ["sum"]
    for text, complaint in (
        ("up[", '1:3: parse error: unexpected "["'),
        ("up[5m]", '1:3: parse error: unexpected "["'),
        ("rate(up[5m])", '1:5: parse error: unexpected "("'),
        ("up offset 5m", "1:4: parse error: unexpected <offset>"),
        ("sum(up)", '1:4: parse error: unexpected "("'),
        ("up or up", "1:4: parse error: unexpected <op:or>"),
        ("1", '1:1: parse error: unexpected number "1"'),
        ("on", "1:1: parse error: unexpected <on>"),
        ("", "unknown position: parse error: unexpected end of input"),
    ):
        with pytest.raises(ParseError) as caught:
            parse_selector(text)
        assert str(caught.value) == complaint


def test_fill_without_its_feature() -> None:
    """The complaint is about the whole operator: it stands where its left side begins, and comes after those inside."""
    for query, complaint in (
        ("a + fill(0) b", "1:1: parse error: binop fill modifiers are experimental and not enabled"),
        (
            "(a) + (b + fill_left(0) c)",
            "1:8: parse error: binop fill modifiers are experimental and not enabled",
        ),
        ("a + fill(0) on(x) b", "1:13: parse error: unexpected <on>"),
    ):
        with pytest.raises(ParseError) as caught:
            parse(query, QueryOptions())
        assert str(caught.value) == complaint


def test_positions_in_a_long_text_that_is_not_ascii() -> None:
    """Columns count bytes, and what stands before a token is not counted again for each."""
    many = ",".join(f'l{index}="x"' for index in range(30_000))
    with pytest.raises(ParseError) as caught:
        parse(f'a{{z="é",{many}}} +', ALL)
    assert caught.value.start == len(f'a{{z="é",{many}}} +'.encode())
    with pytest.raises(ParseError, match=r'^1:14: parse error: unexpected identifier "b"'):
        parse('{"éé"} + a b', ALL)


@pytest.mark.parametrize("text", ["a[{}s]", "a offset {}s", "{}s", "a[1m:{}d]", "a @ {}y"])
def test_durations_of_thousands_of_digits(text: str) -> None:
    """A duration of more digits than 64 bits hold is none to Go; one of a few digits less is out of range."""
    for digits in ("9" * 5000, "9" * 20):
        with pytest.raises(ParseError, match="parse error: not a valid duration string"):
            parse(text.format(digits), ALL)
    with pytest.raises(ParseError, match=r"duration out of range$"):
        parse(text.format("9" * 19), ALL)
    assert print_expr(parse(f"a[{'0' * 5000}7s]", ALL)) == "a[7s]"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("1e400", "value out of range"),
        ("9" * 5000, "value out of range"),
        ("0xFFFFFFFFFFFFFFFF", "invalid syntax"),
        ("0x" + "1" * 5000, "invalid syntax"),
    ],
)
def test_numbers_out_of_range(text: str, complaint: str) -> None:
    """A literal no float holds is an error, not an infinity; hexadecimals are integers of 64 bits."""
    with pytest.raises(ParseError) as caught:
        parse(text, ALL)
    assert str(caught.value) == (
        f'1:1: parse error: error parsing number: strconv.ParseFloat: parsing "{text}": {complaint}'
    )


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0x7FFFFFFFFFFFFFFF", float(2**63)),
        ("0777777777777777777777", float(2**63)),
        ("07777777777777777777777", 7777777777777777777777.0),
        ("1e308", 1e308),
        ("0" * 5000 + "7", 7.0),
        ("00", 0.0),
    ],
)
def test_numbers_at_the_edge(text: str, value: float) -> None:
    """Octal numbers are octal as long as they fit 64 bits, and decimal beyond."""
    expr = parse(text, ALL)
    assert isinstance(expr, NumberLiteral)
    assert expr.value == value
