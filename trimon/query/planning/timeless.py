"""Which queries depend on their time only by which samples are the newest ones then."""

from __future__ import annotations

from typing import Final

from trimon.query.language.nodes import (
    Aggregation,
    Binary,
    Call,
    Expr,
    Modifiers,
    NumberLiteral,
    Paren,
    StringLiteral,
    Unary,
    VectorSelector,
    children,
)

NODES_MAX: Final = 64
_PLAIN: Final = (Aggregation, Binary, NumberLiteral, Paren, StringLiteral, Unary)
_MODIFIERS: Final = Modifiers()
# Of what they are given alone.
_FUNCTIONS: Final = frozenset(
    {
        "abs", "absent", "ceil", "clamp", "clamp_max", "clamp_min", "exp", "floor", "histogram_quantile", "label_join",
        "label_replace", "ln", "log10", "log2", "round", "scalar", "sgn", "sort", "sort_by_label", "sort_by_label_desc",
        "sort_desc", "sqrt", "vector",
    }
)  # fmt: skip


def is_timeless(expr: Expr) -> bool:
    """Whether a tree is of plain instant selectors, and of what computes with their samples and nothing else."""
    left = NODES_MAX
    waiting = [expr]
    while waiting:
        node = waiting.pop()
        left -= 1
        if left < 0:
            return False
        if isinstance(node, VectorSelector):
            if node.modifiers != _MODIFIERS or node.anchored or node.smoothed:
                return False
        elif isinstance(node, Call):
            if node.function not in _FUNCTIONS:
                return False
        elif not isinstance(node, _PLAIN):
            return False
        waiting += children(node)
    return True
