"""Types: which value an expression has, and every complaint Prometheus makes about a tree."""

from __future__ import annotations

from dataclasses import replace

from trimon.gotext.strings import go_quote
from trimon.model.labels import METRIC_NAME
from trimon.query.language.errors import ParseError
from trimon.query.language.nodes import (
    Aggregation,
    Binary,
    Call,
    Expr,
    MatchCardinality,
    Matching,
    MatrixSelector,
    Node,
    NumberLiteral,
    Paren,
    StringLiteral,
    Subquery,
    Unary,
    ValueType,
    VectorSelector,
    left_spine,
)
from trimon.query.language.signatures import FUNCTIONS
from trimon.query.language.tokens import COMPARISONS, SET_OPERATORS

_PLAIN_NAME = {
    ValueType.SCALAR: "scalar",
    ValueType.VECTOR: "vector",
    ValueType.MATRIX: "matrix",
    ValueType.STRING: "string",
}


def type_of(expr: Expr) -> ValueType:
    """The type of the value of an expression."""
    match expr:
        case NumberLiteral():
            return ValueType.SCALAR
        case StringLiteral():
            return ValueType.STRING
        case MatrixSelector() | Subquery():
            return ValueType.MATRIX
        case Paren(expr=inner) | Unary(expr=inner):
            return type_of(inner)
        case Call(function=function):
            return FUNCTIONS[function].returns
        case Binary():
            spine, first = left_spine(expr)
            scalar = all(type_of(side) is ValueType.SCALAR for side in (first, *(node.rhs for node in spine)))
            return ValueType.SCALAR if scalar else ValueType.VECTOR
        case _:
            return ValueType.VECTOR


class Checker:
    """Checks one tree. Raises the first ParseError in Prometheus' order."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._raw = b""

    def check(self, expr: Expr) -> Expr:
        """The checked tree: matching clauses are dropped where they have no meaning."""
        return self._visit(expr)[0]

    def _error(self, message: str, node: Node) -> ParseError:
        return ParseError(message, self.text, node.start, node.end)

    def _visit(self, expr: Expr) -> tuple[Expr, ValueType]:
        match expr:
            case Aggregation():
                return self._aggregation(expr), ValueType.VECTOR
            case Binary():
                return self._chain(expr)
            case Call():
                return self._call(expr), FUNCTIONS[expr.function].returns
            case Paren():
                inner, kind = self._visit(expr.expr)
                return (expr if inner is expr.expr else replace(expr, expr=inner)), kind
            case Unary():
                inner, kind = self._visit(expr.expr)
                if kind not in (ValueType.SCALAR, ValueType.VECTOR):
                    raise self._error(
                        "unary expression only allowed on expressions of type scalar or instant vector, "
                        f'got "{kind.value}"',
                        expr,
                    )
                return (expr if inner is expr.expr else replace(expr, expr=inner)), kind
            case Subquery():
                inner, kind = self._visit(expr.expr)
                if kind is not ValueType.VECTOR:
                    raise self._error(
                        f"subquery is only allowed on instant vector, got {_PLAIN_NAME[kind]} instead", expr
                    )
                return (expr if inner is expr.expr else replace(expr, expr=inner)), ValueType.MATRIX
            case MatrixSelector():
                self._selector(expr.vector)
                return expr, ValueType.MATRIX
            case VectorSelector():
                self._selector(expr)
                return expr, ValueType.VECTOR
            case NumberLiteral():
                return expr, ValueType.SCALAR
            case StringLiteral():
                return expr, ValueType.STRING

    def _expect(self, expr: Expr, wanted: ValueType, context: str) -> Expr:
        inner, kind = self._visit(expr)
        if kind is not wanted:
            raise self._error(f"expected type {wanted.value} in {context}, got {kind.value}", expr)
        return inner

    def _selector(self, vector: VectorSelector) -> None:
        if vector.name:
            for matcher in vector.matchers[:-1]:
                if matcher.name == METRIC_NAME:
                    raise self._error(
                        "metric name must not be set twice: "
                        f"{go_quote(vector.name)} or {go_quote(matcher.value)}",
                        vector,
                    )
            return
        if not vector.bypass_empty_check and all(matcher.matches_empty for matcher in vector.matchers):
            raise self._error("vector selector must contain at least one non-empty matcher", vector)

    def _aggregation(self, expr: Aggregation) -> Aggregation:
        inner = self._expect(expr.expr, ValueType.VECTOR, "aggregation expression")
        param = expr.param
        if param is not None:
            wanted = ValueType.STRING if expr.op == "count_values" else ValueType.SCALAR
            param = self._expect(param, wanted, "aggregation parameter")
        if inner is expr.expr and param is expr.param:
            return expr
        return replace(expr, expr=inner, param=param)

    def _call(self, expr: Call) -> Call:
        signature = FUNCTIONS[expr.function]
        name, count = go_quote(expr.function), len(expr.args)
        if signature.variadic == 0 and count != len(signature.args):
            raise self._error(
                f"expected {len(signature.args)} argument(s) in call to {name}, got {count}", expr
            )
        if count < signature.args_min:
            raise self._error(
                f"expected at least {signature.args_min} argument(s) in call to {name}, got {count}", expr
            )
        if signature.args_max is not None and count > signature.args_max:
            raise self._error(
                f"expected at most {signature.args_max} argument(s) in call to {name}, got {count}", expr
            )
        args = list(expr.args)
        if expr.function == "info" and count > 1:
            args[1] = self._info_selector(args[1])
        for index, arg in enumerate(args):
            wanted = signature.args[min(index, len(signature.args) - 1)]
            args[index] = self._expect(arg, wanted, f"call to function {name}")
        return replace(expr, args=tuple(args))

    def _info_selector(self, arg: Expr) -> Expr:
        if type_of(arg) is not ValueType.VECTOR:
            return arg
        if not isinstance(arg, VectorSelector):
            raise self._error("expected label selectors only", arg)
        if arg.name:
            raise self._error("expected label selectors only, got vector selector instead", arg)
        return replace(arg, bypass_empty_check=True)

    def _chain(self, expr: Binary) -> tuple[Expr, ValueType]:
        spine, first = left_spine(expr)
        checked, kind = self._visit(first)
        for node in reversed(spine):
            checked, kind = self._binary(node, checked, kind)
        return checked, kind

    def _binary(self, expr: Binary, lhs: Expr, left: ValueType) -> tuple[Binary, ValueType]:
        """The node with its checked left side, of which the type is known."""
        rhs, right = self._visit(expr.rhs)
        scalar, vector = ValueType.SCALAR, ValueType.VECTOR
        operator = self._operator(expr)
        comparison = expr.op in COMPARISONS
        if expr.return_bool and not comparison:
            raise self._error("bool modifier can only be used on comparison operators", operator)
        if comparison and not expr.return_bool and left is scalar and right is scalar:
            raise self._error("comparisons between scalars must use BOOL modifier", operator)
        matching = expr.matching
        if matching is not None and matching.on:
            for label in matching.labels:
                if label in matching.include:
                    raise self._error(
                        f"label {go_quote(label)} must not occur in ON and GROUP clause at once", operator
                    )
        for side, kind in ((expr.lhs, left), (expr.rhs, right)):
            if kind not in (scalar, vector):
                raise self._error("binary expression must contain only scalar and instant vector types", side)
        if matching is not None:
            matching = self._matching(expr, both_vectors=left is vector and right is vector)
        if expr.op in SET_OPERATORS and scalar in (left, right):
            raise self._error(f'set operator "{expr.op}" not allowed in binary scalar expression', expr)
        checked = replace(expr, lhs=lhs, rhs=rhs, matching=matching)
        return checked, scalar if left is scalar and right is scalar else vector

    def _matching(self, expr: Binary, *, both_vectors: bool) -> Matching | None:
        matching = expr.matching
        assert matching is not None
        if not both_vectors:
            if matching.labels:
                raise self._error("vector matching only allowed between instant vectors", expr)
            if matching.fills:
                raise self._error("filling in missing series only allowed between instant vectors", expr)
            return None
        if expr.op in SET_OPERATORS:
            if matching.cardinality is not MatchCardinality.MANY_TO_MANY:
                raise self._error(f'no grouping allowed for "{expr.op}" operation', expr)
            if matching.fills:
                raise self._error("filling in missing series not allowed for set operators", expr)
        return matching

    def _operator(self, expr: Binary) -> Node:
        raw = self._raw = self._raw or self.text.encode("utf-8", "surrogateescape")
        start = expr.lhs.end
        while start < len(raw) and raw[start : start + 1].isspace():
            start += 1
        return Node(start=start, end=expr.rhs.start)
