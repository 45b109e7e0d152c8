"""Bodies of requests while they come in: counted piece by piece, since what a head announces may never come."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from trimon.memory.bodies import BodyMemory

# A body that has been coming for so long gives way to others when there is no room.
OLD_S: Final = 10.0


class Receipt:
    """What came of one body; `refuse` is called when it has to give way to others."""

    __slots__ = ("_receipts", "held_bytes", "refuse", "since_s")

    def __init__(self, receipts: Receipts, now_s: float, refuse: Callable[[], object]) -> None:
        self._receipts = receipts
        self.since_s = now_s
        self.refuse = refuse
        self.held_bytes = 0

    def grow(self, size_bytes: int, now_s: float) -> bool:
        """Takes so many bytes more; False when there is no room for them."""
        if not self._receipts.make_room(self, size_bytes, now_s):
            return False
        self.held_bytes += size_bytes
        self._receipts.bodies.take(size_bytes)
        return True

    def whole(self) -> None:
        """All of it is there: it is at work and gives way to nobody."""
        self._receipts.forget(self)

    def end(self) -> None:
        """Gives all of it back."""
        self._receipts.forget(self)
        held, self.held_bytes = self.held_bytes, 0
        self._receipts.bodies.give(held)


class Receipts:
    """All bodies that are coming, oldest first. Only on the loop's thread."""

    def __init__(self, bodies: BodyMemory) -> None:
        self.bodies = bodies
        self._coming: dict[Receipt, None] = {}

    def begin(self, now_s: float, refuse: Callable[[], object]) -> Receipt:
        """A body whose first piece has come."""
        receipt = Receipt(self, now_s, refuse)
        self._coming[receipt] = None
        return receipt

    def forget(self, receipt: Receipt) -> None:
        """It has come, or gone."""
        self._coming.pop(receipt, None)

    def make_room(self, wanted: Receipt, size_bytes: int, now_s: float) -> bool:
        """Whether a body may grow; those that drip give way to it, oldest first. One alone always may."""
        bodies = self.bodies
        while (
            bodies.taken_bytes != wanted.held_bytes and bodies.taken_bytes + size_bytes > bodies.share_bytes
        ):
            oldest = next(iter(self._coming), None)
            bodies.refused += 1
            if oldest is None or oldest is wanted or now_s - oldest.since_s < OLD_S:
                return False
            oldest.end()
            oldest.refuse()
        return True
