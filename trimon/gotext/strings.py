"""Go's string literals: reading them, and quoting as `%q` does."""

from __future__ import annotations

from typing import Final

from trimon.errors import UserError

_SIMPLE = {"a": 7, "b": 8, "f": 12, "n": 10, "r": 13, "t": 9, "v": 11, "\\": 92}
_SHOWN = {7: "\\a", 8: "\\b", 12: "\\f", 10: "\\n", 13: "\\r", 9: "\\t", 11: "\\v"}
_ESCAPED_BYTES: Final = 256 * 1024
_GO_ESCAPES: Final = tuple(
    (character.encode()[:1], character.encode(), f"\\u{ord(character):04x}".encode())
    for character in "<>&\u2028\u2029"
)
_WIDTHS = {"x": 2, "u": 4, "U": 8}


def unquote(literal: str) -> str:
    """The text that a quoted literal stands for; bytes that are not UTF-8 become surrogates.

    Raises UserError for a bad escape.
    """
    quote, body = literal[0], literal[1:-1]
    if quote == "`":
        return body.replace("\r", "")
    if "\\" not in body:
        return body
    out = bytearray()
    position = 0
    while position < len(body):
        char = body[position]
        if char != "\\":
            out += char.encode("utf-8", "surrogateescape")
            position += 1
            continue
        position += 1
        piece, position = _escape(body, position, quote)
        out += piece
    return out.decode("utf-8", "surrogateescape")


def _escape(body: str, position: int, quote: str) -> tuple[bytes, int]:
    char = body[position : position + 1]
    if char in _SIMPLE:
        return bytes([_SIMPLE[char]]), position + 1
    if char == quote:
        return quote.encode(), position + 1
    if char in _WIDTHS:
        digits = body[position + 1 : position + 1 + _WIDTHS[char]]
        code = _number(digits, _WIDTHS[char], 16)
        if char == "x":
            return bytes([code]), position + 3
        if code > 0x10FFFF or 0xD800 <= code < 0xE000:
            raise UserError("escape sequence is an invalid Unicode code point")
        return chr(code).encode(), position + 1 + _WIDTHS[char]
    if char and char in "01234567":
        code = _number(body[position : position + 3], 3, 8)
        if code > 255:
            raise UserError(f"escape sequence is out of range: {code} > 255")
        return bytes([code]), position + 3
    raise UserError(
        f"unknown escape sequence U+{ord(char):04X} '{char}'" if char else "escape sequence not terminated"
    )


def _number(digits: str, width: int, base: int) -> int:
    alphabet = "0123456789abcdefABCDEF" if base == 16 else "01234567"
    for digit in digits:
        if digit not in alphabet:
            raise UserError(f"illegal character U+{ord(digit):04X} {digit!r} in escape sequence")
    if len(digits) < width:
        raise UserError("escape sequence not terminated")
    return int(digits, base)


def go_quote(text: str, *, ascii_only: bool = False) -> str:
    """The text between double quotes, as Go's `%q` prints it; with `ascii_only` as `%+q` does."""
    if text.isascii() and text.isprintable() and '"' not in text and "\\" not in text:
        return f'"{text}"'
    return '"' + "".join(_shown(char, '"', ascii_only) for char in text) + '"'


def go_quote_bytes(raw: bytes) -> str:
    """As `go_quote`, of bytes that are perhaps not UTF-8."""
    return go_quote(raw.decode("utf-8", "surrogateescape"))


def go_quote_rune(char: str, *, ascii_only: bool = False) -> str:
    """One character between single quotes, as Go's `%q` prints an integer."""
    return f"'{_shown(char, chr(39), ascii_only)}'"


def _shown(char: str, quote: str, ascii_only: bool) -> str:
    """One character inside of quotes."""
    code = ord(char)
    if char in (quote, "\\"):
        return "\\" + char
    if code in _SHOWN:
        return _SHOWN[code]
    if 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code - 0xDC00:02x}"
    if char.isprintable() and (code < 0x80 or not ascii_only):
        return char
    if code < 0x80:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def can_backquote(text: str) -> bool:
    """Whether a text can stand between back quotes on one line."""
    return not any(
        char in "`\x7f\ufeff" or (char < " " and char != "\t") or "\udc80" <= char <= "\udcff"
        for char in text
    )


def go_json(body: bytes) -> bytes:
    """JSON with the characters escaped that Go escapes: those that mean something in HTML, and two ends of lines."""
    if len(body) <= _ESCAPED_BYTES:
        return _go_escaped(body)
    # One call over tens of megabytes would hold the interpreter's lock for all of them.
    pieces, at = [], 0
    while at < len(body):
        end = at + _ESCAPED_BYTES
        while end < len(body) and 0x80 <= body[end] < 0xC0:  # a character stays whole
            end += 1
        pieces.append(_go_escaped(body[at:end]))
        at = end
    return b"".join(pieces)


def _go_escaped(body: bytes) -> bytes:
    for first, character, escape in _GO_ESCAPES:
        # One byte is looked for at the speed of memory, several are not: answers have megabytes.
        if first in body:
            body = body.replace(character, escape)
    return body
