"""Typed models of a YAML file: dataclasses whose fields say how they are read and shown.

A model is a frozen dataclass derived from `Model`; its fields are made with `setting`. What the file did not say
is the default, null is the zero value of its kind (`honor_timestamps: ~` is false), as in Prometheus;
`given(name)` tells the difference, and `place(name)` where a field stands.

Reading gathers every value of the wrong shape in a model, and every wrong one of a field of our own, and raises them
together; `check` runs on models whose shape is right, so its errors are about meaning and come one at a time.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import field
from enum import Enum
from pathlib import Path
from typing import Any, ClassVar, Final, Protocol, Self, TypeVar

from trimon.config.support import INERT, Unsupported
from trimon.config.yaml.faults import Faults, ShapeErrors
from trimon.config.yaml.tree import Document, Node
from trimon.errors import Position, UserError
from trimon.records import dataclass

M = TypeVar("M", bound="Model")

AT_END: Final = "(end)"


@dataclass(frozen=True, slots=True)
class Source:
    """What reading needs to know besides the text: the document and what relative paths are relative to."""

    document: Document
    directory: Path
    ignore_unknown: bool = False
    """Whether fields that no model has are passed over."""
    strict: bool = False
    """Whether fields that Prometheus does not have are unknown here too."""
    missing: list[Unsupported] = field(default_factory=list)
    """What the text asks for and this version does not do; reading adds to it."""


class Kind(Protocol):
    """How one sort of value is read from a node and shown again."""

    def read(self, node: Node, source: Source) -> Any:
        """The value of a node. Raises UserError at its place."""
        ...

    def zero(self) -> Any:
        """The value of null."""
        ...

    def show(self, value: Any) -> object:
        """The value as plain YAML data, secrets masked."""
        ...


@dataclass(frozen=True, slots=True)
class Marks:
    """Where a model and the fields given in it stand."""

    whole: Position = field(default_factory=Position)
    fields: Mapping[str, Position] = field(default_factory=dict)
    values: Mapping[str, Position] = field(default_factory=dict)


class Shown(Enum):
    """When a field stands in the shown configuration."""

    FILLED = "when it is not empty"
    GIVEN = "when the file has it"
    ALWAYS = "always"
    NULL = "always, also when it is nothing"


def setting(
    kind: Kind,
    default: Any = None,
    *,
    default_factory: Callable[[], Any] | None = None,
    name: str = "",
    shown: Shown = Shown.FILLED,
    own: bool = False,
) -> Any:
    """A field of a model. `name` is its name in the file where Python's must differ.

    `own`: Prometheus does not have it.
    """
    metadata = {"kind": kind, "name": name, "shown": shown, "own": own}
    if default_factory is not None:
        return field(default_factory=default_factory, metadata=metadata)
    return field(default=default, metadata=metadata)


@dataclass(frozen=True, kw_only=True)
class Model:
    """A mapping of the file with known fields."""

    yaml_type: ClassVar[str] = "config.plain"
    """What Prometheus calls the type in its errors."""
    section: ClassVar[str] = ""
    """The name under which `support.py` lists fields of this model that nothing acts on yet."""

    inherited_before: ClassVar[str] = ""
    """The own field before which those of the base are shown; empty: they come first; `AT_END`: they come last."""

    marks: Marks = field(default_factory=Marks, compare=False, repr=False)

    @classmethod
    def read(cls, node: Node, source: Source) -> Self:
        """The model of a mapping node; null gives the defaults. Raises UserError."""
        return read_model(cls, node, source)

    def check(self) -> None:
        """Raise UserError for fields that do not go together; called once after reading."""

    def given(self, name: str) -> bool:
        """Whether the file has the field."""
        return name in self.marks.fields

    def place(self, name: str = "") -> Position:
        """Where the field stands; where the model stands when the field is not given."""
        return self.marks.fields.get(name, self.marks.whole)

    def value_place(self, name: str) -> Position | None:
        """Where the value of a field stands; None when the field is not given."""
        return self.marks.values.get(name)

    def refuse(self, name: str, message: str) -> UserError:
        """The error for a field, to be raised."""
        return UserError(message, self.place(name))


def settings_of(cls: type[Model]) -> dict[str, dataclasses.Field[Any]]:
    """The fields of a model by their name in the file, in order; those of inlined models too."""
    cached: dict[str, dataclasses.Field[Any]] | None = cls.__dict__.get("_settings")
    if cached is None:
        inlined = [base for base in cls.__mro__[1:] if not getattr(base, "inherited_before", "")]
        inherited = {name for base in inlined for name in getattr(base, "__dataclass_fields__", ())}
        every = [each for each in dataclasses.fields(cls) if "kind" in each.metadata]
        if cls.inherited_before:
            names = [each.name for each in every]
            edge = len(names) if cls.inherited_before == AT_END else names.index(cls.inherited_before)
            every.sort(
                key=lambda each: (
                    each.name not in inherited and names.index(each.name) >= edge,
                    each.name in inherited,
                )
            )
        cached = {str(each.metadata["name"] or each.name): each for each in every}
        cls._settings = cached  # type: ignore[attr-defined]  # a cache of what never changes
    return cached


def read_model(cls: type[M], node: Node, source: Source) -> M:
    """Read, check, and mark a model. Raises ShapeErrors with all that has the wrong shape in it."""
    document = source.document
    known = settings_of(cls)
    inert = INERT.get(cls.section, {})
    faults = Faults()
    entries = document.entries(node, cls.yaml_type, f"field {{}} already set in type {cls.yaml_type}", faults)
    values: dict[str, Any] = {}
    places: dict[str, Position] = {}
    value_places: dict[str, Position] = {}
    for name, (key, value) in entries.items():
        place = document.at(key)
        if name not in known or (source.strict and known[name].metadata["own"]):
            if not source.ignore_unknown:
                faults.add(place, f"field {name} not found in type {cls.yaml_type}")
            continue
        each = known[name]
        places[each.name] = place
        value_places[each.name] = document.at(value)
        try:
            values[each.name] = _read_field(each, value, source)
        except ShapeErrors as error:
            faults.take(error)
            continue
        except UserError as error:
            if not known[name].metadata["own"]:
                raise
            # Prometheus has no order of errors for a field that it does not have: it is told with all others.
            faults.add(error.position, error.message)
            continue
        consequence = inert.get(name)
        if consequence and _asks(each, values[each.name]):
            source.missing.append(Unsupported(name, consequence, place))
    faults.raise_any()
    model = cls(**values, marks=Marks(document.at(node), places, value_places))
    model.check()
    return model


def _read_field(each: dataclasses.Field[Any], value: Node, source: Source) -> Any:
    kind: Kind = each.metadata["kind"]
    if value.is_null and not getattr(kind, "reads_null", False):
        return None if each.default is None else kind.zero()
    return kind.read(value, source)


def _asks(each: dataclasses.Field[Any], value: Any) -> bool:
    """Whether a value asks for something: any where nothing is the default, else another than the default and zero."""
    if each.default is None:
        return value is not None
    return value not in (each.default, each.metadata["kind"].zero())


def zero_model(cls: type[M]) -> M:
    """The model of null: every field has the zero value of its kind."""
    values = {
        each.name: None if each.default is None else each.metadata["kind"].zero()
        for each in settings_of(cls).values()
    }
    return cls(marks=Marks(), **values)


def show_model(model: Model) -> dict[str, object]:
    """The model as plain YAML data in the order of its fields, defaults explicit, secrets masked."""
    out: dict[str, object] = {}
    for name, each in settings_of(type(model)).items():
        value = getattr(model, each.name)
        shown: Shown = each.metadata["shown"]
        if (value is None and shown is not Shown.NULL) or (shown is Shown.FILLED and _is_empty(each, value)):
            continue
        if shown is Shown.GIVEN and not model.given(each.name):
            continue
        out[name] = each.metadata["kind"].show(value)
    return out


def _is_empty(each: dataclasses.Field[Any], value: Any) -> bool:
    """Whether a value is left out where only filled ones are shown; a model that may be absent is never empty."""
    if isinstance(value, Model):
        return each.default is not None and value == zero_model(type(value))
    return not value
