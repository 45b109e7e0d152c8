"""Queries and their samples, and what passes values to other templates."""

from __future__ import annotations

from trimon import limits
from trimon.errors import OperatingError, UserError
from trimon.gotext.values import (
    ANY,
    ANY_MAP,
    STRING,
    GoScalar,
    Interface,
    Pointer,
    Slice,
    Table,
    Value,
    inside,
)
from trimon.templates.errors import CallError, TemplateError
from trimon.templates.functions.function import Calling, Function
from trimon.templates.types import HTML, QUERY_RESULT, SAMPLE_POINTER, sample

_NIL = "runtime error: invalid memory address or nil pointer dereference"


def _query(calling: Calling, expression: str) -> Value:
    calling.spend(limits.TEMPLATE_STEPS_PER_QUERY)
    try:
        samples = calling.query(expression)
    except (UserError, OperatingError) as error:
        raise CallError(str(error)) from error
    calling.spend(len(samples))
    return Slice(QUERY_RESULT, [sample(found.labels, found.value) for found in samples])


def _first(_: Calling, result: Slice) -> Value:
    if not result.items:
        raise CallError("first() called on vector with no elements")
    found: Value = result.items[0]
    return found


def _fields(found: Pointer) -> tuple[Table, Interface]:
    if found.target is None:
        raise CallError(_NIL)
    labels, value = found.target.values
    return labels, value


def _label(_: Calling, name: str, found: Pointer) -> str:
    text: str = _fields(found)[0].entries.get(name, "")
    return text


def _value(_: Calling, found: Pointer) -> Value:
    held: Value = _fields(found)[1].value
    return held


def _strvalue(calling: Calling, found: Pointer) -> str:
    return _label(calling, "__value__", found)


def _sort_by_label(calling: Calling, name: str, result: Slice) -> Value:
    """Sorts in place, as everybody who has the result sees."""
    calling.spend(len(result.items))
    for found in result.items:
        _fields(found)
    result.items.sort(key=lambda found: _label(calling, name, found).encode("utf-8", "surrogateescape"))
    return result


def _args(calling: Calling, *values: Value) -> Value:
    calling.spend(len(values))
    return Table(ANY_MAP, {f"arg{number}": Interface(inside(value)) for number, value in enumerate(values)})


def _tmpl(calling: Calling, name: str, data: Value) -> Value:
    assert calling.expand is not None
    try:
        return GoScalar(HTML, calling.expand(name, data))
    except TemplateError as error:
        raise CallError(error.message) from None


FUNCTIONS = (
    Function("args", _args, variadic=ANY),
    Function("first", _first, (QUERY_RESULT,)),
    Function("label", _label, (STRING, SAMPLE_POINTER)),
    Function("query", _query, (STRING,)),
    Function("sortByLabel", _sort_by_label, (STRING, QUERY_RESULT)),
    Function("strvalue", _strvalue, (SAMPLE_POINTER,)),
    Function("value", _value, (SAMPLE_POINTER,)),
)
CONSOLE_FUNCTIONS = (Function("tmpl", _tmpl, (STRING, ANY)),)
