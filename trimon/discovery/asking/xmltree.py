"""What a source said in XML, as a tree: without entities, with bounds, and with what stands between two tags as it is."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final
from xml.parsers import expat

from trimon.discovery.asking.record import SourceError
from trimon.records import dataclass

DEPTH_MAX: Final = 50
# An element takes some 400 bytes.
ELEMENTS_MAX: Final = 2_000_000
ATTRIBUTES_MAX: Final = 500_000
PIECE_BYTES: Final = 2**18
_START_TAG: Final = re.compile(rb"""<[^>"']*(?:"[^"]*"[^>"']*|'[^']*'[^>"']*)*>""")
# Most elements have none. A million of anything that can hold something else costs the collector more than the reading.
_NO_ATTRIBUTES: Final[Mapping[str, str]] = {}
_WHOLE: Final = re.compile(r"[+-]?[0-9]{1,18}", re.ASCII)


@dataclass(eq=False, slots=True)
class Element:
    """An element: its name without a prefix, its own text, what it holds, and where that begins and ends."""

    name: str
    attributes: Mapping[str, str]
    begins: int
    text: str = ""
    children: Sequence[Element] = ()
    ends: int = 0

    def child(self, name: str) -> Element | None:
        """The last child of a name."""
        return next((each for each in reversed(self.children) if each.name == name), None)

    def text_of(self, name: str) -> str:
        """The text of a child; empty where there is none."""
        child = self.child(name)
        return child.text if child is not None else ""

    def each(self, path: str) -> Iterator[Element]:
        """All elements at a path of names, such as `reservationSet.item`."""
        name, _, rest = path.partition(".")
        for child in self.children:
            if child.name == name:
                if rest:
                    yield from child.each(rest)
                else:
                    yield child

    def at(self, path: str) -> Element | None:
        """The first element at a path."""
        return next(self.each(path), None)

    def text_at(self, path: str) -> str:
        """The text of the first element at a path; empty where there is none."""
        found = self.at(path)
        return found.text if found is not None else ""

    def whole(self) -> int:
        """The text as a whole number; empty is 0. Raises SourceError."""
        text = self.text.strip()
        if text and not _WHOLE.fullmatch(text):
            raise SourceError(f"element {self.name} is {text[:40]!r}; it has to be a whole number")
        return int(text or "0")

    def inner(self, body: bytes) -> str:
        """What stands between its tags in the text that it is from, as it is written."""
        tag = _START_TAG.match(body, self.begins)
        return body[tag.end() : self.ends].decode("utf-8", "replace") if tag is not None else ""


def tree_of(body: bytes) -> Element:
    """The outermost element of a text in UTF-8. Raises SourceError."""
    return _Reader(body).read()


class _Reader:
    """Reads one text. A document type is refused, and with it every way to declare an entity."""

    def __init__(self, body: bytes) -> None:
        self._body = body
        self._stack: list[Element] = []
        # Texts between children are put together once, at the end: one after another would cost the square of their number.
        self._texts: list[str | list[str]] = []
        self._children: list[list[Element] | None] = []
        self._root: Element | None = None
        self._elements = 0
        self._parser = parser = expat.ParserCreate("UTF-8")
        parser.buffer_text = True
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text
        parser.StartDoctypeDeclHandler = self._refuse

    def read(self) -> Element:
        """All of it."""
        # All attributes of a tag come in one piece, in which nobody else has the interpreter.
        if self._body.count(b"=") > ATTRIBUTES_MAX:
            raise SourceError(f"the answer has more than {ATTRIBUTES_MAX} attributes")
        try:
            for begin in range(0, len(self._body), PIECE_BYTES):
                self._parser.Parse(self._body[begin : begin + PIECE_BYTES], False)
            self._parser.Parse(b"", True)
        except expat.ExpatError as error:
            raise SourceError(f"the answer is not XML: {error}") from None
        if self._root is None:
            raise SourceError("the answer is not XML: it has no element")
        return self._root

    def _refuse(self, name: str, *_: object) -> None:
        raise SourceError(f"the answer has a document type ({name[:40]!r}), which is not read")

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._elements += 1
        if self._elements > ELEMENTS_MAX:
            raise SourceError(f"the answer has more than {ELEMENTS_MAX} elements")
        if len(self._stack) >= DEPTH_MAX:
            raise SourceError(f"the answer is nested deeper than {DEPTH_MAX} elements")
        local = name if ":" not in name else name.rpartition(":")[2]
        element = Element(local, attributes or _NO_ATTRIBUTES, self._parser.CurrentByteIndex)
        if not self._stack:
            self._root = element
        elif (siblings := self._children[-1]) is None:
            self._children[-1] = [element]
        else:
            siblings.append(element)
        self._stack.append(element)
        self._texts.append("")
        self._children.append(None)

    def _text(self, text: str) -> None:
        held = self._texts[-1]
        if isinstance(held, list):
            held.append(text)
        else:
            self._texts[-1] = [held, text] if held else text

    def _end(self, _: str) -> None:
        element, held = self._stack.pop(), self._texts.pop()
        element.text = held if isinstance(held, str) else "".join(held)
        element.children = self._children.pop() or ()
        element.ends = self._parser.CurrentByteIndex
