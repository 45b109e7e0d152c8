"""Cumulative counts of classic histograms that fall from one bucket to the next: repaired, and told of."""

from __future__ import annotations

from typing import Final

import numpy as np

from trimon.gotext.strings import go_quote
from trimon.model.labels import METRIC_NAME
from trimon.query.execution.annotations import Fall
from trimon.query.execution.context import QueryContext
from trimon.query.execution.grid import Grid
from trimon.query.execution.values import Index, Mask, Matrix, Vector
from trimon.records import dataclass

_TOLERANCE: Final = 1e-12
_REPAIRED: Final = (
    "input to histogram_quantile needed to be fixed for monotonicity (see "
    "https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile)"
)


def repaired(counts: Matrix) -> tuple[Matrix, Matrix | None]:
    """Counts, buckets last, that never fall, and by how much each had fallen; None where none had.

    Differences that rounding explains, up or down, are none: the next bucket counts as the one before it.
    """
    before, after = counts[..., :-1], counts[..., 1:]
    change = after - before
    slight = np.abs(after + before)
    slight *= _TOLERANCE
    if not ((change < slight) & (change != 0)).any():
        return counts, None
    fixed, fell = counts.copy(), np.zeros(counts.shape)
    for bucket in range(1, counts.shape[-1]):
        last, count = fixed[..., bucket - 1], counts[..., bucket]
        same = np.abs(count - last) < _TOLERANCE * (np.abs(count) + np.abs(last))
        lower = (count < last) & ~same
        fell[..., bucket] = np.where(lower, last - count, 0.0)
        fixed[..., bucket] = np.where(same | lower, last, count)
    return fixed, fell


@dataclass(slots=True)
class Repairs:
    """What was repaired in the histograms of a vector, each float64[histograms, steps].

    `low` and `high` are the bounds of the first and last bucket that was raised, `most` the largest difference: 0 where
    nothing was repaired.
    """

    low: Matrix
    high: Matrix
    most: Matrix

    @classmethod
    def none(cls, histograms: int, steps: int) -> Repairs:
        """Nothing yet."""
        shape = (histograms, steps)
        return cls(np.full(shape, np.inf), np.full(shape, -np.inf), np.zeros(shape))

    def add(self, at: tuple[Index, Index | slice], bounds: Matrix, fell: Matrix, used: Mask) -> None:
        """Take in how far the buckets of some histograms, and at which steps, had fallen, where the result was `used`."""
        raised = (fell > 0) & used[..., None]
        low = np.where(raised, bounds, np.inf).min(axis=-1)
        high = np.where(raised, bounds, -np.inf).max(axis=-1)
        self.low[at] = np.minimum(self.low[at], low)
        self.high[at] = np.maximum(self.high[at], high)
        self.most[at] = np.maximum(self.most[at], np.where(raised, fell, 0.0).max(axis=-1))

    def tell(self, context: QueryContext, histograms: Vector, grid: Grid, start: int) -> None:
        """An info for each metric, or one for all where names are gone."""
        found = self.most > 0
        if not found.any():
            return
        codes, names = histograms.labels.column(METRIC_NAME)
        if not context.delayed_names:
            codes = np.zeros_like(codes)
            names = [""]
        times_ms = grid.times_ms()
        for code in np.unique(codes[found.any(axis=1)]).tolist():
            where = found & (codes == code)[:, None]
            text = _REPAIRED
            if names[code]:
                text += f" for metric name {go_quote(names[code])}"
            at = times_ms[where.any(axis=0)]
            fall = Fall(
                float(self.low[where].min()),
                float(self.high[where].max()),
                float(self.most[where].max()),
                int(where.sum()),
                int(at[0]),
                int(at[-1]),
            )
            context.annotations.info_of_fall(text, fall, start)
