"""What is known of the objects of a resource, with indexes.

Each part (all namespaces, or one) has one writer, its watch; everybody may read, from threads too: objects never change,
and a whole part is replaced by putting new mappings in the place of the old ones. Who reads while a part changes sees the
object of before or of after, and is told of the change later.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias

from trimon.discovery.mechanisms.kubernetes.objects import KubernetesObject

IndexFunction: TypeAlias = Callable[[Any], Iterable[str]]
Indexes: TypeAlias = dict[str, dict[str, dict[str, None]]]


class StorePart:
    """The objects that one watch tells of, by key."""

    def __init__(self, functions: Mapping[str, IndexFunction]) -> None:
        self._functions = functions
        self.objects: dict[str, KubernetesObject] = {}
        self._indexes: Indexes = {name: {} for name in functions}

    def put(self, found: KubernetesObject) -> KubernetesObject | None:
        """Take an object; the one that was there before."""
        key = found.meta.key
        before = self.objects.get(key)
        if before is not None:
            self._unindex(key, before)
        self.objects[key] = found
        _index(self._indexes, self._functions, key, found)
        return before

    def remove(self, key: str) -> KubernetesObject | None:
        """Take an object away; the one that was there."""
        before = self.objects.pop(key, None)
        if before is not None:
            self._unindex(key, before)
        return before

    def replace(self, objects: dict[str, KubernetesObject]) -> dict[str, KubernetesObject]:
        """These and no others; those that were there before. Runs in a thread where they are many."""
        indexes: Indexes = {name: {} for name in self._functions}
        for key, each in objects.items():
            _index(indexes, self._functions, key, each)
        before = self.objects
        self.objects, self._indexes = objects, indexes
        return before

    def by_index(self, name: str, value: str) -> list[str]:
        """Keys of the objects that an index has under a value."""
        return list(self._indexes[name].get(value, ()))

    def _unindex(self, key: str, each: KubernetesObject) -> None:
        for name, function in self._functions.items():
            index = self._indexes[name]
            for value in function(each):
                keys = index.get(value)
                if keys is not None:
                    keys.pop(key, None)
                    if not keys:
                        del index[value]


class Store:
    """The objects of a resource: one part for all namespaces, or one for each that is looked into."""

    def __init__(self, functions: Mapping[str, IndexFunction], namespaces: Iterable[str]) -> None:
        self.parts = {namespace: StorePart(functions) for namespace in namespaces}

    def get(self, key: str) -> KubernetesObject | None:
        """An object, if it is known."""
        part = self.parts.get("") or self.parts.get(key.partition("/")[0])
        return part.objects.get(key) if part is not None else None

    def keys(self) -> list[str]:
        """The keys of all."""
        return [key for part in self.parts.values() for key in list(part.objects)]

    def by_index(self, name: str, value: str) -> list[str]:
        """Keys of the objects that an index has under a value."""
        return [key for part in self.parts.values() for key in part.by_index(name, value)]

    def __len__(self) -> int:
        return sum(len(part.objects) for part in self.parts.values())


def _index(
    indexes: Indexes, functions: Mapping[str, IndexFunction], key: str, each: KubernetesObject
) -> None:
    for name, function in functions.items():
        index = indexes[name]
        for value in function(each):
            index.setdefault(value, {})[key] = None
