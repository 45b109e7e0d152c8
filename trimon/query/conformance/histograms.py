"""Native histograms of scripts: from literals, from classic buckets, and how results are compared."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Final

import numpy as np

from trimon.errors import UserError
from trimon.model.histogram import CUSTOM_SCHEMA, Buckets, FloatHistogram, ResetHint
from trimon.model.labels import BUCKET_LABEL, METRIC_NAME, Labels, labels_of
from trimon.model.sample import is_stale
from trimon.query.conformance.literal import HistogramLiteral
from trimon.query.histograms.arithmetic import IncompatibleError, added, scaled

_EPSILON: Final = 1e-6
_SMALLEST_NORMAL: Final = 2.2250738585072014e-308


def almost_equal(left: float, right: float) -> bool:
    """Equality as the scripts mean it: to six digits, NaN equal to NaN, but a stale marker only to its like."""
    if math.isnan(left) or math.isnan(right):
        stale = is_stale(np.array((left, right)))
        return math.isnan(left) and math.isnan(right) and bool(stale[0] == stale[1])
    if left == right:
        return True
    total = abs(left) + abs(right)
    difference = abs(left - right)
    if left == 0 or right == 0 or total < _SMALLEST_NORMAL:
        return difference < _EPSILON * _SMALLEST_NORMAL
    return difference / min(total, 1.7976931348623157e308) < _EPSILON


def histogram_of(literal: HistogramLiteral) -> FloatHistogram:
    """The histogram a literal stands for, with what is added to it. Raises UserError."""
    first = _plain(literal)
    if literal.step is None:
        return first
    step = _plain(literal.step)
    if step.schema < first.schema and not step.custom:
        raise UserError(
            f"error combining histograms: cannot merge from schema {first.schema} to {step.schema}"
        )
    out = first
    for _ in range(literal.times):
        try:
            out = added(out, step if literal.sign == "+" else scaled(step, -1.0)).histogram
        except IncompatibleError:
            raise UserError("error combining histograms: incompatible schemas") from None
    return out.with_hint(first.hint)


def _plain(literal: HistogramLiteral) -> FloatHistogram:
    fields = dict(literal.fields)

    def number(name: str) -> float:
        value = fields.get(name, 0.0)
        assert isinstance(value, (int, float))
        return float(value)

    def whole(name: str) -> int:
        value = fields.get(name, 0)
        assert isinstance(value, int)
        return value

    def numbers(name: str) -> tuple[float, ...]:
        value = fields.get(name, ())
        assert isinstance(value, tuple)
        return value

    return FloatHistogram(
        whole("schema"),
        number("z_bucket_w"),
        number("z_bucket"),
        number("count"),
        number("sum"),
        Buckets.of(whole("offset"), numbers("buckets")),
        Buckets.of(whole("n_offset"), numbers("n_buckets")),
        numbers("custom_values"),
        ResetHint(str(fields.get("counter_reset_hint", "unknown"))),
    )


def same_histogram(literal: HistogramLiteral, actual: FloatHistogram) -> bool:
    """Whether a result is the expected histogram; the hint counts only if it was written."""
    expected = histogram_of(literal).compact()
    got = actual.compact()
    # Of a progression the step says whether a hint was meant.
    written = literal if literal.step is None else literal.step
    hint = dict(written.fields).get("counter_reset_hint")
    if hint is not None and got.hint is not ResetHint(str(hint)):
        return False
    return (
        (expected.schema, expected.zero_threshold, expected.custom_values)
        == (got.schema, got.zero_threshold, got.custom_values)
        and almost_equal(expected.count, got.count)
        and almost_equal(expected.sum, got.sum)
        and almost_equal(expected.zero_count, got.zero_count)
        and _same_buckets(expected.positive, got.positive)
        and _same_buckets(expected.negative, got.negative)
    )


def _same_buckets(expected: Buckets, got: Buckets) -> bool:
    return len(expected) == len(got) and all(
        a == b and almost_equal(x, y)
        for a, b, x, y in zip(
            expected.index.tolist(),
            got.index.tolist(),
            expected.counts.tolist(),
            got.counts.tolist(),
            strict=True,
        )
    )


class ClassicLoad:
    """Collects the classic series of a load and gives them back as histograms with custom buckets."""

    def __init__(self) -> None:
        self._found: dict[Labels, dict[int, _HistogramFields]] = {}

    def add(self, labels: Labels, time_ms: int, value: float) -> None:
        """Take in one sample, if its name says it is part of a classic histogram."""
        pairs = dict(labels)
        name = pairs.get(METRIC_NAME, "")
        bound = math.nan
        for suffix in ("_bucket", "_count", "_sum"):
            if name.endswith(suffix):
                break
        else:
            return
        if suffix == "_bucket":
            try:
                bound = float(pairs.pop(BUCKET_LABEL, ""))
            except ValueError:
                return
            if math.isnan(bound):
                return
        base = labels_of(pairs | {METRIC_NAME: name.removesuffix(suffix)})
        parts = self._found.setdefault(base, {}).setdefault(time_ms, _HistogramFields())
        if suffix == "_bucket":
            parts.buckets[bound] = value
        elif suffix == "_count":
            parts.count = value
        else:
            parts.sum = value

    def histograms(self) -> Iterator[tuple[Labels, int, FloatHistogram]]:
        """Every histogram with its series and time. Raises UserError for counts that fall."""
        for labels, by_time in self._found.items():
            for time_ms in sorted(by_time):
                yield labels, time_ms, by_time[time_ms].histogram()


class _HistogramFields:
    """What a classic histogram has at one time."""

    def __init__(self) -> None:
        self.buckets: dict[float, float] = {}
        self.count: float | None = None
        self.sum = 0.0

    def histogram(self) -> FloatHistogram:
        bounds = sorted(self.buckets)
        cumulative = [self.buckets[bound] for bound in bounds]
        count = self.count if self.count is not None else (cumulative[-1] if cumulative else 0.0)
        if not bounds or bounds[-1] != math.inf:
            bounds.append(math.inf)
            cumulative.append(count)
        counts = [after - before for before, after in zip([0.0, *cumulative], cumulative, strict=False)]
        if any(part < 0 for part in counts) or count < 0:
            raise UserError("classic histogram whose counts fall")
        return FloatHistogram(
            CUSTOM_SCHEMA,
            count=count,
            sum=self.sum,
            positive=Buckets.of(0, tuple(counts)).compact(),
            custom_values=tuple(bounds[:-1]),
        )
