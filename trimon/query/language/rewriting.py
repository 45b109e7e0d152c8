"""Expressions rebuilt with other selectors; the parsed tree, which may be shared, stays as it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from trimon.query.language.nodes import (
    Aggregation,
    Binary,
    Call,
    Expr,
    MatrixSelector,
    Paren,
    Subquery,
    Unary,
    VectorSelector,
    children,
)


def with_selectors(expr: Expr, change: Callable[[VectorSelector], VectorSelector]) -> Expr:
    """The expression with every selector changed; without recursion, since chains may be longer than a stack is deep."""
    waiting, order = [expr], []
    while waiting:
        each = waiting.pop()
        order.append(each)
        waiting += children(each)
    made: dict[int, Expr] = {}
    for each in reversed(order):  # parents come after what is in them
        if id(each) in made:
            continue
        inner = tuple(made[id(child)] for child in children(each))
        made[id(each)] = change(each) if isinstance(each, VectorSelector) else _rebuilt(each, inner)
    return made[id(expr)]


def _rebuilt(expr: Expr, inner: tuple[Expr, ...]) -> Expr:
    """The node with other children, in the order of `children`."""
    match expr:
        case MatrixSelector():
            vector = inner[0]
            assert isinstance(vector, VectorSelector)  # what a selector becomes is one
            return replace(expr, vector=vector)
        case Subquery() | Paren() | Unary():
            return replace(expr, expr=inner[0])
        case Binary():
            return replace(expr, lhs=inner[0], rhs=inner[1])
        case Aggregation():
            return replace(expr, expr=inner[-1], param=inner[0] if len(inner) > 1 else None)
        case Call():
            return replace(expr, args=inner)
        case _:
            return expr
