"""The buckets of many native histograms side by side: those of as many buckets as one block."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Final, TypeVar

import numpy as np
import numpy.typing as npt

from trimon.model.components import Part
from trimon.model.histogram import CUSTOM_SCHEMA, beyond_zero, upper_bounds
from trimon.query.histograms.componenttable import ComponentTable
from trimon.query.histograms.matrix import HistogramMatrix, Index, Mask, Matrix
from trimon.records import dataclass

# Cells of one block: what is made of them stays in the cache.
CELLS_MAX: Final = 1 << 18
_T = TypeVar("_T", bound=np.generic)


@dataclass(frozen=True, slots=True)
class BucketBlock:
    """Histograms of one layout each: `counts[unit, bucket, step]`, buckets ascending, with bounds `lower` and `upper`.

    Unit `u` is row `rows[u]` of the matrix, where `shown[unit, step]`. `zero[u]` is the place of the zero bucket, -1 where
    there is none. `low_logs` and `high_logs` are the binary logarithms of the bounds. `there` are the buckets that histograms
    have, empty or not; without it those that are not empty.
    """

    rows: Index
    custom: bool
    lower: Matrix
    upper: Matrix
    low_logs: Matrix
    high_logs: Matrix
    zero: Index
    counts: Matrix
    there: Mask | None
    shown: Mask

    def at(self, array: Matrix, bucket: Index) -> Matrix:
        """What stands at a bucket of every unit and step, of an array of a line a unit."""
        return np.take_along_axis(array, bucket, axis=1)

    def count_at(self, array: npt.NDArray[_T], bucket: Index) -> npt.NDArray[_T]:
        """The same of an array with steps."""
        found: npt.NDArray[_T] = np.take_along_axis(array, bucket[:, None, :], axis=1)[:, 0]
        return found

    def edges(self, bucket: Index) -> tuple[Matrix, Matrix]:
        """The bounds of some buckets as they count: one-sided zero buckets end at zero, as does a first custom one."""
        lower, upper = self.at(self.lower, bucket), self.at(self.upper, bucket)
        if self.custom:
            return np.where((lower == -math.inf) & (upper > 0), 0.0, lower), upper
        unit, step = np.nonzero(bucket == self.zero[:, None])
        if not len(unit):
            return lower, upper
        there = (self.counts != 0 if self.there is None else self.there)[unit, :, step]
        place = np.arange(there.shape[1])
        below = (there & (place < self.zero[unit, None])).any(axis=1)
        above = (there & (place > self.zero[unit, None])).any(axis=1)
        lower[unit, step] = np.where(~below & above, 0.0, lower[unit, step])
        upper[unit, step] = np.where(below & ~above, 0.0, upper[unit, step])
        return lower, upper


def bucket_blocks(matrix: HistogramMatrix, check: Callable[[], None]) -> Iterator[BucketBlock]:
    """All histograms that have a place for any bucket."""
    table = matrix.table
    begins = table.units()
    ends = np.append(begins[1:], len(table))
    figures = np.concatenate([[0], np.cumsum(table.part <= Part.SUM)])
    starts = begins + (figures[ends] - figures[begins])
    sizes = ends - starts
    customs = np.array([layout.schema == CUSTOM_SCHEMA for layout in table.layouts], np.bool_)
    edges = edges_of(table)
    custom = customs[table.layout[begins]] if len(begins) else np.zeros(0, np.bool_)
    steps = matrix.values.shape[1]
    for size in np.unique(sizes[sizes > 0]).tolist():
        for odd in (False, True):
            units = np.flatnonzero((sizes == size) & (custom == odd))
            height = max(1, CELLS_MAX // (size * max(1, steps)))
            for at in range(0, len(units), height):
                check()
                some = units[at : at + height]
                yield _block(matrix, begins[some], starts[some], size, edges, custom=odd)


def _block(
    matrix: HistogramMatrix, begins: Index, starts: Index, size: int, edges: Matrix, *, custom: bool
) -> BucketBlock:
    table = matrix.table
    rows = table.row[begins]
    places = starts[:, None] + np.arange(size)
    lower, upper, low_logs, high_logs = edges[:, places]
    zero = table.part[places] == Part.ZERO
    counts = matrix.values[places]
    middle = counts[zero]
    if not (middle >= 0).all():
        counts[zero] = np.where(middle > 0, middle, 0.0)  # less than nothing is left out, as of one histogram
    return BucketBlock(
        rows, custom, lower, upper, low_logs, high_logs,
        np.where(zero.any(axis=1), zero.argmax(axis=1), -1),
        counts,
        None if matrix.stored is None else matrix.stored[places],
        matrix.kinds[rows] == table.layout[begins][:, None],
    )  # fmt: skip


def edges_of(table: ComponentTable) -> Matrix:
    """Lower and upper bounds of all buckets, and their logarithms."""
    out = np.zeros((4, len(table)))
    for number, layout in enumerate(table.layouts):
        mine = np.flatnonzero((table.layout == number) & (table.part > Part.SUM))
        part, index = table.part[mine], table.index[mine]
        if layout.schema == CUSTOM_SCHEMA:
            custom = np.array([-math.inf, *layout.custom_values, math.inf])
            last = len(custom) - 1
            out[0, mine], out[1, mine] = custom[np.clip(index, 0, last)], custom[np.clip(index + 1, 0, last)]
            continue
        near, far = upper_bounds(layout.schema, index - 1), upper_bounds(layout.schema, index)
        near = beyond_zero(near, layout.zero_threshold)
        logs = logs_of(near), logs_of(far)
        negative, zero = part == Part.NEGATIVE, part == Part.ZERO
        out[0, mine] = np.where(zero, -layout.zero_threshold, np.where(negative, -far, near))
        out[1, mine] = np.where(zero, layout.zero_threshold, np.where(negative, -near, far))
        out[2, mine] = np.where(negative, logs[1], logs[0])
        out[3, mine] = np.where(negative, logs[0], logs[1])
    return out


def logs_of(bounds: Matrix) -> Matrix:
    """Binary logarithms as those of one number at a time."""
    distinct, inverse = np.unique(bounds, return_inverse=True)
    found = [math.log2(bound) if 0 < bound < math.inf else math.nan for bound in distinct.tolist()]
    return np.array(found, np.float64)[inverse]


def interpolated(block: BucketBlock, bucket: Index, lower: Matrix, upper: Matrix, share: Matrix) -> Matrix:
    """Values inside of buckets, a share of the way up."""
    straight = lower + (upper - lower) * share
    if block.custom:
        return straight
    low, high = block.at(block.low_logs, bucket), block.at(block.high_logs, bucket)
    steps = np.where(lower > 0, share, 1 - share)
    way = np.where(lower > 0, low + (high - low) * steps, high + (low - high) * steps)
    curved = np.power(2.0, way)
    return np.where((lower <= 0) & (upper >= 0), straight, np.where(lower > 0, curved, -curved))
