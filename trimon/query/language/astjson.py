"""A tree as plain data: what `parse_query` shows."""

from __future__ import annotations

from typing import Any

from trimon.gotext.floats import format_plain
from trimon.model.matcher import Matcher
from trimon.query.language.durations import milliseconds
from trimon.query.language.nodes import (
    Aggregation,
    Binary,
    Call,
    Duration,
    DurationBinary,
    DurationCall,
    DurationNumber,
    DurationParen,
    DurationUnary,
    Expr,
    Matching,
    MatrixSelector,
    Modifiers,
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

_TYPES = {
    ValueType.SCALAR: "scalar",
    ValueType.VECTOR: "vector",
    ValueType.MATRIX: "matrix",
    ValueType.STRING: "string",
}


def ast_data(expr: Expr) -> dict[str, Any]:
    """One node and all below it, ready for JSON; names are in order, as in Prometheus."""
    if not isinstance(expr, Binary):
        return dict(sorted(_fields(expr).items()))
    spine, first = left_spine(expr)
    data = ast_data(first)
    for node in reversed(spine):
        data = _binary(node, data)
    return data


def _binary(expr: Binary, lhs: dict[str, Any]) -> dict[str, Any]:
    return {
        "bool": expr.return_bool,
        "lhs": lhs,
        "matching": None if expr.matching is None else _matching(expr.matching),
        "op": expr.op,
        "rhs": ast_data(expr.rhs),
        "type": "binaryExpr",
    }


def _fields(expr: Expr) -> dict[str, Any]:
    match expr:
        case NumberLiteral(value=value):
            return {"type": "numberLiteral", "val": format_plain(value)}
        case StringLiteral(value=text):
            return {
                "type": "stringLiteral",
                "val": text.encode("utf-8", "surrogateescape").decode("utf-8", "replace"),
            }
        case Paren(expr=inner):
            return {"type": "parenExpr", "expr": ast_data(inner)}
        case Unary(op=op, expr=inner):
            return {"type": "unaryExpr", "op": op, "expr": ast_data(inner)}
        case Binary():
            return ast_data(expr)
        case Aggregation():
            return {
                "type": "aggregation",
                "op": expr.op,
                "expr": ast_data(expr.expr),
                "param": None if expr.param is None else ast_data(expr.param),
                "grouping": list(expr.grouping),
                "without": expr.without,
            }
        case Call(function=function, args=args):
            return {"type": "call", "func": _function(function), "args": [ast_data(arg) for arg in args]}
        case VectorSelector():
            return {"type": "vectorSelector", **_selector(expr)}
        case MatrixSelector(vector=vector, range=length):
            return {
                "type": "matrixSelector",
                **_selector(vector),
                "range": _fixed_ms(length),
                "rangeExpr": _expression(length),
            }
        case Subquery():
            return {
                "type": "subquery",
                "expr": ast_data(expr.expr),
                "range": _fixed_ms(expr.range),
                "rangeExpr": _expression(expr.range),
                "step": 0 if expr.step is None else _fixed_ms(expr.step),
                "stepExpr": None if expr.step is None else _expression(expr.step),
                **_modifiers(expr.modifiers),
            }


def _selector(vector: VectorSelector) -> dict[str, Any]:
    return {
        "name": vector.name,
        "matchers": [_matcher(matcher) for matcher in vector.matchers],
        **_modifiers(vector.modifiers),
        "anchored": vector.anchored,
        "smoothed": vector.smoothed,
    }


def _matcher(matcher: Matcher) -> dict[str, str]:
    return {"name": matcher.name, "type": matcher.type.value, "value": matcher.value}


def _modifiers(modifiers: Modifiers) -> dict[str, Any]:
    offset = modifiers.offset
    return {
        "offset": 0 if offset is None else _fixed_ms(offset),
        "offsetExpr": None if offset is None else _expression(offset),
        "timestamp": modifiers.at_ms,
        "startOrEnd": None if modifiers.at is None else modifiers.at.value,
    }


def _matching(matching: Matching) -> dict[str, Any]:
    return {
        "card": matching.cardinality.value,
        "fillValues": {
            "lhs": None if matching.fill_left is None else format_plain(matching.fill_left),
            "rhs": None if matching.fill_right is None else format_plain(matching.fill_right),
        },
        "include": list(matching.include),
        "labels": list(matching.labels),
        "on": matching.on,
    }


def _function(name: str) -> dict[str, Any]:
    signature = FUNCTIONS[name]
    return {
        "argTypes": [_TYPES[kind] for kind in signature.args],
        "name": name,
        "returnType": _TYPES[signature.returns],
        "variadic": signature.variadic,
    }


def _fixed_ms(duration: Duration) -> int:
    """A literal in milliseconds; an expression that depends on the query's step or range is 0."""
    return milliseconds(duration, 0, 0) if isinstance(duration, DurationNumber) else 0


def _expression(duration: Duration) -> dict[str, Any] | None:
    return None if isinstance(duration, DurationNumber) else _duration(duration, wrapped=False)


def _duration(duration: Duration, *, wrapped: bool) -> dict[str, Any]:
    match duration:
        case DurationNumber(value=value, is_duration=is_duration):
            return {"duration": is_duration, "type": "numberLiteral", "val": format_plain(value)}
        case DurationParen(inner=DurationNumber() as inner):
            return _duration(DurationUnary("+", inner), wrapped=True)
        case DurationParen(inner=inner):
            return _duration(inner, wrapped=True)
        case DurationUnary(op=op, inner=inner):
            return {
                "lhs": None,
                "op": op,
                "rhs": _duration(inner, wrapped=False),
                "type": "durationExpr",
                "wrapped": wrapped,
            }
        case DurationCall(name=name, args=args):
            sides: list[Any] = [_duration(arg, wrapped=False) for arg in args] or [None, None]
            return {"lhs": sides[0], "op": name, "rhs": sides[1], "type": "durationExpr", "wrapped": wrapped}
        case DurationBinary(op=op, lhs=lhs, rhs=rhs):
            return {
                "lhs": _duration(lhs, wrapped=False),
                "op": op,
                "rhs": _duration(rhs, wrapped=False),
                "type": "durationExpr",
                "wrapped": wrapped,
            }
