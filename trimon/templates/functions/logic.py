"""Truth, and the comparisons of Go's template language."""

from __future__ import annotations

from typing import Any

from trimon.gotext.format import default_text, sprintf
from trimon.gotext.values import (
    GoKind,
    GoScalar,
    Interface,
    Pointer,
    Slice,
    Struct,
    Table,
    Value,
    inside,
    is_nil,
    raw,
    type_of,
)
from trimon.templates.errors import CallError
from trimon.templates.functions.function import REFLECTED, Calling, Function

_BASIC = frozenset((GoKind.BOOL, GoKind.INT, GoKind.UINT, GoKind.FLOAT, GoKind.COMPLEX, GoKind.STRING))
_UNORDERED = frozenset((GoKind.BOOL, GoKind.COMPLEX))
_INTEGERS = frozenset((GoKind.INT, GoKind.UINT))
_SHOWN_BYTES_MAX = 100_000


def is_true(value: Value) -> bool:
    """Whether a value is not the zero of its type; structs always are, empty maps and slices are not."""
    value = inside(value)
    if value is None:
        return False
    if isinstance(value, Table):
        return bool(value.entries)
    if isinstance(value, Slice):
        return bool(value.items)
    if isinstance(value, Pointer):
        return value.target is not None
    if isinstance(value, Struct):
        return True
    return bool(raw(value))


def _not(_: Calling, value: Value) -> bool:
    return not is_true(value)


def _kind(value: Value) -> GoKind | None:
    """The kind of a basic value; None for all others."""
    if value is None:
        return None
    kind = type_of(value).kind
    return kind if kind in _BASIC else None


def _shown(value: Value) -> str:
    return sprintf("%s", (value,), _SHOWN_BYTES_MAX)


def _incompatible(left: Value, right: Value) -> CallError:
    return CallError(f"incompatible types for comparison: {type_of(left)} and {type_of(right)}")


def equals(_: Calling, first: Value, *others: Value) -> bool:
    """Whether the first is equal to one of the others."""
    first = inside(first)
    if not others:
        raise CallError("missing argument for comparison")
    return any(_equal(first, inside(other)) for other in others)


def _equal(left: Value, right: Value) -> bool:
    kind, other = _kind(left), _kind(right)
    if kind is not other:
        if kind in _INTEGERS and other in _INTEGERS:
            return bool(raw(left) == raw(right))
        if left is not None and right is not None:
            raise _incompatible(left, right)
        return False
    if kind is not None:
        return bool(raw(left) == raw(right))
    if left is not None and right is not None and type_of(left).kind is not type_of(right).kind:
        shown = default_text(right, _SHOWN_BYTES_MAX)
        message = f"{_shown(left)}: {type_of(left)}, {type_of(right)}: {shown}"
        raise CallError(f"non-comparable types {message}")
    if is_nil(left) or is_nil(right):
        return is_nil(left) == is_nil(right)
    if not type_of(right).comparable:
        raise CallError(f"non-comparable type {_shown(right)}: {type_of(right)}")
    return _same(left, right)


def _same(left: Any, right: Any) -> bool:
    """Whether two values of comparable types are the same: pointers by what they point to, structs by their fields."""
    if isinstance(left, Pointer):
        return isinstance(right, Pointer) and left.type is right.type and left.target is right.target
    if isinstance(left, Struct) and isinstance(right, Struct) and left.type is right.type:
        return all(_same(*pair) for pair in zip(left.values, right.values, strict=True))
    if isinstance(left, Interface) and isinstance(right, Interface):
        return _same(left.value, right.value)
    if isinstance(left, GoScalar) and isinstance(right, GoScalar):
        return left.type is right.type and bool(left.value == right.value)
    return type(left) is type(right) and bool(left == right)


def _unequal(calling: Calling, left: Value, right: Value) -> bool:
    return not equals(calling, left, right)


def _less(_: Calling, left: Value, right: Value) -> bool:
    left, right = inside(left), inside(right)
    kind, other = _kind(left), _kind(right)
    if kind is None or other is None:
        raise CallError("invalid type for comparison")
    if kind is not other:
        if kind not in _INTEGERS or other not in _INTEGERS:
            raise _incompatible(left, right)
    elif kind in _UNORDERED:
        raise CallError("invalid type for comparison")
    if kind is GoKind.STRING:
        return bool(
            raw(left).encode("utf-8", "surrogateescape") < raw(right).encode("utf-8", "surrogateescape")
        )
    return bool(raw(left) < raw(right))


def _less_or_equal(calling: Calling, left: Value, right: Value) -> bool:
    return _less(calling, left, right) or equals(calling, left, right)


def _greater(calling: Calling, left: Value, right: Value) -> bool:
    return not _less_or_equal(calling, left, right)


def _greater_or_equal(calling: Calling, left: Value, right: Value) -> bool:
    return not _less(calling, left, right)


def _never(*_: Value) -> Value:
    """`and` and `or` end early: the execution itself evaluates their arguments."""
    raise AssertionError("and/or are evaluated by the execution")


_PAIR = (REFLECTED, REFLECTED)
FUNCTIONS = (
    Function("and", _never, (REFLECTED,), REFLECTED, builtin=True),
    Function("or", _never, (REFLECTED,), REFLECTED, builtin=True),
    Function("not", _not, (REFLECTED,), builtin=True),
    Function("eq", equals, (REFLECTED,), REFLECTED, builtin=True),
    Function("ne", _unequal, _PAIR, builtin=True),
    Function("lt", _less, _PAIR, builtin=True),
    Function("le", _less_or_equal, _PAIR, builtin=True),
    Function("gt", _greater, _PAIR, builtin=True),
    Function("ge", _greater_or_equal, _PAIR, builtin=True),
)
