"""Answers in XML, read without entities and with bounds on their size."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Final
from xml.parsers import expat

from trimon import limits
from trimon.discovery.record import SourceError

DEPTH_MAX: Final = 50
ELEMENTS_MAX: Final = 5_000_000
_FRACTION: Final = re.compile(r"\.[0-9]+(?=Z|[+-])")


@dataclass(eq=False, slots=True)
class Element:
    """An element: its name without a prefix, its text, and the elements in it."""

    name: str
    text: str = ""
    children: list[Element] = field(default_factory=list)

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

    def text_of(self, path: str) -> str:
        """The text of the first element at a path; empty where there is none."""
        found = self.at(path)
        return found.text if found is not None else ""

    def pairs(self, path: str, key: str, value: str) -> dict[str, str]:
        """The tags at a path: what is below `key` and `value` of each that has both; the last of a name counts."""
        found = {}
        for each in self.each(path):
            name, text = each.at(key), each.at(value)
            if name is not None and text is not None:
                found[name.text] = text.text
        return found


def xml_tree(body: bytes) -> Element:
    """The outermost element of a document. Raises SourceError."""
    return _Reader().read(body)


class _Reader:
    """Reads one document. A document type is refused, and with it every way to declare an entity."""

    def __init__(self) -> None:
        self._outermost = Element("")
        self._stack = [self._outermost]
        self._elements = 0
        self._parser = parser = expat.ParserCreate()
        parser.buffer_text = True
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text
        parser.StartDoctypeDeclHandler = self._refuse

    def read(self, body: bytes) -> Element:
        try:
            self._parser.Parse(body, True)
        except (expat.ExpatError, ValueError, LookupError) as error:  # the latter: of an unknown encoding
            raise SourceError(f"the answer is not XML: {error}") from None
        return self._outermost.children[0]

    def _refuse(self, name: str, *_: object) -> None:
        raise SourceError(f"the answer has a document type ({name[:40]!r}), which is not read")

    def _start(self, name: str, _: dict[str, str]) -> None:
        self._elements += 1
        if self._elements > ELEMENTS_MAX:
            raise SourceError(f"the answer has more than {ELEMENTS_MAX} elements")
        if len(self._stack) > DEPTH_MAX:
            raise SourceError(f"the answer is nested deeper than {DEPTH_MAX} elements")
        element = Element(name.rpartition(":")[2])
        self._stack[-1].children.append(element)
        self._stack.append(element)

    def _text(self, text: str) -> None:
        element = self._stack[-1]
        if len(element.text) + len(text) > limits.LABEL_VALUE_BYTES_MAX:
            raise SourceError(
                f"element {element.name} has more than {limits.LABEL_VALUE_BYTES_MAX} characters"
            )
        element.text += text

    def _end(self, _: str) -> None:
        element = self._stack.pop()
        if element.children:
            element.text = ""


def said(
    element: Element, prefix: str, fields: Mapping[str, str], times: AbstractSet[str] = frozenset()
) -> dict[str, str]:
    """A label for each name of a table whose field is there; of times the whole seconds."""
    by_name = {child.name: child for child in reversed(element.children)}
    found = {}
    for name, path in fields.items():
        field_name, _, rest = path.partition(".")
        child = by_name.get(field_name)
        text = "" if child is None else child.text_of(rest) if rest else child.text
        if text:
            found[prefix + name] = _FRACTION.sub("", text) if path in times else text
    return found
