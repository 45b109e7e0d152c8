"""Go's types and values, as far as templates and printf can see them.

A `bool`, `int`, `float`, `complex` or `str` of Python is Go's `bool`, `int`, `float64`, `complex128` or `string`; everything
else is one of the classes below, and `None` is no value at all. A string holds bytes that are not UTF-8 as surrogates.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any, Final, TypeAlias

from trimon.records import dataclass


class GoKind(Enum):
    """What a type is made of."""

    BOOL = "bool"
    INT = "int"
    UINT = "uint"
    FLOAT = "float"
    COMPLEX = "complex"
    STRING = "string"
    MAP = "map"
    SLICE = "slice"
    STRUCT = "struct"
    POINTER = "ptr"
    INTERFACE = "interface"


@dataclass(frozen=True, slots=True, eq=False)
class GoType:
    """A type. Two types are the same when they are the same object.

    `element` is that of a map, slice or pointer; `read` gives the field values of a struct from its payload; `shown` is
    the String method of the value, `literal` the one that `%#v` asks.
    """

    name: str
    kind: GoKind
    element: GoType | None = None
    fields: tuple[tuple[str, GoType], ...] = ()
    read: Callable[[Any], tuple[Any, ...]] | None = None
    shown: Callable[[Any], str] | None = None
    literal: Callable[[Any], str] | None = None
    comparable: bool = True

    def __str__(self) -> str:
        return self.name

    @property
    def nilable(self) -> bool:
        """Whether nil is a value of the type."""
        return self.kind in (GoKind.MAP, GoKind.SLICE, GoKind.POINTER, GoKind.INTERFACE)


BOOL: Final = GoType("bool", GoKind.BOOL)
INT: Final = GoType("int", GoKind.INT)
INT32: Final = GoType("int32", GoKind.INT)
INT64: Final = GoType("int64", GoKind.INT)
UINT8: Final = GoType("uint8", GoKind.UINT)
UINT32: Final = GoType("uint32", GoKind.UINT)
UINT64: Final = GoType("uint64", GoKind.UINT)
FLOAT64: Final = GoType("float64", GoKind.FLOAT)
COMPLEX128: Final = GoType("complex128", GoKind.COMPLEX)
STRING: Final = GoType("string", GoKind.STRING)
ANY: Final = GoType("interface {}", GoKind.INTERFACE)
STRING_MAP: Final = GoType("map[string]string", GoKind.MAP, STRING, comparable=False)
ANY_MAP: Final = GoType("map[string]interface {}", GoKind.MAP, ANY, comparable=False)
STRING_SLICE: Final = GoType("[]string", GoKind.SLICE, STRING, comparable=False)
FLOAT_SLICE: Final = GoType("[]float64", GoKind.SLICE, FLOAT64, comparable=False)


def pointer_to(target: GoType) -> GoType:
    """The type of pointers to another; it has the other's methods."""
    return GoType(f"*{target.name}", GoKind.POINTER, target, shown=target.shown, literal=target.literal)


@dataclass(frozen=True, slots=True, eq=False)
class GoScalar:
    """A number or string of a type of its own, such as `time.Duration`."""

    type: GoType
    value: Any


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """A map from strings."""

    type: GoType
    entries: Mapping[str, Any]


@dataclass(frozen=True, slots=True, eq=False)
class Slice:
    """A slice; what sorts it in place is seen by all who have it. `nil` tells the nil slice from an empty one."""

    type: GoType
    items: list[Any]
    nil: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Struct:
    """A struct: a tuple of its fields, or whatever its type can read them from."""

    type: GoType
    payload: Any

    @property
    def values(self) -> tuple[Any, ...]:
        """The fields in order."""
        read = self.type.read
        fields: tuple[Any, ...] = read(self.payload) if read is not None else self.payload
        return fields


@dataclass(frozen=True, slots=True, eq=False)
class Pointer:
    """A pointer; without a target it is nil."""

    type: GoType
    target: Any


@dataclass(frozen=True, slots=True, eq=False)
class Interface:
    """What is stored as `interface {}`: the value inside, None for the nil interface."""

    value: Any

    @property
    def type(self) -> GoType:
        """The empty interface."""
        return ANY


Value: TypeAlias = (
    bool | int | float | complex | str | GoScalar | Table | Slice | Struct | Pointer | Interface | None
)
_PLAIN: Final[dict[type, GoType]] = {
    bool: BOOL,
    int: INT,
    float: FLOAT64,
    complex: COMPLEX128,
    str: STRING,
}


def type_of(value: Any) -> GoType:
    """The type of a value that is one."""
    plain = _PLAIN.get(type(value))
    found: GoType = plain if plain is not None else value.type
    return found


def raw(value: Any) -> Any:
    """The number or string of a basic value, whatever its type is called."""
    return value.value if type(value) is GoScalar else value


def inside(value: Value) -> Value:
    """What an interface holds; other values are themselves."""
    while type(value) is Interface:
        value = value.value
    return value


def is_nil(value: Value) -> bool:
    """Whether it is no value, or nil of its type."""
    if value is None:
        return True
    if isinstance(value, Interface):
        return value.value is None
    if isinstance(value, Pointer):
        return value.target is None
    return isinstance(value, Slice) and value.nil


def indirect(value: Value) -> tuple[Value, bool]:
    """The end of all pointers and interfaces, and whether one of them was nil."""
    while isinstance(value, Pointer | Interface):
        if is_nil(value):
            return value, True
        value = value.target if isinstance(value, Pointer) else value.value
    return value, False


def zero(of: GoType) -> Value:
    """The zero value of a type."""
    match of.kind:
        case GoKind.BOOL:
            plain: Any = False
        case GoKind.INT | GoKind.UINT:
            plain = 0
        case GoKind.FLOAT:
            plain = 0.0
        case GoKind.COMPLEX:
            plain = 0j
        case GoKind.STRING:
            plain = ""
        case GoKind.MAP:
            return Table(of, {})
        case GoKind.SLICE:
            return Slice(of, [], nil=True)
        case GoKind.POINTER:
            return Pointer(of, None)
        case GoKind.INTERFACE:
            return Interface(None)
        case GoKind.STRUCT:
            return Struct(of, tuple(zero(field) for _, field in of.fields))
    return plain if of in _PLAIN.values() else GoScalar(of, plain)


def text_bytes(text: str) -> bytes:
    """The bytes of a Go string."""
    return text.encode("utf-8", "surrogateescape")


def bytes_text(data: bytes) -> str:
    """The Go string of bytes."""
    return data.decode("utf-8", "surrogateescape")
