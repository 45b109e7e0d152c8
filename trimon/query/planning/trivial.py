"""Which queries are so small that handing them to a thread would cost more than answering them."""

from __future__ import annotations

from typing import Final

from trimon.query.language.nodes import Expr, MatrixSelector, Subquery, VectorSelector, children

# Bounds of a query that takes less than a millisecond: what it computes, and for how many steps.
NODES_MAX: Final = 16
STEPS_MAX: Final = 256
TEXT_MAX: Final = 256


def is_trivial(text: str, expr: Expr, steps: int) -> bool:
    """Whether a query surely takes less than a millisecond: it reads no samples, is short and has few steps."""
    return steps <= STEPS_MAX and len(text) <= TEXT_MAX and _reads_nothing(expr)


def _reads_nothing(expr: Expr) -> bool:
    """Whether a tree has neither selector nor subquery, and at most NODES_MAX nodes."""
    left = NODES_MAX
    waiting = [expr]
    while waiting:
        node = waiting.pop()
        left -= 1
        if left < 0 or isinstance(node, VectorSelector | MatrixSelector | Subquery):
            return False
        waiting += children(node)
    return True
