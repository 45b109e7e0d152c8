"""Decoded parts of blocks and of the head, kept while there is room."""

from __future__ import annotations

import itertools
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from typing import Any, Final, TypeVar

CacheEntry = TypeVar("CacheEntry")

CACHE_BYTES: Final = 64 * 2**20
# What one reading needs more than once is small: times that many pages share.
TAKEN_BYTES: Final = 8 * 2**20


class _Scan(threading.local):
    """The cache of this thread's own that is used while it scans."""

    cache: ArrayCache | None = None
    takes = False
    """Whether what is found in other caches leaves them."""


_scan = _Scan()


@contextmanager
def scanning() -> Iterator[None]:
    """What this thread decodes meanwhile is kept for itself only, until the end: whoever reads everything once, as
    compaction does, must not drive out what queries ask for again, nor leave its own behind."""
    before, _scan.cache = _scan.cache, ArrayCache()
    try:
        yield
    finally:
        _scan.cache = before


@contextmanager
def taking_over() -> Iterator[None]:
    """What this thread reads meanwhile leaves the caches, for the caller keeps it in another form: nobody keeps both."""
    before = _scan.cache, _scan.takes
    _scan.cache, _scan.takes = ArrayCache(TAKEN_BYTES), True
    try:
        yield
    finally:
        _scan.cache, _scan.takes = before


class ArrayCache:
    """Least recently used arrays (or tuples of arrays) up to a number of bytes; for any thread."""

    def __init__(self, limit_bytes: int = CACHE_BYTES) -> None:
        self._limit_bytes = limit_bytes
        self._used_bytes = 0
        # what is kept, its bytes, and the round in which it was used last
        self._kept: OrderedDict[Hashable, tuple[Any, int, int]] = OrderedDict()
        self._round = 0
        self._lock = threading.Lock()
        self._numbers = itertools.count()

    def next_number(self) -> int:
        """A number that this cache has not given before; a page makes its keys of it."""
        return next(self._numbers)

    def get(self, key: Hashable, make: Callable[[], CacheEntry]) -> CacheEntry:
        """What is kept under the key; it is made if it is not there. Nobody writes to the result."""
        scan = _scan.cache
        with self._lock:
            found = self._used(key)
            if found is not None:
                kept: CacheEntry = found[0]
                if scan is None or scan is self or not _scan.takes:
                    return kept
                self._used_bytes -= self._kept.pop(key)[1]
        if scan is not None and scan is not self:
            return scan.get((id(self), key), make if found is None else lambda: kept)
        made = make()
        size = size_of(made)
        if size <= self._limit_bytes // 4:
            with self._lock:
                if key not in self._kept:
                    self._kept[key] = (made, size, self._round)
                    self._used_bytes += size
                while self._used_bytes > self._limit_bytes:
                    self._used_bytes -= self._kept.popitem(last=False)[1][1]
        return made

    def peek(self, key: Hashable) -> object | None:
        """What is kept under the key, None if nothing is."""
        with self._lock:
            found = self._used(key)
            return None if found is None else found[0]

    def _used(self, key: Hashable) -> tuple[Any, int, int] | None:
        """What is kept under the key, which is used now."""
        found = self._kept.get(key)
        if found is not None:
            self._kept.move_to_end(key)
            if found[2] != self._round:
                found = self._kept[key] = (found[0], found[1], self._round)
        return found

    def put(self, key: Hashable, kept: object) -> None:
        """Keep this under the key instead of what was there; nothing is kept if it is too large."""
        size = size_of(kept)
        with self._lock:
            old = self._kept.pop(key, None)
            if old is not None:
                self._used_bytes -= old[1]
            if size <= self._limit_bytes // 2:
                self._kept[key] = (kept, size, self._round)
                self._used_bytes += size
            while self._used_bytes > self._limit_bytes:
                self._used_bytes -= self._kept.popitem(last=False)[1][1]

    def limit(self, limit_bytes: int) -> None:
        """Keep no more than so many bytes from now on."""
        with self._lock:
            self._limit_bytes = limit_bytes
            while self._used_bytes > limit_bytes:
                self._used_bytes -= self._kept.popitem(last=False)[1][1]

    def forget_unused(self) -> int:
        """Begin another round, and forget what was used neither in this one nor in the one before; the bytes it held."""
        with self._lock:
            before_bytes, self._round = self._used_bytes, self._round + 1
            while self._kept:
                key = next(iter(self._kept))
                if self._kept[key][2] >= self._round - 1:
                    break
                self._used_bytes -= self._kept.pop(key)[1]
            return before_bytes - self._used_bytes

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._kept.clear()
            self._used_bytes = 0

    @property
    def used_bytes(self) -> int:
        """Memory held."""
        return self._used_bytes


def size_of(made: object) -> int:
    """The memory of what is kept, about."""
    arrays: tuple[object, ...] = made if isinstance(made, tuple) else (made,)
    return 100 + sum(_array_bytes(array) for array in arrays)


def _array_bytes(array: object) -> int:
    size: object = getattr(array, "nbytes", 64)
    return size if isinstance(size, int) else 64
