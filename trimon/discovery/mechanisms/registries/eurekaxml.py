"""The XML in which Eureka lists applications, read without entities and with bounds."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final
from xml.parsers import expat

from trimon.discovery.record import SourceError

DEPTH_MAX: Final = 50
# Applications and instances are given away as they end; this is for what one application holds.
ELEMENTS_MAX: Final = 2_000_000
_START_TAG: Final = re.compile(rb"""<[^>"']*(?:"[^"]*"[^>"']*|'[^']*'[^>"']*)*>""")


@dataclass(eq=False, slots=True)
class Element:
    """An element: its name without a prefix, its own text, and what it holds as it is written."""

    name: str
    attributes: dict[str, str]
    begins: int
    text: str = ""
    raw: str = ""
    children: list[Element] = field(default_factory=list)

    def child(self, name: str) -> Element | None:
        """The last child of a name."""
        return next((each for each in reversed(self.children) if each.name == name), None)

    def text_of(self, name: str) -> str:
        """The text of a child; empty where there is none."""
        child = self.child(name)
        return child.text if child is not None else ""

    def whole(self) -> int:
        """The text as a whole number; empty is 0. Raises SourceError."""
        text = self.text.strip()
        if not text:
            return 0
        if not re.fullmatch(r"[+-]?[0-9]{1,18}", text, re.ASCII):
            raise SourceError(f"element {self.name} is {text[:40]!r}; it has to be a whole number")
        return int(text)


def applications(body: bytes) -> list[Element]:
    """The elements `application` below the outermost one. Raises SourceError."""
    reader = _Reader(body)
    return reader.read()


class _Reader:
    """Reads one document. A document type is refused, and with it every way to declare an entity."""

    def __init__(self, body: bytes) -> None:
        self._body = body
        self._stack: list[Element] = []
        self._found: list[Element] = []
        self._elements = 0
        self._parser = parser = expat.ParserCreate("UTF-8")
        parser.buffer_text = True
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text
        parser.StartDoctypeDeclHandler = self._refuse

    def read(self) -> list[Element]:
        """All applications."""
        try:
            self._parser.Parse(self._body, True)
        except expat.ExpatError as error:
            raise SourceError(f"the answer is not XML: {error}") from None
        return self._found

    def _refuse(self, name: str, *_: object) -> None:
        raise SourceError(f"the answer has a document type ({name[:40]!r}), which is not read")

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._elements += 1
        if self._elements > ELEMENTS_MAX:
            raise SourceError(f"the answer has more than {ELEMENTS_MAX} elements")
        if len(self._stack) >= DEPTH_MAX:
            raise SourceError(f"the answer is nested deeper than {DEPTH_MAX} elements")
        element = Element(_local(name), attributes, self._parser.CurrentByteIndex)
        if self._stack:
            self._stack[-1].children.append(element)
        self._stack.append(element)

    def _text(self, text: str) -> None:
        self._stack[-1].text += text

    def _end(self, _: str) -> None:
        element = self._stack.pop()
        parent = self._stack[-1] if self._stack else None
        if parent is not None and parent.name == "metadata":
            element.raw = self._inner(element.begins, self._parser.CurrentByteIndex)
        if len(self._stack) == 1 and parent is not None:
            parent.children.clear()
            if element.name == "application":
                self._found.append(element)

    def _inner(self, begins: int, ends: int) -> str:
        """What stands between the tags of an element."""
        tag = _START_TAG.match(self._body, begins)
        return self._body[tag.end() : ends].decode("utf-8", "replace") if tag is not None else ""


def _local(name: str) -> str:
    return name.rpartition(":")[2]
