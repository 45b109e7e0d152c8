"""The sorts of values in a configuration: how each is read and shown."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from trimon.config.model import Kind, Model, Source, show_model, zero_model
from trimon.config.secret import MASK, Secret, SecretUrl, masked_url
from trimon.config.yaml.faults import Faults, ShapeErrors
from trimon.config.yaml.text import InOneLine, natural_order
from trimon.config.yaml.tree import Node, Shape
from trimon.errors import UserError
from trimon.gotext.strings import go_quote
from trimon.gotext.urls import url_fault
from trimon.records import dataclass
from trimon.redaction import REDACTOR
from trimon.units import format_duration, format_size, parse_duration_ms, parse_size_bytes

_HOST = re.compile(r"[^\s/?#]+")


def is_text(text: str) -> bool:
    """Whether a text can be written as UTF-8; escapes and binary values of YAML can name half characters."""
    if text.isascii():  # which is known without a look at it
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _refuse_no_text(text: str, node: Node, source: Source) -> None:
    if not is_text(text):
        source.document.refuse(node, "value is not valid UTF-8")


@dataclass(frozen=True, slots=True)
class Text:
    """A string; any scalar is taken as it is written."""

    check: Callable[[str], str | None] | None = None
    """Gives the error message of a bad text."""
    go_type: str = "string"

    def read(self, node: Node, source: Source) -> str:
        """The text."""
        text = source.document.text(node, self.go_type)
        message = self.check(text) if self.check is not None else None
        if message:
            source.document.refuse(node, message)
        _refuse_no_text(text, node, source)
        return text

    def zero(self) -> str:
        """Empty."""
        return ""

    def show(self, value: str) -> object:
        """The text."""
        return value


@dataclass(frozen=True, slots=True)
class Boolean:
    """A boolean."""

    def read(self, node: Node, source: Source) -> bool:
        """The boolean."""
        return source.document.boolean(node)

    def zero(self) -> bool:
        """False."""
        return False

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

    def zero(self) -> int:
        """0."""
        return 0

    def show(self, value: int) -> object:
        """The integer."""
        return value


@dataclass(frozen=True, slots=True)
class Number:
    """A float within bounds; `message` is the error of one outside, with `{}` for it."""

    least: float = float("-inf")
    most: float = float("inf")
    message: str = "{} is out of range"

    def read(self, node: Node, source: Source) -> float:
        """The number."""
        value = source.document.number(node)
        if not self.least <= value <= self.most:
            source.document.refuse(node, self.message.format(f"{value:g}"))
        return value

    def zero(self) -> float:
        """0."""
        return 0.0

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

    def zero(self) -> int:
        """0."""
        return 0

    def show(self, value: int) -> object:
        """The text with units."""
        return self._form(value)


DURATION = _Measure(parse_duration_ms, format_duration)
SIZE = _Measure(parse_size_bytes, format_size)


@dataclass(frozen=True, slots=True)
class Hidden:
    """A secret."""

    check: Callable[[str], str | None] | None = None
    """Gives the error message of a bad secret, without the secret."""

    def read(self, node: Node, source: Source) -> Secret:
        """The secret; an error about it does not show it."""
        if node.shape is not Shape.SCALAR:
            source.document.mismatch(node, "string")
        text = source.document.text(node, "string")
        message = self.check(text) if self.check is not None else None
        if message:
            source.document.refuse(node, message)
        _refuse_no_text(text, node, source)
        REDACTOR.add(text)
        return Secret(text)

    def zero(self) -> Secret:
        """No secret."""
        return Secret()

    def show(self, value: Secret) -> object:
        """The mask, null when there is no secret."""
        return MASK if value else None


@dataclass(frozen=True, slots=True)
class Nothing:
    """A field that takes no value and is shown as null."""

    def read(self, node: Node, source: Source) -> None:
        """Any value is refused."""
        source.document.refuse(node, "this field takes no value")

    def zero(self) -> None:
        """Nothing."""
        return

    def show(self, value: None) -> object:
        """Null."""
        return value


@dataclass(frozen=True, slots=True)
class FilePath:
    """A path or pattern, joined to the directory of the file that names it."""

    check: Callable[[str], str | None] | None = None
    """Gives the error message of a bad path."""

    def read(self, node: Node, source: Source) -> str:
        """The joined path; empty stays empty."""
        text = Text(self.check).read(node, source)
        return os.path.normpath(source.directory / text) if text and not os.path.isabs(text) else text  # noqa: PTH117 # text

    def zero(self) -> str:
        """Empty."""
        return ""

    def show(self, value: str) -> object:
        """The path."""
        return value


@dataclass(frozen=True, slots=True)
class AnyUrl:
    """Whatever can be taken apart as a URL, also a relative one and nothing; a password in it is masked when shown."""

    checked: bool = True
    """Whether it has to be a URL; else it is any address that may be one."""

    def read(self, node: Node, source: Source) -> SecretUrl:
        """The URL as it is written."""
        text = source.document.text(node, "string")
        _refuse_no_text(text, node, source)
        REDACTOR.add_url(text)
        if self.checked and (fault := url_fault(text)):
            source.document.refuse(node, f"parse {go_quote(masked_url(text))}: {fault}")
        return SecretUrl(text)

    def zero(self) -> SecretUrl:
        """No URL."""
        return SecretUrl()

    def show(self, value: SecretUrl) -> object:
        """The URL, masked."""
        return str(value)


ADDRESS = AnyUrl(checked=False)


@dataclass(frozen=True, slots=True)
class Listed:
    """A list, kept as a tuple. `null_item` is the error for an item that is null; without it that is the zero value."""

    item: Kind
    go_type: str = "[]string"
    null_item: str = ""
    in_one_line: bool = False
    """Whether the list is shown as `[a, b]`."""

    def read(self, node: Node, source: Source) -> tuple[Any, ...]:
        """The items in order."""
        document = source.document
        out: list[Any] = []
        faults = Faults()
        for inner in document.items(node, self.go_type):
            if inner.is_null:
                if self.null_item:
                    document.refuse(inner, self.null_item)
                out.append(self.item.zero())
                continue
            try:
                out.append(self.item.read(inner, source))
            except ShapeErrors as error:
                faults.take(error)
        faults.raise_any()
        return tuple(out)

    def zero(self) -> tuple[Any, ...]:
        """No items."""
        return ()

    def show(self, value: Sequence[Any]) -> object:
        """The items."""
        shown = [self.item.show(each) for each in value]
        return InOneLine(shown) if self.in_one_line else shown


@dataclass(frozen=True, slots=True)
class Mapped:
    """A mapping with free keys, kept as a tuple of pairs sorted by key."""

    item: Kind
    go_type: str = "map[string]string"
    check_key: Callable[[str], str | None] | None = None

    def read(self, node: Node, source: Source) -> tuple[tuple[str, Any], ...]:
        """The pairs, sorted by key."""
        document = source.document
        faults = Faults()
        entries = document.entries(node, self.go_type, 'key "{}" already set in map', faults, of_map=True)
        pairs = []
        for name, (key, value) in entries.items():
            message = self.check_key(name) if self.check_key is not None else None
            if message:
                document.refuse(key, message)
            _refuse_no_text(name, key, source)
            try:
                pairs.append((name, self.item.zero() if value.is_null else self.item.read(value, source)))
            except ShapeErrors as error:
                faults.take(error)
        faults.raise_any()
        return tuple(sorted(pairs, key=lambda pair: pair[0]))

    def zero(self) -> tuple[tuple[str, Any], ...]:
        """No pairs."""
        return ()

    def show(self, value: Sequence[tuple[str, Any]]) -> object:
        """The mapping."""
        ordered = sorted(value, key=lambda pair: natural_order(pair[0]))
        return {name: self.item.show(each) for name, each in ordered}


@dataclass(frozen=True, slots=True)
class Of:
    """A model."""

    model: type[Model]
    reads_null: bool = False
    """Whether null (`global:` with nothing after it) is a model of defaults rather than no model."""

    def read(self, node: Node, source: Source) -> Model:
        """The model."""
        return self.model.read(node, source)

    def zero(self) -> Model:
        """The model of zero values."""
        return zero_model(self.model)

    def show(self, value: Model) -> object:
        """The model as plain data."""
        return show_model(value)


def one_of(choices: Sequence[str], message: str) -> Callable[[str], str | None]:
    """A check that a text is one of `choices`; `message` gets the text in quotes for its `{}`."""
    return lambda text: None if text in choices else message.format(go_quote(text))


Pairs = tuple[tuple[str, str], ...]


def pairs_of(mapping: Mapping[str, str]) -> Pairs:
    """A mapping in the form in which models keep it."""
    return tuple(sorted(mapping.items()))
