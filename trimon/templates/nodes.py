"""The parts of a parsed template. `str` of a node is the text that errors show; positions count characters from 0."""

from __future__ import annotations

from dataclasses import field

from trimon.gotext.strings import go_quote
from trimon.records import dataclass


@dataclass(frozen=True, slots=True)
class TemplateSource:
    """A parsed text and the name that errors give it."""

    name: str
    text: str

    def line(self, position: int) -> int:
        """The line of a position, from 1."""
        return self.text.count("\n", 0, position) + 1

    def column(self, position: int) -> int:
        """The bytes before a position in its line."""
        begin = self.text.rfind("\n", 0, position) + 1
        return len(self.text[begin:position].encode("utf-8", "surrogateescape"))


@dataclass(eq=False, slots=True)
class Node:
    """What all have: where it is. A node without a source is in that of its template."""

    position: int
    source: TemplateSource | None


@dataclass(eq=False, slots=True)
class TextNode(Node):
    """Plain text."""

    text: str

    def __str__(self) -> str:
        return self.text


@dataclass(eq=False, slots=True)
class Identifier(Node):
    """The name of a function."""

    name: str

    def __str__(self) -> str:
        return self.name


@dataclass(eq=False, slots=True)
class Variable(Node):
    """A variable, and fields of its value."""

    names: tuple[str, ...]

    def __str__(self) -> str:
        return ".".join(self.names)


@dataclass(eq=False, slots=True)
class Dot(Node):
    """The value at hand."""

    def __str__(self) -> str:
        return "."


@dataclass(eq=False, slots=True)
class Nil(Node):
    """The word `nil`."""

    def __str__(self) -> str:
        return "nil"


@dataclass(eq=False, slots=True)
class Field(Node):
    """Fields of the value at hand."""

    names: tuple[str, ...]

    def __str__(self) -> str:
        return "".join(f".{name}" for name in self.names)


@dataclass(eq=False, slots=True)
class Chain(Node):
    """Fields of another operand."""

    operand: Node
    names: tuple[str, ...]

    def __str__(self) -> str:
        operand = f"({self.operand})" if isinstance(self.operand, Pipeline) else str(self.operand)
        return operand + "".join(f".{name}" for name in self.names)


@dataclass(eq=False, slots=True)
class Bool(Node):
    """`true` or `false`."""

    value: bool

    def __str__(self) -> str:
        return "true" if self.value else "false"


@dataclass(eq=False, slots=True)
class NumberNode(Node):
    """A constant, as every kind of number that can hold it; None where it cannot be one."""

    text: str
    integer: int | None = None
    unsigned: int | None = None
    floating: float | None = None
    complex: complex | None = None

    def __str__(self) -> str:
        return self.text


@dataclass(eq=False, slots=True)
class String(Node):
    """A string constant: as written, and what it stands for."""

    quoted: str
    text: str

    def __str__(self) -> str:
        return self.quoted


@dataclass(eq=False, slots=True)
class Command(Node):
    """An operand with its arguments."""

    arguments: list[Node] = field(default_factory=list)

    def __str__(self) -> str:
        return " ".join(
            f"({argument})" if isinstance(argument, Pipeline) else str(argument)
            for argument in self.arguments
        )


@dataclass(eq=False, slots=True)
class Pipeline(Node):
    """Commands, each getting the value of the one before, and the variables that get the last value."""

    variables: list[Variable] = field(default_factory=list)
    assigns: bool = False
    commands: list[Command] = field(default_factory=list)

    def __str__(self) -> str:
        lead = ""
        if self.variables:
            sign = "=" if self.assigns else ":="
            lead = f"{', '.join(str(variable) for variable in self.variables)} {sign} "
        return lead + " | ".join(str(command) for command in self.commands)


@dataclass(eq=False, slots=True)
class Action(Node):
    """A pipeline whose value is printed, unless it sets variables."""

    pipeline: Pipeline

    def __str__(self) -> str:
        return f"{{{{{self.pipeline}}}}}"


@dataclass(eq=False, slots=True)
class Body(Node):
    """Nodes in a row."""

    nodes: list[Node] = field(default_factory=list)

    def __str__(self) -> str:
        return "".join(str(node) for node in self.nodes)


@dataclass(eq=False, slots=True)
class Branch(Node):
    """`if`, `with` or `range`: `word` says which."""

    word: str
    pipeline: Pipeline
    body: Body
    otherwise: Body | None

    def __str__(self) -> str:
        otherwise = f"{{{{else}}}}{self.otherwise}" if self.otherwise is not None else ""
        return f"{{{{{self.word} {self.pipeline}}}}}{self.body}{otherwise}{{{{end}}}}"


@dataclass(eq=False, slots=True)
class Leave(Node):
    """`break` or `continue`."""

    word: str

    def __str__(self) -> str:
        return f"{{{{{self.word}}}}}"


@dataclass(eq=False, slots=True)
class Invocation(Node):
    """A template by its name, with the value it gets."""

    name: str
    pipeline: Pipeline | None

    def __str__(self) -> str:
        argument = f" {self.pipeline}" if self.pipeline is not None else ""
        return f"{{{{template {go_quote(self.name)}{argument}}}}}"


def is_empty(node: Node) -> bool:
    """Whether there is nothing but blanks."""
    if isinstance(node, Body):
        return all(is_empty(inner) for inner in node.nodes)
    return isinstance(node, TextNode) and not node.text.strip()
