"""What stands between a binary operator and its right side, and label lists in parentheses."""

from __future__ import annotations

from trimon.errors import UserError
from trimon.gotext.strings import go_quote
from trimon.query.language.nodes import MatchCardinality, Matching
from trimon.query.language.numbers import parse_duration_s, parse_number
from trimon.query.language.tokens import FILL_WORDS, SET_OPERATORS, T
from trimon.query.language.tokenstream import TokenStream
from trimon.query.language.vectorselector import string_value


def parse_grouping(stream: TokenStream) -> tuple[str, ...]:
    """`(label, ...)`; a trailing comma is allowed."""
    stream.expect(T.LEFT_PAREN, "grouping opts", '"("')
    labels: list[str] = []
    while True:
        if stream.accept(T.RIGHT_PAREN):
            return tuple(labels)
        labels.append(_grouping_label(stream))
        if not stream.accept(T.COMMA):
            stream.expect(T.RIGHT_PAREN, "grouping opts", '"," or ")"')
            return tuple(labels)


def _grouping_label(stream: TokenStream) -> str:
    token = stream.peek()
    if token.kind is T.STRING:
        stream.take()
        name = string_value(stream, token)
        if not name:
            raise stream.error(f"invalid label name for grouping: {go_quote(name)}", token.start)
        return name
    wordlike = token.text[:1].isalpha() or token.text[:1] in ("_", ":")
    if (
        token.kind not in (T.IDENTIFIER, T.METRIC_IDENTIFIER, T.KEYWORD, T.AGGREGATOR, T.OPERATOR)
        or not wordlike
    ):
        raise stream.unexpected("grouping opts", "label")
    stream.take()
    return token.text


def parse_binary_modifiers(stream: TokenStream, op: str) -> tuple[bool, Matching]:
    """`bool`, and the matching clauses."""
    return_bool = False
    if stream.peek().is_keyword("bool"):
        stream.take()
        return_bool = True
    on = False
    labels: tuple[str, ...] = ()
    include: tuple[str, ...] = ()
    cardinality = MatchCardinality.MANY_TO_MANY if op in SET_OPERATORS else MatchCardinality.ONE_TO_ONE
    if stream.peek().is_keyword("on", "ignoring"):
        on = stream.take().word == "on"
        labels = parse_grouping(stream)
        if stream.peek().is_keyword("group_left", "group_right"):
            left = stream.take().word == "group_left"
            cardinality = MatchCardinality.MANY_TO_ONE if left else MatchCardinality.ONE_TO_MANY
            if stream.at(T.LEFT_PAREN):
                include = parse_grouping(stream)
    fills: dict[str, float] = {}
    while stream.peek().kind is T.KEYWORD and stream.peek().word in FILL_WORDS:
        _fill(stream, fills)
    return return_bool, Matching(cardinality, labels, on, include, fills.get("left"), fills.get("right"))


def _fill(stream: TokenStream, fills: dict[str, float]) -> None:
    word = stream.take()
    sides = {"fill": ("left", "right"), "fill_left": ("left",), "fill_right": ("right",)}[word.word]
    stream.expect(T.LEFT_PAREN)
    sign = stream.take().text if stream.peek().is_op("+", "-") else "+"
    token = stream.peek()
    if token.kind not in (T.NUMBER, T.DURATION):
        raise stream.unexpected()
    stream.take()
    try:
        value = parse_number(token.text) if token.kind is T.NUMBER else parse_duration_s(token.text)
    except UserError as error:
        raise stream.error(error.message, token.start) from None
    stream.expect(T.RIGHT_PAREN)
    for side in sides:
        if side in fills:
            raise stream.error(f"{word.word} may not be set multiple times", word.start)
        fills[side] = -value if sign == "-" else value
