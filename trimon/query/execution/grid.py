"""The evaluation times of an expression: a start, a step and a count."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from trimon.model.frame import Times


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
