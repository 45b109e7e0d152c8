"""The tokens of the two text formats: which may follow in which state, as Prometheus' lexers have it.

A lexer takes as many bytes as any rule of its state can go on with. When a rule is complete there, that is the token;
when none is, the token is INVALID and ends there: a lexer never goes back to a shorter token. Errors quote tokens, so
where one ends can be seen from outside.

In comments, texts of families and values of labels null bytes behind another byte belong to it: no rule sees them.
Everywhere else a null byte fits no rule, but where a record of the text format may begin it ends the body.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import Enum
from typing import Final

from trimon.records import dataclass


class ExpositionToken(Enum):
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


class LexState(Enum):
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
class LexRule:
    """`whole` matches the token, `begun` as much as can become one. No token: only the state changes."""

    whole: re.Pattern[bytes]
    begun: re.Pattern[bytes]
    token: ExpositionToken | None
    state: LexState | None = None


Rules = Mapping[LexState, tuple[LexRule, ...]]


def _rule(
    whole: bytes, begun: bytes, token: ExpositionToken | None, state: LexState | None = None
) -> LexRule:
    return LexRule(re.compile(whole, re.DOTALL), re.compile(begun, re.DOTALL), token, state)


# Null bytes that belong to the byte before them.
_NULLS: Final = rb"\0*+"


def _word(
    word: bytes,
    last: bytes,
    token: ExpositionToken,
    state: LexState,
    repeats: bytes = b"",
) -> LexRule:
    """A keyword in a comment, and what ends it: a class of bytes, and how often it stands."""
    ending = b"(?:" + last + _NULLS + b")"
    begun = ending + (b"*" if repeats == b"+" else b"?")
    for letter in reversed(word):
        begun = b"(?:" + bytes((letter,)) + _NULLS + begun + b")?"
    letters = b"".join(bytes((letter,)) + _NULLS for letter in word)
    return _rule(letters + ending + repeats, begun, token, state)


def _quoted(token: ExpositionToken, state: LexState, *, over_lines: bool) -> LexRule:
    no = rb'\\"\0' + (b"" if over_lines else rb"\n")
    inner = rb'"(?:\\[^\n\0]|[^' + no + rb"])*+"
    return _rule(inner + rb'"', rb"(?:" + inner + rb'(?:"|\\)?)?', token, state)


def _label_value(*, over_lines: bool) -> LexRule:
    no = rb'\\"\0' + (b"" if over_lines else rb"\n")
    inner = rb'"\0*+(?:\\\0*+[^\n\0]\0*+|[^' + no + rb"]\0*+)*+"
    begun = rb"(?:" + inner + rb'(?:["\\]\0*+)?)?'
    return _rule(inner + rb'"\0*+', begun, ExpositionToken.LABEL_VALUE, LexState.LABELS)


_NAME: Final = rb"[a-zA-Z_:][a-zA-Z0-9_:]*"
_NAME_BEGUN: Final = rb"(?:" + _NAME + rb")?"
_LABEL: Final = rb"[a-zA-Z_][a-zA-Z0-9_]*"
_LABEL_BEGUN: Final = rb"(?:" + _LABEL + rb")?"


def _one(byte: bytes, token: ExpositionToken, state: LexState | None = None) -> LexRule:
    return _rule(re.escape(byte), re.escape(byte) + b"?", token, state)


_START: Final = (
    _rule(_NAME, _NAME_BEGUN, ExpositionToken.METRIC_NAME, LexState.VALUE),
    _one(b"{", ExpositionToken.BRACE_OPEN, LexState.LABELS),
)
_LABELS: Final = (
    _rule(_LABEL, _LABEL_BEGUN, ExpositionToken.LABEL_NAME),
    _quoted(ExpositionToken.QUOTED, LexState.LABELS, over_lines=True),
    _one(b"}", ExpositionToken.BRACE_CLOSE, LexState.VALUE),
    _one(b"=", ExpositionToken.EQUAL, LexState.LABEL_VALUE),
    _one(b",", ExpositionToken.COMMA),
)
_FAMILY_NAME: Final = (
    _quoted(ExpositionToken.METRIC_NAME, LexState.FAMILY_TEXT, over_lines=True),
    _rule(_NAME, _NAME_BEGUN, ExpositionToken.METRIC_NAME, LexState.FAMILY_TEXT),
)
_BLANKS: Final = _rule(rb"[ \t]+", rb"[ \t]*", ExpositionToken.WHITESPACE)
_BLANKS_AND_NULLS: Final = _rule(rb"(?:[ \t]\0*+)+", rb"(?:[ \t]\0*+)*", ExpositionToken.WHITESPACE)

TEXT_RULES: Final[Rules] = {
    LexState.START: (
        _rule(rb"\0", rb"\0?", ExpositionToken.EOF),
        _one(b"\n", ExpositionToken.LINEBREAK, LexState.START),
        _BLANKS,
        _rule(rb"#[ \t]+", rb"(?:#[ \t]*)?", None, LexState.COMMENT),
        _one(b"#", ExpositionToken.COMMENT),
        *_START,
    ),
    LexState.COMMENT: (
        _BLANKS_AND_NULLS,
        _word(b"HELP", rb"[ \t]", ExpositionToken.HELP, LexState.FAMILY_NAME, b"+"),
        _word(b"TYPE", rb"[ \t]", ExpositionToken.TYPE, LexState.FAMILY_NAME, b"+"),
    ),
    LexState.FAMILY_NAME: (_BLANKS, *_FAMILY_NAME),
    LexState.FAMILY_TEXT: (
        _BLANKS_AND_NULLS,
        _rule(rb"(?:[^\n\0][^\n]*+)?", rb"(?:[^\n\0][^\n]*+)?", ExpositionToken.TEXT, LexState.START),
    ),
    LexState.LABELS: (_BLANKS, *_LABELS),
    LexState.LABEL_VALUE: (_BLANKS_AND_NULLS, _label_value(over_lines=True)),
    LexState.VALUE: (
        _BLANKS,
        _one(b"{", ExpositionToken.BRACE_OPEN, LexState.LABELS),
        _rule(rb"[^{ \t\n\0]+", rb"[^{ \t\n\0]*", ExpositionToken.VALUE, LexState.TIMESTAMP),
    ),
    LexState.TIMESTAMP: (
        _BLANKS,
        _rule(rb"[0-9]+", rb"[0-9]*", ExpositionToken.TIMESTAMP),
        _one(b"\n", ExpositionToken.LINEBREAK, LexState.START),
    ),
}


def _spaced(token: ExpositionToken, state: LexState | None = None) -> LexRule:
    """A space and a word behind it."""
    return _rule(rb" [^ \n\0]+", rb"(?: [^ \n\0]*)?", token, state)


OPENMETRICS_RULES: Final[Rules] = {
    LexState.START: (_rule(rb"# ", rb"(?:# ?)?", None, LexState.COMMENT), *_START),
    LexState.COMMENT: (
        _word(b"HELP", b" ", ExpositionToken.HELP, LexState.FAMILY_NAME),
        _word(b"TYPE", b" ", ExpositionToken.TYPE, LexState.FAMILY_NAME),
        _word(b"UNIT", b" ", ExpositionToken.UNIT, LexState.FAMILY_NAME),
        _word(b"EOF", rb"\n", ExpositionToken.EOF_WORD, LexState.START, b"?"),
    ),
    LexState.FAMILY_NAME: _FAMILY_NAME,
    LexState.FAMILY_TEXT: (
        _rule(rb" [^\n]*\n\0*+", rb"(?: [^\n]*(?:\n\0*+)?)?", ExpositionToken.TEXT, LexState.START),
    ),
    LexState.LABELS: _LABELS,
    LexState.LABEL_VALUE: (_label_value(over_lines=False),),
    LexState.VALUE: (
        _one(b"{", ExpositionToken.BRACE_OPEN, LexState.LABELS),
        _spaced(ExpositionToken.VALUE, LexState.TIMESTAMP),
    ),
    LexState.TIMESTAMP: (
        _spaced(ExpositionToken.TIMESTAMP),
        _one(b"\n", ExpositionToken.LINEBREAK, LexState.START),
        _rule(rb" # \{", rb"(?: (?:#(?: \{?)?)?)?", ExpositionToken.COMMENT, LexState.EXEMPLAR),
    ),
    LexState.EXEMPLAR: (
        _rule(_LABEL, _LABEL_BEGUN, ExpositionToken.LABEL_NAME),
        _quoted(ExpositionToken.QUOTED, LexState.EXEMPLAR, over_lines=False),
        _one(b"}", ExpositionToken.BRACE_CLOSE, LexState.EXEMPLAR_VALUE),
        _one(b"=", ExpositionToken.EQUAL, LexState.EXEMPLAR_VALUE),
        _one(b",", ExpositionToken.COMMA),
    ),
    LexState.EXEMPLAR_VALUE: (
        _quoted(ExpositionToken.LABEL_VALUE, LexState.EXEMPLAR, over_lines=False),
        _spaced(ExpositionToken.VALUE, LexState.EXEMPLAR_TIMESTAMP),
    ),
    LexState.EXEMPLAR_TIMESTAMP: (
        _spaced(ExpositionToken.TIMESTAMP),
        _one(b"\n", ExpositionToken.LINEBREAK, LexState.START),
    ),
}


class ExpositionLexer:
    """Tokens of a body from any place on. `start` and `end` bound the last token."""

    __slots__ = ("_rules", "_skips_blanks", "body", "end", "place", "start", "state")

    def __init__(self, body: bytes, rules: Rules, *, skips_blanks: bool) -> None:
        self.body = body
        self.start = 0
        self.end = 0
        self.place = 0
        """Where the last token was looked for: its start, and where none is left the end of the body."""
        self.state = LexState.START
        self._rules = rules
        self._skips_blanks = skips_blanks

    @property
    def text(self) -> bytes:
        """The last token's bytes."""
        return self.body[self.start : self.end]

    def next(self) -> ExpositionToken:
        """The next token; blanks are left out where the format allows them anywhere."""
        token = self._token()
        while token is ExpositionToken.WHITESPACE:
            token = self._token()
        return token

    def _token(self) -> ExpositionToken:
        body, begin = self.body, self.end
        self.place = begin
        if begin >= len(body):
            return ExpositionToken.EOF
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
                return self._comment() if self._comments() else ExpositionToken.INVALID
            if found.state is not None:
                self.state = found.state
            if found.token is ExpositionToken.COMMENT and self.state is LexState.START:
                return self._comment()
            if found.token is not None:
                return found.token
            begin = furthest

    def _comments(self) -> bool:
        return self._skips_blanks and self.state is LexState.COMMENT

    def _comment(self) -> ExpositionToken:
        """Goes on to the end of the line; a null byte where no text is ends the whole body."""
        body = self.body
        end = body.find(b"\n", self.end)
        end = len(body) if end < 0 else end
        null = body.find(b"\0", self.end, end)
        if null >= 0 and (self.state is LexState.START or null == self.end):
            self.end = null
            return ExpositionToken.EOF
        self.end = end
        self.state = LexState.START
        return ExpositionToken.COMMENT


def _end(pattern: re.Pattern[bytes], body: bytes, begin: int) -> int:
    match = pattern.match(body, begin)
    return begin if match is None else match.end()
