"""Parameters of a request: names, each with all its values in the order in which they came."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Generic, TypeVar, overload

K = TypeVar("K")
V = TypeVar("V")
T = TypeVar("T")


class MultiDict(Generic[K, V]):
    """A dictionary that keeps every value of a key; by itself a key stands for its first."""

    __slots__ = ("_values",)

    def __init__(self, pairs: Iterable[tuple[K, V]] = ()) -> None:
        self._values: dict[K, list[V]] = {}
        for key, value in pairs:
            self.add(key, value)

    def add(self, key: K, value: V) -> None:
        """One more value of a key."""
        values = self._values.get(key)
        if values is None:
            self._values[key] = [value]
        else:
            values.append(value)

    @overload
    def get(self, key: K) -> V | None: ...
    @overload
    def get(self, key: K, default: V) -> V: ...
    @overload
    def get(self, key: K, default: T) -> V | T: ...
    def get(self, key: K, default: object = None) -> object:
        """The first value of a key."""
        values = self._values.get(key)
        return default if values is None else values[0]

    def getlist(self, key: K) -> list[V]:
        """All values of a key."""
        return list(self._values.get(key, ()))

    def lists(self) -> Iterator[tuple[K, list[V]]]:
        """Each key with all its values."""
        return ((key, list(values)) for key, values in self._values.items())

    def items(self, *, multi: bool = False) -> Iterator[tuple[K, V]]:
        """Each key with its first value, or with each of its values."""
        return (
            (key, value)
            for key, values in self._values.items()
            for value in (values if multi else values[:1])
        )

    def keys(self) -> Iterator[K]:
        """Each key once."""
        return iter(self._values)

    def __iter__(self) -> Iterator[K]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __contains__(self, key: object) -> bool:
        return key in self._values

    def __getitem__(self, key: K) -> V:
        return self._values[key][0]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, MultiDict) and self._values == other._values

    __hash__ = None  # type: ignore[assignment]  # it changes
