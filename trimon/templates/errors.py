"""Errors of templates: found when one is read, or while it runs."""

from __future__ import annotations

from trimon.errors import Position, UserError


class TemplateError(UserError):
    """A template that does not parse, or whose execution failed; the message is Go's, its position within it.

    `position` says the same as data: line from 1, and the column where it is known, in bytes from 1.
    """

    def __str__(self) -> str:
        return self.message


class CallError(UserError):
    """What a function refuses; the execution says where it was called."""


def located(message: str, name: str, line: int, column: int = 0) -> TemplateError:
    """An error in the template of a name."""
    return TemplateError(message, Position(line, column, name))
