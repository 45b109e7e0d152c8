"""Tokens to a syntax tree, by precedence climbing; types are judged afterwards, in `checker.py`."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Final

from trimon.errors import UserError
from trimon.gotext.floats import format_six
from trimon.gotext.strings import go_quote
from trimon.limits import QUERY_CHAIN_MAX
from trimon.query.language.durations import parse_offset, parse_range
from trimon.query.language.errors import ParseError
from trimon.query.language.modifiers import parse_binary_modifiers, parse_grouping
from trimon.query.language.nodes import (
    Aggregation,
    AtModifier,
    Binary,
    Call,
    Expr,
    MatrixSelector,
    Modifiers,
    NumberLiteral,
    Paren,
    StringLiteral,
    Subquery,
    Unary,
    VectorSelector,
)
from trimon.query.language.numbers import parse_duration_s, parse_number
from trimon.query.language.options import EXPERIMENTAL_FUNCTIONS, EXTENDED_SELECTORS, FILL_MODIFIERS
from trimon.query.language.signatures import FUNCTIONS
from trimon.query.language.tokens import (
    COMPARISONS,
    EXPERIMENTAL_AGGREGATORS,
    PARAMETRIC,
    TRIMS,
    T,
    Token,
)
from trimon.query.language.tokenstream import TokenStream
from trimon.query.language.vectorselector import parse_vector_selector, string_value

_PRECEDENCE: Final = {
    "or": 1, "and": 2, "unless": 2,
    **dict.fromkeys(COMPARISONS | TRIMS, 3),
    "+": 4, "-": 4, "*": 5, "/": 5, "%": 5, "atan2": 5, "^": 6,
}  # fmt: skip
_POWER: Final = 6
_PRECEDED_BY: Final = "an instant vector selector or range vector selector or a subquery"
_MS_MAX: Final = 2**63


class Parser:
    """Parses one text. Raises ParseError at the first thing that is wrong."""

    def __init__(self, text: str, features: frozenset[str]) -> None:
        self.stream = TokenStream(text)
        self.features = features

    def parse_selector(self) -> VectorSelector:
        """The whole text as a vector selector: nothing may stand behind its name and matchers."""
        stream = self.stream
        token = stream.peek()
        if token.kind is T.LEFT_BRACE:
            selector = parse_vector_selector(stream, None)
        elif token.can_name_metric():
            selector = parse_vector_selector(stream, stream.take())
        else:
            raise stream.unexpected()
        if not stream.at(T.EOF):
            raise stream.unexpected()
        return selector

    def parse(self) -> Expr:
        """The whole text as one expression."""
        if self.stream.at(T.EOF):
            raise ParseError("no expression found in input", self.stream.text)
        expr = self.expression(1)
        if not self.stream.at(T.EOF):
            raise self.stream.unexpected()
        return expr

    def expression(self, precedence: int) -> Expr:
        """An expression of operators that bind at least as tightly as `precedence`."""
        stream = self.stream
        stream.enter()
        depth = stream.depth
        lhs = self._unary()
        operators = 0
        while True:
            token = stream.peek()
            level = _PRECEDENCE.get(token.word, 0) if token.kind is T.OPERATOR else 0
            if level == 0 or level < precedence:
                stream.depth = depth - 1
                return lhs
            stream.take()
            operators += 1
            if operators > QUERY_CHAIN_MAX:
                raise stream.error(
                    f"chain of binary operators is longer than the limit of {QUERY_CHAIN_MAX}", token.start
                )
            return_bool, matching = parse_binary_modifiers(stream, token.word)
            rhs = self.expression(level if level == _POWER else level + 1)
            if matching.fills and FILL_MODIFIERS not in self.features:
                complaint = "binop fill modifiers are experimental and not enabled"
                raise stream.error(complaint, lhs.start, rhs.end)
            lhs = Binary(token.word, lhs, rhs, matching, return_bool, start=lhs.start, end=rhs.end)

    def _unary(self) -> Expr:
        stream = self.stream
        token = stream.peek()
        if not token.is_op("+", "-"):
            return self._postfix(self._primary())
        stream.take()
        inner = self.expression(_POWER)
        if isinstance(inner, NumberLiteral):
            value = -inner.value if token.text == "-" else inner.value
            return NumberLiteral(value, inner.is_duration, start=token.start, end=inner.end)
        return Unary(token.text, inner, start=token.start, end=inner.end)

    def _primary(self) -> Expr:
        stream = self.stream
        token = stream.peek()
        match token.kind:
            case T.NUMBER | T.DURATION:
                stream.take()
                return self._number(token)
            case T.STRING:
                stream.take()
                return StringLiteral(string_value(stream, token), start=token.start, end=token.end)
            case T.LEFT_PAREN:
                stream.take()
                inner = self.expression(1)
                stream.expect(T.RIGHT_PAREN)
                return Paren(inner, start=token.start, end=stream.last_end)
            case T.LEFT_BRACE:
                return parse_vector_selector(stream, None)
            case T.AGGREGATOR:
                stream.take()
                return self._aggregation_or_name(token)
            case T.IDENTIFIER | T.METRIC_IDENTIFIER | T.KEYWORD | T.OPERATOR:
                return self._name(token)
            case _:
                raise stream.unexpected()

    def _name(self, token: Token) -> Expr:
        stream = self.stream
        word = token.word
        if not token.can_name_metric():
            raise stream.unexpected()
        stream.take()
        callable_word = token.kind is T.IDENTIFIER or (token.kind is T.KEYWORD and word in FUNCTIONS)
        if callable_word and stream.at(T.LEFT_PAREN):
            return self._call(token)
        return parse_vector_selector(stream, token)

    def _number(self, token: Token) -> NumberLiteral:
        is_duration = token.kind is T.DURATION
        try:
            value = parse_duration_s(token.text) if is_duration else parse_number(token.text)
        except UserError as error:
            raise self.stream.error(error.message, token.start) from None
        return NumberLiteral(value, is_duration, start=token.start, end=token.end)

    def _args(self) -> tuple[Expr, ...]:
        stream = self.stream
        stream.expect(T.LEFT_PAREN)
        if stream.accept(T.RIGHT_PAREN):
            return ()
        args = [self.expression(1)]
        while True:
            comma = stream.accept(T.COMMA)
            if comma is None:
                stream.expect(T.RIGHT_PAREN)
                return tuple(args)
            if stream.at(T.RIGHT_PAREN):
                raise stream.error("trailing commas not allowed in function call args", comma.start)
            args.append(self.expression(1))

    def _call(self, token: Token) -> Call:
        stream = self.stream
        args = self._args()
        name = token.word if token.kind is T.KEYWORD else token.text
        signature = FUNCTIONS.get(name)
        if signature is None:
            raise stream.error(f"unknown function with name {go_quote(token.text)}", token.start, token.end)
        if signature.experimental and EXPERIMENTAL_FUNCTIONS not in self.features:
            raise stream.error(f"function {go_quote(name)} is not enabled", token.start, token.end)
        return Call(name, args, start=token.start, end=stream.last_end)

    def _aggregation_or_name(self, token: Token) -> Expr:
        stream = self.stream
        following = stream.peek()
        if following.kind is T.LEFT_PAREN or following.is_keyword("by", "without"):
            return self._aggregation(token)
        if following.kind in (
            T.IDENTIFIER,
            T.METRIC_IDENTIFIER,
            T.NUMBER,
            T.DURATION,
            T.STRING,
            T.AGGREGATOR,
        ):
            raise stream.unexpected("aggregation")
        return parse_vector_selector(stream, token)

    def _aggregation(self, token: Token) -> Aggregation:
        stream = self.stream
        op = token.word
        grouping: tuple[str, ...] = ()
        without = False
        clause = stream.peek().is_keyword("by", "without")
        if clause:
            without = stream.take().word == "without"
            grouping = parse_grouping(stream)
            if not stream.at(T.LEFT_PAREN):
                raise stream.unexpected("aggregation")
        stream.aggregations += 1
        args = self._args()
        stream.aggregations -= 1
        if not clause and stream.peek().is_keyword("by", "without"):
            without = stream.take().word == "without"
            grouping = parse_grouping(stream)
        if not args:
            raise stream.error("no arguments for aggregate expression provided", token.start)
        wanted = 2 if op in PARAMETRIC else 1
        if op in EXPERIMENTAL_AGGREGATORS and EXPERIMENTAL_FUNCTIONS not in self.features:
            raise stream.error(
                f"{op}() is experimental and must be enabled with --enable-feature={EXPERIMENTAL_FUNCTIONS}",
                token.start,
            )
        if len(args) != wanted:
            raise stream.error(
                "wrong number of arguments for aggregate expression provided, "
                f"expected {wanted}, got {len(args)}",
                token.start,
            )
        param = args[0] if wanted == 2 else None
        return Aggregation(op, args[-1], param, grouping, without, start=token.start, end=stream.last_end)

    def _postfix(self, expr: Expr) -> Expr:
        stream = self.stream
        while True:
            token = stream.peek()
            if token.kind is T.LEFT_BRACKET:
                expr = self._brackets(expr)
            elif token.is_keyword("offset"):
                stream.take()
                expr = self._offset(expr)
            elif token.kind is T.AT:
                stream.take()
                expr = self._at(expr)
            elif token.is_keyword("anchored", "smoothed"):
                stream.take()
                expr = self._extended(expr, token.word)
            else:
                return expr
            stream.enter()

    def _brackets(self, expr: Expr) -> Expr:
        stream = self.stream
        bracket = stream.take()
        duration = parse_range(stream, "subquery or range selector")
        if stream.accept(T.COLON):
            step = None
            if not stream.at(T.RIGHT_BRACKET):
                wanted = 'number, duration, step(), range(), or "]"'
                step = parse_range(stream, "subquery selector", wanted)
            stream.expect(T.RIGHT_BRACKET, "subquery selector", '"]"')
            return Subquery(expr, duration, step, start=expr.start, end=stream.last_end)
        stream.expect(T.RIGHT_BRACKET, "subquery or range", '":" or "]"')
        if not isinstance(expr, VectorSelector):
            raise stream.error("ranges only allowed for vector selectors", bracket.start)
        if expr.modifiers.offset is not None:
            raise stream.error("no offset modifiers allowed before range", bracket.start)
        if expr.modifiers.fixed:
            raise stream.error("no @ modifiers allowed before range", bracket.start)
        return MatrixSelector(expr, duration, start=expr.start, end=stream.last_end)

    def _offset(self, expr: Expr) -> Expr:
        offset = parse_offset(self.stream)
        modifiers = _modifiers(expr)
        if modifiers is None:
            raise self.stream.error(f"offset modifier must be preceded by {_PRECEDED_BY}", expr.start)
        if modifiers.offset is not None:
            raise self.stream.error("offset may not be set multiple times", expr.start)
        return self._with_modifiers(expr, replace(modifiers, offset=offset))

    def _at(self, expr: Expr) -> Expr:
        stream = self.stream
        token = stream.peek()
        at_ms: int | None = None
        at: AtModifier | None = None
        if token.is_keyword("start", "end"):
            stream.take()
            stream.expect(T.LEFT_PAREN, "@", "timestamp")
            stream.expect(T.RIGHT_PAREN, "@", "timestamp")
            at = AtModifier(token.word)
        else:
            sign = stream.take().text if token.is_op("+", "-") else "+"
            if stream.peek().kind not in (T.NUMBER, T.DURATION):
                raise stream.unexpected("@", "timestamp")
            number = self._number(stream.take()).value
            number = -number if sign == "-" else number
            if math.isnan(number) or abs(number) >= _MS_MAX / 1000:
                raise stream.error(
                    f"timestamp out of bounds for @ modifier: {format_six(number)}", expr.start
                )
            at_ms = math.floor(number * 1000 + 0.5) if number >= 0 else -math.floor(-number * 1000 + 0.5)
        modifiers = _modifiers(expr)
        if modifiers is None:
            raise stream.error(f"@ modifier must be preceded by {_PRECEDED_BY}", expr.start)
        if modifiers.fixed:
            raise stream.error("@ <timestamp> may not be set multiple times", expr.start)
        return self._with_modifiers(expr, replace(modifiers, at_ms=at_ms, at=at))

    def _extended(self, expr: Expr, word: str) -> Expr:
        stream = self.stream
        if EXTENDED_SELECTORS not in self.features:
            raise stream.error(f"{word} modifier is experimental and not enabled", expr.start)
        vector = expr.vector if isinstance(expr, MatrixSelector) else expr
        if isinstance(expr, Subquery):
            raise stream.error(f"{word} modifier is not supported for subqueries", expr.start)
        if not isinstance(vector, VectorSelector):
            raise stream.error(
                f"{word} modifier must be preceded by an instant or range vector selector", expr.start
            )
        if vector.anchored or vector.smoothed:
            raise stream.error("anchored and smoothed modifiers cannot be used together", expr.start)
        vector = replace(
            vector, anchored=word == "anchored", smoothed=word == "smoothed", end=stream.last_end
        )
        return (
            replace(expr, vector=vector, end=stream.last_end) if isinstance(expr, MatrixSelector) else vector
        )

    def _with_modifiers(self, expr: Expr, modifiers: Modifiers) -> Expr:
        end = self.stream.last_end
        if isinstance(expr, MatrixSelector):
            return replace(expr, vector=replace(expr.vector, modifiers=modifiers), end=end)
        assert isinstance(expr, (VectorSelector, Subquery))
        return replace(expr, modifiers=modifiers, end=end)


def _modifiers(expr: Expr) -> Modifiers | None:
    if isinstance(expr, MatrixSelector):
        return expr.vector.modifiers
    return expr.modifiers if isinstance(expr, (VectorSelector, Subquery)) else None
