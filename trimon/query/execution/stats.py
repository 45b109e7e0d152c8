"""The cost of a query: the figures of `stats=all` and of `explain analyze`."""

from __future__ import annotations

from dataclasses import field

import numpy as np
import numpy.typing as npt

from trimon.model.matcher import Matcher
from trimon.query.execution.values import Ranges, Value, Vector
from trimon.records import dataclass


@dataclass(slots=True)
class NodeStats:
    """One operator's own time (without its inputs), and the size of what it gave."""

    seconds: float
    series: int
    samples: int


@dataclass(slots=True)
class QueryStats:
    """Filled while the query runs.

    `samples_per_step` counts the samples selectors looked at, `read_per_step` those of them that were not in the window of
    the step before; reads on the grid of a subquery, and of what does not depend on the step, count at the first one.
    """

    steps: int
    preparation_s: float = 0.0
    evaluation_s: float = 0.0
    sort_s: float = 0.0
    queue_s: float = 0.0
    samples_peak: int = 0
    samples_per_step: npt.NDArray[np.int64] = field(init=False)
    read_per_step: npt.NDArray[np.int64] = field(init=False)
    nodes: dict[int, NodeStats] = field(default_factory=dict)
    selected: list[tuple[tuple[Matcher, ...], bool]] = field(default_factory=list)
    """The matchers of everything that was read, and whether there were samples in its time."""
    frames: bool = False
    """Whether more was read than the newest sample of each series."""
    oldest_ms: int | None = None
    """The time of the oldest of the newest samples that were read; None: none was there."""

    def __post_init__(self) -> None:
        self.samples_per_step = np.zeros(self.steps, np.int64)
        self.read_per_step = np.zeros(self.steps, np.int64)

    def narrow(self, steps: int) -> None:
        """Only so many steps are evaluated, as the others have no samples. Nothing is counted yet."""
        self.steps = steps
        self.__post_init__()

    def found_newest(self, times_ms: npt.NDArray[np.int64]) -> None:
        """Notes the times of the newest samples of some series."""
        if len(times_ms):
            oldest_ms = int(times_ms.min())
            self.oldest_ms = oldest_ms if self.oldest_ms is None else min(oldest_ms, self.oldest_ms)

    @property
    def matched(self) -> dict[frozenset[Matcher], bool]:
        """Of the matchers of each selector that was read whether there were samples in any of its times."""
        found: dict[frozenset[Matcher], bool] = {}
        for matchers, has_samples in self.selected:
            key = frozenset(matchers)
            found[key] = found.get(key, False) or has_samples
        return found

    @property
    def samples_total(self) -> int:
        """Samples looked at over all steps."""
        return int(self.samples_per_step.sum())

    @property
    def samples_read(self) -> int:
        """Samples read over all steps, those of overlapping windows once."""
        return int(self.read_per_step.sum())

    def looked_at(self, per_step: npt.NDArray[np.int64], read: npt.NDArray[np.int64] | None = None) -> None:
        """Count samples a selector looked at and read (None: all of them).

        One on another grid counts at the first step, for others to recount.
        """
        read = per_step if read is None else read
        for total, counts in ((self.samples_per_step, per_step), (self.read_per_step, read)):
            if len(counts) == self.steps:
                total += counts
            elif self.steps:
                total[0] += int(counts.sum())

    def record(self, node: int, seconds: float, value: Value) -> None:
        """Remember what one operator did; `node` is its identity."""
        series = value.labels.rows if isinstance(value, (Vector, Ranges)) else 1
        samples = value.samples if isinstance(value, Ranges) else value.points()
        self.nodes[node] = NodeStats(seconds, series, samples)
