"""Sections of prometheus.yml that this version of trimon has no model of. Supporting one is deleting its line here.

Fields that have a model and no effect yet are `only_default` there; discovery mechanisms have a table of their own.

A field listed here may stand in a file as long as it is empty, false or zero: then it asks for nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from trimon import limits
from trimon.config.shapefaults import and_more
from trimon.errors import Position, UserError

UNSUPPORTED: Final[Mapping[str, tuple[str, ...]]] = {
    "config": ("remote_write", "remote_read", "tracing"),
    "alertmanager": ("sigv4",),
}

_NEVER_EMPTY: Final = ("tracing",)


class UnsupportedError(UserError):
    """Something that Prometheus has and this version of trimon has not."""


def unsupported(name: str, place: Position) -> UnsupportedError:
    """The error of a field that asks for what does not exist."""
    return UnsupportedError(f"field {name} is not supported by this version of trimon", place)


def _empty(value: object) -> bool:
    """Whether a value asks for nothing, also one that is made of such values; a null item is a mistake."""
    if isinstance(value, Mapping):
        return all(map(_empty, value.values()))
    if isinstance(value, list):
        return all(item is not None and _empty(item) for item in value)
    return value in (None, "", False, 0)


def asks_for_unsupported(name: str, value: object) -> bool:
    """Whether a field of the table asks for something; any item of a list does."""
    wish = bool(value) if isinstance(value, list) else not _empty(value)
    return wish or (name in _NEVER_EMPTY and value is not None)


def all_of(errors: Sequence[UnsupportedError]) -> UnsupportedError:
    """One error that names all that is not supported, each with its place; there is at least one."""
    first, *others = sorted(errors, key=lambda error: (error.position.line, error.position.column))
    if not others:
        return first
    lines = [f"\n  {error}" for error in (first, *others)[: limits.ERRORS_TOLD_MAX]]
    if len(errors) > len(lines):
        lines.append(f"\n  {and_more(len(errors) - len(lines))}")
    message = f"{len(errors)} settings are not supported by this version of trimon:{''.join(lines)}"
    return UnsupportedError(message, first.position)
