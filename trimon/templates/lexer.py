"""From the text of a template to tokens: plain text, and what is between `{{` and `}}`."""

from __future__ import annotations

from enum import Enum
from typing import Final

from trimon.gotext.digits import Flags, unicode_text
from trimon.gotext.strings import go_quote
from trimon.gotext.values import text_bytes
from trimon.records import dataclass

LEFT: Final = "{{"
RIGHT: Final = "}}"
_SPACE: Final = " \t\r\n"
# What may follow a word, besides a blank and the end of the action.
_TERMINATORS: Final = frozenset(".,|:()")


class TokenKind(Enum):
    """What a token is."""

    ERROR = "error"
    BOOL = "bool"
    CHARACTER = "character"
    CHARACTER_CONSTANT = "character constant"
    COMPLEX = "complex"
    ASSIGN = "="
    DECLARE = ":="
    EOF = "EOF"
    FIELD = "field"
    IDENTIFIER = "identifier"
    LEFT = "left delimiter"
    LEFT_PAREN = "("
    NUMBER = "number"
    PIPE = "|"
    RAW_STRING = "raw string"
    RIGHT = "right delimiter"
    RIGHT_PAREN = ")"
    SPACE = "space"
    STRING = "string"
    TEXT = "text"
    VARIABLE = "variable"
    BLOCK = "block"
    BREAK = "break"
    CONTINUE = "continue"
    DOT = "."
    DEFINE = "define"
    ELSE = "else"
    END = "end"
    IF = "if"
    NIL = "nil"
    RANGE = "range"
    TEMPLATE = "template"
    WITH = "with"


KEYWORDS: Final = {
    kind.value: kind
    for kind in (
        TokenKind.BLOCK, TokenKind.BREAK, TokenKind.CONTINUE, TokenKind.DEFINE, TokenKind.ELSE, TokenKind.END,
        TokenKind.IF, TokenKind.NIL, TokenKind.RANGE, TokenKind.TEMPLATE, TokenKind.WITH,
    )
}  # fmt: skip
_WORDS: Final = frozenset((*KEYWORDS.values(), TokenKind.DOT))


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of a template. `position` counts characters from 0, `line` lines from 1."""

    kind: TokenKind
    position: int
    text: str
    line: int

    def __str__(self) -> str:
        """As error messages show it."""
        if self.kind is TokenKind.EOF:
            return "EOF"
        if self.kind is TokenKind.ERROR:
            return self.text
        if self.kind in _WORDS:
            return f"<{self.text}>"
        shown = go_quote(self.text[:10])
        return f"{shown}..." if len(text_bytes(self.text)) > 10 else shown


def shown_character(character: str) -> str:
    """A character with its code point, as Go's `%#U` prints it."""
    code = ord(character)
    return unicode_text(0xFFFD if 0xD800 <= code < 0xE000 else code, Flags(sharp=True))


class _Refusal(Exception):
    """The text of an error, and where its token begins."""

    def __init__(self, text: str, start: int) -> None:
        super().__init__(text)
        self.text = text
        self.start = start


class Lexer:
    """Gives the tokens of a template one by one; after an error or the end there are only ends."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._line = 1
        self._counted = 0
        self._inside = False
        self._parens = 0
        self._dead = False

    def next(self) -> Token:
        """The next token."""
        if self._dead:
            return Token(TokenKind.EOF, 0, "EOF", self._line)
        try:
            return self._action() if self._inside else self._plain()
        except _Refusal as refusal:
            self._dead = True
            return Token(TokenKind.ERROR, refusal.start, refusal.text, self._line_at(refusal.start))

    def _line_at(self, position: int) -> int:
        if position >= self._counted:
            self._line += self._text.count("\n", self._counted, position)
            self._counted = position
        return self._line

    def _token(self, kind: TokenKind, start: int, end: int) -> Token:
        line = self._line_at(start)
        self._at = end
        return Token(kind, start, self._text[start:end], line)

    def _plain(self) -> Token:
        """Text up to the next action; comments are skipped."""
        text = self._text
        while True:
            start, left = self._at, text.find(LEFT, self._at)
            if left < 0:
                if start < len(text):
                    return self._token(TokenKind.TEXT, start, len(text))
                return Token(TokenKind.EOF, start, "EOF", self._line_at(start))
            end = left
            if self._left_marker(left + 2):
                end = start + len(text[start:left].rstrip(_SPACE))
            if end > start:
                token = self._token(TokenKind.TEXT, start, end)
                self._at = left
                return token
            inner = left + 2 + (2 if self._left_marker(left + 2) else 0)
            if not text.startswith("/*", inner):
                token = self._token(TokenKind.LEFT, left, left + 2)
                self._at, self._inside, self._parens = inner, True, 0
                return token
            self._comment(inner)

    def _left_marker(self, at: int) -> bool:
        return self._text[at : at + 1] == "-" and self._text[at + 1 : at + 2] in _SPACE_SET

    def _comment(self, start: int) -> None:
        close = self._text.find("*/", start + 2)
        if close < 0:
            raise _Refusal("unclosed comment", start)
        end = close + 2
        trimmed, delimiter = self._right_delimiter(end)
        if not delimiter:
            raise _Refusal("comment ends before closing delimiter", start)
        self._at = self._after_right(end + (2 if trimmed else 0), trimmed)

    def _right_delimiter(self, at: int) -> tuple[bool, bool]:
        """Whether a trim marker is here, and whether the end of the action is."""
        if self._trimmed_right(at):
            return True, True
        return False, self._text.startswith(RIGHT, at)

    def _trimmed_right(self, at: int) -> bool:
        return self._text[at : at + 1] in _SPACE_SET and self._text.startswith("-" + RIGHT, at + 1)

    def _after_right(self, at: int, trimmed: bool) -> int:
        """The position behind the end of an action, and behind the blanks that a marker trims."""
        at += 2
        while trimmed and self._text[at : at + 1] in _SPACE_SET:
            at += 1
        return at

    def _action(self) -> Token:
        """A token within an action."""
        start = self._at
        trimmed, delimiter = self._right_delimiter(start)
        if delimiter:
            if self._parens:
                raise _Refusal("unclosed left paren", start)
            return self._end(start, trimmed)
        character = self._text[start : start + 1]
        if not character:
            raise _Refusal("unclosed action", start)
        if character in _SPACE:
            return self._space(start)
        scan = _SCANS.get(character)
        if scan is not None:
            return scan(self, start)
        if character.isdigit() and character.isascii():
            return self._number(start)
        if _wordlike(character):
            return self._identifier(start)
        if character.isascii() and character.isprintable():
            return self._token(TokenKind.CHARACTER, start, start + 1)
        raise _Refusal(f"unrecognized character in action: {shown_character(character)}", start)

    def _end(self, start: int, trimmed: bool) -> Token:
        begin = start + (2 if trimmed else 0)
        token = self._token(TokenKind.RIGHT, begin, begin + 2)
        self._at, self._inside = self._after_right(begin, trimmed), False
        return token

    def _space(self, start: int) -> Token:
        """A run of blanks; the last one may belong to a trim marker."""
        end = start
        while self._text[end : end + 1] in _SPACE_SET:
            end += 1
        if self._trimmed_right(end - 1):
            end -= 1
        return self._token(TokenKind.SPACE, start, end)

    def _colon(self, start: int) -> Token:
        if self._text[start + 1 : start + 2] != "=":
            raise _Refusal("expected :=", start)
        return self._token(TokenKind.DECLARE, start, start + 2)

    def _assign(self, start: int) -> Token:
        return self._token(TokenKind.ASSIGN, start, start + 1)

    def _pipe(self, start: int) -> Token:
        return self._token(TokenKind.PIPE, start, start + 1)

    def _open(self, start: int) -> Token:
        self._parens += 1
        return self._token(TokenKind.LEFT_PAREN, start, start + 1)

    def _close(self, start: int) -> Token:
        if not self._parens:
            raise _Refusal("unexpected right paren", start)
        self._parens -= 1
        return self._token(TokenKind.RIGHT_PAREN, start, start + 1)

    def _quoted(self, start: int) -> Token:
        return self._token(TokenKind.STRING, start, self._quote_end(start, '"', "unterminated quoted string"))

    def _constant(self, start: int) -> Token:
        end = self._quote_end(start, "'", "unterminated character constant")
        return self._token(TokenKind.CHARACTER_CONSTANT, start, end)

    def _quote_end(self, start: int, quote: str, refusal: str) -> int:
        at = start + 1
        while (character := self._text[at : at + 1]) and character != "\n":
            if character == quote:
                return at + 1
            if character == "\\":
                at += 1
                if self._text[at : at + 1] in ("", "\n"):
                    break
            at += 1
        raise _Refusal(refusal, start)

    def _raw(self, start: int) -> Token:
        close = self._text.find("`", start + 1)
        if close < 0:
            raise _Refusal("unterminated raw quoted string", start)
        return self._token(TokenKind.RAW_STRING, start, close + 1)

    def _dot(self, start: int) -> Token:
        following = self._text[start + 1 : start + 2]
        if following.isascii() and following.isdigit():
            return self._number(start)
        if not following:
            # A dot that ends the text is read as a number, which it is not.
            return self._number(start)
        if self._at_terminator(start + 1):
            return self._token(TokenKind.DOT, start, start + 1)
        return self._word(TokenKind.FIELD, start)

    def _variable(self, start: int) -> Token:
        if self._at_terminator(start + 1):
            return self._token(TokenKind.VARIABLE, start, start + 1)
        return self._word(TokenKind.VARIABLE, start)

    def _word_end(self, at: int) -> int:
        """The end of a word; what follows it must be able to."""
        while _wordlike(self._text[at : at + 1]):
            at += 1
        return at

    def _checked_end(self, start: int, at: int) -> int:
        end = self._word_end(at)
        if not self._at_terminator(end):
            raise _Refusal(f"bad character {shown_character(self._text[end])}", start)
        return end

    def _word(self, kind: TokenKind, start: int) -> Token:
        return self._token(kind, start, self._checked_end(start, start + 1))

    def _identifier(self, start: int) -> Token:
        end = self._checked_end(start, start)
        word = self._text[start:end]
        if word in KEYWORDS:
            return self._token(KEYWORDS[word], start, end)
        return self._token(TokenKind.BOOL if word in ("true", "false") else TokenKind.IDENTIFIER, start, end)

    def _at_terminator(self, at: int) -> bool:
        following = self._text[at : at + 1]
        return (
            not following
            or following in _SPACE_SET
            or following in _TERMINATORS
            or self._text.startswith(RIGHT, at)
        )

    def _number(self, start: int) -> Token:
        end = self._number_end(start, start)
        if self._text[end : end + 1] in ("+", "-"):
            end = self._number_end(start, end)
            if self._text[end - 1] != "i":
                raise self._bad_number(start, end)
            return self._token(TokenKind.COMPLEX, start, end)
        return self._token(TokenKind.NUMBER, start, end)

    def _bad_number(self, start: int, end: int) -> _Refusal:
        return _Refusal(f"bad number syntax: {go_quote(self._text[start:end])}", start)

    def _number_end(self, start: int, at: int) -> int:
        """The end of what looks like a number, right or wrong."""
        if self._one_of(at, "+-"):
            at += 1
        digits = "0123456789_"
        if self._one_of(at, "0"):
            at += 1
            for letters, alphabet in _BASES:
                if self._one_of(at, letters):
                    at, digits = at + 1, alphabet
                    break
        at = self._run(at, digits)
        if self._one_of(at, "."):
            at = self._run(at + 1, digits)
        marks = {11: "eE", 23: "pP"}.get(len(digits), "")
        if self._one_of(at, marks):
            at += 1
            at = self._run(at + 1 if self._one_of(at, "+-") else at, "0123456789_")
        if self._one_of(at, "i"):
            at += 1
        if _wordlike(self._text[at : at + 1]):
            raise self._bad_number(start, at + 1)
        return at

    def _one_of(self, at: int, characters: str) -> bool:
        return at < len(self._text) and self._text[at] in characters

    def _run(self, at: int, characters: str) -> int:
        while self._one_of(at, characters):
            at += 1
        return at


_SPACE_SET: Final = frozenset(_SPACE)
_BASES: Final = (("xX", "0123456789abcdefABCDEF_"), ("oO", "01234567_"), ("bB", "01_"))
_SCANS: Final = {
    "=": Lexer._assign,
    ":": Lexer._colon,
    "|": Lexer._pipe,
    '"': Lexer._quoted,
    "`": Lexer._raw,
    "$": Lexer._variable,
    "'": Lexer._constant,
    ".": Lexer._dot,
    "+": Lexer._number,
    "-": Lexer._number,
    "(": Lexer._open,
    ")": Lexer._close,
}


def _wordlike(character: str) -> bool:
    """Whether it is a letter, a digit or an underscore; of no character, False."""
    return character == "_" or character.isalpha() or character.isdecimal()
