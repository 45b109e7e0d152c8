"""The cache of frames: what was used least recently becomes narrow when half of the room is taken."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Final

from trimon.storage.block.cache import ArrayCache, size_of
from trimon.storage.read.keptframe import CachedFrame

# Of the room so much may be taken by wide frames.
WIDE_SHARE: Final = 2


class NarrowingCache(ArrayCache):
    """As ArrayCache, of CachedFrames. Who puts in more than half of what there is room for has to narrow others."""

    def put(self, key: Hashable, kept: object) -> None:
        """As of ArrayCache; others may become narrow for it."""
        super().put(key, kept)
        while self.used_bytes > self._limit_bytes // WIDE_SHARE:
            with self._lock:
                wide = next(
                    (
                        (other, entry[0])
                        for other, entry in self._kept.items()
                        if isinstance(entry[0], CachedFrame) and not entry[0].is_narrow
                    ),
                    None,
                )
            if wide is None:
                return
            # It may take some tenths of a second, in which others use the cache.
            self._exchange(*wide, wide[1].narrowed())

    def _exchange(self, key: Hashable, before: CachedFrame, now: CachedFrame) -> None:
        """Keeps one in the other's place, unless that is gone."""
        with self._lock:
            entry = self._kept.get(key)
            if entry is not None and entry[0] is before:
                size = size_of(now)
                self._kept[key] = (now, size, entry[2])
                self._used_bytes += size - entry[1]
