"""A token stream with one token of lookahead, and the errors a parser raises on it."""

from __future__ import annotations

from trimon.limits import QUERY_DEPTH_MAX, QUERY_TEXT_BYTES_MAX
from trimon.query.language.errors import ParseError
from trimon.query.language.lexer import Lexer
from trimon.query.language.tokens import T, Token


class TokenStream:
    """Tokens of one text, looked at one ahead; `last_end` is the byte offset behind the last one taken."""

    def __init__(self, text: str) -> None:
        if len(text) > QUERY_TEXT_BYTES_MAX:
            raise ParseError(f"query of {len(text)} bytes exceeds the limit of {QUERY_TEXT_BYTES_MAX}")
        self.text = text
        self._lexer = Lexer(text)
        self._ahead: Token | None = None
        self.last_end = 0
        self.depth = 0
        # Aggregations of which the arguments are being read.
        self.aggregations = 0
        # Of regular expressions that were compiled.
        self.instructions = 0

    def peek(self) -> Token:
        """The next token, left in place."""
        if self._ahead is None:
            self._ahead = self._lexer.next()
        return self._ahead

    def take(self) -> Token:
        """The next token, consumed."""
        token = self.peek()
        self._ahead = None
        self.last_end = token.end
        return token

    def at(self, kind: T) -> bool:
        """Whether the next token is of a kind."""
        return self.peek().kind is kind

    def accept(self, kind: T) -> Token | None:
        """The next token if it is of a kind, consumed."""
        return self.take() if self.peek().kind is kind else None

    def expect(self, kind: T, context: str = "", expected: str = "") -> Token:
        """The next token, consumed; a ParseError when it is of another kind."""
        if self.peek().kind is not kind:
            raise self.unexpected(context, expected)
        return self.take()

    def unexpected(self, context: str = "", expected: str = "") -> ParseError:
        """The error for a next token that does not fit."""
        token = self.peek()
        message = f"unexpected {token.describe()}"
        if not context and self.aggregations:
            context = "aggregation"
        if context:
            message += f" in {context}"
        if expected:
            message += f", expected {expected}"
        return ParseError(message, self.text, token.start, token.end)

    def error(self, message: str, start: int, end: int | None = None) -> ParseError:
        """An error about a part of the text."""
        return ParseError(message, self.text, start, self.last_end if end is None else end)

    def enter(self) -> None:
        """Go one level down; a ParseError when the text is nested too deeply."""
        self.depth += 1
        if self.depth > QUERY_DEPTH_MAX:
            start = self.peek().start
            raise self.error(f"expression is nested deeper than the limit of {QUERY_DEPTH_MAX}", start, start)

    def leave(self) -> None:
        """Come one level up."""
        self.depth -= 1
