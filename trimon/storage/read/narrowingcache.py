"""The cache of frames: what came first becomes narrow when half of the room is taken."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Final

from trimon.storage.block.cache import ArrayCache, size_of
from trimon.storage.read.keptframe import CachedFrame

# Of the room so much may be taken by wide frames.
WIDE_SHARE: Final = 2
# Keys of which nothing is kept any more are looked for when there are so many more than what is kept.
_STALE_MAX: Final = 64


class NarrowingCache(ArrayCache):
    """As ArrayCache, of CachedFrames. Who puts in more than half of what there is room for has to narrow others."""

    def __init__(self, limit_bytes: int) -> None:
        super().__init__(limit_bytes)
        self._wide: dict[Hashable, None] = {}
        """Keys of what may be narrowed, in the order in which it came."""

    def put(self, key: Hashable, kept: object) -> None:
        """As of ArrayCache; others may become narrow for it."""
        super().put(key, kept)
        if isinstance(kept, CachedFrame) and kept.can_be_narrowed:
            with self._lock:
                self._wide.pop(key, None)
                self._wide[key] = None
                if len(self._wide) > len(self._kept) + _STALE_MAX:
                    self._wide = {key: None for key in self._wide if key in self._kept}
        while self.used_bytes > self._limit_bytes // WIDE_SHARE and self._wide:
            self._narrow_first()

    def clear(self) -> None:
        """Forget everything."""
        super().clear()
        self._wide.clear()

    def _narrow_first(self) -> None:
        with self._lock:
            key = next(iter(self._wide), None)
            self._wide.pop(key, None)
            before = self._kept.get(key)
        if before is None or not isinstance(before[0], CachedFrame):
            return
        # It may take some tenths of a second, in which others use the cache.
        now = before[0].narrowed()
        with self._lock:
            entry = self._kept.get(key)
            if entry is not None and entry[0] is before[0]:
                size = size_of(now)
                self._kept[key] = (now, size, entry[2])
                self._used_bytes += size - entry[1]
