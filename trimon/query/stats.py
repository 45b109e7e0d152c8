"""What a query cost: the figures of `stats=all` and of `explain analyze`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from trimon.query.values import Ranges, Value, Vector

if TYPE_CHECKING:
    from trimon.query.context import Operator


@dataclass(slots=True)
class NodeStats:
    """One operator's own time (without its inputs), and the size of what it gave."""

    seconds: float
    series: int
    samples: int


@dataclass(slots=True)
class QueryStats:
    """Filled while the query runs. `samples_per_step` counts the samples selectors looked at."""

    steps: int
    preparation_s: float = 0.0
    evaluation_s: float = 0.0
    sort_s: float = 0.0
    queue_s: float = 0.0
    samples_peak: int = 0
    samples_read: int = 0
    samples_per_step: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    nodes: dict[int, NodeStats] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.samples_per_step = np.zeros(self.steps, np.int64)

    @property
    def samples_total(self) -> int:
        """Samples looked at over all steps."""
        return int(self.samples_per_step.sum())

    def looked_at(self, per_step: npt.NDArray[np.int64]) -> None:
        """Count samples a selector looked at; one on another grid counts at the first step, for others to recount."""
        if len(per_step) == self.steps:
            self.samples_per_step += per_step
        elif self.steps:
            self.samples_per_step[0] += int(per_step.sum())

    def data(self, grid_times_s: list[float], *, per_step: bool) -> dict[str, Any]:
        """The `stats` member of the API; `per_step` adds the counts of every step."""
        samples: dict[str, Any] = {
            "totalQueryableSamples": self.samples_total,
            "samplesRead": self.samples_read,
            "peakSamples": self.samples_peak,
        }
        if per_step:
            pairs = [list(pair) for pair in zip(grid_times_s, self.samples_per_step.tolist(), strict=True)]
            samples["totalQueryableSamplesPerStep"] = pairs
            samples["samplesReadPerStep"] = pairs
        return {
            "timings": {
                "evalTotalTime": self.preparation_s + self.evaluation_s + self.sort_s,
                "resultSortTime": self.sort_s,
                "queryPreparationTime": self.preparation_s,
                "innerEvalTime": self.evaluation_s,
                "execQueueTime": self.queue_s,
                "execTotalTime": self.queue_s + self.preparation_s + self.evaluation_s + self.sort_s,
            },
            "samples": samples,
        }

    def record(self, operator: Operator, seconds: float, value: Value) -> None:
        """Remember what one operator did."""
        series = value.labels.rows if isinstance(value, (Vector, Ranges)) else 1
        samples = value.samples if isinstance(value, Ranges) else value.points()
        self.nodes[id(operator)] = NodeStats(seconds, series, samples)
