"""`len`, `index` and `slice` over strings, maps and slices, and `call`."""

from __future__ import annotations

from trimon.gotext.values import (
    UINT8,
    GoKind,
    GoScalar,
    GoType,
    Slice,
    Table,
    Value,
    bytes_text,
    indirect,
    inside,
    raw,
    text_bytes,
    type_of,
    zero,
)
from trimon.templates.errors import CallError
from trimon.templates.functions.function import REFLECTED, Calling, Function


def _is_text(value: Value) -> bool:
    return value is not None and type_of(value).kind is GoKind.STRING


def _element(of: GoType) -> GoType:
    assert of.element is not None
    return of.element


def _length(_: Calling, value: Value) -> int:
    value, nil = indirect(value)
    if nil:
        raise CallError("len of nil pointer")
    if value is None:
        raise CallError("reflect: call of reflect.Value.Type on zero Value")
    if isinstance(value, Table):
        return len(value.entries)
    if isinstance(value, Slice):
        return len(value.items)
    if _is_text(value):
        return len(text_bytes(raw(value)))
    raise CallError(f"len of type {type_of(value)}")


def _place(index: Value, count: int) -> int:
    """An index that lies within, or just behind the end. Raises CallError."""
    index = inside(index)
    if index is None:
        raise CallError("cannot index slice/array with nil")
    if type_of(index).kind not in (GoKind.INT, GoKind.UINT):
        raise CallError(f"cannot index slice/array with type {type_of(index)}")
    place: int = raw(index)
    if not 0 <= place <= count:
        raise CallError(f"index out of range: {place}")
    return place


def _index(_: Calling, item: Value, *indexes: Value) -> Value:
    item = inside(item)
    if item is None:
        raise CallError("index of untyped nil")
    for index in indexes:
        item, nil = indirect(item)
        if nil:
            raise CallError("index of nil pointer")
        item = _at(item, inside(index))
    return item


def _at(item: Value, index: Value) -> Value:
    if isinstance(item, Table):
        return _entry(item, index)
    if isinstance(item, Slice):
        place = _place(index, len(item.items))
        if place == len(item.items):
            raise CallError("reflect: slice index out of range")
        found: Value = item.items[place]
        return found
    if _is_text(item):
        data = text_bytes(raw(item))
        place = _place(index, len(data))
        if place == len(data):
            raise CallError("reflect: string index out of range")
        return GoScalar(UINT8, data[place])
    raise CallError(f"can't index item of type {type_of(item)}")


def _entry(table: Table, key: Value) -> Value:
    if key is None:
        raise CallError("value is nil; should be of type string")
    if not isinstance(key, str):
        raise CallError(f"value has type {type_of(key)}; should be string")
    found: Value = table.entries[key] if key in table.entries else zero(_element(table.type))
    return found


def _slice(_: Calling, item: Value, *indexes: Value) -> Value:
    item = inside(item)
    if item is None:
        raise CallError("slice of untyped nil")
    item, nil = indirect(item)
    if nil:
        raise CallError("slice of nil pointer")
    if len(indexes) > 3:
        raise CallError(f"too many slice indexes: {len(indexes)}")
    if _is_text(item):
        if len(indexes) == 3:
            raise CallError("cannot 3-index slice a string")
        data = text_bytes(raw(item))
        begin, end = _borders(indexes, len(data))
        cut = bytes_text(data[begin:end])
        return cut if isinstance(item, str) else GoScalar(type_of(item), cut)
    if not isinstance(item, Slice):
        raise CallError(f"can't slice item of type {type_of(item)}")
    begin, end = _borders(indexes, len(item.items))
    return Slice(item.type, item.items[begin:end])


def _borders(indexes: tuple[Value, ...], count: int) -> tuple[int, int]:
    places = [_place(index, count) for index in indexes]
    begin = places[0] if places else 0
    end = places[1] if len(places) > 1 else count
    capacity = places[2] if len(places) > 2 else count
    if begin > end:
        raise CallError(f"invalid slice index: {begin} > {end}")
    if end > capacity:
        raise CallError(f"invalid slice index: {end} > {capacity}")
    return begin, end


def _call(_: Calling, name: str, function: Value, *_arguments: Value) -> Value:
    """Refuses: no value of a template is a function."""
    function = inside(function)
    if function is None:
        raise CallError("call of nil")
    raise CallError(f"non-function {name} of type {type_of(function)}")


FUNCTIONS = (
    Function("call", _call, (REFLECTED,), REFLECTED, builtin=True),
    Function("index", _index, (REFLECTED,), REFLECTED, builtin=True),
    Function("len", _length, (REFLECTED,), builtin=True),
    Function("slice", _slice, (REFLECTED,), REFLECTED, builtin=True),
)
