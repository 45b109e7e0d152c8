"""A tree as text over several lines: what `format_query` shows."""

from __future__ import annotations

from typing import Final

from trimon.query.language.nodes import Aggregation, Binary, Call, Expr, Paren, Subquery, Unary
from trimon.query.language.printer import (
    aggregation_args,
    aggregation_head,
    operator_text,
    print_expr,
    subquery_tail,
)

LINE_MAX: Final = 100
_INDENT: Final = "  "


def prettify(expr: Expr, level: int = 0) -> str:
    """The expression indented by `level`; what is longer than a line is split at its operators."""
    indent = _INDENT * level
    flat = print_expr(expr)
    if isinstance(expr, Unary):
        return indent + expr.op + prettify(expr.expr, level).strip()
    if len(flat.encode("utf-8", "surrogateescape")) <= LINE_MAX:
        # A subquery's indentation is its expression's.
        return flat if isinstance(expr, Subquery) else indent + flat
    match expr:
        case Binary(lhs=lhs, rhs=rhs):
            return f"{prettify(lhs, level + 1)}\n{indent}{operator_text(expr)}\n{prettify(rhs, level + 1)}"
        case Aggregation():
            return f"{indent}{aggregation_head(expr)}(\n{_lines(aggregation_args(expr), level)}\n{indent})"
        case Call(function=function, args=args) if args:
            return f"{indent}{function}(\n{_lines(args, level)}\n{indent})"
        case Paren(expr=inner):
            return f"{indent}(\n{prettify(inner, level + 1)}\n{indent})"
        case Subquery(expr=inner):
            return prettify(inner, level) + subquery_tail(expr)
        case _:
            return indent + flat


def _lines(args: tuple[Expr, ...], level: int) -> str:
    return ",\n".join(prettify(arg, level + 1) for arg in args)
