"""`anchored` and `smoothed` windows over native histograms, one window after the other."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import replace
from itertools import pairwise

from trimon.model.histogram import FloatHistogram, ResetHint
from trimon.query.histograms.arithmetic import IncompatibleError, added, scaled
from trimon.query.histograms.resets import was_reset
from trimon.query.windows.histogramwindows import (
    EXPONENTIAL_AND_CUSTOM,
    MIXED_OF,
    NOT_COUNTER,
    NOT_GAUGE,
    HistogramRow,
    WindowSample,
    window_value,
)

Notes = set[tuple[str, str]]


def interpolated(
    before: FloatHistogram, after: FloatHistogram, fraction: float, *, counter: bool
) -> FloatHistogram:
    """The histogram on the line between two; a counter that was reset starts from nothing.

    Raises IncompatibleError.
    """
    if before.custom != after.custom:
        raise IncompatibleError
    if counter and was_reset(after, before):
        return scaled(after, fraction).with_hint(before.hint)
    change = added(after, before, subtract=True).histogram
    return added(before, replace(scaled(change, fraction), hint=before.hint)).histogram


def smoothed_instant(row: HistogramRow, ref_ms: int, lookback_ms: int, notes: Notes) -> FloatHistogram | None:
    """The histogram at a time, between its neighbours within the lookback; None where floats rule or nothing is."""
    times = row.times.tolist()
    low, high = bisect_right(times, ref_ms - lookback_ms), bisect_right(times, ref_ms + lookback_ms)
    inside = row.samples[low:high]
    if all(isinstance(sample, float) for sample in inside):
        return None
    if any(isinstance(sample, float) for sample in inside):
        notes.add(("warn-name", MIXED_OF))
        return None
    at = bisect_right(times, ref_ms)
    if at <= low:
        return None
    before = row.samples[at - 1]
    assert isinstance(before, FloatHistogram)
    if at >= high or times[at - 1] == ref_ms:
        return before
    after = row.samples[at]
    assert isinstance(after, FloatHistogram)
    fraction = (ref_ms - times[at - 1]) / (times[at] - times[at - 1])
    counter = before.hint is not ResetHint.GAUGE and after.hint is not ResetHint.GAUGE
    try:
        return interpolated(before, after, fraction, counter=counter)
    except IncompatibleError:
        notes.add(("warn-name", EXPONENTIAL_AND_CUSTOM))
        return None


def extended_value(
    function: str,
    row: HistogramRow,
    ref_ms: int,
    range_ms: int,
    lookback_ms: int,
    notes: Notes,
    *,
    smoothed: bool,
) -> WindowSample | None:
    """A function of an extended window that holds a histogram; None: no result."""
    times = row.times.tolist()
    start_ms = ref_ms - range_ms
    after_ms = lookback_ms if smoothed else 0
    low, high = bisect_right(times, start_ms - lookback_ms), bisect_right(times, ref_ms + after_ms)
    first_inside, behind = bisect_right(times, start_ms), bisect_right(times, ref_ms)
    samples = row.samples
    pairwise_only = function in ("changes", "resets")
    if not pairwise_only and any(isinstance(sample, float) for sample in samples[low:high]):
        notes.add(("warn-name", MIXED_OF))
        return None
    if not smoothed:
        if behind <= first_inside:
            return None
        begin = first_inside - 1 if first_inside > low else first_inside
        return _anchored(function, row, begin, behind, ref_ms, range_ms, notes)
    return _smoothed(function, row, (low, first_inside, behind, high), ref_ms, range_ms, notes)


def _anchored(
    function: str, row: HistogramRow, begin: int, behind: int, ref_ms: int, range_ms: int, notes: Notes
) -> WindowSample | None:
    if function in ("changes", "resets"):
        return window_value(function, row.window(begin, behind, ref_ms, range_ms, notes), use_starts=False)
    points = [point for point in row.samples[begin:behind] if isinstance(point, FloatHistogram)]
    resets = [was_reset(after, before) for before, after in pairwise(points)]
    return _difference(function, points, resets, points, range_ms, notes)


def _smoothed(
    function: str,
    row: HistogramRow,
    edges: tuple[int, int, int, int],
    ref_ms: int,
    range_ms: int,
    notes: Notes,
) -> WindowSample | None:
    low, first_inside, behind, high = edges
    times, counter = row.times.tolist(), function != "delta"
    start_ms = ref_ms - range_ms
    has_before, has_after = first_inside > low, behind < high
    if behind <= first_inside and not (has_before and has_after):
        return None
    first = first_inside - 1 if has_before else first_inside
    exact = behind > 0 and times[behind - 1] == ref_ms
    final = behind if has_after and not exact else behind - 1
    if final < first:
        return None
    samples = [sample for sample in row.samples if isinstance(sample, FloatHistogram)]
    points = samples[first : final + 1]
    resets = [was_reset(after, before) for before, after in pairwise(points)]
    original = list(points)
    try:
        if len(points) > 1 and times[final] > ref_ms:
            fraction = (ref_ms - times[final - 1]) / (times[final] - times[final - 1])
            points[-1] = interpolated(original[-2], original[-1], fraction, counter=counter)
        if len(points) > 1 and times[first] < start_ms:
            fraction = (start_ms - times[first]) / (times[first + 1] - times[first])
            points[0] = interpolated(original[0], original[1], fraction, counter=counter)
            # A reset between the first two is already in the interpolated value.
            resets[0] = False
    except IncompatibleError:
        notes.add(("warn-name", EXPONENTIAL_AND_CUSTOM))
        return None
    return _difference(function, points, resets, original, range_ms, notes)


def _difference(
    function: str,
    points: list[FloatHistogram],
    resets: list[bool],
    original: list[FloatHistogram],
    range_ms: int,
    notes: Notes,
) -> WindowSample | None:
    """Last minus first and what resets add; remarks are about the samples as they were."""
    hints = [point.hint for point in original]
    counter = function != "delta"
    if counter and ResetHint.GAUGE in hints:
        notes.add(("warn-name", NOT_COUNTER))
    if not counter and (hints[0] is not ResetHint.GAUGE or hints[-1] is not ResetHint.GAUGE):
        notes.add(("warn-name", NOT_GAUGE))
    if any(point.custom != original[0].custom for point in original):
        notes.add(("warn-name", EXPONENTIAL_AND_CUSTOM))
        return None
    result = added(points[-1], points[0], subtract=True).histogram
    if counter:
        for point, reset in zip(points, resets, strict=False):
            if reset:
                result = added(result, point).histogram
    result = result.compact().with_hint(ResetHint.GAUGE)
    return scaled(result, 1000 / range_ms) if function == "rate" else result
