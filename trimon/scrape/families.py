"""What the comments of a body say of its metric families, and where they say it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from trimon.scrape.exposition import Comment, Format


@dataclass(frozen=True, slots=True)
class Family:
    """What a body says of a metric family."""

    type: str = "unknown"
    help: str = ""
    unit: str = ""


class Families:
    """The families of one body, learned remark by remark, in the order of its lines."""

    def __init__(self, text_format: Format, before: Families | None = None) -> None:
        self.by_name: dict[str, Family] = {}
        self._format = text_format
        self._remarks: list[bytes] = []
        self._types: dict[str, list[tuple[int, str]]] = {}
        # what lines of this body and of the one before say, so that a line is parsed when it is first seen
        self._read: dict[bytes, Comment | None] = {}
        self._read_before = before._read if before is not None else {}

    def learn(self, line: bytes) -> None:
        """Takes in a remark. Raises ParseError."""
        place = len(self._remarks)
        self._remarks.append(line)
        if not line:
            return
        if line in self._read_before:
            comment = self._read_before[line]
        else:
            comment = self._format.comment(line.lstrip(b" \t"))
        self._read[line] = comment
        if comment is None:
            return
        family = self.by_name.get(comment.family, Family())
        if comment.kind == "TYPE":
            family = Family(comment.text, family.help, family.unit)
            self._types.setdefault(comment.family, []).append((place, comment.text))
        elif comment.kind == "HELP":
            family = Family(family.type, comment.text, family.unit)
        else:
            family = Family(family.type, family.help, comment.text)
        self.by_name[comment.family] = family

    def done(self) -> None:
        """All remarks are learned: lets go of what only the body before said."""
        self._read_before = {}

    def same_as(self, remarks: list[bytes]) -> bool:
        """Whether a body with these remarks says the same."""
        return self._remarks == remarks

    def after(self, remarks: int) -> Callable[[str], Family | None]:
        """What is known of a family's type when so many remarks have been read."""

        def family(name: str) -> Family | None:
            known = [text for place, text in self._types.get(name, ()) if place < remarks]
            return Family(known[-1]) if known else None

        return family
