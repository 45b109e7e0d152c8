"""Names of metrics and labels for clients that take ASCII identifiers alone: the schemes of escaping."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from trimon.model.labels import is_legacy_metric_name

Escape = Callable[[str], str]


def _allowed(character: str, place: int) -> bool:
    return character in "_:" or (
        character.isascii() and (character.isalpha() or (place > 0 and character.isdigit()))
    )


def _as_it_is(name: str) -> str:
    return name


def _underscores(name: str) -> str:
    """What an identifier may not have becomes an underscore."""
    if not name or is_legacy_metric_name(name):
        return name
    return "".join(char if _allowed(char, place) else "_" for place, char in enumerate(name))


def _dots(name: str) -> str:
    """Dots can be read back, and underscores; everything else becomes two of them."""
    out = []
    for place, char in enumerate(name):
        if char == "_":
            out.append("__")
        elif char == ".":
            out.append("_dot_")
        else:
            out.append(char if _allowed(char, place) else "__")
    return "".join(out)


def _values(name: str) -> str:
    """Everything can be read back: what an identifier may not have becomes its number."""
    if not name or is_legacy_metric_name(name):
        return name
    out = ["U__"]
    for place, char in enumerate(name):
        if char == "_":
            out.append("__")
        elif _allowed(char, place):
            out.append(char)
        elif "\ud800" <= char <= "\udfff":
            out.append("_FFFD_")
        else:
            out.append(f"_{ord(char):x}_")
    return "".join(out)


UNDERSCORES: Final = "underscores"
SCHEMES: Final[dict[str, Escape]] = {
    "allow-utf-8": _as_it_is,
    UNDERSCORES: _underscores,
    "dots": _dots,
    "values": _values,
}
