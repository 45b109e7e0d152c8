"""How many shards a queue needs, from how fast samples come, how long sending takes and how far it is behind."""

from __future__ import annotations

import math
from dataclasses import field
from typing import Final

from trimon.records import dataclass

INTERVAL_S: Final = 10.0
_WEIGHT: Final = 0.2
# A twentieth of what waits is to be caught up with in a second.
_CATCH_UP: Final = 0.05
_TOLERANCE: Final = 0.3
_BEHIND_S: Final = 10.0


@dataclass(slots=True)
class Rate:
    """A moving average of what comes in a second."""

    value: float = 0.0
    _new: float = 0.0
    _has_begun: bool = False

    def add(self, amount: float) -> None:
        """Something came."""
        self._new += amount

    def tick(self, interval_s: float = INTERVAL_S) -> None:
        """An interval is over."""
        now, self._new = self._new / interval_s, 0.0
        if self._has_begun:
            self.value += _WEIGHT * (now - self.value)
        else:
            self.value, self._has_begun = now, now > 0


@dataclass(slots=True)
class Demand:
    """What decides about the number of shards."""

    came: Rate = field(default_factory=Rate)
    """Samples read from the log."""
    dropped: Rate = field(default_factory=Rate)
    """Of these, samples that rules drop."""
    sent: Rate = field(default_factory=Rate)
    sending: Rate = field(default_factory=Rate)
    """Seconds that sending took, of all shards."""
    desired: float = 0.0
    """What the formula said last, not bounded."""

    def tick(self) -> None:
        """An interval is over."""
        for rate in (self.came, self.dropped, self.sent, self.sending):
            rate.tick()

    def shards(self, present: int, behind_s: float, shards_min: int, shards_max: int) -> int:
        """The number of shards from now on; `behind_s` is the time between the newest sample and the newest that was sent."""
        sent = self.sent.value
        if sent <= 0:
            return present
        kept = sent / (self.dropped.value + sent)
        coming = self.came.value * kept
        pending = behind_s * coming
        desired = self.sending.value / sent * (coming + _CATCH_UP * pending)
        self.desired = desired
        if present * (1 - _TOLERANCE) <= desired <= present * (1 + _TOLERANCE):
            return present
        wanted = math.ceil(desired)
        if wanted < present and behind_s > _BEHIND_S:
            return present
        return max(shards_min, min(shards_max, wanted))
