"""What native histograms weigh where samples are counted: their size against that of a float, as in Prometheus.

A sample of a float takes 16 bytes there, a histogram 176 and 8 for each bucket, each custom bound, and each span of buckets
that follow on one another.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from trimon.model.components import Part
from trimon.model.histogram import Buckets, FloatHistogram
from trimon.query.histograms.componenttable import ComponentTable
from trimon.records import dataclass

Weights = npt.NDArray[np.int64]
Index = npt.NDArray[np.intp]
# Of a histogram without buckets.
FIGURES: Final = 11
# numpy's types know no None among objects.
_NOTHING: Final[Any] = None


@dataclass(frozen=True, slots=True)
class LayoutWeights:
    """The weight of each row's histograms of each layout, which is that of all buckets that its histograms have.

    Prometheus' chunks hold all buckets for each of their samples, too. `own[row]` is that of the first layout of a row, and of
    all where there are no `keys`: these are `row * layouts + layout`, ascending, and have the weights `weights`.
    """

    own: Weights
    layouts: int
    keys: Weights
    weights: Weights

    @classmethod
    def figures(cls, rows: int) -> LayoutWeights:
        """Of histograms of which nothing but count and sum is read."""
        return cls(np.full(rows, FIGURES, np.int64), 1, np.zeros(0, np.int64), np.zeros(0, np.int64))

    @classmethod
    def of(cls, table: ComponentTable, rows: int) -> LayoutWeights:
        """Of the components of so many rows, which are sorted."""
        units = table.units()
        plain = cls.figures(rows)
        if not len(units):
            return plain
        numbers = table.part >= Part.POSITIVE
        spans = numbers.copy()
        spans[1:] &= (np.abs(np.diff(table.index)) != 1) | (table.part[1:] != table.part[:-1])
        spans[units] = numbers[units]
        counts = np.add.reduceat(numbers.astype(np.int64) + spans, units)
        counts += np.array([len(layout.custom_values) for layout in table.layouts])[table.layout[units]]
        weights = FIGURES + counts // 2
        row = table.row[units]
        plain.own[row[::-1]] = weights[::-1]
        if (row[1:] != row[:-1]).all():
            return plain
        layouts = len(table.layouts)
        return cls(plain.own, layouts, row * layouts + table.layout[units], weights)

    def at(self, rows: Index | slice, kinds: npt.NDArray[np.int32]) -> Weights:
        """The weights of samples of some rows and such layouts, `kinds[row, n]`: 0 of those that are no histograms."""
        own = self.own[rows]
        if not len(self.keys):
            return np.where(kinds >= 0, own[:, None], 0)
        numbers = np.arange(len(self.own))[rows]
        keys = numbers[:, None] * self.layouts + kinds
        found = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
        known = np.where(self.keys[found] == keys, self.weights[found], FIGURES)
        return np.where(kinds >= 0, known, 0)


def weight_of(histogram: FloatHistogram) -> int:
    """The weight of one."""
    numbers = len(histogram.custom_values)
    for buckets in (histogram.positive, histogram.negative):
        numbers += len(buckets.index) + _spans(buckets)
    return FIGURES + numbers // 2


def weights_of(cells: npt.NDArray[np.object_]) -> Weights:
    """The weights of objects, one by one; 0 of None."""
    out = np.zeros(cells.shape, np.int64)
    there = np.not_equal(cells, _NOTHING).astype(np.bool_)
    out[there] = [weight_of(histogram) for histogram in cells[there].tolist()]
    return out


def beyond(weights: Weights) -> int:
    """For how many samples more than there are those of these weights count."""
    return int(weights.sum()) - int(np.count_nonzero(weights))


def _spans(buckets: Buckets) -> int:
    index = buckets.index
    if not len(index):
        return 0
    if index[-1] - index[0] == len(index) - 1:
        return 1
    return 1 + int(np.count_nonzero(np.diff(index) != 1))
