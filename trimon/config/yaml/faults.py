"""Values of the wrong shape in a YAML text, gathered so that one look at the message is enough to mend them all."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from trimon import limits
from trimon.errors import Position, UserError


class ShapeErrors(UserError):
    """Values of the wrong shape in one file: unknown fields, fields given twice, wrong types; one line each.

    Of `faults` the first `limits.ERRORS_TOLD_MAX` are kept; `more` is the number of those that are not.
    """

    def __init__(self, faults: Sequence[tuple[Position, str]], more: int = 0) -> None:
        kept = sorted(faults[: limits.ERRORS_TOLD_MAX], key=lambda fault: fault[0].line)
        self.faults = tuple(kept)
        self.more = more + len(faults) - len(kept)
        lines = [f"\n  line {place.line}: {message}" for place, message in self.faults]
        if self.more:
            lines.append(f"\n  {and_more(self.more)}")
        super().__init__("yaml: unmarshal errors:" + "".join(lines), self.faults[0][0])
        self.places = tuple(place for place, _ in self.faults)

    def __str__(self) -> str:
        file = self.position.file
        return f"{file}: {self.message}" if file else self.message


class Faults:
    """The faults of a part of a text; the first ones are kept, all are counted."""

    __slots__ = ("_found", "_more")

    def __init__(self) -> None:
        self._found: list[tuple[Position, str]] = []
        self._more = 0

    def add(self, place: Position, message: str) -> None:
        """One more."""
        if len(self._found) < limits.ERRORS_TOLD_MAX:
            self._found.append((place, shortened(message)))
        else:
            self._more += 1

    def take(self, error: ShapeErrors) -> None:
        """All of an error about something inside."""
        for place, message in error.faults:
            self.add(place, message)
        self._more += error.more

    def raise_any(self) -> None:
        """Raise ShapeErrors if there is a fault."""
        if self._found:
            raise ShapeErrors(self._found, self._more)


def and_more(count: int) -> str:
    """What is told of errors beyond the ones that are told."""
    return f"... and {count} more"


def shortened(message: str) -> str:
    """The message, cut where it is far longer than anybody reads."""
    most = limits.ERROR_CHARACTERS_MAX
    return message if len(message) <= most else f"{message[:most]}... ({len(message)} characters)"


def first_errors(errors: Iterable[UserError]) -> tuple[list[UserError], int]:
    """The errors that are told, and how many there are besides. All are gone through."""
    told: list[UserError] = []
    more = 0
    for error in errors:
        if len(told) < limits.ERRORS_TOLD_MAX:
            told.append(error)
        else:
            more += 1
    return told, more
