"""Values as expressions of JavaScript: as Go's encoding/json writes them."""

from __future__ import annotations

import math
import re
from typing import Final

from trimon import limits
from trimon.errors import UserError
from trimon.gotext.civiltime import format_time
from trimon.gotext.floats import format_plain
from trimon.gotext.format import DEPTH_MAX
from trimon.gotext.values import GoKind, Interface, Pointer, Slice, Struct, Table, Value, raw, type_of
from trimon.templates.html.scripts import is_word_character
from trimon.templates.types import TIME

_RFC3339: Final = "2006-01-02T15:04:05.999999999Z07:00"
_SHORT: Final = {"\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t", '"': '\\"', "\\": "\\\\"}
_ESCAPED: Final = {
    **{code: f"\\u{code:04x}" for code in range(32)},
    **{ord(character): f"\\u{ord(character):04x}" for character in "<>&\u2028\u2029"},
    **dict.fromkeys(range(56448, 56576), "\\ufffd"),
    **{ord(character): escape for character, escape in _SHORT.items()},
}
_SCRIPT_TAG: Final = re.compile("<(/?)script", re.IGNORECASE)


class _UnsupportedError(Exception):
    """Why a value has no JSON."""


def script_value(value: Value) -> str:
    """A value as an expression that stands anywhere; one without JSON is null with a comment that says why."""
    while isinstance(value, Pointer) and value.target is not None and not _is_time(value):
        value = value.target
    shown = None if value is None else type_of(value).shown
    if shown is not None and not _is_time(value) and not isinstance(value, Pointer):
        value = shown(value.payload if isinstance(value, Struct) else raw(value))
    try:
        text = json_text(value)
    except _UnsupportedError as error:
        message = (
            _SCRIPT_TAG.sub(r"\\x3C\1script", str(error)).replace("*/", "* /").replace("<!--", "\\x3C!--")
        )
        return f" /* {message} */null "
    # Words and numbers must not run into words beside them.
    pad = is_word_character(text[0]) or is_word_character(text[-1])
    return f" {text} " if pad else text


def _is_time(value: Value) -> bool:
    target = value.target if isinstance(value, Pointer) else value
    return isinstance(target, Struct) and target.type is TIME


def json_text(value: Value) -> str:
    """The JSON of a value; keys in order. Raises UserError when it is too long."""
    parts: list[str] = []
    _write(value, parts, [limits.TEMPLATE_OUTPUT_BYTES_MAX])
    return "".join(parts)


def _add(text: str, parts: list[str], left: list[int]) -> None:
    left[0] -= len(text)
    if left[0] < 0:
        raise UserError(f"text is longer than {limits.TEMPLATE_OUTPUT_BYTES_MAX} bytes")
    parts.append(text)


def _write(value: Value, parts: list[str], left: list[int], depth: int = 0) -> None:
    if depth > DEPTH_MAX:
        raise UserError(f"value is nested more than {DEPTH_MAX} deep")
    while isinstance(value, Pointer | Interface):
        value = value.target if isinstance(value, Pointer) else value.value
    if value is None or (isinstance(value, Slice) and value.nil):
        _add("null", parts, left)
    elif _is_time(value):
        assert isinstance(value, Struct)
        _add(f'"{format_time(value.payload, _RFC3339)}"', parts, left)
    elif isinstance(value, Struct):
        fields = zip(value.type.fields, value.values, strict=True)
        _members({name: item for (name, _), item in fields if name[0].isupper()}, parts, left, depth)
    elif isinstance(value, Table):
        _members({name: value.entries[name] for name in sorted(value.entries)}, parts, left, depth)
    elif isinstance(value, Slice):
        for at, item in enumerate(value.items):
            _add("," if at else "[", parts, left)
            _write(item, parts, left, depth + 1)
        _add("]" if value.items else "[]", parts, left)
    else:
        _add(_basic(value), parts, left)


def _members(members: dict[str, Value], parts: list[str], left: list[int], depth: int) -> None:
    for at, (name, item) in enumerate(members.items()):
        _add(f"{',' if at else '{'}{_string(name)}:", parts, left)
        _write(item, parts, left, depth + 1)
    _add("}" if members else "{}", parts, left)


def _string(text: str) -> str:
    return f'"{text.translate(_ESCAPED)}"'


def _basic(value: Value) -> str:
    kind, plain = type_of(value).kind, raw(value)
    if kind is GoKind.STRING:
        return _string(plain)
    if kind is GoKind.BOOL:
        return "true" if plain else "false"
    if kind is GoKind.COMPLEX:
        raise _UnsupportedError("json: unsupported type: complex128")
    return _float(plain) if kind is GoKind.FLOAT else str(plain)


def _float(value: float) -> str:
    if not math.isfinite(value):
        shown = "NaN" if math.isnan(value) else "+Inf" if value > 0 else "-Inf"
        raise _UnsupportedError(f"json: unsupported value: {shown}")
    size = abs(value)
    mantissa, _, exponent = repr(value).partition("e")
    if size != 0 and (size < 1e-6 or size >= 1e21):
        power = int(exponent)
        return f"{mantissa.removesuffix('.0')}e{'-' if power < 0 else '+'}{abs(power):02d}".replace(
            "e-0", "e-"
        )
    return format_plain(value)
