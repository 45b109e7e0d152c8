"""The evaluation times of an expression: a start, a step and a count."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np

from trimon.model.frame import Times
from trimon.records import dataclass

# Times this far from the epoch hold no samples; nearer ones can be added and subtracted without overflow.
FAR_MS: Final = 1 << 61


@dataclass(frozen=True, slots=True)
class Grid:
    """Times `start_ms + k * step_ms` for `k < count`; `step_ms` is at least 1."""

    start_ms: int
    step_ms: int
    count: int

    @classmethod
    def instant(cls, time_ms: int) -> Grid:
        """The grid of one time."""
        return cls(time_ms, 1, 1)

    @classmethod
    def between(cls, start_ms: int, end_ms: int, step_ms: int) -> Grid:
        """The times from start to end, both included where the step meets them."""
        return cls(start_ms, step_ms, max(0, (end_ms - start_ms) // step_ms + 1))

    @property
    def end_ms(self) -> int:
        """The last time."""
        return self.start_ms + (self.count - 1) * self.step_ms

    def times_ms(self) -> Times:
        """All times, ascending."""
        return self.start_ms + np.arange(self.count, dtype=np.int64) * self.step_ms

    def first(self) -> Grid:
        """The grid of the first time alone."""
        return Grid(self.start_ms, 1, 1)

    def part(self, steps: slice) -> Grid:
        """The grid of some of its steps."""
        return Grid(self.start_ms + steps.start * self.step_ms, self.step_ms, steps.stop - steps.start)


@dataclass(frozen=True, slots=True)
class RefTimes:
    """The times at which a selector looks, one per step: those of a grid after `@` and `offset`.

    They take no memory before somebody asks for the array.
    """

    grid: Grid
    offset_ms: int = 0
    fixed_ms: int | None = None

    def shifted(self, fixed_ms: int | None, offset_ms: int) -> RefTimes:
        """The times after one more `@`, where there is one, and one more `offset`."""
        if fixed_ms is None:
            return replace(self, offset_ms=self.offset_ms + offset_ms)
        return RefTimes(self.grid, offset_ms, fixed_ms)

    def __len__(self) -> int:
        return self.grid.count

    @property
    def first_ms(self) -> int:
        """The time of the first step."""
        return _near(self.grid.start_ms if self.fixed_ms is None else self.fixed_ms) - self.offset_ms

    @property
    def last_ms(self) -> int:
        """The time of the last step."""
        return _near(self.grid.end_ms if self.fixed_ms is None else self.fixed_ms) - self.offset_ms

    def steps_within(self, first_ms: int, last_ms: int) -> slice:
        """The steps at which the time is between two others, both included."""
        count = self.grid.count
        if self.first_ms >= first_ms and self.last_ms <= last_ms:
            return slice(0, count)
        if self.last_ms < first_ms or self.first_ms > last_ms:
            return slice(0, 0)
        origin_ms, step_ms = self.grid.start_ms - self.offset_ms, self.grid.step_ms
        begin = min(max(0, -((origin_ms - first_ms) // step_ms)), count)
        return slice(begin, min(max(begin, (last_ms - origin_ms) // step_ms + 1), count))

    def times_ms(self) -> Times:
        """All times, in the order of the steps."""
        if self.fixed_ms is not None:
            return np.full(self.grid.count, self.first_ms, np.int64)
        return np.clip(self.grid.times_ms(), -FAR_MS, FAR_MS) - self.offset_ms


def _near(time_ms: int) -> int:
    return min(max(time_ms, -FAR_MS), FAR_MS)
