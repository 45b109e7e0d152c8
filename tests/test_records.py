"""Classes of data that are made when they are used behave as the standard library's."""

from __future__ import annotations

import copy
import dataclasses
import itertools
import pickle
import threading
import weakref
from dataclasses import field
from typing import Any, ClassVar

import pytest

from trimon import records

OPTIONS = [
    {"frozen": frozen, "slots": slots, "eq": eq, "kw_only": kw_only}
    for frozen, slots, eq, kw_only in itertools.product((False, True), repeat=4)
]


def made(decorator: Any, **options: bool) -> type[Any]:
    """A class with fields of all sorts, and one that inherits them."""

    @decorator(**options)
    class Base:
        count: int
        kind: ClassVar[str] = "base"
        name: str = "none"
        items: list[int] = field(default_factory=list, compare=False)

        def doubled(self) -> int:
            return self.count * 2

    @decorator(**options)
    class Derived(Base):
        """One that has something of its own."""

        hidden: int = field(default=3, repr=False)
        more: tuple[int, ...] = ()

        def __post_init__(self) -> None:
            self.items.append(self.count)

    return Derived


def outcome(act: Any) -> object:
    """What comes of an act: its value, or the kind and text of its error."""
    try:
        return act()
    except (TypeError, AttributeError) as error:
        return type(error), str(error)


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("at_first", ["make", "fields", "match", "hash"])
def test_is_as_the_librarys(options: dict[str, bool], at_first: str) -> None:
    """Whatever is used first: making, showing, comparing, hashing, setting, copying and asking give what the library's do."""
    told = []
    for decorator in (dataclasses.dataclass, records.dataclass):
        cls = made(decorator, **options)
        first = {
            "make": lambda cls=cls: cls(count=1).count,
            "fields": lambda cls=cls: [each.name for each in dataclasses.fields(cls)],
            "match": lambda cls=cls: cls.__match_args__,
            "hash": lambda cls=cls: cls.__hash__ is None,
        }[at_first]
        seen = [outcome(first)]
        one, same, other = cls(count=1), cls(count=1, hidden=3), cls(count=1, more=(2,))
        seen += [repr(one), one == same, one == other, one != same, one == 1, one.doubled(), one.items]
        seen.append(outcome(lambda one=one, same=same: hash(one) == hash(same)))
        seen.append(outcome(lambda one=one: setattr(one, "count", 5)))
        if not (
            options["frozen"] and options["slots"]
        ):  # where the library fails over a class that it replaced
            seen.append(outcome(lambda one=one: setattr(one, "unknown", 5)))
        seen.append(outcome(lambda one=one: delattr(one, "name")))
        seen.append(outcome(lambda cls=cls: repr(cls(7))))
        seen.append(outcome(lambda cls=cls: cls(wrong=1)))
        seen.append(outcome(lambda one=one, other=other: one < other))
        seen.append(repr(copy.copy(other)))
        seen.append(repr(dataclasses.replace(other, count=9)))
        seen.append(dataclasses.asdict(other))
        seen.append([(each.name, each.kw_only, each.compare) for each in dataclasses.fields(cls)])
        seen.append((cls.__match_args__, cls.__name__, cls.__qualname__, cls.__doc__, cls.kind))
        seen.append((hasattr(other, "__dict__"), getattr(cls, "__slots__", None), cls.__mro__[1].__name__))
        seen.append(dataclasses.is_dataclass(cls))
        seen.append(type(cls.__dict__.get("hidden")).__name__)
        seen.append(cls.__init__.__qualname__)
        told.append(seen)
    assert told[0] == told[1]


@records.dataclass(frozen=True, slots=True, order=True, weakref_slot=True)
class Version:
    """One that can be ordered, referred to and sent elsewhere."""

    major: int
    minor: int = 0


class Marked(Version):
    """One with an attribute that is no field."""


def test_orders_pickles_and_is_referred_to() -> None:
    """Ordering, pickling and weak references of a class with slots work as with the library."""
    assert Version(1, 2) < Version(1, 3) <= Version(1, 3)
    assert min(Version(2), Version(1)) == Version(1)
    assert pickle.loads(pickle.dumps(Version(4, 5))) == Version(4, 5)
    version = Version(1)
    assert weakref.ref(version)() is version
    match version:
        case Version(major, minor):
            assert (major, minor) == (1, 0)


def test_a_class_that_derives_keeps_its_own_attributes() -> None:
    """A plain class derived from a frozen one may set what is no field, and no field."""
    marked: Any = Marked(1)
    marked.note = "seen"
    with pytest.raises(dataclasses.FrozenInstanceError, match="cannot assign to field 'major'"):
        marked.major = 2
    with pytest.raises(dataclasses.FrozenInstanceError, match="cannot delete field 'minor'"):
        del marked.minor
    del marked.note
    assert not hasattr(marked, "note")


def test_own_methods_stay() -> None:
    """What a body says itself is not generated: equality with hashing by it, showing, and state."""

    @records.dataclass(frozen=True, slots=True)
    class Own:
        number: int

        def __eq__(self, other: object) -> bool:
            return isinstance(other, Own) and self.number % 2 == other.number % 2

        def __hash__(self) -> int:
            return self.number % 2

        def __repr__(self) -> str:
            return "own"

    assert Own(1) == Own(3) != Own(2)
    assert (hash(Own(3)), repr(Own(1))) == (1, "own")

    @records.dataclass(frozen=True)
    class Compared:  # noqa: PLW1641 # it is made with one
        number: int

        def __eq__(self, other: object) -> bool:
            return NotImplemented

    assert hash(Compared(3)) == hash(Compared(3)) != hash(Compared(4))


def test_threads_that_come_at_once() -> None:
    """A class that several threads use for the first time at once is whole for each of them."""
    for _ in range(50):

        @records.dataclass(frozen=True, slots=True)
        class Point:
            x: int
            y: int = 2

        made: list[object] = []
        start = threading.Barrier(4)

        def use(
            point: type[Any] = Point, start: threading.Barrier = start, made: list[object] = made
        ) -> None:
            start.wait()
            made.append((repr(point(1)), hash(point(3)), point(1) == point(1)))

        threads = [threading.Thread(target=use) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(made) == 4
        assert len(set(made)) == 1
