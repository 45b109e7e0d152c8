"""The syntax tree. Nodes are immutable and compare by content, not by position.

`start` and `end` are byte offsets in the query text.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import field
from enum import Enum
from typing import TypeAlias

from trimon.model.matcher import Matcher
from trimon.records import dataclass


class ValueType(Enum):
    """The four types; the value is the name in messages."""

    SCALAR = "scalar"
    VECTOR = "instant vector"
    MATRIX = "range vector"
    STRING = "string"


class AtModifier(Enum):
    """`@ start()` and `@ end()`."""

    START = "start"
    END = "end"


class MatchCardinality(Enum):
    """How many series of each side may share a match group."""

    ONE_TO_ONE = "one-to-one"
    MANY_TO_ONE = "many-to-one"
    ONE_TO_MANY = "one-to-many"
    MANY_TO_MANY = "many-to-many"


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """What every node has: where it stands in the text."""

    start: int = field(default=0, compare=False)
    end: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class DurationNumber(Node):
    """A number or duration inside a duration expression, in seconds."""

    value: float
    is_duration: bool = False


@dataclass(frozen=True, slots=True)
class DurationCall(Node):
    """`step()` or `range()`, or `min_of(a, b)` or `max_of(a, b)`."""

    name: str
    args: tuple[Duration, ...] = ()


@dataclass(frozen=True, slots=True)
class DurationUnary(Node):
    """A sign before a duration expression."""

    op: str
    inner: Duration


@dataclass(frozen=True, slots=True)
class DurationBinary(Node):
    """Arithmetic of two duration expressions; `wrapped` when it stands in parentheses."""

    op: str
    lhs: Duration
    rhs: Duration


@dataclass(frozen=True, slots=True)
class DurationParen(Node):
    """A duration expression in parentheses."""

    inner: Duration


Duration: TypeAlias = DurationNumber | DurationCall | DurationUnary | DurationBinary | DurationParen


@dataclass(frozen=True, slots=True)
class Modifiers:
    """`offset` and `@` of a selector or subquery; `at_ms` is a fixed time, `at` one of the query's ends."""

    offset: Duration | None = None
    at_ms: int | None = None
    at: AtModifier | None = None

    @property
    def fixed(self) -> bool:
        """Whether the evaluation time is replaced."""
        return self.at_ms is not None or self.at is not None


@dataclass(frozen=True, slots=True)
class VectorSelector(Node):
    """`name{matchers}` with modifiers; the name is also among the matchers."""

    name: str
    matchers: tuple[Matcher, ...]
    modifiers: Modifiers = Modifiers()
    anchored: bool = False
    smoothed: bool = False
    bypass_empty_check: bool = field(default=False, compare=False)


@dataclass(frozen=True, slots=True)
class MatrixSelector(Node):
    """`selector[range]`; modifiers, `anchored` and `smoothed` sit in the inner selector."""

    vector: VectorSelector
    range: Duration


@dataclass(frozen=True, slots=True)
class Subquery(Node):
    """`expr[range:step]`."""

    expr: Expr
    range: Duration
    step: Duration | None
    modifiers: Modifiers = Modifiers()


@dataclass(frozen=True, slots=True)
class NumberLiteral(Node):
    """A number, or a duration standing for its seconds."""

    value: float
    is_duration: bool = False

    def __eq__(self, other: object) -> bool:
        return isinstance(other, NumberLiteral) and repr(self.value) == repr(other.value)

    def __hash__(self) -> int:
        return hash(repr(self.value))


@dataclass(frozen=True, slots=True)
class StringLiteral(Node):
    """A string."""

    value: str


@dataclass(frozen=True, slots=True)
class Paren(Node):
    """An expression in parentheses."""

    expr: Expr


@dataclass(frozen=True, slots=True)
class Unary(Node):
    """A sign before an expression."""

    op: str
    expr: Expr


@dataclass(frozen=True, slots=True)
class Matching:
    """How the series of two vectors find each other."""

    cardinality: MatchCardinality = MatchCardinality.ONE_TO_ONE
    labels: tuple[str, ...] = ()
    on: bool = False
    include: tuple[str, ...] = ()
    fill_left: float | None = None
    fill_right: float | None = None

    @property
    def fills(self) -> bool:
        """Whether missing series are filled in on either side."""
        return self.fill_left is not None or self.fill_right is not None


@dataclass(frozen=True, slots=True)
class Binary(Node):
    """`lhs op rhs`; `matching` is None unless both sides are instant vectors."""

    op: str
    lhs: Expr
    rhs: Expr
    matching: Matching | None = None
    return_bool: bool = False


@dataclass(frozen=True, slots=True)
class Aggregation(Node):
    """`op by|without (labels) (param, expr)`."""

    op: str
    expr: Expr
    param: Expr | None = None
    grouping: tuple[str, ...] = ()
    without: bool = False


@dataclass(frozen=True, slots=True)
class Call(Node):
    """A function call; the function is known and its name is the table's."""

    function: str
    args: tuple[Expr, ...]


Expr: TypeAlias = (
    VectorSelector
    | MatrixSelector
    | Subquery
    | NumberLiteral
    | StringLiteral
    | Paren
    | Unary
    | Binary
    | Aggregation
    | Call
)


def unwrap(expr: Expr) -> Expr:
    """The expression without the parentheses around it."""
    while isinstance(expr, Paren):
        expr = expr.expr
    return expr


def left_spine(expr: Expr) -> tuple[list[Binary], Expr]:
    """The operators of a chain such as `a + b - c`, the last one first, and the operand at the chain's left end.

    Such a chain is a tree that only grows to the left. It may be longer than a stack is deep: whoever walks trees goes
    down this list in a loop.
    """
    spine: list[Binary] = []
    while isinstance(expr, Binary):
        spine.append(expr)
        expr = expr.lhs
    return spine, expr


def children(expr: Expr) -> tuple[Expr, ...]:
    """The direct sub-expressions, in the order of the text."""
    match expr:
        case MatrixSelector(vector=vector):
            return (vector,)
        case Subquery(expr=inner) | Paren(expr=inner) | Unary(expr=inner):
            return (inner,)
        case Binary(lhs=lhs, rhs=rhs):
            return (lhs, rhs)
        case Aggregation(expr=inner, param=param):
            return (inner,) if param is None else (param, inner)
        case Call(args=args):
            return args
        case _:
            return ()


def nodes_of(expr: Expr) -> Iterator[Expr]:
    """An expression and all in it, in no order; without recursion, since chains may be longer than a stack is deep."""
    waiting = [expr]
    while waiting:
        each = waiting.pop()
        yield each
        waiting += children(each)
