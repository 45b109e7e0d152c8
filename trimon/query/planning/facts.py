"""Facts of the nodes of a tree, kept while it is planned: the type, and whether it is the same at every step."""

from __future__ import annotations

from dataclasses import field

from trimon.query.language.checker import type_of
from trimon.query.language.nodes import (
    Binary,
    Call,
    Expr,
    MatrixSelector,
    Paren,
    Subquery,
    Unary,
    ValueType,
    VectorSelector,
    children,
    unwrap,
)
from trimon.query.language.signatures import STEP_VARIANT
from trimon.records import dataclass


@dataclass(slots=True)
class TreeFacts:
    """Facts about the nodes of one tree, found out once a node, in chains from the left end upwards."""

    _kinds: dict[int, ValueType] = field(default_factory=dict)
    # Whether all selectors below a node are fixed, and whether there are some.
    _fixed: dict[int, tuple[bool, bool]] = field(default_factory=dict)

    def kind(self, expr: Expr) -> ValueType:
        """The type of the value of an expression."""
        for node in _upwards(expr, self._kinds):
            self._kinds[id(node)] = self._kind(node)
        return self._kinds[id(expr)]

    def _kind(self, expr: Expr) -> ValueType:
        match expr:
            case Paren(expr=inner) | Unary(expr=inner):
                return self.kind(inner)
            case Binary(lhs=lhs, rhs=rhs):
                scalar = self.kind(lhs) is ValueType.SCALAR and self.kind(rhs) is ValueType.SCALAR
                return ValueType.SCALAR if scalar else ValueType.VECTOR
            case _:
                return type_of(expr)

    def fixed(self, expr: Expr) -> bool:
        """Whether an expression gives the same at every step: all selectors below it have `@`, if there are any."""
        return self._selectors(expr)[0]

    def repeats(self, expr: Expr) -> bool:
        """Whether an expression with selectors gives the same at every step: all of them have `@`."""
        fixed, has_selector = self._selectors(expr)
        return fixed and has_selector

    def _selectors(self, expr: Expr) -> tuple[bool, bool]:
        for node in _upwards(expr, self._fixed):
            self._fixed[id(node)] = self._looked_up(node)
        return self._fixed[id(expr)]

    def _looked_up(self, expr: Expr) -> tuple[bool, bool]:
        match expr:
            case VectorSelector(modifiers=modifiers):
                return modifiers.fixed, True
            case MatrixSelector(vector=vector):
                return vector.modifiers.fixed, True
            case Subquery(expr=inner, modifiers=modifiers):
                return modifiers.fixed, self._selectors(inner)[1] or modifiers.fixed
            case Call(function=function, args=args) if function in STEP_VARIANT:
                selector = function == "timestamp" and isinstance(unwrap(args[0]), VectorSelector)
                if not selector:
                    return False, True
        parts = [self._selectors(child) for child in children(expr)]
        return all(fixed for fixed, _ in parts), any(has for _, has in parts)


def _upwards(expr: Expr, known: dict[int, ValueType] | dict[int, tuple[bool, bool]]) -> list[Expr]:
    """The node and, in a chain, its left sides, as far as they are not known; the innermost first."""
    out: list[Expr] = []
    node = expr
    while id(node) not in known:
        out.append(node)
        if not isinstance(node, Binary):
            break
        node = node.lhs
    return out[::-1]
