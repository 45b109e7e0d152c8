"""Number constants: every kind of number that a literal can stand for."""

from __future__ import annotations

from typing import Final

from trimon.errors import UserError
from trimon.gotext.numbers import INT64_MAX, INT64_MIN, UINT64_MAX, parse_go_float, parse_integer
from trimon.gotext.strings import go_quote, unquote
from trimon.gotext.values import text_bytes
from trimon.templates.lexer import Token, TokenKind
from trimon.templates.nodes import NumberNode, TemplateSource

# The length of an escape by the letter behind its backslash.
_ESCAPE_LENGTHS: Final = {"x": 4, "u": 6, "U": 10, **dict.fromkeys("01234567", 4)}


def number(token: Token, source: TemplateSource) -> NumberNode:
    """The node of a constant. Raises UserError with Go's wording."""
    text = token.text
    node = NumberNode(token.position, source, text)
    if token.kind is TokenKind.CHARACTER_CONSTANT:
        _of_character(node)
    elif token.kind is TokenKind.COMPLEX:
        _of_pair(node)
    elif not _of_imaginary(node):
        _of_real(node)
    return node


def _of_character(node: NumberNode) -> None:
    """Only the first character is looked at, and that nothing follows it."""
    length = _ESCAPE_LENGTHS.get(node.text[2], 2) if node.text[1] == "\\" else 1
    piece, rest = node.text[1 : 1 + length], node.text[1 + length :]
    try:
        value = unquote(f"'{piece}'")
    except UserError:
        raise UserError("invalid syntax") from None
    if not rest:
        raise UserError("invalid syntax")
    if rest != "'":
        raise UserError(f"malformed character constant: {node.text}")
    code = ord(value[0])
    if 0xDC80 <= code < 0xDD00:
        code = text_bytes(value)[0] if length > 1 else 0xFFFD
    node.integer = node.unsigned = code
    node.floating = float(code)


def _of_pair(node: NumberNode) -> None:
    """`1+2i`."""
    body = node.text[:-1]
    cut = max(body.rfind("+", 1), body.rfind("-", 1))
    while cut > 0 and body[cut - 1] in "eEpP":
        cut = max(body.rfind("+", 1, cut), body.rfind("-", 1, cut))
    _set_complex(node, complex(parse_go_float(body[:cut]), parse_go_float(body[cut:])))


def _of_imaginary(node: NumberNode) -> bool:
    if not node.text.endswith("i"):
        return False
    try:
        _set_complex(node, complex(0.0, parse_go_float(node.text[:-1])))
    except UserError:
        return False
    return True


def _set_complex(node: NumberNode, value: complex) -> None:
    """A complex constant; without an imaginary part it is any number it can be."""
    node.complex = value
    if value.imag == 0:
        node.floating = value.real
        if value.real.is_integer() and INT64_MIN <= value.real <= INT64_MAX:
            node.integer = int(value.real)
        if value.real.is_integer() and 0 <= value.real <= UINT64_MAX:
            node.unsigned = int(value.real)


def _of_real(node: NumberNode) -> None:
    text = node.text
    integer = parse_integer(text)
    if integer is not None:
        if text[0] not in "+-" and integer <= UINT64_MAX:
            node.unsigned = integer
        if INT64_MIN <= integer <= INT64_MAX:
            node.integer = integer
            if integer == 0:
                node.unsigned = 0
    if node.integer is not None:
        node.floating = float(node.integer)
    elif node.unsigned is not None:
        node.floating = float(node.unsigned)
    else:
        _of_float(node)
    if node.integer is None and node.unsigned is None and node.floating is None:
        raise UserError(f"illegal number syntax: {go_quote(text)}")


def _of_float(node: NumberNode) -> None:
    try:
        value = parse_go_float(node.text)
    except UserError:
        return
    # Digits alone, of more than any integer can hold.
    if not any(character in node.text for character in ".eEpP"):
        raise UserError(f"integer overflow: {go_quote(node.text)}")
    node.floating = value
    if value.is_integer() and INT64_MIN <= value <= INT64_MAX:
        node.integer = int(value)
    if value.is_integer() and 0 <= value <= UINT64_MAX:
        node.unsigned = int(value)
