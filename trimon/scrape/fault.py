"""Where a body is at fault: line, column, and the text around it with a mark below."""

from __future__ import annotations

from typing import Final

from trimon.records import dataclass
from trimon.redaction import redacted

# So much of a line is shown, most of it before the fault: what led to it says more than what follows.
BEFORE_CHARACTERS: Final = 60
AFTER_CHARACTERS: Final = 20
_CUT: Final = "…"


@dataclass(frozen=True, slots=True)
class BodyFault:
    """A place in a body; line and column count from 1, the column in characters."""

    line: int
    column: int
    text: str
    """The line, or what is around the place of a long one, without secrets."""
    mark: str
    """A caret under the place: to be shown below `text`."""

    def shown(self) -> dict[str, object]:
        """As JSON."""
        return {"line": self.line, "column": self.column, "text": self.text, "mark": self.mark}


def fault_at(body: bytes, place: int) -> BodyFault:
    """The place of an offset in bytes; one behind the body is its end."""
    place = max(0, min(place, len(body)))
    begin = body.rfind(b"\n", 0, place) + 1
    end = body.find(b"\n", place)
    end = len(body) if end < 0 else end
    before = body[begin:place].decode("utf-8", "replace")
    # four bytes are the most that a character has
    after = body[place : min(end, place + 4 * AFTER_CHARACTERS)].decode("utf-8", "replace")
    shown_before, shown_after = before[-BEFORE_CHARACTERS:], after[:AFTER_CHARACTERS]
    if len(shown_before) < len(before):
        shown_before = _CUT + shown_before[1:]
    if len(shown_after) < len(after) or end > place + 4 * AFTER_CHARACTERS:
        shown_after += _CUT
    text = _printable(shown_before + shown_after)
    shown = redacted(text)
    # Where something is hidden the mark would stand under the wrong character.
    mark = " " * len(shown_before) + "^" if shown == text else ""
    return BodyFault(body.count(b"\n", 0, place) + 1, len(before) + 1, shown, mark)


def _printable(text: str) -> str:
    """Every character one that takes a place on a line."""
    return "".join(
        character if character.isprintable() else " " if character == "\t" else "\ufffd" for character in text
    )
