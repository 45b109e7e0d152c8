"""The error tree: whose fault it is decides what happens to it.

Anything that is not one of these is a bug: it crashes the actor it happens in and leaves a report.
"""

from __future__ import annotations

from trimon.records import dataclass


@dataclass(frozen=True, slots=True)
class Position:
    """Where in a text something is. Lines and columns count from 1; 0 means unknown."""

    line: int = 0
    column: int = 0
    file: str = ""

    def __str__(self) -> str:
        parts = [self.file] if self.file else []
        if self.line:
            parts.append(str(self.line))
            if self.column:
                parts.append(str(self.column))
        return ":".join(parts)


class TrimonError(Exception):
    """Root of every error that trimon raises on purpose."""


class UserError(TrimonError):
    """A config, query, request or flag that is wrong; the message says what, the value and the limit.

    `str(error)` is the message with the position before it, if there is one.
    """

    def __init__(self, message: str, position: Position | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.position = position or Position()
        self.places: tuple[Position, ...] = (self.position,)
        """Where each of several errors is, in their order."""

    def __str__(self) -> str:
        where = str(self.position)
        return f"{where}: {self.message}" if where else self.message


class OperatingError(TrimonError):
    """The world is in the way: a target is down, a disk is full, a peer answers nonsense.

    It becomes a health field and a metric, never a crash.
    """
