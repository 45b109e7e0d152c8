"""Where two models of the configuration differ, field by field, for people: secrets are masked."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from difflib import SequenceMatcher
from typing import Any, Final

from trimon.config.model import Kind, Model, settings_of
from trimon.records import dataclass

VALUE_CHARACTERS_MAX: Final = 300
# Longer lists are compared without regard to places, which takes a time that grows with the product of both lengths.
PLACED_ENTRIES_MAX: Final = 500
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
    """Of two lists: entries that are equal belong together, then those of one name, then those between the same equal ones.

    What is left is gone or new, so that an entry put between others is one difference.
    """
    pairs, gone, come = _paired(now, then)
    found: list[tuple[int, Difference]] = []
    for before, after in pairs:
        inner = differences(now[before], then[after], f"{name}[{after}].")
        found += [(after, each) for each in inner]
    found += [(index, Difference(f"{name}[{index}]", _model_text(now[index]), "")) for index in gone]
    found += [(index, Difference(f"{name}[{index}]", "", _model_text(then[index]))) for index in come]
    if not found:
        return [Difference(name, "in one order", "in another order")]
    return [each for _, each in sorted(found, key=lambda pair: pair[0])]


def _paired(
    now: Sequence[Model], then: Sequence[Model]
) -> tuple[list[tuple[int, int]], list[int], list[int]]:
    """Places of entries that are changed, and of those that only one of the lists has."""
    if max(len(now), len(then)) > PLACED_ENTRIES_MAX or any(map(_name, (*now, *then))):
        return _paired_by_name(now, then)
    pairs: list[tuple[int, int]] = []
    gone: list[int] = []
    come: list[int] = []
    for kind, first, last, start, end in SequenceMatcher(None, now, then, autojunk=False).get_opcodes():
        if kind == "equal":
            continue
        olds, news = range(first, last), range(start, end)
        # Of as many entries each is taken for a change of the one in its place; else nobody knows which is which.
        both = len(olds) == len(news) and all(
            type(now[a]) is type(then[b]) for a, b in zip(olds, news, strict=True)
        )
        pairs += zip(olds, news, strict=True) if both else ()
        gone += () if both else olds
        come += () if both else news
    return pairs, gone, come


def _paired_by_name(
    now: Sequence[Model], then: Sequence[Model]
) -> tuple[list[tuple[int, int]], list[int], list[int]]:
    """The same where entries have names; equal ones need none."""
    before, after = set(now), set(then)
    come = {(type(new), _name(new) or index): index for index, new in enumerate(then) if new not in before}
    pairs, gone = [], []
    for index, old in enumerate(now):
        if old in after:
            continue
        found = come.pop((type(old), _name(old)), None)
        if found is None:
            gone.append(index)
        else:
            pairs.append((index, found))
    return pairs, gone, list(come.values())


def _name(model: Model) -> str:
    """What an entry is called, where it is called anything."""
    return str(getattr(model, "name", "") or "")


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
