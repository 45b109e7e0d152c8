"""Rows gathered by group: sums over sorted rows, and groups laid side by side as padded blocks."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Final

import numpy as np

from trimon.query.execution.exactsums import ExactSums
from trimon.query.execution.labelcodes import Groups
from trimon.query.execution.reducers import Reducer, compensated_sum, reduce_rows
from trimon.query.execution.values import Index, Mask, Matrix, Vector
from trimon.records import dataclass

_CELLS_MAX: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Sorted:
    """The rows of a vector in the order of their groups; group `g` is `bounds[g]` up to the next bound."""

    values: Matrix
    present: Mask
    order: Index
    bounds: Index
    sizes: Index
    full: bool

    @classmethod
    def of(cls, vector: Vector, groups: Groups) -> Sorted:
        """Sort a vector that has at least one row."""
        codes = groups.codes
        sizes = np.bincount(codes, minlength=groups.count)
        bounds = np.concatenate([[0], np.cumsum(sizes)[:-1]]).astype(np.intp)
        if groups.count == 1 or (codes[1:] >= codes[:-1]).all():
            order = np.arange(vector.rows, dtype=np.intp)
            values, present = vector.values, vector.present
        else:
            order = np.argsort(codes, kind="stable")
            values, present = vector.values[order], vector.present[order]
        return cls(values, present, order, bounds, sizes, bool(present.all()))

    def reduce(self, ufunc: np.ufunc, values: Matrix) -> Matrix:
        """One row per group."""
        if len(self.bounds) == len(values):
            return values
        return reduce_rows(ufunc, values, self.bounds)

    def filled(self, value: float) -> Matrix:
        """The values with `value` where there is no sample."""
        return self.values if self.full else np.where(self.present, self.values, value)

    def counts(self) -> Index:
        """Number of samples per group and step."""
        if self.full:
            shape = (len(self.sizes), self.values.shape[1])
            return np.broadcast_to(self.sizes[:, None], shape)
        out: Index = np.add.reduceat(self.present, self.bounds, axis=0, dtype=np.intp)
        return out

    def spread(self, per_group: Matrix) -> Matrix:
        """A row per series from a row per group."""
        return np.repeat(per_group, self.sizes, axis=0)

    def sums(self) -> tuple[ExactSums, Mask | None]:
        """Sums of the finite samples per group and step, and the cells that must be computed sample by sample."""
        values = self.filled(0.0)
        spoiled: Mask | None = None
        low, high = float(values.min(initial=0.0)), float(values.max(initial=0.0))
        if not (math.isfinite(low) and math.isfinite(high)):
            finite = np.isfinite(values)
            spoiled = np.logical_or.reduceat(~finite, self.bounds, axis=0)
            values = np.where(finite, values, 0.0)
            low, high = float(values.min(initial=0.0)), float(values.max(initial=0.0))
        sums = ExactSums(len(self.bounds), values.shape[1])
        sums.add(values, max(high, -low), self.bounds, np.arange(len(self.bounds)))
        bad = sums.doubtful()
        if bad is not None:
            bad = bad & np.logical_or.reduceat(values != 0, self.bounds, axis=0)
            bad = bad if bad.any() else None
        if spoiled is not None:
            bad = spoiled if bad is None else bad | spoiled
        return sums, bad

    def total(self) -> Matrix:
        """The sums of the samples per group and step."""
        sums, bad = self.sums()
        total = sums.total()
        if bad is not None:
            self.recompute(total, bad, compensated_sum)
        return total

    def blocks(self) -> Iterator[tuple[Index, Index, Mask]]:
        """Groups of like size side by side: group numbers, sorted-row numbers [groups, width], validity."""
        by_size = np.argsort(self.sizes, kind="stable")
        sizes = self.sizes[by_size]
        at = 0
        steps = self.values.shape[1]
        while at < len(by_size):
            widest = max(int(sizes[at]) * 3 // 2, 4)
            stop = int(np.searchsorted(sizes, widest, side="right"))
            stop = min(stop, at + max(1, _CELLS_MAX // (widest * steps)))
            chosen = by_size[at:stop]
            width = int(sizes[stop - 1])
            inside = np.arange(width) < self.sizes[chosen, None]
            rows = np.where(inside, self.bounds[chosen, None] + np.arange(width), 0)
            yield chosen, rows, inside
            at = stop

    def cells(self) -> Iterator[tuple[Index, Matrix, Mask]]:
        """Groups of like size: group numbers, and their samples as [groups, steps, width] with validity."""
        for chosen, rows, inside in self.blocks():
            values = self.values[rows].transpose(0, 2, 1)
            valid = self.present[rows].transpose(0, 2, 1) & inside[:, None, :]
            yield chosen, values, valid

    def recompute(self, out: Matrix, wanted: Mask, reducer: Reducer) -> None:
        """Put `reducer` of the samples of every wanted (group, step) into `out`, in the order of the rows."""
        for chosen, values, valid in self.cells():
            here = wanted[chosen]
            if not here.any():
                continue
            block, mask = values[here], valid[here]
            packed = np.argsort(~mask, axis=1, kind="stable")
            block = np.take_along_axis(np.where(mask, block, np.nan), packed, axis=1)
            lengths = mask.sum(axis=1)
            part = out[chosen]
            part[here] = reducer(block, lengths)
            out[chosen] = part
