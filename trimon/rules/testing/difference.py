"""The difference of two lists of alerts, as a coloured tree."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

_ADDED: Final = "\x1b[0;32m"
_REMOVED: Final = "\x1b[0;31m"
_CHANGED: Final = "\x1b[0;33m"
_PLAIN: Final = "\x1b[0m"
_INDENT: Final = "    "


def difference(expected: Any, got: Any) -> str:
    """What is to be taken away is red, what is to be added green, what has another value yellow."""
    return "\n".join(_compared("", expected, got, ""))


def _compared(key: str, expected: Any, got: Any, indent: str) -> Iterator[str]:
    if isinstance(expected, Mapping) and isinstance(got, Mapping):
        names = sorted({*expected, *got})
        parts = [
            list(
                _member(
                    f"{_quoted(name)}: ",
                    name in expected,
                    name in got,
                    expected.get(name),
                    got.get(name),
                    indent,
                )
            )
            for name in names
        ]
        yield from _enclosed(key, "{}", parts, indent)
    elif _is_list(expected) and _is_list(got):
        parts = [
            list(
                _member(
                    "",
                    place < len(expected),
                    place < len(got),
                    expected[place] if place < len(expected) else None,
                    got[place] if place < len(got) else None,
                    indent,
                )
            )
            for place in range(max(len(expected), len(got)))
        ]
        yield from _enclosed(key, "[]", parts, indent)
    elif expected == got:
        yield f"{indent}{key}{_quoted(expected)}"
    else:
        yield f"{indent}{key}{_CHANGED}{_quoted(expected)} => {_quoted(got)}{_PLAIN}"


def _member(key: str, wanted: bool, there: bool, expected: Any, got: Any, indent: str) -> Iterator[str]:
    inner = indent + _INDENT
    if wanted and there:
        yield from _compared(key, expected, got, inner)
        return
    colour = _ADDED if there else _REMOVED
    value = got if there else expected
    lines = list(_compared(key, value, value, ""))
    last = len(lines) - 1
    for place, line in enumerate(lines):
        yield inner + (colour if place == 0 else "") + line + (_PLAIN if place == last else "")


def _enclosed(key: str, brackets: str, parts: Sequence[list[str]], indent: str) -> Iterator[str]:
    if not parts:
        yield f"{indent}{key}{brackets}"
        return
    yield f"{indent}{key}{brackets[0]}"
    for place, lines in enumerate(parts):
        yield from lines[:-1]
        yield lines[-1] + ("," if place + 1 < len(parts) else "")
    yield f"{indent}{brackets[1]}"


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)


def _quoted(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
