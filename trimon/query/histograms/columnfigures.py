"""Quantiles, fractions and variances of many native histograms at all steps at once.

Quantiles and fractions come with where objects must say them: where observations are not numbers, or counts below zero.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from trimon.model.components import Part
from trimon.query.histograms.bucketblocks import BucketBlock, bucket_blocks, interpolated, logs_of
from trimon.query.histograms.matrix import HistogramMatrix, Index, Mask, Matrix

Check = Callable[[], None]
# The smallest float: a rank of 0 is reached in the first bucket that is not empty.
_LEAST = 5e-324


def quantiles(wanted: Matrix, matrix: HistogramMatrix, check: Check) -> tuple[Matrix, Mask]:
    """The values below which a share of the observations lies, `wanted[step]`."""
    count, total = matrix.figure(Part.COUNT), matrix.figure(Part.SUM)
    out = np.full(count.shape, np.nan)
    hard = (matrix.kinds >= 0) & np.isnan(total)
    up = np.flatnonzero(wanted < 0.5)
    down = np.flatnonzero(wanted >= 0.5)
    bare = np.ones(count.shape, np.bool_)
    for block in bucket_blocks(matrix, check):
        found = np.full(block.shown.shape, np.nan)
        for steps, turned in ((up, False), (down, True)):
            if len(steps):
                some: slice | Index = slice(None) if len(steps) == len(wanted) else steps
                found[:, some] = _quantiles(
                    _part(block, some), wanted[some], count[block.rows][:, some], turned=turned
                )
        wrong = ~(block.counts.min(axis=1) >= 0)
        _put(out, block, found)
        unit, step = np.nonzero(block.shown)
        hard[block.rows[unit], step] |= wrong[unit, step]
        bare[block.rows[unit], step] = False
    hard |= bare & (matrix.kinds >= 0)
    out[count == 0] = np.nan
    extreme = (wanted < 0) | (wanted > 1)
    if extreme.any():
        out[:, extreme] = np.where(wanted[extreme] < 0, -math.inf, math.inf)
    usual = ~extreme & ~np.isnan(wanted)
    return out, hard & (count != 0) & usual


def _part(block: BucketBlock, steps: slice | Index) -> BucketBlock:
    if isinstance(steps, slice):
        return block
    there = None if block.there is None else block.there[:, :, steps]
    return BucketBlock(
        block.rows, block.custom, block.lower, block.upper, block.low_logs, block.high_logs, block.zero,
        block.counts[:, :, steps], there, block.shown[:, steps],
    )  # fmt: skip


def _put(out: Matrix, block: BucketBlock, found: Matrix) -> None:
    """Put figures where the histograms of a block are. No row has two of them at one step."""
    if block.shown.all():
        out[block.rows] = found
        return
    unit, step = np.nonzero(block.shown)
    out[block.rows[unit], step] = found[unit, step]


def _quantiles(block: BucketBlock, wanted: Matrix, count: Matrix, *, turned: bool) -> Matrix:
    """Quantiles, walked from below or `turned` from above."""
    counts = block.counts[:, ::-1] if turned else block.counts
    rank = (1 - wanted if turned else wanted) * count
    running = np.cumsum(counts, axis=1)
    passed = (running < np.maximum(rank, _LEAST)[:, None, :]).sum(axis=1)
    size = counts.shape[1]
    beyond = passed >= size
    last = size - 1
    bucket = last - np.minimum(passed, last) if turned else np.minimum(passed, last)
    if beyond.any():
        # All buckets together hold less: the last one of those that are not empty.
        filled = counts[:, ::-1] != 0
        furthest = last - filled.argmax(axis=1)
        bucket = np.where(beyond, last - furthest if turned else furthest, bucket)
    reached = np.minimum(block.count_at(running, last - bucket if turned else bucket), count)
    here = block.count_at(block.counts, bucket)
    inside = reached - rank if turned else rank - (reached - here)
    lower, upper = block.edges(bucket)
    found = interpolated(block, bucket, lower, upper, inside / here)
    found = np.where(reached < rank, upper, found)
    if block.custom:
        found = np.where(upper == math.inf, lower, found)
        found = np.where(lower == -math.inf, upper, found)
    return np.where(running[:, -1] == 0, np.nan, found)


def fractions(lower: Matrix, upper: Matrix, matrix: HistogramMatrix, check: Check) -> tuple[Matrix, Mask]:
    """The shares of observations between `lower[step]` and `upper[step]`."""
    count, total = matrix.figure(Part.COUNT), matrix.figure(Part.SUM)
    out = np.full(count.shape, np.nan)
    hard = (matrix.kinds >= 0) & np.isnan(total)
    bare = np.ones(count.shape, np.bool_)
    for block in bucket_blocks(matrix, check):
        running, filled = np.cumsum(block.counts, axis=1), block.counts != 0
        number = count[block.rows]
        low, high = (_ranks(block, running, filled, number, bound) for bound in (lower, upper))
        _put(out, block, (high - low) / number)
        unit, step = np.nonzero(block.shown)
        bare[block.rows[unit], step] = False
    unknown = (count == 0) | np.isnan(lower) | np.isnan(upper)
    out = np.where(unknown, np.nan, np.where(lower >= upper, 0.0, out))
    hard |= bare & (matrix.kinds >= 0)
    return out, hard & ~unknown


def _ranks(block: BucketBlock, running: Matrix, filled: Mask, count: Matrix, value: Matrix) -> Matrix:
    """How many observations lie below a value."""
    # A bucket inside the zero bucket has its lower bound above the upper one.
    reaching = ((block.upper[:, :, None] > value) | (block.lower[:, :, None] >= value)) & filled
    bucket = reaching.argmax(axis=1)
    lower, upper = block.edges(bucket)
    # A zero bucket may end at zero: nothing lies above it then.
    beyond = ~block.count_at(reaching, bucket) | ((upper <= value) & (lower < value))
    before = np.where(bucket > 0, block.count_at(running, np.maximum(bucket - 1, 0)), 0.0)
    here = block.count_at(block.counts, bucket)
    share = (value - lower) / (upper - lower)
    if not block.custom:
        low, high = block.at(block.low_logs, bucket), block.at(block.high_logs, bucket)
        way = logs_of(np.abs(value))
        curved = np.where(value > 0, (way - low) / (high - low), 1 - (way - high) / (low - high))
        share = np.where((lower <= 0) & (upper >= 0), share, curved)
    inside = np.where(lower == -math.inf, here, np.where(upper == math.inf, 0.0, here * share))
    inside = np.where(lower >= value, 0.0, inside)
    rank = np.minimum(before + inside, count)
    return np.where(beyond, count, rank)


def variances(matrix: HistogramMatrix, check: Check) -> Matrix:
    """The variances if every observation were in the middle of its bucket."""
    count = matrix.figure(Part.COUNT)
    mean = matrix.figure(Part.SUM) / count
    out = np.where(count == 0, np.nan, 0.0 / count)
    for block in bucket_blocks(matrix, check):
        away = _middles(block)[:, :, None] - mean[block.rows][:, None, :]
        parts = block.counts * away
        parts *= away
        if block.custom or not np.isfinite(mean[block.rows]).all():
            parts[block.counts == 0] = 0.0
        _put(out, block, parts.sum(axis=1) / count[block.rows])
    return np.where(count == 0, np.nan, out)


def _middles(block: BucketBlock) -> Matrix:
    if block.custom:
        middle: Matrix = (block.lower + block.upper) / 2
        return middle
    middle = np.sqrt(np.abs(block.lower) * np.abs(block.upper))
    middle = np.where(block.upper < 0, -middle, middle)
    return np.where((block.lower <= 0) & (block.upper >= 0), 0.0, middle)
