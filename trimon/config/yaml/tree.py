"""Strict YAML: nodes with their place in the file, duplicate keys refused, depth and number bounded.

Only the first document of a stream is read, as Prometheus does. Values that have the wrong shape are gathered
(`ShapeErrors`), so that one look at the message is enough to mend them all; what stands in the wrong words is told
at once. The tree is built from the parser's events, one after the other: the C composer recurses on the machine's stack
(a file of brackets ends the process) and is slower.
"""

from __future__ import annotations

import base64
import math
import re
from collections.abc import Callable
from enum import Enum
from typing import Any, Final, NoReturn

import yaml

from trimon import limits
from trimon.config.yaml.faults import Faults, ShapeErrors
from trimon.config.yaml.scalars import BOOL, INT, NULL, type_of
from trimon.errors import Position, UserError
from trimon.gotext.strings import go_quote

# Nodes between two calls of who watches.
WATCHED: Final = 1024
# No field holds such a number; reading it takes time that grows with its square.
_DIGITS_MAX: Final = 400

_PREFIX: Final = "tag:yaml.org,2002:"
# Those that a value has to be worth; the reader of rule files, with its unique keys, is another one and says so later.
_CHECKED: Final = frozenset(("int", "float", "bool", "null", "timestamp"))
_DATE: Final = re.compile(r"\d{4}-\d{1,2}-\d{1,2}(?:$|[Tt ])", re.ASCII)
_TAGS: Final = frozenset(("str", "int", "float", "bool", "null", "timestamp", "binary", "merge", "value"))


class Shape(Enum):
    """The three shapes of a node."""

    SCALAR = "scalar"
    LIST = "seq"
    MAP = "map"


class Node:
    """One node. `value` is the text of a scalar, the nodes of a list, keys and values of a map in turn."""

    __slots__ = ("column", "line", "shape", "tag", "value")

    def __init__(self, shape: Shape, value: Any, tag: str, line: int, column: int) -> None:
        self.shape = shape
        self.value = value
        self.tag = tag
        """Short tag; empty for a plain scalar, whose type is told by its text."""
        self.line = line
        self.column = column

    @property
    def is_null(self) -> bool:
        """Whether the node is null or nothing."""
        return self.shape is Shape.SCALAR and self.tag in ("", "null") and self.value in NULL

    def resolved(self) -> str:
        """The short tag, that of a plain scalar found from its text as YAML 1.1 says."""
        return self.tag or type_of(self.value)


class _Extent:
    """How large a node is with all that is in it, aliases counted each time; that of an open collection grows."""

    __slots__ = ("characters", "height", "node", "nodes")

    def __init__(self, node: Node, nodes: int, characters: int) -> None:
        self.node = node
        self.nodes = nodes
        self.characters = characters
        self.height = 0
        """Levels below."""

    def take(self, inner: _Extent) -> None:
        """One more node, complete, in this collection."""
        self.nodes += inner.nodes
        self.characters += inner.characters
        self.height = max(self.height, inner.height + 1)


class Document:
    """One YAML text and its node tree; `root` is None when there is nothing in it. Raises UserError."""

    def __init__(
        self, text: str, file: str, *, unique_keys: bool = False, watch: Callable[[int], None] | None = None
    ) -> None:
        """With `unique_keys` a mapping with a repeated key is refused before its fields are looked at.

        `watch` is called every now and then with the number of nodes so far, aliases counted each time, and may raise.
        """
        self.file = file
        self.unique_keys = unique_keys
        self.nodes = 0
        """All nodes, aliases counted each time."""
        self._characters = 0
        self._watch = watch
        self._read = 0
        self.root: Node | None = None
        try:
            self._build(text)
        except yaml.MarkedYAMLError as error:
            raise self._unreadable(error) from None
        except (yaml.YAMLError, ValueError) as error:  # ValueError: what is no text, from the C reader
            raise UserError(f"yaml: {error}", Position(file=file)) from None

    def _build(self, text: str) -> None:
        stack: list[_Extent] = []
        anchors: dict[str, _Extent] = {}
        for event in yaml.parse(text, Loader=yaml.CSafeLoader):
            if isinstance(event, (yaml.ScalarEvent, yaml.CollectionStartEvent)):
                characters = len(event.value) if isinstance(event, yaml.ScalarEvent) else 0
                extent = _Extent(self._node(event), 1, characters)
                if event.anchor is not None:
                    anchors[event.anchor] = extent
            elif isinstance(event, yaml.AliasEvent):
                extent = self._alias(event, anchors, stack)
            elif isinstance(event, yaml.CollectionEndEvent):
                closed = stack.pop()
                if stack:
                    stack[-1].take(closed)
                continue
            elif isinstance(event, yaml.DocumentEndEvent):
                return
            else:
                continue
            self._count(event, extent)
            if stack:
                stack[-1].node.value.append(extent.node)
            else:
                self.root = extent.node
            if isinstance(event, yaml.CollectionStartEvent):
                stack.append(extent)
            elif stack:
                stack[-1].take(extent)
            if len(stack) + extent.height > limits.YAML_DEPTH_MAX:
                self._refuse_event(event, f"nested deeper than {limits.YAML_DEPTH_MAX} levels")

    def _count(self, event: yaml.Event, extent: _Extent) -> None:
        before = self.nodes
        self.nodes += extent.nodes
        self._characters += extent.characters
        if self.nodes > limits.YAML_NODES_MAX:
            most = f"{limits.YAML_NODES_MAX} nodes, aliases counted each time"
            self._refuse_event(event, f"document has {self.nodes} nodes and more; it may have {most}")
        if self._characters > limits.YAML_CHARACTERS_MAX:
            most = f"{limits.YAML_CHARACTERS_MAX}, aliases counted each time"
            self._refuse_event(
                event, f"document has values of {self._characters} characters and more; they may have {most}"
            )
        if self._watch is not None and before // WATCHED != self.nodes // WATCHED:
            self._watch(self.nodes)

    def _refuse_event(self, event: yaml.Event, message: str) -> NoReturn:
        raise UserError(f"yaml: {message}", self._mark(event))

    def _unreadable(self, error: yaml.MarkedYAMLError) -> UserError:
        """The error of a text that is no YAML; the line in the words is counted as Prometheus' reader counts it."""
        mark = error.problem_mark or error.context_mark
        place = Position(mark.line + 1, mark.column + 1, self.file) if mark else Position(file=self.file)
        line, scanned = 0, isinstance(error, yaml.scanner.ScannerError)
        if self.unique_keys and error.context_mark and error.context_mark.line:
            # The reader of rule files is a newer one than that of configurations: it names the line where it all began.
            line = error.context_mark.line + scanned
        elif error.problem_mark and error.problem_mark.line:
            line = error.problem_mark.line + scanned
        elif error.context_mark:
            line = error.context_mark.line
        where = f"line {line}: " if line else ""
        return UserError(f"yaml: {where}{error.problem or error.context}", place)

    def _mark(self, event: yaml.Event) -> Position:
        mark = event.start_mark
        return Position(mark.line + 1, mark.column + 1, self.file) if mark else Position(file=self.file)

    def _node(self, event: yaml.ScalarEvent | yaml.CollectionStartEvent) -> Node:
        mark = event.start_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (0, 0)
        given = event.tag
        value: str | list[Node]
        if isinstance(event, yaml.ScalarEvent):
            shape, value, implied = Shape.SCALAR, event.value, "" if event.implicit[0] else "str"
        elif isinstance(event, yaml.SequenceStartEvent):
            shape, value, implied = Shape.LIST, [], "seq"
        else:
            shape, value, implied = Shape.MAP, [], "map"
        if given is None or (shape is not Shape.SCALAR and not self.unique_keys):
            tag = implied  # tags of collections are not looked at
        elif given == "!" and self.unique_keys:
            tag = "str" if shape is Shape.SCALAR else implied
        else:
            tag = self._given_tag(given, event, implied)
        return Node(shape, value, tag, line, column)

    def _given_tag(self, given: str, event: yaml.Event, implied: str) -> str:
        """The short tag that a node gives itself; one that nobody knows begins with `!`, and is a text's."""
        tag = given.removeprefix(_PREFIX)
        is_scalar = isinstance(event, yaml.ScalarEvent)
        if self.unique_keys:
            if tag == given or (tag not in _TAGS if is_scalar else tag != implied):
                raise UserError(f"unknown tag {given}", self._mark(event))
            return tag
        if tag in _CHECKED and tag != given and isinstance(event, yaml.ScalarEvent):
            found = "timestamp" if tag == "timestamp" and _DATE.match(event.value) else type_of(event.value)
            if found != tag and (tag, found) != ("float", "int"):
                raise UserError(
                    f"yaml: cannot decode !!{found} `{event.value}` as a !!{tag}", self._mark(event)
                )
        return tag

    def _alias(self, event: yaml.AliasEvent, anchors: dict[str, _Extent], stack: list[_Extent]) -> _Extent:
        extent = anchors.get(event.anchor or "")
        if extent is None:
            self._refuse_event(event, f"unknown anchor '{event.anchor}' referenced")
        if any(extent is outer for outer in stack):
            self._refuse_event(event, f"anchor '{event.anchor}' value contains itself")
        return extent

    def at(self, node: Node | None) -> Position:
        """Where a node begins."""
        if node is None:
            return Position(1, 1, self.file)
        return Position(node.line, node.column, self.file)

    def refuse(self, node: Node | None, message: str) -> NoReturn:
        """Raise UserError at a node."""
        raise UserError(message, self.at(node))

    def mismatch(self, node: Node, wanted: str) -> NoReturn:
        """Raise the error of a value that has the wrong type."""
        shown = ""
        if node.shape is Shape.SCALAR:
            text = node.value if len(node.value) <= 10 else node.value[:7] + "..."
            shown = f" `{text}`"
        tag = node.resolved()
        message = f"cannot unmarshal {tag if tag.startswith('!') else f'!!{tag}'}{shown} into {wanted}"
        raise ShapeErrors([(self.at(node), message)])

    def _tick(self) -> None:
        self._read += 1
        if self._watch is not None and not self._read % WATCHED:
            self._watch(self.nodes)

    def items(self, node: Node, wanted: str) -> list[Node]:
        """The nodes of a list; null is an empty list."""
        self._tick()
        if node.is_null:
            return []
        if node.shape is not Shape.LIST:
            self.mismatch(node, wanted)
        return list(node.value)

    def entries(
        self,
        node: Node,
        wanted: str,
        duplicate: str,
        faults: Faults,
        *,
        of_map: bool = False,
    ) -> dict[str, tuple[Node, Node]]:
        """Key to (key node, value node) of a mapping; merge keys are resolved, null is empty.

        `duplicate` is the message for a key that comes twice, with `{}` for the key; it is added to `faults`, with
        the place of the value if the mapping is a map with free keys (`of_map`).
        """
        self._tick()
        if node.is_null:
            return {}
        if node.shape is not Shape.MAP:
            self.mismatch(node, wanted)
        if self.unique_keys:
            self._refuse_repeated(node)
        found: dict[str, tuple[Node, Node]] = {}
        merged: dict[str, tuple[Node, Node]] = {}
        flat: list[Node] = node.value
        for key, value in zip(flat[::2], flat[1::2], strict=True):
            if key.shape is Shape.SCALAR and key.value == "<<" and key.resolved() == "merge":
                sources = value.value if value.shape is Shape.LIST else [value]
                for source in sources:
                    for name, pair in self.entries(source, wanted, duplicate, faults, of_map=of_map).items():
                        merged.setdefault(name, pair)
                continue
            try:
                name = self.text(key, "string")
            except ShapeErrors as error:
                faults.take(error)
                continue
            if name in found:
                faults.add(self.at(value if of_map else key), duplicate.format(name))
            else:
                found[name] = (key, value)
        return merged | found if merged else found

    def _refuse_repeated(self, node: Node) -> None:
        """Raise ShapeErrors for keys that come again in a mapping."""
        faults = Faults()
        first: dict[tuple[Shape, str], Node] = {}
        for key in node.value[::2]:
            if key.shape is not Shape.SCALAR:
                continue
            known = first.setdefault((key.shape, key.value), key)
            if known is not key:
                message = f"mapping key {go_quote(key.value)} already defined at line {known.line}"
                faults.add(self.at(key), message)
        faults.raise_any()

    def text(self, node: Node, wanted: str) -> str:
        """A scalar as it is written; null is empty."""
        self._tick()
        if node.shape is not Shape.SCALAR:
            self.mismatch(node, wanted)
        if node.is_null:
            return ""
        value: str = node.value
        return value if node.tag != "binary" else self._binary(node)

    def _binary(self, node: Node) -> str:
        try:
            return base64.b64decode("".join(node.value.split()), validate=True).decode(
                "utf-8", "surrogateescape"
            )
        except ValueError:
            self.refuse(node, "yaml: !!binary value contains invalid base64 data")

    def boolean(self, node: Node) -> bool:
        """A YAML 1.1 boolean; null is false."""
        text = self.text(node, "bool")
        if node.is_null:
            return False
        if node.resolved() != "bool" or text not in BOOL:
            self.mismatch(node, "bool")
        return BOOL[text]

    def integer(self, node: Node, wanted: str = "int") -> int:
        """A whole number, a decimal one cut to its whole part; null is 0."""
        text = self.text(node, wanted)
        if node.is_null:
            return 0
        if node.resolved() == "float":
            number = self.number(node, wanted)
            if not math.isfinite(number):
                self.mismatch(node, wanted)
            return int(number)
        if node.resolved() != "int" or not INT.fullmatch(text):
            self.mismatch(node, wanted)
        digits = text.replace("_", "")
        if len(digits) > _DIGITS_MAX:
            self.mismatch(node, wanted)
        octal = re.fullmatch(r"([-+]?)0o?([0-7]+)", digits)
        try:
            return int(octal[1] + octal[2], 8) if octal else int(digits, 0)
        except ValueError:  # `0x_` and the like: a prefix without digits
            self.mismatch(node, wanted)

    def number(self, node: Node, wanted: str = "float64") -> float:
        """A number; null is 0."""
        text = self.text(node, wanted)
        if node.is_null:
            return 0.0
        if node.resolved() not in ("int", "float"):
            self.mismatch(node, wanted)
        try:
            return float(text.lower().replace("_", "").replace(".inf", "inf").replace(".nan", "nan"))
        except ValueError:
            self.mismatch(node, wanted)

    def plain(self, node: Node, depth: int = 0) -> object:
        """Any value as None, bool, int, float, str, list or dict with text keys."""
        if depth > 32:
            self.refuse(node, "value is nested deeper than 32 levels")
        if node.shape is Shape.LIST:
            return [self.plain(inner, depth + 1) for inner in self.items(node, "list")]
        if node.shape is Shape.MAP:
            faults = Faults()
            pairs = self.entries(node, "map", 'key "{}" already set in map', faults, of_map=True)
            faults.raise_any()
            return {name: self.plain(value, depth + 1) for name, (_, value) in pairs.items()}
        match node.resolved():
            case "null":
                return None
            case "bool":
                return self.boolean(node)
            case "int" if INT.fullmatch(node.value):
                return self.integer(node)
            case "float":
                return self.number(node)
            case _:
                return self.text(node, "string")
