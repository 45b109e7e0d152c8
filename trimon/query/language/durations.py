"""Durations in a query: literals and the arithmetic on them, parsed and computed."""

from __future__ import annotations

import math
from typing import Final

from trimon.errors import UserError
from trimon.query.language.errors import ParseError, QueryError
from trimon.query.language.nodes import (
    Duration,
    DurationBinary,
    DurationCall,
    DurationNumber,
    DurationParen,
    DurationUnary,
)
from trimon.query.language.numbers import parse_duration_s, parse_number
from trimon.query.language.tokens import T
from trimon.query.language.tokenstream import TokenStream

SECONDS_MAX: Final = (2**63 - 1) / 1e9
_PRECEDENCE: Final = {"+": 1, "-": 1, "*": 2, "/": 2, "%": 2, "^": 3}
_WANTED: Final = "number, duration, step(), or range()"


def parse_range(stream: TokenStream, context: str, expected: str = _WANTED) -> Duration:
    """A duration expression inside brackets; a literal must be greater than 0."""
    start = stream.peek().start
    duration = _binary(stream, 1, context, expected)
    if isinstance(duration, (DurationNumber, DurationUnary)):
        value = seconds(duration, 0.0, 0.0)
        if value <= 0:
            raise stream.error("duration must be greater than 0", start)
    return duration


def parse_offset(stream: TokenStream) -> Duration:
    """A signed duration, a call, or a duration expression in parentheses, behind `offset`."""
    return _operand(stream, "offset", _WANTED, bare=True)


def _binary(stream: TokenStream, precedence: int, context: str, expected: str) -> Duration:
    stream.enter()
    lhs = _operand(stream, context, expected, bare=False)
    while True:
        token = stream.peek()
        level = _PRECEDENCE.get(token.text, 0) if token.kind is T.OPERATOR else 0
        if level < precedence or level == 0:
            stream.leave()
            return lhs
        stream.take()
        rhs = _binary(stream, level if token.text == "^" else level + 1, context, expected)
        lhs = DurationBinary(token.text, lhs, rhs, start=lhs.start, end=rhs.end)
        stream.depth += 1
        stream.enter()
        stream.depth -= 2


def _operand(stream: TokenStream, context: str, expected: str, *, bare: bool) -> Duration:
    token = stream.peek()
    if token.is_op("+", "-"):
        stream.take()
        stream.enter()
        inner = (
            _operand(stream, context, expected, bare=bare) if bare else _binary(stream, 3, context, expected)
        )
        stream.leave()
        if isinstance(inner, DurationNumber):
            value = -inner.value if token.text == "-" else inner.value
            return DurationNumber(value, inner.is_duration, start=token.start, end=inner.end)
        return DurationUnary(token.text, inner, start=token.start, end=inner.end)
    if token.kind in (T.NUMBER, T.DURATION):
        stream.take()
        return _literal(stream, token.text, token.start, token.kind is T.DURATION)
    if token.kind is T.LEFT_PAREN:
        stream.take()
        inner = _binary(stream, 1, context, expected)
        stream.expect(T.RIGHT_PAREN, context)
        return DurationParen(inner, start=token.start, end=stream.last_end)
    if token.is_keyword("step", "range", "min_of", "max_of"):
        return _call(stream, context, expected)
    raise stream.unexpected(context, expected)


def _call(stream: TokenStream, context: str, expected: str) -> Duration:
    token = stream.take()
    stream.expect(T.LEFT_PAREN, context)
    args: list[Duration] = []
    if token.word in ("min_of", "max_of"):
        args.append(_binary(stream, 1, context, expected))
        stream.expect(T.COMMA, context)
        args.append(_binary(stream, 1, context, expected))
    stream.expect(T.RIGHT_PAREN, context)
    return DurationCall(token.word, tuple(args), start=token.start, end=stream.last_end)


def _literal(stream: TokenStream, text: str, start: int, is_duration: bool) -> DurationNumber:
    try:
        value = parse_duration_s(text) if is_duration else parse_number(text)
    except UserError as error:
        raise stream.error(error.message, start) from None
    if not abs(value) <= SECONDS_MAX:
        raise stream.error("duration out of range", start)
    return DurationNumber(value, is_duration, start=start, end=stream.last_end)


def seconds(duration: Duration, step_s: float, range_s: float) -> float:
    """The value of a duration expression for a query's step and range; raises QueryError."""
    match duration:
        case DurationNumber(value=value):
            return value
        case DurationParen(inner=inner):
            return seconds(inner, step_s, range_s)
        case DurationUnary(op=op, inner=inner):
            value = seconds(inner, step_s, range_s)
            return -value if op == "-" else value
        case DurationCall(name=name, args=args):
            if name in ("step", "range"):
                return step_s if name == "step" else range_s
            pick = min if name == "min_of" else max
            return pick(seconds(arg, step_s, range_s) for arg in args)
        case DurationBinary(op=op, lhs=lhs, rhs=rhs):
            return _arithmetic(op, seconds(lhs, step_s, range_s), seconds(rhs, step_s, range_s))


def _arithmetic(op: str, left: float, right: float) -> float:
    if op in "/%" and right == 0:
        raise QueryError("division by zero" if op == "/" else "modulo by zero")
    try:
        match op:
            case "+":
                return left + right
            case "-":
                return left - right
            case "*":
                return left * right
            case "/":
                return left / right
            case "%":
                return math.fmod(left, right)
            case _:
                power = left**right
    except (OverflowError, ZeroDivisionError, ValueError):
        raise QueryError("duration out of range") from None
    if isinstance(power, complex):
        raise QueryError("duration out of range")
    return float(power)


def milliseconds(duration: Duration, step_ms: int, range_ms: int) -> int:
    """The value in whole milliseconds, cut off; raises QueryError when it is out of range."""
    value = seconds(duration, step_ms / 1000, range_ms / 1000)
    if not abs(value) <= SECONDS_MAX:
        raise QueryError("duration out of range")
    if abs(value) < 1e6:
        return int(round(value * 1e9) / 1_000_000)
    return int(math.copysign(round(abs(value) * 1e6) // 1000, value))


def positive_milliseconds(duration: Duration, step_ms: int, range_ms: int) -> int:
    """As `milliseconds`, for ranges: must be greater than 0."""
    value = milliseconds(duration, step_ms, range_ms)
    if value <= 0:
        raise QueryError("duration must be greater than 0")
    return value


__all__ = ["ParseError", "milliseconds", "parse_offset", "parse_range", "positive_milliseconds", "seconds"]
