"""The tokens of the two text formats: which may follow in which state, as Prometheus' lexers have it.

A lexer takes as many bytes as any rule of its state can go on with. When a rule is complete there, that is the token;
when none is, the token is INVALID and ends there: a lexer never goes back to a shorter token. Errors quote tokens, so
where one ends can be seen from outside.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final


class Token(Enum):
    """The kinds of tokens; the values are how errors name them."""

    INVALID = "INVALID"
    EOF = "EOF"
    LINEBREAK = "LINEBREAK"
    WHITESPACE = "WHITESPACE"
    HELP = "HELP"
    TYPE = "TYPE"
    UNIT = "UNIT"
    EOF_WORD = "EOFWORD"
    TEXT = "TEXT"
    COMMENT = "COMMENT"
    METRIC_NAME = "MNAME"
    QUOTED = "QSTRING"
    BRACE_OPEN = "BOPEN"
    BRACE_CLOSE = "BCLOSE"
    LABEL_NAME = "LNAME"
    LABEL_VALUE = "LVALUE"
    COMMA = "COMMA"
    EQUAL = "EQUAL"
    TIMESTAMP = "TIMESTAMP"
    VALUE = "VALUE"


class State(Enum):
    """Where in a record a lexer is."""

    START = 0
    COMMENT = 1
    FAMILY_NAME = 2
    FAMILY_TEXT = 3
    LABELS = 4
    LABEL_VALUE = 5
    VALUE = 6
    TIMESTAMP = 7
    EXEMPLAR = 8
    EXEMPLAR_VALUE = 9
    EXEMPLAR_TIMESTAMP = 10


@dataclass(frozen=True, slots=True)
class Rule:
    """`whole` matches the token, `begun` as much as can become one. No token: only the state changes."""

    whole: re.Pattern[bytes]
    begun: re.Pattern[bytes]
    token: Token | None
    state: State | None = None


Rules = Mapping[State, tuple[Rule, ...]]


def _rule(whole: bytes, begun: bytes, token: Token | None, state: State | None = None) -> Rule:
    return Rule(re.compile(whole, re.DOTALL), re.compile(begun, re.DOTALL), token, state)


def _word(word: bytes, after: bytes, token: Token) -> Rule:
    """A keyword and what follows it at least once."""
    begun = b""
    for letter in reversed(word):
        inner = begun or after + b"*"
        begun = b"(?:" + bytes((letter,)) + inner + b")?"
    return _rule(word + after + b"+", begun, token, State.FAMILY_NAME)


def _quoted(token: Token, state: State, *, over_lines: bool, null: bool) -> Rule:
    no = rb'\\"' + (b"" if over_lines else rb"\n") + (b"" if null else rb"\0")
    inner = rb'"(?:\\[^\n]|[^' + no + rb"])*+"
    return _rule(inner + rb'"', rb"(?:" + inner + rb'(?:"|\\)?)?', token, state)


_NAME: Final = rb"[a-zA-Z_:][a-zA-Z0-9_:]*"
_NAME_BEGUN: Final = rb"(?:" + _NAME + rb")?"
_LABEL: Final = rb"[a-zA-Z_][a-zA-Z0-9_]*"
_LABEL_BEGUN: Final = rb"(?:" + _LABEL + rb")?"


def _one(byte: bytes, token: Token, state: State | None = None) -> Rule:
    return _rule(re.escape(byte), re.escape(byte) + b"?", token, state)


_START: Final = (
    _rule(_NAME, _NAME_BEGUN, Token.METRIC_NAME, State.VALUE),
    _one(b"{", Token.BRACE_OPEN, State.LABELS),
)
_LABELS: Final = (
    _rule(_LABEL, _LABEL_BEGUN, Token.LABEL_NAME),
    _quoted(Token.QUOTED, State.LABELS, over_lines=True, null=False),
    _one(b"}", Token.BRACE_CLOSE, State.VALUE),
    _one(b"=", Token.EQUAL, State.LABEL_VALUE),
    _one(b",", Token.COMMA),
)
_FAMILY_NAME: Final = (
    _quoted(Token.METRIC_NAME, State.FAMILY_TEXT, over_lines=True, null=False),
    _rule(_NAME, _NAME_BEGUN, Token.METRIC_NAME, State.FAMILY_TEXT),
)
_BLANKS: Final = _rule(rb"[ \t]+", rb"[ \t]*", Token.WHITESPACE)

TEXT_RULES: Final[Rules] = {
    State.START: (
        _rule(rb"\0", rb"\0?", Token.EOF),
        _one(b"\n", Token.LINEBREAK, State.START),
        _BLANKS,
        _rule(rb"#[ \t]+", rb"(?:#[ \t]*)?", None, State.COMMENT),
        _one(b"#", Token.COMMENT),
        *_START,
    ),
    State.COMMENT: (
        _BLANKS,
        _word(b"HELP", rb"[ \t]", Token.HELP),
        _word(b"TYPE", rb"[ \t]", Token.TYPE),
    ),
    State.FAMILY_NAME: (_BLANKS, *_FAMILY_NAME),
    State.FAMILY_TEXT: (_BLANKS, _rule(rb"(?!\0)[^\n]*", rb"(?!\0)[^\n]*", Token.TEXT, State.START)),
    State.LABELS: (_BLANKS, *_LABELS),
    State.LABEL_VALUE: (_BLANKS, _quoted(Token.LABEL_VALUE, State.LABELS, over_lines=True, null=True)),
    State.VALUE: (
        _BLANKS,
        _one(b"{", Token.BRACE_OPEN, State.LABELS),
        _rule(rb"[^{ \t\n\0]+", rb"[^{ \t\n\0]*", Token.VALUE, State.TIMESTAMP),
    ),
    State.TIMESTAMP: (
        _BLANKS,
        _rule(rb"[0-9]+", rb"[0-9]*", Token.TIMESTAMP),
        _one(b"\n", Token.LINEBREAK, State.START),
    ),
}


def _spaced(token: Token, state: State | None = None) -> Rule:
    """A space and a word behind it."""
    return _rule(rb" [^ \n\0]+", rb"(?: [^ \n\0]*)?", token, state)


OPENMETRICS_RULES: Final[Rules] = {
    State.START: (_rule(rb"# ", rb"(?:# ?)?", None, State.COMMENT), *_START),
    State.COMMENT: (
        _rule(rb"HELP ", rb"(?:H(?:E(?:L(?:P ?)?)?)?)?", Token.HELP, State.FAMILY_NAME),
        _rule(rb"TYPE ", rb"(?:T(?:Y(?:P(?:E ?)?)?)?)?", Token.TYPE, State.FAMILY_NAME),
        _rule(rb"UNIT ", rb"(?:U(?:N(?:I(?:T ?)?)?)?)?", Token.UNIT, State.FAMILY_NAME),
        _rule(rb"EOF\n?", rb"(?:E(?:O(?:F\n?)?)?)?", Token.EOF_WORD, State.START),
    ),
    State.FAMILY_NAME: _FAMILY_NAME,
    State.FAMILY_TEXT: (_rule(rb" [^\n]*\n", rb"(?: [^\n]*\n?)?", Token.TEXT, State.START),),
    State.LABELS: _LABELS,
    State.LABEL_VALUE: (_quoted(Token.LABEL_VALUE, State.LABELS, over_lines=False, null=True),),
    State.VALUE: (
        _one(b"{", Token.BRACE_OPEN, State.LABELS),
        _spaced(Token.VALUE, State.TIMESTAMP),
    ),
    State.TIMESTAMP: (
        _spaced(Token.TIMESTAMP),
        _one(b"\n", Token.LINEBREAK, State.START),
        _rule(rb" # \{", rb"(?: (?:#(?: \{?)?)?)?", Token.COMMENT, State.EXEMPLAR),
    ),
    State.EXEMPLAR: (
        _rule(_LABEL, _LABEL_BEGUN, Token.LABEL_NAME),
        _quoted(Token.QUOTED, State.EXEMPLAR, over_lines=False, null=False),
        _one(b"}", Token.BRACE_CLOSE, State.EXEMPLAR_VALUE),
        _one(b"=", Token.EQUAL, State.EXEMPLAR_VALUE),
        _one(b",", Token.COMMA),
    ),
    State.EXEMPLAR_VALUE: (
        _quoted(Token.LABEL_VALUE, State.EXEMPLAR, over_lines=False, null=False),
        _spaced(Token.VALUE, State.EXEMPLAR_TIMESTAMP),
    ),
    State.EXEMPLAR_TIMESTAMP: (
        _spaced(Token.TIMESTAMP),
        _one(b"\n", Token.LINEBREAK, State.START),
    ),
}


class Lexer:
    """Tokens of a body from any place on. `start` and `end` bound the last token."""

    __slots__ = ("_rules", "_skips_blanks", "body", "end", "start", "state")

    def __init__(self, body: bytes, rules: Rules, *, skips_blanks: bool) -> None:
        self.body = body
        self.start = 0
        self.end = 0
        self.state = State.START
        self._rules = rules
        self._skips_blanks = skips_blanks

    @property
    def text(self) -> bytes:
        """The last token's bytes."""
        return self.body[self.start : self.end]

    def next(self) -> Token:
        """The next token; blanks are left out where the format allows them anywhere."""
        token = self._token()
        while token is Token.WHITESPACE:
            token = self._token()
        return token

    def _token(self) -> Token:
        body, begin = self.body, self.end
        if begin >= len(body):
            return Token.EOF
        self.start = begin
        while True:
            furthest, found = begin, None
            for rule in self._rules[self.state]:
                end = _end(rule.begun, body, begin)
                if end > furthest or (end == furthest and found is None):
                    whole = rule.whole.match(body, begin)
                    found = rule if whole is not None and whole.end() == end else None
                    furthest = end
            self.end = furthest
            if found is None:
                # a text comment that only began like HELP or TYPE is a comment all the same
                return self._comment() if self._comments() else Token.INVALID
            if found.state is not None:
                self.state = found.state
            if found.token is Token.COMMENT and self.state is State.START:
                return self._comment()
            if found.token is not None:
                return found.token
            begin = furthest

    def _comments(self) -> bool:
        return self._skips_blanks and self.state is State.COMMENT

    def _comment(self) -> Token:
        """Goes on to the end of the line; a null byte where no text is ends the whole body."""
        body = self.body
        end = body.find(b"\n", self.end)
        end = len(body) if end < 0 else end
        null = body.find(b"\0", self.end, end)
        if null >= 0 and (self.state is State.START or null == self.end):
            self.end = null
            return Token.EOF
        self.end = end
        self.state = State.START
        return Token.COMMENT


def _end(pattern: re.Pattern[bytes], body: bytes, begin: int) -> int:
    match = pattern.match(body, begin)
    return begin if match is None else match.end()
