"""PromQL functions as obvious loops over one window: the second opinion on the engine."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise
from statistics import fmean

from trimon.model.sample import STALE_NAN_BITS

Window = list[tuple[int, float]]


def bits(value: float) -> int:
    """The bit pattern of a float."""
    import struct

    return int.from_bytes(struct.pack("<d", value), "little")


def window(samples: Window, ref_ms: int, range_ms: int) -> Window:
    """The samples in `(ref - range, ref]` without stale markers."""
    return [(t, v) for t, v in samples if ref_ms - range_ms < t <= ref_ms and bits(v) != STALE_NAN_BITS]


def newest(samples: Window, ref_ms: int, lookback_ms: int) -> float | None:
    """The newest sample within the lookback, unless it is a stale marker."""
    inside = [v for t, v in samples if ref_ms - lookback_ms < t <= ref_ms]
    return inside[-1] if inside and bits(inside[-1]) != STALE_NAN_BITS else None


def exact_sum(values: list[float]) -> float:
    """The correctly rounded sum; infinities and NaN as usual."""
    if not all(math.isfinite(v) for v in values):
        return sum(v for v in values if not math.isfinite(v))
    try:
        return math.fsum(values)
    except OverflowError:
        return math.copysign(math.inf, sum(v / 2**60 for v in values))


def extrapolated(w: Window, ref_ms: int, range_ms: int, *, counter: bool, per_second: bool) -> float | None:
    """rate, increase and delta."""
    if len(w) < 2:
        return None
    (t0, v0), (t1, v1) = w[0], w[-1]
    result = v1 - v0
    if counter:
        for (_, a), (_, b) in pairwise(w):
            if b < a:
                result += a
    to_start, to_end = (t0 - (ref_ms - range_ms)) / 1000, (ref_ms - t1) / 1000
    sampled = (t1 - t0) / 1000
    average = sampled / (len(w) - 1)
    if to_start >= average * 1.1:
        to_start = average / 2
    if counter and result > 0 and v0 >= 0:
        to_start = min(to_start, sampled * (v0 / result))
    if to_end >= average * 1.1:
        to_end = average / 2
    factor = (sampled + to_start + to_end) / sampled
    return result * (factor / (range_ms / 1000) if per_second else factor)


def quantile(q: float, values: list[float]) -> float:
    """Linear interpolation; NaN is the smallest value."""
    if not values or math.isnan(q):
        return math.nan
    if q < 0 or q > 1:
        return math.copysign(math.inf, q - 0.5)
    ordered = sorted(values, key=lambda v: (not math.isnan(v), v if not math.isnan(v) else 0))
    rank = q * (len(ordered) - 1)
    low = math.floor(rank)
    high = min(low + 1, len(ordered) - 1)
    weight = rank - low
    return ordered[low] * (1 - weight) + ordered[high] * weight


def variance(values: list[float]) -> float:
    """Population variance in two passes with exact sums."""
    if not all(math.isfinite(v) for v in values):
        return math.nan
    mean = exact_sum(values) / len(values)
    return exact_sum([(v - mean) ** 2 for v in values]) / len(values)


def changes(w: Window) -> float:
    """Pairs that differ; NaN to NaN does not."""
    pairs = pairwise(w)
    return float(sum(a != b and not (math.isnan(a) and math.isnan(b)) for (_, a), (_, b) in pairs))


def best(w: Window, pick: Callable[..., float]) -> float:
    """min or max; NaN only when all are."""
    numbers = [v for _, v in w if not math.isnan(v)]
    return pick(numbers) if numbers else math.nan


def line(w: Window, at_ms: int) -> tuple[float, float] | None:
    """Least squares: slope per second and the value at a time."""
    if len(w) < 2:
        return None
    xs, ys = [(t - at_ms) / 1000 for t, _ in w], [v for _, v in w]
    if all(y == ys[0] for y in ys):
        return (math.nan, math.nan) if math.isinf(ys[0]) else (0.0, ys[0])
    if not all(math.isfinite(y) for y in ys):
        return math.nan, math.nan
    mean_x, mean_y = fmean(xs), exact_sum(ys) / len(ys)
    spread = exact_sum([(x - mean_x) ** 2 for x in xs])
    slope = exact_sum([(x - mean_x) * (y - mean_y) for x, y in zip(xs, ys, strict=True)]) / spread
    return slope, mean_y - slope * mean_x


def smoothing(values: list[float], sf: float, tf: float) -> float | None:
    """Double exponential smoothing."""
    if len(values) < 2:
        return None
    s1, b = values[0], values[1] - values[0]
    s0 = 0.0
    for i, value in enumerate(values[1:], 1):
        b = b if i == 1 else tf * (s1 - s0) + (1 - tf) * b
        s0, s1 = s1, sf * value + (1 - sf) * (s1 + b)
    return s1


def last_two(w: Window, *, counter: bool) -> float | None:
    """irate and idelta."""
    if len(w) < 2:
        return None
    (t0, a), (t1, b) = w[-2:]
    if not counter:
        return b - a
    return (b if b < a else b - a) / ((t1 - t0) / 1000)


def evaluate(function: str, samples: Window, ref_ms: int, range_ms: int) -> float | None:
    """The value of a function of one range vector at one time; None: no result."""
    w = window(samples, ref_ms, range_ms)
    if not w:
        return None
    values = [v for _, v in w]
    counter = function in ("rate", "increase", "irate")
    match function:
        case "rate" | "increase" | "delta":
            return extrapolated(w, ref_ms, range_ms, counter=counter, per_second=function == "rate")
        case "irate" | "idelta":
            return last_two(w, counter=counter)
        case "sum_over_time":
            return exact_sum(values)
        case "avg_over_time":
            total = exact_sum(values)
            overflow = math.isinf(total) and all(map(math.isfinite, values))
            return exact_sum([v / len(values) for v in values]) if overflow else total / len(values)
        case "min_over_time" | "max_over_time":
            return best(w, min if function.startswith("min") else max)
        case "count_over_time":
            return float(len(w))
        case "last_over_time":
            return values[-1]
        case "first_over_time":
            return values[0]
        case "present_over_time":
            return 1.0
        case "stdvar_over_time":
            return variance(values)
        case "stddev_over_time":
            return math.sqrt(variance(values))
        case "changes":
            return changes(w)
        case "resets":
            return float(sum(b < a for (_, a), (_, b) in pairwise(w)))
        case "deriv":
            found = line(w, w[0][0])
            return None if found is None else found[0]
        case "ts_of_last_over_time":
            return w[-1][0] / 1000
        case "ts_of_first_over_time":
            return w[0][0] / 1000
        case "ts_of_max_over_time" | "ts_of_min_over_time":
            wanted = best(w, max if "max" in function else min)
            return max(t for t, v in w if v == wanted or math.isnan(wanted)) / 1000
        case "mad_over_time":
            if any(math.isnan(v) for v in values):
                return math.nan
            middle = quantile(0.5, values)
            return quantile(0.5, [abs(v - middle) for v in values])
        case _:
            raise AssertionError(function)
