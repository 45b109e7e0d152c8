"""Durations in a query: literals and the arithmetic on them, parsed and computed."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

import numpy as np
import numpy.typing as npt

from trimon.errors import UserError
from trimon.query.language.errors import ParseError
from trimon.query.language.nodes import (
    Duration,
    DurationBinary,
    DurationCall,
    DurationNumber,
    DurationParen,
    DurationUnary,
)
from trimon.query.language.numbers import parse_duration_s, parse_number
from trimon.query.language.tokens import DURATION_WORDS, T, Token
from trimon.query.language.tokenstream import TokenStream
from trimon.query.powers import power

SECONDS_MAX: Final = (2**63 - 1) / 1e9
_PRECEDENCE: Final = {"+": 1, "-": 1, "*": 2, "/": 2, "%": 2, "^": 3}
_POWER: Final = 3
_ARITHMETIC: Final[dict[str, Callable[[np.float64, np.float64], np.float64 | npt.NDArray[np.float64]]]] = {
    "+": np.add, "-": np.subtract, "*": np.multiply, "/": np.divide, "%": np.fmod, "^": power,
}  # fmt: skip
_BY_ZERO: Final = {"/": "division by zero", "%": "modulo by zero"}
_NOT_POSITIVE: Final = "duration must be greater than 0"
_WANTED: Final = "number, duration, step(), or range()"


def parse_range(stream: TokenStream, context: str, expected: str = _WANTED) -> Duration:
    """A duration expression inside brackets; a literal must be greater than 0."""
    duration = _DurationParser(stream, context, expected).binary(1)
    if isinstance(duration, DurationNumber) and duration.value <= 0:
        raise stream.error(_NOT_POSITIVE, duration.start)
    return duration


def parse_offset(stream: TokenStream) -> Duration:
    """What stands behind `offset`: a signed literal or call; from a parenthesis on a whole duration expression."""
    return _DurationParser(stream, "offset", _WANTED).offset()


class _DurationParser:
    """Parses one duration; `context` and `expected` are for messages."""

    def __init__(self, stream: TokenStream, context: str, expected: str) -> None:
        self.stream = stream
        self._context = context
        self._expected = expected

    def offset(self) -> Duration:
        stream = self.stream
        token = stream.peek()
        if token.is_op("+", "-"):
            stream.take()
            if not stream.peek().is_op("+", "-"):
                # What follows here is arithmetic of the query: `offset -(5m) * 2` doubles the selector.
                inner = self._operand()
                if isinstance(inner, DurationCall):
                    return DurationUnary(token.text, inner, start=token.start, end=inner.end)
                return _signed(token, inner)
            return self._rest(_signed(token, self.binary(_POWER)), 1)
        if token.kind is T.LEFT_PAREN:
            return self.binary(1)
        return self._operand()

    def binary(self, precedence: int) -> Duration:
        """An expression of operators that bind at least as tightly as `precedence`."""
        self.stream.enter()
        return self._rest(self._operand(), precedence, entered=1)

    def _rest(self, lhs: Duration, precedence: int, entered: int = 0) -> Duration:
        """The operators behind a first operand, and theirs. A chain is as deep as it is long: durations are short."""
        stream = self.stream
        while True:
            token = stream.peek()
            level = _PRECEDENCE.get(token.text, 0) if token.kind is T.OPERATOR else 0
            if level < precedence or level == 0:
                stream.depth -= entered
                return lhs
            stream.take()
            stream.enter()
            entered += 1
            rhs = self.binary(level if level == _POWER else level + 1)
            if token.text in _BY_ZERO and isinstance(rhs, DurationNumber) and rhs.value == 0:
                raise stream.error(_BY_ZERO[token.text], token.start)
            lhs = DurationBinary(token.text, lhs, rhs, start=lhs.start, end=rhs.end)

    def _operand(self) -> Duration:
        stream = self.stream
        token = stream.peek()
        if token.is_op("+", "-"):
            stream.take()
            return _signed(token, self.binary(_POWER))
        if token.kind in (T.NUMBER, T.DURATION):
            stream.take()
            return self._literal(token)
        if token.kind is T.LEFT_PAREN:
            stream.take()
            inner = self.binary(1)
            self._expect(T.RIGHT_PAREN)
            if isinstance(inner, DurationParen):
                return inner
            start = token.start if isinstance(inner, DurationNumber) else inner.start
            return DurationParen(inner, start=start, end=inner.end)
        if token.kind is T.KEYWORD and token.word in DURATION_WORDS:
            return self._call()
        raise stream.unexpected(self._context, self._expected)

    def _call(self) -> Duration:
        stream = self.stream
        token = stream.take()
        self._expect(T.LEFT_PAREN)
        if token.word in ("step", "range"):
            self._expect(T.RIGHT_PAREN)
            return DurationCall(token.word, start=token.start, end=stream.last_end)
        first = self.binary(1)
        self._expect(T.COMMA)
        second = self.binary(1)
        self._expect(T.RIGHT_PAREN)
        return DurationCall(token.word, (first, second), start=first.start, end=second.end)

    def _expect(self, kind: T) -> None:
        self.stream.expect(kind, self._context, self._expected)

    def _literal(self, token: Token) -> DurationNumber:
        stream, is_duration = self.stream, token.kind is T.DURATION
        try:
            value = parse_duration_s(token.text) if is_duration else parse_number(token.text)
        except UserError as error:
            raise stream.error(error.message, token.start) from None
        if not abs(value) <= SECONDS_MAX:
            raise stream.error("duration out of range", token.start)
        return DurationNumber(value, is_duration, start=token.start, end=stream.last_end)


def _signed(sign: Token, inner: Duration) -> Duration:
    """A duration behind a sign; a plus changes nothing."""
    if isinstance(inner, DurationNumber):
        value = -inner.value if sign.text == "-" else inner.value
        return DurationNumber(value, inner.is_duration, start=sign.start, end=inner.end)
    return DurationUnary("-", inner, start=sign.start, end=inner.end) if sign.text == "-" else inner


def _refused(duration: Duration, message: str) -> ParseError:
    """A duration whose value can not be used, found when the query's times are known: Prometheus tells it by byte offsets."""
    return ParseError(f"{duration.start}:{duration.end}: {message}")


def _seconds(duration: Duration, step_s: float, range_s: float) -> float:
    """The value of a duration expression for a query's step and range; may be NaN or infinite. Raises ParseError."""
    match duration:
        case DurationNumber(value=value):
            return value
        case DurationParen(inner=inner):
            return _seconds(inner, step_s, range_s)
        case DurationUnary(op=op, inner=inner):
            value = _seconds(inner, step_s, range_s)
            return -value if op == "-" else value
        case DurationCall(name=name, args=args):
            if name in ("step", "range"):
                return step_s if name == "step" else range_s
            first, second = (_seconds(arg, step_s, range_s) for arg in args)
            return float((np.minimum if name == "min_of" else np.maximum)(first, second))
        case DurationBinary(op=op, lhs=lhs, rhs=rhs):
            left, right = _seconds(lhs, step_s, range_s), _seconds(rhs, step_s, range_s)
            if op in _BY_ZERO and right == 0:
                raise _refused(duration, _BY_ZERO[op])
            with np.errstate(all="ignore"):
                return float(_ARITHMETIC[op](np.float64(left), np.float64(right)))


def milliseconds(duration: Duration, step_ms: int, range_ms: int, *, positive: bool = False) -> int:
    """The value in whole milliseconds, cut off.

    Raises ParseError when it is out of range, or not greater than 0 where it must be `positive`.
    """
    value = _seconds(duration, step_ms / 1000, range_ms / 1000)
    if isinstance(duration, DurationNumber):
        return _literal_ms(value)
    if not math.isfinite(value):
        raise _refused(duration, "duration is NaN or infinite")
    if value <= 0 and positive:
        raise _refused(duration, _NOT_POSITIVE)
    if abs(value) > SECONDS_MAX:
        raise _refused(duration, "duration is out of range")
    return int(value * 1000)


def _literal_ms(value: float) -> int:
    """A literal counts in whole nanoseconds, of which whole milliseconds are used."""
    if abs(value) < 1e6:
        return int(round(value * 1e9) / 1_000_000)
    return int(math.copysign(round(abs(value) * 1e6) // 1000, value))
