"""Text to tokens, one at a time, with Prometheus' complaints."""

from __future__ import annotations

import re
from typing import Final

from trimon.gotext.strings import go_quote
from trimon.query.language.errors import ParseError
from trimon.query.language.numberscan import scan_number, scan_units
from trimon.query.language.tokens import (
    AGGREGATORS,
    DURATION_WORDS,
    FILL_WORDS,
    KEYWORDS,
    WORD_OPERATORS,
    T,
    Token,
)

_SPACE = re.compile(r"(?:[ \t\n\r]+|#[^\n]*)+")
_BLANK = re.compile(r"[ \t\n\r]+")
_WORD = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*", re.ASCII)
_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*", re.ASCII)
_LETTERS = re.compile(r"[a-zA-Z_]+", re.ASCII)
_DURATION_SYMBOLS: Final = {",": T.COMMA, **dict.fromkeys("+-*/%^", T.OPERATOR)}
_STRING: Final = {
    '"': re.compile(r'"(?:[^"\\\n]|\\[^\n])*"'),
    "'": re.compile(r"'(?:[^'\\\n]|\\[^\n])*'"),
    "`": re.compile(r"`[^`]*`"),
}
# As much of a literal as is there, whether it ends or not.
_BEGUN: Final = {
    '"': re.compile(r'"(?:[^"\\\n]|\\[^\n])*'),
    "'": re.compile(r"'(?:[^'\\\n]|\\[^\n])*"),
    "`": re.compile(r"`[^`]*"),
}
# Bytes that are no UTF-8, whoever has decoded the text.
_NO_UTF8: Final = re.compile("[\ufffd\udc80-\udcff]")
_OPERATOR = re.compile(r"==|!=|<=|>=|</|>/|[-+*/%^<>]")
_MATCH = re.compile(r"=~|!~|!=|=")


class Lexer:
    """The tokens of one text. `next` gives one token after the other, EOF at the end for ever.

    A ParseError is raised where the text stops making sense, not before: what stands in front of it is the
    parser's to judge first.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self._position = 0
        self._parens = 0
        self._brace = False
        self._bracket = False
        self._got_colon = False
        # Behind "[" only what belongs to a duration may stand, up to the first number.
        self._before_number = False
        # Set by the first number behind any "[", for the whole text.
        self._got_number = False
        self._ascii = text.isascii()
        # A position whose byte offset is known: that of the last token.
        self._known = (0, 0)

    def next(self) -> Token:
        """The next token; comments and white space are skipped."""
        text = self.text
        if self._before_number:
            return self._in_duration()
        space = _SPACE.match(text, self._position)
        if space:
            self._position = space.end()
        start = self._position
        if start >= len(text):
            return self._end()
        char = text[start]
        if self._brace:
            return self._in_braces(char)
        if char.isascii() and (char.isalpha() or char in "_:"):
            return self._word(char)
        if char.isascii() and (char.isdigit() or (char == "." and text[start + 1 : start + 2].isdigit())):
            return self._number()
        if char in _STRING:
            return self._string(char)
        return self._symbol(char)

    def _end(self) -> Token:
        if self._brace:
            raise self._error("unexpected end of input inside braces")
        if self._parens:
            raise self._error("unclosed left parenthesis")
        if self._bracket:
            raise self._error("unclosed left bracket")
        return Token(T.EOF, "", self._byte(len(self.text)))

    def _symbol(self, char: str) -> Token:
        text, start = self.text, self._position
        if char in "([{":
            return self._open(char)
        if char in ")]}":
            return self._close(char)
        if char == ",":
            return self._take(T.COMMA, 1)
        if char == "@":
            return self._take(T.AT, 1)
        match = _OPERATOR.match(text, start)
        if match:
            return self._take(T.OPERATOR, match.end() - start)
        following = text[start + 1 : start + 2]
        if char == "!":
            raise self._error(f"unexpected character after '!': {_shown(following)}")
        if char == "=":
            if following == "~":
                raise self._error("unexpected character after '=': '~'")
            return self._take(T.ASSIGN, 1)
        raise self._error(f"unexpected character: {_shown(char)}")

    def _open(self, char: str) -> Token:
        if char == "(":
            self._parens += 1
            return self._take(T.LEFT_PAREN, 1)
        if char == "{":
            self._brace = True
            return self._take(T.LEFT_BRACE, 1)
        if self._bracket:
            raise self._error("unexpected left bracket '['")
        self._bracket, self._got_colon, self._before_number = True, False, True
        return self._take(T.LEFT_BRACKET, 1)

    def _close(self, char: str) -> Token:
        if char == ")":
            self._parens -= 1
            if self._parens < 0:
                # Prometheus finds out behind it.
                self._position += 1
                raise self._error("unexpected right parenthesis ')'")
            return self._take(T.RIGHT_PAREN, 1)
        if char == "}":
            raise self._error("unexpected character: '}'")
        if not self._bracket:
            raise self._error("unexpected right bracket ']'")
        self._bracket = False
        return self._take(T.RIGHT_BRACKET, 1)

    def _word(self, char: str) -> Token:
        if self._bracket:
            return self._word_in_brackets(char)
        match = _WORD.match(self.text, self._position)
        assert match is not None
        word = match.group()
        lower = word.lower()
        if ":" in word:
            kind = T.METRIC_IDENTIFIER
        elif lower in ("inf", "nan"):
            kind = T.NUMBER
        elif lower in WORD_OPERATORS:
            kind = T.OPERATOR
        elif lower in AGGREGATORS:
            kind = T.AGGREGATOR
        elif lower in FILL_WORDS:
            behind = _SPACE.match(self.text, match.end())
            at = behind.end() if behind else match.end()
            kind = T.KEYWORD if self.text[at : at + 1] == "(" else T.IDENTIFIER
        elif lower in KEYWORDS:
            kind = T.KEYWORD
        else:
            kind = T.IDENTIFIER
        return self._take(kind, len(word))

    def _word_in_brackets(self, char: str) -> Token:
        if char != ":":
            return self._duration_word(f"unexpected character: {_shown(char)}, expected ':'")
        if self._got_colon:
            raise self._error("unexpected colon ':'")
        self._got_colon = True
        return self._take(T.COLON, 1)

    def _duration_word(self, complaint: str) -> Token:
        match = _LETTERS.match(self.text, self._position)
        if match is None or match.group().lower() not in DURATION_WORDS:
            raise self._error(complaint)
        return self._take(T.KEYWORD, len(match.group()))

    def _in_duration(self) -> Token:
        text = self.text
        blank = _BLANK.match(text, self._position)
        if blank:
            self._position = blank.end()
        start = self._position
        char = text[start : start + 1]
        if not char:
            raise self._error("unexpected end of input in duration expression")
        if char in _DURATION_SYMBOLS:
            return self._take(_DURATION_SYMBOLS[char], 1)
        if char in "()":
            return self._open(char) if char == "(" else self._close(char)
        if char == "]":
            self._before_number = False
            return self._close(char)
        if char == ":":
            return self._early_colon()
        if char.isascii() and (char.isdigit() or (char == "." and text[start + 1 : start + 2].isdigit())):
            self._before_number, self._got_number = False, True
            return self._number()
        return self._duration_word(f"unexpected character in duration expression: {_shown(char)}")

    def _early_colon(self) -> Token:
        if self._got_number and not self._got_colon:
            self._got_colon = True
            return self._take(T.COLON, 1)
        # Prometheus finds out behind it.
        self._position += 1
        complaint = "unexpected repeated colon" if self._got_number else "unexpected colon before duration"
        raise self._error(f"{complaint} in duration expression")

    def _number(self) -> Token:
        text, start = self.text, self._position
        end, good = scan_number(text, start)
        if good:
            return self._take(T.NUMBER, end - start)
        end, good = scan_units(text, end)
        if good:
            return self._take(T.DURATION, end - start)
        raise self._error(f"bad number or duration syntax: {go_quote(text[start:end])}")

    def _string(self, quote: str) -> Token:
        if not self._ascii:
            begun = _BEGUN[quote].match(self.text, self._position)
            if begun is not None and _NO_UTF8.search(begun.group()):
                raise self._error("invalid UTF-8 rune")
        match = _STRING[quote].match(self.text, self._position)
        if match is None:
            raise self._error("unterminated raw string" if quote == "`" else "unterminated quoted string")
        return self._take(T.STRING, match.end() - match.start())

    def _in_braces(self, char: str) -> Token:
        text, start = self.text, self._position
        label = _LABEL.match(text, start)
        if label:
            return self._take(T.IDENTIFIER, label.end() - start)
        if char in _STRING:
            return self._string(char)
        if char == ",":
            return self._take(T.COMMA, 1)
        if char == "}":
            self._brace = False
            return self._take(T.RIGHT_BRACE, 1)
        if char == "{":
            raise self._error("unexpected left brace '{'")
        match = _MATCH.match(text, start)
        if match:
            return self._take(T.OPERATOR, match.end() - start)
        if char == "!":
            raise self._error(
                f"unexpected character after '!' inside braces: {_shown(text[start + 1 : start + 2])}"
            )
        raise self._error(f"unexpected character inside braces: {_shown(char)}")

    def _take(self, kind: T, length: int) -> Token:
        start = self._position
        self._position = start + length
        return Token(kind, self.text[start : self._position], self._byte(start))

    def _byte(self, position: int) -> int:
        if self._ascii:
            return position
        known, offset = self._known
        if position < known:
            known, offset = 0, 0
        offset += len(self.text[known:position].encode("utf-8", "surrogateescape"))
        self._known = (position, offset)
        return offset

    def _error(self, message: str) -> ParseError:
        start = self._byte(self._position)
        return ParseError(message, self.text, start, self._byte(len(self.text)))


def _shown(char: str) -> str:
    if char in ('"', "'"):
        return "'\\''" if char == "'" else "'\"'"
    # Prometheus shows the end of the text as the character for what is none.
    return f"'{go_quote(char)[1:-1]}'" if char else "'\ufffd'"
