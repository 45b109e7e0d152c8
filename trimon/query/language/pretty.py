"""A tree as text over several lines: what `format_query` shows."""

from __future__ import annotations

from typing import Final

from trimon.limits import QUERY_FORMATTED_BYTES_MAX
from trimon.query.language.errors import ParseError
from trimon.query.language.nodes import Aggregation, Binary, Call, Expr, Paren, Subquery, Unary
from trimon.query.language.printer import (
    aggregation_args,
    aggregation_head,
    operator_text,
    print_spans,
    subquery_tail,
)

LINE_MAX: Final = 100
_INDENT: Final = "  "


def prettify(expr: Expr) -> str:
    """The expression, split at its operators where it is longer than a line.

    Raises ParseError when the result would be too long.
    """
    pretty = _Pretty(expr)
    pretty.write(expr, 0)
    return "".join(pretty.out)


class _Pretty:
    """Lines of one tree. A text that is printed once tells of every node whether it fits in a line."""

    def __init__(self, expr: Expr) -> None:
        self.out: list[str] = []
        self._size = 0
        self._flat, self._spans = print_spans(expr)

    def _add(self, text: str) -> None:
        self._size += len(text)
        if self._size > QUERY_FORMATTED_BYTES_MAX:
            raise ParseError(
                f"the formatted query would be longer than the limit of {QUERY_FORMATTED_BYTES_MAX} bytes"
            )
        self.out.append(text)

    def _line(self, expr: Expr) -> str | None:
        """The expression on one line, where it fits."""
        start, end = self._spans[id(expr)]
        if end - start > LINE_MAX:
            return None
        flat = self._flat[start:end]
        return flat if len(flat.encode("utf-8", "surrogateescape")) <= LINE_MAX else None

    def write(self, expr: Expr, level: int, *, indented: bool = True) -> None:
        """Add an expression at a level; `indented` tells whether its first line begins with white space."""
        indent = _INDENT * level
        first = indent if indented else ""
        if isinstance(expr, Unary):
            self._add(first + expr.op)
            self.write(expr.expr, level, indented=False)
            return
        flat = self._line(expr)
        if flat is not None:
            # A subquery's indentation is its expression's.
            self._add(flat if isinstance(expr, Subquery) else first + flat)
            return
        match expr:
            case Binary():
                self._chain(expr, level, indented=indented)
            case Aggregation():
                self._add(f"{first}{aggregation_head(expr)}(\n")
                self._lines(aggregation_args(expr), level)
            case Call(function=function, args=args) if args:
                self._add(f"{first}{function}(\n")
                self._lines(args, level)
            case Paren(expr=inner):
                self._add(f"{first}(\n")
                self._lines((inner,), level)
            case Subquery(expr=inner):
                self.write(inner, level, indented=indented)
                self._add(subquery_tail(expr))
            case _:
                start, end = self._spans[id(expr)]
                self._add(first + self._flat[start:end])

    def _chain(self, expr: Expr, level: int, *, indented: bool) -> None:
        """Operators one below the other, the left side of each a level deeper."""
        chain: list[Binary] = []
        while isinstance(expr, Binary) and self._line(expr) is None:
            chain.append(expr)
            expr = expr.lhs
        self.write(expr, level + len(chain), indented=indented)
        for depth in range(len(chain) - 1, -1, -1):
            node = chain[depth]
            self._add(f"\n{_INDENT * (level + depth)}{operator_text(node)}\n")
            self.write(node.rhs, level + depth + 1)

    def _lines(self, args: tuple[Expr, ...], level: int) -> None:
        """Arguments line by line, and the parenthesis behind them."""
        for index, arg in enumerate(args):
            if index:
                self._add(",\n")
            self.write(arg, level + 1)
        self._add(f"\n{_INDENT * level})")
