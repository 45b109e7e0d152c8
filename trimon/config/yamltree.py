"""Strict YAML: nodes with their place in the file, duplicate keys refused, depth and number bounded."""

from __future__ import annotations

import re
from typing import Final, NoReturn

import yaml

from trimon.errors import Position, UserError

# libyaml composes recursively in C; a document nested deeper than this says nothing we could use.
DEPTH_MAX: Final = 100
# Aliases make a small file large; this is far above the nodes of a real file of the largest size we read.
NODES_MAX: Final = 2_000_000

_TAGS: Final = {
    f"tag:yaml.org,2002:{name}": name
    for name in ("str", "int", "float", "bool", "null", "timestamp", "binary", "merge", "value", "seq", "map")
}
_INDENT = re.compile(r"^[ \t\-?:]+", re.MULTILINE)
_OPENING = re.compile(r"[\[{]")
_INT = re.compile(r"[-+]?(?:0[xX][0-9a-fA-F_]+|0o?[0-7_]+|[1-9][0-9_]*|0)", re.ASCII)


class Document:
    """One YAML text and its node tree; `root` is None when there is nothing in it. Raises UserError."""

    def __init__(self, text: str, file: str) -> None:
        self.file = file
        self._read = 0
        _refuse_depth(text, file)
        try:
            self.root: yaml.Node | None = yaml.compose(text, Loader=yaml.CSafeLoader)
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            place = Position(mark.line + 1, mark.column + 1, file) if mark else Position(file=file)
            raise UserError(f"yaml: {error.problem or error.context}", place) from None
        except yaml.YAMLError as error:
            raise UserError(f"yaml: {error}", Position(file=file)) from None
        except ValueError as error:  # characters that YAML does not allow, from the C reader
            raise UserError(f"yaml: {error}", Position(file=file)) from None

    def at(self, node: yaml.Node | None) -> Position:
        """Where a node begins."""
        if node is None:
            return Position(1, 1, self.file)
        return Position(node.start_mark.line + 1, node.start_mark.column + 1, self.file)

    def refuse(self, node: yaml.Node | None, message: str) -> NoReturn:
        """Raise UserError at a node."""
        raise UserError(message, self.at(node))

    def mismatch(self, node: yaml.Node, wanted: str) -> NoReturn:
        """Raise the error of a value that has the wrong type."""
        tag = _TAGS.get(node.tag, node.tag)
        shown = ""
        if isinstance(node, yaml.ScalarNode):
            text = node.value if len(node.value) <= 10 else node.value[:7] + "..."
            shown = f" `{text}`"
        self.refuse(node, f"cannot unmarshal !!{tag}{shown} into {wanted}")

    def _count(self, node: yaml.Node) -> None:
        self._read += 1
        if self._read > NODES_MAX:
            self.refuse(node, f"document has more than {NODES_MAX} nodes, aliases counted each time")
        if node.tag not in _TAGS:
            self.refuse(node, f"unknown tag {node.tag}")

    def is_null(self, node: yaml.Node) -> bool:
        """Whether the node is null or nothing."""
        return isinstance(node, yaml.ScalarNode) and node.tag == "tag:yaml.org,2002:null"

    def items(self, node: yaml.Node, wanted: str) -> list[yaml.Node]:
        """The nodes of a list; null is an empty list."""
        self._count(node)
        if self.is_null(node):
            return []
        if not isinstance(node, yaml.SequenceNode):
            self.mismatch(node, wanted)
        return list(node.value)

    def entries(self, node: yaml.Node, wanted: str, duplicate: str) -> dict[str, tuple[yaml.Node, yaml.Node]]:
        """Key to (key node, value node) of a mapping; merge keys are resolved, null is empty.

        `duplicate` is the message for a key that comes twice, with `{}` for the key.
        """
        self._count(node)
        if self.is_null(node):
            return {}
        if not isinstance(node, yaml.MappingNode):
            self.mismatch(node, wanted)
        found: dict[str, tuple[yaml.Node, yaml.Node]] = {}
        merged: dict[str, tuple[yaml.Node, yaml.Node]] = {}
        for key, value in node.value:
            if key.tag == "tag:yaml.org,2002:merge":
                sources = value.value if isinstance(value, yaml.SequenceNode) else [value]
                for source in sources:
                    for name, pair in self.entries(source, wanted, duplicate).items():
                        merged.setdefault(name, pair)
                continue
            name = self.text(key, "string")
            if name in found:
                self.refuse(key, duplicate.format(name))
            found[name] = (key, value)
        return merged | found if merged else found

    def text(self, node: yaml.Node, wanted: str) -> str:
        """A scalar as it is written; null is empty."""
        self._count(node)
        if not isinstance(node, yaml.ScalarNode):
            self.mismatch(node, wanted)
        if self.is_null(node):
            return ""
        value: str = node.value
        return value

    def boolean(self, node: yaml.Node) -> bool:
        """A YAML 1.1 boolean; null is false."""
        text = self.text(node, "bool")
        if self.is_null(node):
            return False
        if node.tag != "tag:yaml.org,2002:bool":
            self.mismatch(node, "bool")
        return text.lower() in ("true", "yes", "on", "y")

    def integer(self, node: yaml.Node, wanted: str = "int") -> int:
        """A whole number; null is 0."""
        text = self.text(node, wanted)
        if self.is_null(node):
            return 0
        if node.tag != "tag:yaml.org,2002:int" or not _INT.fullmatch(text):
            self.mismatch(node, wanted)
        digits = text.replace("_", "")
        octal = re.fullmatch(r"([-+]?)0o?([0-7]+)", digits)
        return int(octal[1] + octal[2], 8) if octal else int(digits, 0)

    def number(self, node: yaml.Node, wanted: str = "float64") -> float:
        """A number; null is 0."""
        text = self.text(node, wanted)
        if self.is_null(node):
            return 0.0
        if node.tag not in ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float"):
            self.mismatch(node, wanted)
        try:
            return float(text.replace("_", "").replace(".inf", "inf").replace(".nan", "nan").lower())
        except ValueError:
            self.mismatch(node, wanted)

    def plain(self, node: yaml.Node, depth: int = 0) -> object:
        """Any value as None, bool, int, float, str, list or dict with text keys."""
        if depth > 32:
            self.refuse(node, "value is nested deeper than 32 levels")
        if isinstance(node, yaml.SequenceNode):
            return [self.plain(inner, depth + 1) for inner in self.items(node, "list")]
        if isinstance(node, yaml.MappingNode):
            pairs = self.entries(node, "map", 'key "{}" already set in map')
            return {name: self.plain(value, depth + 1) for name, (_, value) in pairs.items()}
        tag = _TAGS.get(node.tag, "")
        match tag:
            case "null":
                return None
            case "bool":
                return self.boolean(node)
            case "int" if _INT.fullmatch(node.value):
                return self.integer(node)
            case "float":
                return self.number(node)
            case _:
                return self.text(node, "string")


def _refuse_depth(text: str, file: str) -> None:
    """Refuse absurd nesting before the text is composed: that recurses on the machine's stack, in C.

    A block level costs at least one character of indentation (two levels, where a list stands in a mapping),
    a flow level one bracket. Only a text whose brackets and indentation could add up is parsed for its depth.
    """
    indent = max(map(len, _INDENT.findall(text)), default=0)
    if 2 * indent + len(_OPENING.findall(text)) <= DEPTH_MAX:
        return
    depth = 0
    try:
        for event in yaml.parse(text, Loader=yaml.CSafeLoader):
            if isinstance(event, yaml.CollectionStartEvent):
                depth += 1
                if depth > DEPTH_MAX:
                    mark = event.start_mark
                    place = Position(mark.line + 1, mark.column + 1, file) if mark else Position(file=file)
                    raise UserError(f"yaml: nested deeper than {DEPTH_MAX} levels", place)
            elif isinstance(event, yaml.CollectionEndEvent):
                depth -= 1
    except (yaml.YAMLError, ValueError):
        return  # composing the text gives the same error, with its place
