"""Rates that rise and fall with time, and how much came of them: both are formulas, so any moment of the past can be had."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from trimon.records import dataclass

Floats = npt.NDArray[np.float64]

MINUTE_S: Final = 60.0
HOUR_S: Final = 3600.0
# Waves whose periods have no common multiple in a day; their amplitudes add up to less than 1, so that no rate is negative.
WAVES: Final = (
    (6.7 * HOUR_S, 0.35),
    (1.3 * HOUR_S, 0.14),
    (17 * MINUTE_S, 0.09),
    (191.0, 0.06),
    (47.0, 0.04),
)


@dataclass(frozen=True, slots=True)
class Burst:
    """`height` a second more for the first `length_s` of every period."""

    period_s: float
    length_s: float
    height: float
    shift_s: float = 0.0

    def rate(self, times_s: Floats) -> Floats:
        """What comes a second."""
        return np.where((times_s + self.shift_s) % self.period_s < self.length_s, self.height, 0.0)

    def total(self, times_s: Floats) -> Floats:
        """What has come."""
        whole, rest = np.divmod(times_s + self.shift_s, self.period_s)
        return self.height * (whole * self.length_s + np.minimum(rest, self.length_s))


@dataclass(frozen=True, slots=True)
class Flow:
    """Something that comes about `mean` times a second, in waves, with bursts. Times are seconds since any fixed moment."""

    mean: float
    phase: float = 0.0
    bursts: tuple[Burst, ...] = ()

    def rate(self, times_s: Floats) -> Floats:
        """What comes a second."""
        rate = np.full_like(times_s, self.mean)
        for period_s, share in WAVES:
            rate += self.mean * share * np.sin(self._angle(times_s, period_s))
        for burst in self.bursts:
            rate += burst.rate(times_s)
        return rate

    def total(self, times_s: Floats) -> Floats:
        """What has come; the integral of `rate`."""
        total = self.mean * times_s
        for period_s, share in WAVES:
            total -= self.mean * share * period_s / (2 * np.pi) * np.cos(self._angle(times_s, period_s))
        for burst in self.bursts:
            total += burst.total(times_s)
        return total

    def _angle(self, times_s: Floats, period_s: float) -> Floats:
        return 2 * np.pi * times_s / period_s + self.phase * (1 + HOUR_S / period_s / 7)

    def scaled(self, factor: float) -> Flow:
        """The same waves and bursts, larger or smaller."""
        bursts = tuple(
            Burst(burst.period_s, burst.length_s, burst.height * factor, burst.shift_s)
            for burst in self.bursts
        )
        return Flow(self.mean * factor, self.phase, bursts)
