"""Typed models of a YAML file: dataclasses whose fields say how they are read and shown.

A model is a frozen dataclass derived from `Model`; its fields are made with `setting`. What the file did not say
is the default; `given(name)` tells the difference, and `place(name)` where a field stands.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Protocol, Self, TypeVar

from trimon.config.support import UNSUPPORTED, refuse_unsupported
from trimon.config.yamltree import Document, Node
from trimon.errors import Position, UserError

M = TypeVar("M", bound="Model")


@dataclass(frozen=True, slots=True)
class Source:
    """What reading needs to know besides the text: the document and what relative paths are relative to."""

    document: Document
    directory: Path


class Kind(Protocol):
    """How one sort of value is read from a node and shown again."""

    def read(self, node: Node, source: Source) -> Any:
        """The value of a node. Raises UserError at its place."""
        ...

    def show(self, value: Any) -> object:
        """The value as plain YAML data, secrets masked."""
        ...


@dataclass(frozen=True, slots=True)
class Marks:
    """Where a model and the fields given in it stand."""

    whole: Position = field(default_factory=Position)
    fields: Mapping[str, Position] = field(default_factory=dict)


def setting(
    kind: Kind,
    default: Any = None,
    *,
    default_factory: Callable[[], Any] | None = None,
    name: str = "",
    omit_empty: bool = True,
) -> Any:
    """A field of a model. `name` is its name in the file where Python's must differ.

    `omit_empty`: leave an empty value out of the shown configuration.
    """
    metadata = {"kind": kind, "name": name, "omit_empty": omit_empty}
    if default_factory is not None:
        return field(default_factory=default_factory, metadata=metadata)
    return field(default=default, metadata=metadata)


@dataclass(frozen=True, kw_only=True)
class Model:
    """A mapping of the file with known fields."""

    yaml_type: ClassVar[str] = "config.plain"
    """What Prometheus calls the type in its errors."""
    section: ClassVar[str] = ""
    """The name under which `support.py` lists fields of this model that are not supported."""

    inherited_before: ClassVar[str] = ""
    """The own field before which those of the base are shown; empty: they come first."""

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

    def refuse(self, name: str, message: str) -> UserError:
        """The error for a field, to be raised."""
        return UserError(message, self.place(name))


def settings_of(cls: type[Model]) -> dict[str, dataclasses.Field[Any]]:
    """The fields of a model by their name in the file, in order; those of inlined models too."""
    cached: dict[str, dataclasses.Field[Any]] | None = cls.__dict__.get("_settings")
    if cached is None:
        inherited = {name for base in cls.__mro__[1:] for name in getattr(base, "__dataclass_fields__", ())}
        every = [each for each in dataclasses.fields(cls) if "kind" in each.metadata]
        if cls.inherited_before:
            names = [each.name for each in every]
            edge = names.index(cls.inherited_before)
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
    """Read, check, and mark a model."""
    document = source.document
    known = settings_of(cls)
    entries = document.entries(node, cls.yaml_type, f"field {{}} already set in type {cls.yaml_type}")
    values: dict[str, Any] = {}
    places: dict[str, Position] = {}
    for name, (key, value) in entries.items():
        if name not in known:
            if name in UNSUPPORTED.get(cls.section, ()):
                refuse_unsupported(name, document.plain(value), document.at(key))
                continue
            document.refuse(key, f"field {name} not found in type {cls.yaml_type}")
        each = known[name]
        places[each.name] = document.at(key)
        if value.is_null and not getattr(each.metadata["kind"], "reads_null", False):
            continue
        values[each.name] = each.metadata["kind"].read(value, source)
    model = cls(**values, marks=Marks(document.at(node), places))
    model.check()
    return model


def show_model(model: Model) -> dict[str, object]:
    """The model as plain YAML data in the order of its fields, defaults explicit, secrets masked."""
    out: dict[str, object] = {}
    for name, each in settings_of(type(model)).items():
        value = getattr(model, each.name)
        if value is None:
            continue
        if each.metadata["omit_empty"] and isinstance(value, Model) and value == type(value)():
            continue
        shown = each.metadata["kind"].show(value)
        if each.metadata["omit_empty"] and shown in (None, "", [], {}, False, 0):
            continue
        out[name] = shown
    return out
