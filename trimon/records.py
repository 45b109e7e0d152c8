"""`dataclass` as the standard library has it, but cheap to define: its methods are generated when one is first used.

A program defines hundreds of classes of data, and a run of it makes instances of some. Each method of such a class is text
that is compiled, which was a third of the time of a start. Here a class gets its slots and, for each method, a stand-in; the
first one that is called has the standard library make all of them from the same body, and puts them in their places.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

__all__ = ["dataclass"]

_FIELDS: Final = "__dataclass_fields__"
_ASKED: Final = (_FIELDS, "__dataclass_params__", "__match_args__")
_ORDER: Final = ("__lt__", "__le__", "__gt__", "__ge__")
_STATE: Final = ("__getstate__", "__setstate__")


class _Asked:
    """Stands for what the library notes at a class (`_ASKED`) until somebody asks for it."""

    __slots__ = ("_complete", "_name")

    def __init__(self, name: str, complete: Callable[[], type]) -> None:
        self._name = name
        self._complete = complete

    def __get__(self, instance: object, owner: type | None = None) -> Any:
        return getattr(self._complete(), self._name)


class _Definition:
    """What a class of data was defined with, and the class once it stands."""

    __slots__ = ("_body", "_options", "_slots", "_weakref_slot", "_whole", "made")

    def __init__(self, cls: type, options: dict[str, bool], *, slots: bool, weakref_slot: bool) -> None:
        self._body = dict(cls.__dict__)
        self._body.pop("__dict__", None)
        self._body.pop("__weakref__", None)
        self._body["__qualname__"] = cls.__qualname__
        self._options = options
        self._slots = slots
        self._weakref_slot = weakref_slot
        self._whole = False
        self.made = cls

    def define(self) -> type:
        """The class with stand-ins."""
        own = _field_names(self._body)
        stands: dict[str, Any] = {name: _stand_in(name, self.complete) for name in self._methods()}
        stands.update((name, _Asked(name, self.complete)) for name in _ASKED if name not in self._body)
        if self._options["frozen"]:
            stands["__setattr__"], stands["__delattr__"] = self._refusals()
        elif self._options["eq"] and not self._has_hash():
            stands["__hash__"] = None
        if self._slots:
            self.made = self._with_slots(own, stands)
            return self.made
        for name, stand in stands.items():
            setattr(self.made, name, stand)
        for name in own:
            default = self._body.get(name)
            if isinstance(default, dataclasses.Field):
                self._show_default(name, default)
        return self.made

    def complete(self) -> type:
        """The class with all that the library makes; two threads that come at once make the same."""
        if self._whole:
            return self.made
        body = {"__doc__": "-", **self._body}  # without a text the library makes one, which takes long
        body["__doc__"] = body["__doc__"] or "-"
        twin = type(self.made)(self.made.__name__, self.made.__bases__, body)
        twin = dataclasses.dataclass(**self._options)(twin)
        for name in (*self._methods(), *_ASKED):
            if name not in self._body and name not in _STATE:
                setattr(self.made, name, twin.__dict__[name])
            elif name == "__hash__":  # that of a body with `__eq__`, which is None
                self.made.__hash__ = twin.__hash__  # type: ignore[method-assign]  # as the library does
        self._whole = True
        return self.made

    def _has_hash(self) -> bool:
        """Whether the body says how it is hashed; Python itself adds None where it only says when two are equal."""
        return "__hash__" in self._body and not (self._body["__hash__"] is None and "__eq__" in self._body)

    def _methods(self) -> list[str]:
        """The methods that the library would make and the body does not have."""
        options = self._options
        names = ["__init__", "__repr__", *(["__eq__"] if options["eq"] else ())]
        names += _ORDER if options["order"] else ()
        names = [name for name in names if name not in self._body]
        if options["eq"] and options["frozen"] and not self._has_hash():
            names.append("__hash__")
        return names

    def _with_slots(self, own: tuple[str, ...], stands: Mapping[str, Any]) -> type:
        """The class once more: slots cannot be added to one."""
        names = own
        taken: set[str] = set()
        for base in self.made.__mro__[1:-1]:
            if _FIELDS in base.__dict__:
                names += _field_names(base.__dict__)
            slots = base.__dict__.get("__slots__", ())
            taken.update((slots,) if isinstance(slots, str) else slots)
        namespace = {**self._body, **stands}
        for name in names:
            namespace.pop(name, None)
        if self._options["frozen"]:  # what pickles and copies: without, they would set attributes
            namespace.setdefault("__getstate__", _state)
            namespace.setdefault("__setstate__", _set_state)
        slots = (*dict.fromkeys(names), *(("__weakref__",) if self._weakref_slot else ()))
        namespace["__slots__"] = tuple(name for name in slots if name not in taken)
        return type(self.made)(self.made.__name__, self.made.__bases__, namespace)

    def _show_default(self, name: str, default: dataclasses.Field[Any]) -> None:
        """A class has the default of a field as an attribute, if there is one."""
        if default.default is dataclasses.MISSING:
            delattr(self.made, name)
        else:
            setattr(self.made, name, default.default)

    def _refusals(self) -> tuple[Callable[..., None], Callable[..., None]]:
        """How a frozen instance meets whoever sets and deletes."""

        def is_kept(instance: object, name: str) -> bool:
            return type(instance) is self.made or any(
                name == each.name for each in dataclasses.fields(self.made)
            )

        def refuse_to_set(instance: object, name: str, value: object) -> None:
            if is_kept(instance, name):
                raise dataclasses.FrozenInstanceError(f"cannot assign to field {name!r}")
            made: Any = self.made
            super(made, instance).__setattr__(name, value)  # type: ignore[misc]  # whose instance it is

        def refuse_to_delete(instance: object, name: str) -> None:
            if is_kept(instance, name):
                raise dataclasses.FrozenInstanceError(f"cannot delete field {name!r}")
            made: Any = self.made
            super(made, instance).__delattr__(name)  # type: ignore[misc]  # likewise

        return refuse_to_set, refuse_to_delete


def _stand_in(name: str, complete: Callable[[], type]) -> Callable[..., Any]:
    def method(instance: object, *arguments: object, **named: object) -> Any:
        return getattr(complete(), name)(instance, *arguments, **named)

    return method


def _field_names(body: Mapping[str, Any]) -> tuple[str, ...]:
    """The names of a body's own fields. Annotations are text in all modules, but for those that were added to a class."""
    annotations = body.get("__annotations__", {})
    return tuple(
        name
        for name, text in annotations.items()
        if not (isinstance(text, str) and text.startswith("ClassVar"))
    )


def _state(instance: Any) -> list[object]:
    return [getattr(instance, each.name) for each in dataclasses.fields(instance)]


def _set_state(instance: Any, state: list[object]) -> None:
    for each, value in zip(dataclasses.fields(instance), state, strict=True):
        object.__setattr__(instance, each.name, value)


def _dataclass(
    cls: type | None = None,
    *,
    eq: bool = True,
    order: bool = False,
    frozen: bool = False,
    kw_only: bool = False,
    slots: bool = False,
    weakref_slot: bool = False,
) -> Any:
    """The library's decorator for classes without `InitVar` and `KW_ONLY`.

    What is wrong with a class is found when it is first used, not when it is defined.
    """
    options = {"eq": eq, "order": order, "frozen": frozen, "kw_only": kw_only}

    def decorate(cls: type) -> type:
        return _Definition(cls, options, slots=slots, weakref_slot=weakref_slot).define()

    return decorate if cls is None else decorate(cls)


if TYPE_CHECKING:
    from dataclasses import dataclass
else:
    dataclass = _dataclass
