"""What queries hold together: each reserves before it allocates."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

# What a query may hold without asking: it goes on whatever others hold.
FREE_BYTES: Final = 2**20
# Clients leave so much of the share to rules: alerts come last when memory is short.
RULES_SHARE: Final = 0.2


class MemoryShort(Exception):
    """Others hold the memory that a query needs now: it is to give up what it has, wait for `needed_bytes`, and begin anew."""

    def __init__(self, needed_bytes: int) -> None:
        super().__init__(f"{needed_bytes} bytes are not free")
        self.needed_bytes = needed_bytes


class QueryMemory:
    """The memory of all queries. Any thread may take; who gives back is on the loop's thread."""

    def __init__(self, share_bytes: int) -> None:
        self.share_bytes = share_bytes
        self.taken_bytes = 0
        self.peak_bytes = 0
        self.given_bytes = 0
        """All that was ever given back."""
        self.is_closed = False
        """Whether clients get nothing more: the whole process is short of memory."""
        self.is_shut = False
        """Whether clients' queries are refused, small ones too: there is hardly any memory left."""
        self.is_awaited = False
        """Whether somebody waits, whom newcomers are not to pass by."""
        self.on_given: Callable[[], object] = lambda: None
        self._lock = threading.Lock()

    def most_bytes(self, *, for_rules: bool) -> int:
        """The most that one query may hold when there is no other."""
        return self.share_bytes if for_rules else int(self.share_bytes * (1 - RULES_SHARE))

    def take(self, size_bytes: int, *, for_rules: bool) -> bool:
        """Takes so many bytes more; False when they are not free."""
        with self._lock:
            fits = self.taken_bytes + size_bytes <= self.most_bytes(for_rules=for_rules)
            if not fits or (self.is_closed and not for_rules):
                return False
            self.taken_bytes += size_bytes
            self.peak_bytes = max(self.peak_bytes, self.taken_bytes)
            return True

    def give(self, size_bytes: int) -> None:
        """Gives bytes back."""
        if not size_bytes:
            return
        with self._lock:
            self.taken_bytes -= size_bytes
            self.given_bytes += size_bytes
        self.on_given()


class Reservation:
    """What one query has reserved; it grows to the most that the query ever needs at once."""

    __slots__ = ("for_rules", "most_bytes", "pool", "size_bytes")

    def __init__(self, pool: QueryMemory, *, for_rules: bool = False) -> None:
        self.pool = pool
        self.for_rules = for_rules
        self.most_bytes = pool.most_bytes(for_rules=for_rules)
        self.size_bytes = 0

    def raise_to(self, needed_bytes: int, *, in_turn: bool = False) -> bool:
        """Reserve so many bytes in all; False when they are not free, and nothing has changed.

        Who has nothing yet gets nothing before those that wait, unless it is `in_turn`.
        """
        more_bytes = needed_bytes - self.size_bytes
        if more_bytes > 0:
            if self.pool.is_awaited and not (self.size_bytes or in_turn or self.for_rules):
                return False
            if not self.pool.take(more_bytes, for_rules=self.for_rules):
                return False
            self.size_bytes = needed_bytes
        return True

    def release(self) -> None:
        """Give everything back."""
        size_bytes, self.size_bytes = self.size_bytes, 0
        self.pool.give(size_bytes)
