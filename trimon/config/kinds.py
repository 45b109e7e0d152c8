"""The sorts of values in a configuration: how each is read and shown."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from trimon.config.model import Kind, Model, Source, show_model
from trimon.config.secret import MASK, Secret, SecretUrl, masked_url
from trimon.config.yamltree import Node, Shape
from trimon.errors import UserError
from trimon.units import format_duration, format_size, parse_duration_ms, parse_size_bytes

_HOST = re.compile(r"[^\s/?#]+")


def quoted(text: str) -> str:
    """A text in double quotes, as Go prints it."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


@dataclass(frozen=True, slots=True)
class Text:
    """A string; any scalar is taken as it is written."""

    check: Callable[[str], str | None] | None = None
    """Gives the error message of a bad text."""

    def read(self, node: Node, source: Source) -> str:
        """The text."""
        text = source.document.text(node, "string")
        message = self.check(text) if self.check is not None else None
        if message:
            source.document.refuse(node, message)
        return text

    def show(self, value: str) -> object:
        """The text."""
        return value


@dataclass(frozen=True, slots=True)
class Flag:
    """A boolean."""

    def read(self, node: Node, source: Source) -> bool:
        """The boolean."""
        return source.document.boolean(node)

    def show(self, value: bool) -> object:
        """The boolean."""
        return value


@dataclass(frozen=True, slots=True)
class Whole:
    """An integer within bounds; `go_type` is what the error calls it."""

    least: int = -(2**63)
    most: int = 2**63 - 1
    go_type: str = "int"

    def read(self, node: Node, source: Source) -> int:
        """The integer."""
        value = source.document.integer(node, self.go_type)
        if not self.least <= value <= self.most:
            source.document.mismatch(node, self.go_type)
        return value

    def show(self, value: int) -> object:
        """The integer."""
        return value


@dataclass(frozen=True, slots=True)
class Number:
    """A float within bounds."""

    least: float = float("-inf")
    most: float = float("inf")
    message: str = ""

    def read(self, node: Node, source: Source) -> float:
        """The number."""
        value = source.document.number(node)
        if not self.least <= value <= self.most:
            source.document.refuse(
                node, self.message or f"{value:g} is not between {self.least:g} and {self.most:g}"
            )
        return value

    def show(self, value: float) -> object:
        """The number, whole ones without a point."""
        return int(value) if value.is_integer() else value


class _Measure:
    """A text that a function of `trimon.units` understands."""

    def __init__(self, parse: Callable[[str], int], form: Callable[[int], str]) -> None:
        self._parse = parse
        self._form = form

    def read(self, node: Node, source: Source) -> int:
        """Milliseconds or bytes."""
        text = source.document.text(node, "string")
        try:
            return self._parse(text)
        except UserError as error:
            source.document.refuse(node, error.message)

    def show(self, value: int) -> object:
        """The text with units."""
        return self._form(value)


def _size(text: str) -> int:
    return 0 if text == "0" else parse_size_bytes(text)


DURATION = _Measure(parse_duration_ms, format_duration)
SIZE = _Measure(_size, lambda size: format_size(size) if size else 0)  # type: ignore[arg-type,return-value]  # 0 is left out


@dataclass(frozen=True, slots=True)
class Hidden:
    """A secret."""

    def read(self, node: Node, source: Source) -> Secret:
        """The secret; an error about it does not show it."""
        if node.shape is not Shape.SCALAR:
            source.document.mismatch(node, "string")
        return Secret(source.document.text(node, "string"))

    def show(self, value: Secret) -> object:
        """The mask, nothing when there is no secret."""
        return MASK if value else ""


@dataclass(frozen=True, slots=True)
class FilePath:
    """A path or pattern, joined to the directory of the file that names it."""

    check: Callable[[str], str | None] | None = None
    """Gives the error message of a bad path."""

    def read(self, node: Node, source: Source) -> str:
        """The joined path; empty stays empty."""
        text = Text(self.check).read(node, source)
        return str(source.directory / text) if text else ""

    def show(self, value: str) -> object:
        """The path."""
        return value


@dataclass(frozen=True, slots=True)
class Url:
    """An absolute URL; a password in it is masked when shown."""

    schemes: tuple[str, ...] = ("http", "https")

    def read(self, node: Node, source: Source) -> SecretUrl:
        """The URL as it is written."""
        text = source.document.text(node, "string")
        try:
            parts = urlsplit(text)
            good = not text or (parts.scheme in self.schemes and bool(_HOST.match(parts.netloc)))
            _ = parts.port
        except ValueError as error:
            source.document.refuse(node, f"parse {quoted(masked_url(text))}: {error}")
        if not good:
            wanted = ", ".join(self.schemes)
            source.document.refuse(
                node, f"{quoted(masked_url(text))} is not a URL with a host and one of the schemes {wanted}"
            )
        return SecretUrl(text)

    def show(self, value: SecretUrl) -> object:
        """The URL, masked."""
        return str(value)


@dataclass(frozen=True, slots=True)
class Listed:
    """A list, kept as a tuple. `null_item` is the error for an item that is null."""

    item: Kind
    go_type: str = "[]string"
    null_item: str = ""

    def read(self, node: Node, source: Source) -> tuple[Any, ...]:
        """The items in order."""
        document = source.document
        out = []
        for inner in document.items(node, self.go_type):
            if self.null_item and inner.is_null:
                document.refuse(inner, self.null_item)
            out.append(self.item.read(inner, source))
        return tuple(out)

    def show(self, value: Sequence[Any]) -> object:
        """The items."""
        return [self.item.show(each) for each in value]


@dataclass(frozen=True, slots=True)
class Mapped:
    """A mapping with free keys, kept as a tuple of pairs sorted by key."""

    item: Kind
    go_type: str = "map[string]string"
    check_key: Callable[[str], str | None] | None = None

    def read(self, node: Node, source: Source) -> tuple[tuple[str, Any], ...]:
        """The pairs, sorted by key."""
        document = source.document
        entries = document.entries(node, self.go_type, 'key "{}" already set in map')
        pairs = []
        for name, (key, value) in entries.items():
            message = self.check_key(name) if self.check_key is not None else None
            if message:
                document.refuse(key, message)
            pairs.append((name, self.item.read(value, source)))
        return tuple(sorted(pairs, key=lambda pair: pair[0]))

    def show(self, value: Sequence[tuple[str, Any]]) -> object:
        """The mapping."""
        return {name: self.item.show(each) for name, each in value}


@dataclass(frozen=True, slots=True)
class Of:
    """A model."""

    model: type[Model]
    reads_null: bool = False
    """Whether null (`global:` with nothing after it) is a model of defaults rather than no model."""

    def read(self, node: Node, source: Source) -> Model:
        """The model."""
        return self.model.read(node, source)

    def show(self, value: Model) -> object:
        """The model as plain data."""
        return show_model(value)


def one_of(choices: Sequence[str], message: str) -> Callable[[str], str | None]:
    """A check that a text is one of `choices`; `message` gets the text in quotes for its `{}`."""
    return lambda text: None if text in choices else message.format(quoted(text))


Pairs = tuple[tuple[str, str], ...]


def pairs_of(mapping: Mapping[str, str]) -> Pairs:
    """A mapping in the form in which models keep it."""
    return tuple(sorted(mapping.items()))
