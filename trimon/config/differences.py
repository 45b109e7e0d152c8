"""Where two models of the configuration differ, field by field, for people: secrets are masked."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from trimon.config.model import Kind, Model, settings_of

VALUE_CHARACTERS_MAX: Final = 300
NOT_SHOWN: Final = "another value, which is not shown"
# Fields that the file does not have: they follow from others.
_DERIVED: Final = frozenset(("outofordertimewindow",))


@dataclass(frozen=True, slots=True)
class Difference:
    """A field with two values; an empty text where there is none."""

    field: str
    now: str
    then: str

    def shown(self) -> dict[str, object]:
        """As JSON."""
        return {"field": self.field, "now": self.now, "then": self.then}


def differences(before: Model, after: Model, prefix: str = "") -> list[Difference]:
    """Fields of two models of one type that differ, by their names in the file, those of inner models by dotted names."""
    found: list[Difference] = []
    for name, each in settings_of(type(before)).items():
        if name in _DERIVED:
            continue
        found += value_differences(
            each.metadata["kind"], getattr(before, each.name), getattr(after, each.name), prefix + name
        )
    return found


def value_differences(kind: Kind, now: Any, then: Any, name: str) -> list[Difference]:
    """The same of two values of a field."""
    if now == then:
        return []
    if isinstance(now, Model) and type(now) is type(then):
        return differences(now, then, name + ".")
    if _holds_models(now) or _holds_models(then):
        return _list_differences(now or (), then or (), name)
    return [difference(name, _text(kind, now), _text(kind, then))]


def difference(name: str, now: str, then: str) -> Difference:
    """A difference of two values that are not equal, although they may look alike."""
    return Difference(name, now, then if now != then else NOT_SHOWN)


def _holds_models(value: object) -> bool:
    return isinstance(value, tuple) and bool(value) and isinstance(value[0], Model)


def _list_differences(now: Sequence[Model], then: Sequence[Model], name: str) -> list[Difference]:
    """Of two lists: entry by entry where they are as long, else entries that only one of them has."""
    if len(now) == len(then):
        pairs = enumerate(zip(now, then, strict=True))
        return [
            each
            for index, (old, new) in pairs
            if type(old) is type(new)
            for each in differences(old, new, f"{name}[{index}].")
        ]
    gone = [(index, old) for index, old in enumerate(now) if old not in then]
    come = [(index, new) for index, new in enumerate(then) if new not in now]
    found = [Difference(f"{name}[{index}]", _model_text(old), "") for index, old in gone]
    found += [Difference(f"{name}[{index}]", "", _model_text(new)) for index, new in come]
    return found or [Difference(name, f"{len(now)} entries", f"{len(then)} entries, some of them equal")]


def _text(kind: Kind, value: Any) -> str:
    if value is None:
        return ""
    shown = kind.show(value)
    return _cut(shown if isinstance(shown, str) else _json(shown))


def _model_text(model: Model) -> str:
    """The fields of a model that are not as they would be without a word of them."""
    told = {
        name: each.metadata["kind"].show(value)
        for name, each in settings_of(type(model)).items()
        if (value := getattr(model, each.name)) != _default(each) and value
    }
    return _cut(_json(told))


def _default(each: dataclasses.Field[Any]) -> object:
    return each.default if each.default_factory is dataclasses.MISSING else each.default_factory()


def _json(value: object) -> str:
    return json.dumps(value, default=str, ensure_ascii=False)


def _cut(text: str) -> str:
    return text if len(text) <= VALUE_CHARACTERS_MAX else text[: VALUE_CHARACTERS_MAX - 1] + "…"
