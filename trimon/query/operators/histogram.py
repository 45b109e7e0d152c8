"""Classic histograms: quantiles and fractions of buckets with an `le` label."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from trimon.gotext.floats import format_g, format_label
from trimon.gotext.strings import go_quote
from trimon.model.labels import BUCKET_LABEL, METRIC_NAME, valid_label_name
from trimon.model.table import Codes
from trimon.query.execution.context import QueryContext
from trimon.query.execution.grid import Grid
from trimon.query.execution.labelcodes import drop_names, group, with_column
from trimon.query.execution.names import without_name
from trimon.query.execution.operator import Operator
from trimon.query.execution.values import Index, Mask, Matrix, Scalar, TextValue, Value, Vector
from trimon.query.language.errors import QueryError
from trimon.query.operators.binary import stack
from trimon.query.operators.nativehistogram import native_fraction, native_quantile, split
from trimon.query.windows.monotonic import Repairs, repaired
from trimon.records import dataclass


@dataclass(frozen=True, slots=True)
class ClassicBuckets:
    """Histograms with equal bucket bounds: `counts` is float64[histograms, steps, buckets], cumulative.

    `bounds` ascend and end with +Inf, else nothing can be said. `present` tells the buckets that have a
    sample; `groups` are the histograms' numbers.
    """

    groups: Index
    bounds: Matrix
    counts: Matrix
    present: Mask


class Classic:
    """The classic histograms in a vector: which rows are buckets of which histogram."""

    def __init__(self, context: QueryContext, vector: Vector, start: int) -> None:
        self.vector = vector
        codes, texts = vector.labels.column(BUCKET_LABEL)
        bounds = np.full(len(texts), np.nan)
        broken: list[int] = []
        for code in np.unique(codes).tolist():
            try:
                bounds[code] = _parse_bound(texts[code])
            except ValueError:
                broken.append(code)
        usable = ~np.isin(codes, broken)
        self._warn(context, codes, texts, broken, start)
        self.rows = np.flatnonzero(usable)
        table = drop_names(vector.labels.take(self.rows), (BUCKET_LABEL,))
        groups = group(table)
        self.table = table.take(groups.first)
        self.count = groups.count
        self._bounds = bounds[codes[self.rows]]
        self._codes = groups.codes
        drop = None if vector.drop_name is None else vector.drop_name[self.rows]
        self.drop_name = None if drop is None else drop[groups.first]

    def _warn(
        self, context: QueryContext, codes: Codes, texts: Sequence[str], broken: list[int], start: int
    ) -> None:
        names, name_texts = self.vector.labels.column(METRIC_NAME)
        if not context.delayed_names:
            names, name_texts = np.zeros_like(codes), [""]
        for code in broken:
            for name in np.unique(names[codes == code]).tolist():
                shown = f" for metric name {go_quote(name_texts[name])}" if name_texts[name] else ""
                context.annotations.warn(
                    f'bucket label "le" is missing or has a malformed value of {go_quote(texts[code])}{shown}',
                    start,
                )

    def buckets(self) -> Iterator[ClassicBuckets]:
        """The histograms, those with equal bounds together; buckets with equal bounds merged."""
        if len(self.rows) == 0:
            return
        order = np.lexsort((self._bounds, self._codes))
        codes, bounds = self._codes[order], self._bounds[order]
        fresh = np.ones(len(order), np.bool_)
        fresh[1:] = (codes[1:] != codes[:-1]) | (bounds[1:] != bounds[:-1])
        starts = np.flatnonzero(fresh)
        rows = self.rows[order]
        present = self.vector.present[rows]
        values = np.where(present, self.vector.values[rows], 0.0)
        if len(starts) < len(order):
            values = np.add.reduceat(values, starts, axis=0)
            present = np.logical_or.reduceat(present, starts, axis=0)
            codes, bounds = codes[starts], bounds[starts]
        edges = np.concatenate([[0], np.flatnonzero(codes[1:] != codes[:-1]) + 1, [len(codes)]])
        shapes: dict[bytes, list[int]] = {}
        for index, (low, high) in enumerate(zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True)):
            shapes.setdefault(bounds[low:high].tobytes(), []).append(index)
        for key, members in shapes.items():
            chosen = np.array(members, np.intp)
            size = len(key) // 8
            at = edges[chosen][:, None] + np.arange(size)
            yield ClassicBuckets(
                codes[edges[chosen]],
                bounds[edges[members[0]] : edges[members[0]] + size],
                values[at].transpose(0, 2, 1),
                present[at].transpose(0, 2, 1),
            )


def _parse_bound(text: str) -> float:
    if not text or text != text.strip() or text.startswith("__"):
        raise ValueError(text)
    return float(text.replace("_", "x"))


class _ClassicCells(NamedTuple):
    """Histograms at some steps that have samples of the same buckets: `counts` is float64[1, cells, buckets].

    `at` is where their results belong: histograms and steps. All that is there stays as it is: float64[histograms,
    steps, buckets].
    """

    at: tuple[Index | slice, Index | slice]
    bounds: Matrix
    counts: Matrix


def _cells(buckets: ClassicBuckets) -> Iterator[_ClassicCells]:
    """The cells that have samples, by the buckets they have. All in one, and as they are, where all have all."""
    present = buckets.present
    if present.all():
        everything = slice(None)
        yield _ClassicCells((everything, everything), buckets.bounds, buckets.counts)
        return
    rows, steps = np.nonzero(present.any(axis=-1))
    here = present[rows, steps]
    patterns, kind = np.unique(np.packbits(here, axis=-1), axis=0, return_inverse=True)
    order = np.argsort(kind.reshape(-1), kind="stable")
    for cells in np.split(order, np.cumsum(np.bincount(kind.reshape(-1), minlength=len(patterns)))[:-1]):
        known = np.flatnonzero(here[cells[0]])
        at = rows[cells], steps[cells]
        counts = buckets.counts[at[0][:, None], at[1][:, None], known]
        yield _ClassicCells(at, buckets.bounds[known], counts[None])


def bucket_quantile(wanted: Matrix, buckets: ClassicBuckets, repairs: Repairs) -> Matrix:
    """The quantile of every histogram and step; `wanted` is float64[steps]. What counts needed goes to `repairs`."""
    out = np.full(buckets.present.shape[:-1], np.nan)
    for cells in _cells(buckets):
        out[cells.at] = _complete_quantile(wanted[cells.at[1]], cells, buckets.groups, repairs)
    return out


def _complete_quantile(wanted: Matrix, cells: _ClassicCells, groups: Index, repairs: Repairs) -> Matrix:
    counts, bounds = cells.counts, cells.bounds
    shape = counts.shape[:-1]
    if len(bounds) == 0 or bounds[-1] != math.inf:
        return _outside(wanted, np.full(shape, np.nan))
    counts, fell = repaired(counts)
    if fell is not None:
        used = np.broadcast_to((wanted >= 0) & (wanted <= 1), shape)
        rows, steps = cells.at
        repairs.add((groups[rows], steps), bounds, fell, used)
    if len(bounds) < 2:
        return _outside(wanted, np.full(shape, np.nan))
    total = counts[..., -1]
    rank = wanted * total
    size = len(bounds)
    bucket = _first_reaching(counts[..., : size - 1], rank)
    upper = bounds[np.minimum(bucket, size - 2)]
    lower = np.where(bucket == 0, 0.0, bounds[np.maximum(bucket - 1, 0)])
    picked = np.take_along_axis(counts, np.minimum(bucket, size - 1)[..., None], axis=-1)[..., 0]
    below = np.take_along_axis(counts, np.maximum(bucket - 1, 0)[..., None], axis=-1)[..., 0]
    below = np.where(bucket == 0, 0.0, below)
    inner = lower + (upper - lower) * ((rank - below) / (picked - below))
    inner = np.where((bucket == 0) & (upper <= 0), upper, inner)
    out = np.where(bucket == size - 1, bounds[size - 2], inner)
    return _outside(wanted, np.where(total == 0, np.nan, out))


def _first_reaching(counts: Matrix, rank: Matrix) -> Index:
    """The first bucket whose count reaches the rank. Counts rise; among NaN the halving search of Prometheus decides."""
    if not np.isnan(counts).any():
        found: Index = (counts < rank[..., None]).sum(axis=-1)
        found[np.isnan(rank)] = counts.shape[-1]
        return found
    low = np.zeros(rank.shape, np.intp)
    high = np.full(rank.shape, counts.shape[-1], np.intp)
    while (low < high).any():
        middle = (low + high) // 2
        at = np.minimum(middle, counts.shape[-1] - 1)[..., None]
        reaches = np.take_along_axis(counts, at, axis=-1)[..., 0] >= rank
        high = np.where((low < high) & reaches, middle, high)
        low = np.where((low < high) & ~reaches, middle + 1, low)
    return low


def _outside(wanted: Matrix, values: Matrix) -> Matrix:
    out = np.where(wanted < 0, -np.inf, np.where(wanted > 1, np.inf, values))
    return np.where(np.isnan(wanted), np.nan, out)


def bucket_fraction(lower: Matrix, upper: Matrix, buckets: ClassicBuckets) -> Matrix:
    """The fraction of observations between `lower` and `upper` (float64[steps]) of every histogram and step."""
    out = np.full(buckets.present.shape[:-1], np.nan)
    for cells in _cells(buckets):
        _, steps = cells.at
        out[cells.at] = _complete_fraction(lower[steps], upper[steps], cells.bounds, cells.counts)
    return out


def _complete_fraction(lower: Matrix, upper: Matrix, bounds: Matrix, counts: Matrix) -> Matrix:
    shape = counts.shape[:-1]
    if len(bounds) == 0 or bounds[-1] != math.inf:
        return np.full(shape, np.nan)
    total = counts[..., -1]
    # Counts are taken as they are: where they fall, a rank may be beyond the last one.
    high, low = (np.minimum(_rank(value, bounds, counts), total) for value in (upper, lower))
    out = np.where(lower >= upper, 0.0, (high - low) / total)
    return np.where((total == 0) | np.isnan(total) | np.isnan(lower) | np.isnan(upper), np.nan, out)


def _rank(value: Matrix, bounds: Matrix, counts: Matrix) -> Matrix:
    size = len(bounds)
    bucket = np.searchsorted(bounds, value, side="left")
    bucket = np.minimum(bucket, size - 1)
    first_low = 0.0 if bounds[0] > 0 else -math.inf
    low = np.where(bucket == 0, first_low, bounds[np.maximum(bucket - 1, 0)])
    high = bounds[bucket]
    columns = np.arange(len(value))
    above = counts[..., columns, bucket]
    below = np.where(bucket == 0, 0.0, counts[..., columns, np.maximum(bucket - 1, 0)])
    inside = (value - low) / (high - low)
    rank = below + (above - below) * inside
    # Nothing is interpolated in a bucket without end: the rank is that of its finite side.
    rank = np.where(np.isinf(low), above, np.where(np.isinf(high), below, rank))
    rank = np.where(value <= low, below, rank)
    return np.where(value >= high, above, rank)


class QuantileOperator(Operator):
    """`histogram_quantile(q, v)` and `histogram_quantiles(v, "label", q...)`.

    Inputs: the vector, the scalars, and for the plural the label.
    """

    working = 4

    leading = 0
    columns = True

    def __init__(
        self,
        vector: Operator,
        quantiles: Sequence[Operator],
        label: Operator | None,
        vector_start: int,
        quantile_starts: Sequence[int],
        grid: Grid,
    ) -> None:
        self.children = (vector, *quantiles) if label is None else (vector, *quantiles, label)
        self._starts = tuple(quantile_starts)
        self._vector_start = vector_start
        self._grid = grid

    def describe(self) -> str:
        """One line for the plan."""
        return "histogram quantile"

    def compute(self, context: QueryContext, inputs: list[Value]) -> Value:
        """A Vector with a row per histogram, and per quantile."""
        vector = inputs[0]
        assert isinstance(vector, Vector)
        wanted = [value.values for value in inputs[1:] if isinstance(value, Scalar)]
        label = inputs[-1].value if isinstance(inputs[-1], TextValue) else None
        if label is not None and not valid_label_name(label):
            raise QueryError(f"invalid label name {go_quote(label)}")
        for values, start in zip(wanted, self._starts, strict=True):
            for value in np.unique(values[~((values >= 0) & (values <= 1))]).tolist():
                context.annotations.warn(
                    f"quantile value should be between 0 and 1, got {format_g(value)}", start
                )
        classic, native = split(context, vector, self._vector_start)
        histograms = Classic(context, classic, self._vector_start)
        parts = []
        repairs = Repairs.none(histograms.count, vector.steps)
        for values in wanted:
            part = _classic_quantile(histograms, values, repairs)
            if native.rows:
                part = stack(part, native_quantile(context, native, values, self._vector_start))
            parts.append(part)
        told = Vector(histograms.table, repairs.most, repairs.most > 0)
        repairs.tell(context, told, self._grid, self._vector_start)
        if label is not None:
            parts = [_labelled(part, label, values) for part, values in zip(parts, wanted, strict=True)]
        out = parts[0]
        for part in parts[1:]:
            out = stack(out, part)
        return without_name(context, out.compact())


def _classic_quantile(histograms: Classic, wanted: Matrix, repairs: Repairs) -> Vector:
    shape = (histograms.count, histograms.vector.steps)
    values, present = np.full(shape, np.nan), np.zeros(shape, np.bool_)
    for buckets in histograms.buckets():
        values[buckets.groups] = bucket_quantile(wanted, buckets, repairs)
        present[buckets.groups] = buckets.present.any(axis=-1)
    return Vector(histograms.table, values, present, histograms.drop_name)


def _labelled(part: Vector, label: str, values: Matrix) -> Vector:
    text = format_label(float(values[0])) if len(values) else "NaN"
    codes = np.ones(part.rows, np.int32)
    return Vector(
        with_column(part.labels, label, codes, ["", text]), part.values, part.present, part.drop_name
    )


class FractionOperator(Operator):
    """`histogram_fraction(lower, upper, v)`. Inputs: the vector, the two scalars."""

    leading = 0
    columns = True

    def __init__(self, vector: Operator, lower: Operator, upper: Operator, vector_start: int) -> None:
        self.children = (vector, lower, upper)
        self._vector_start = vector_start

    def describe(self) -> str:
        """One line for the plan."""
        return "histogram fraction"

    def compute(self, context: QueryContext, inputs: list[Value]) -> Value:
        """A Vector with a row per histogram."""
        vector, lower, upper = inputs
        assert isinstance(vector, Vector)
        assert isinstance(lower, Scalar)
        assert isinstance(upper, Scalar)
        vector, native = split(context, vector, self._vector_start)
        histograms = Classic(context, vector, self._vector_start)
        shape = (histograms.count, vector.steps)
        values, present = np.full(shape, np.nan), np.zeros(shape, np.bool_)
        for buckets in histograms.buckets():
            values[buckets.groups] = bucket_fraction(lower.values, upper.values, buckets)
            present[buckets.groups] = buckets.present.any(axis=-1)
        out = Vector(histograms.table, values, present, histograms.drop_name)
        if native.rows:
            found = native_fraction(context, native, lower.values, upper.values, self._vector_start)
            out = stack(out, found)
        return without_name(context, out.compact())
