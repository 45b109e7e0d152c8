"""Functions over range vectors that hold native histograms: one window after the other.

Series of floats alone never come here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Final

import numpy as np

from trimon.model.components import is_marker
from trimon.model.frame import SampleFrame, Times
from trimon.model.histogram import FloatHistogram, ResetHint
from trimon.model.sample import is_stale
from trimon.query.execution.values import Cells, Index, Mask, Matrix, holds
from trimon.query.histograms.arithmetic import (
    IncompatibleError,
    added,
    combined,
    conflicting,
    divided,
    equal,
    scaled,
    to_schema,
)
from trimon.query.histograms.resets import was_reset
from trimon.records import dataclass

WindowSample = float | FloatHistogram
MIXED: Final = "encountered a mix of histograms and floats for"
MIXED_OF: Final = f"{MIXED} metric name"
EXPONENTIAL_AND_CUSTOM: Final = (
    "vector contains a mix of histograms with exponential and custom buckets schemas for metric name"
)
NOT_COUNTER: Final = "this native histogram metric is not a counter:"
NOT_GAUGE: Final = "this native histogram metric is not a gauge:"
CONFLICT: Final = "conflicting counter resets during histogram aggregation"
RECONCILED: Final = "mismatched custom buckets were reconciled during "


@dataclass(slots=True)
class Window:
    """The samples of one window, and what is to be said about them.

    `notes` are (kind, text) with kind `warn`, `warn-name` (the metric's name follows) or `info`.
    """

    times: list[int]
    samples: list[WindowSample]
    starts: list[int]
    ref_ms: int
    range_ms: int
    notes: set[tuple[str, str]]

    def histograms(self) -> list[FloatHistogram] | None:
        """The samples if all are histograms, else None."""
        found = [sample for sample in self.samples if isinstance(sample, FloatHistogram)]
        return found if len(found) == len(self.samples) else None

    def mixed(self) -> None:
        """Say that floats and histograms are mixed."""
        self.notes.add(("warn-name", MIXED_OF))


def _restarted(window: Window, at: int) -> bool:
    """Whether start timestamps tell of a reset before sample `at`."""
    start, before = window.starts[at], window.starts[at - 1]
    time, previous = window.times[at], window.times[at - 1]
    if start == 0 or start >= time:
        return False
    return start > previous or (start == previous and before != 0 and before < previous)


def _increase(window: Window, *, counter: bool) -> FloatHistogram | None:
    """Last minus first, corrected for resets; None where it can not be said."""
    points = window.histograms()
    if points is None:
        window.mixed()
        return None
    first, last = points[0], points[-1]
    ends = (first.hint, last.hint)
    if counter and any(point.hint is ResetHint.GAUGE for point in points):
        window.notes.add(("warn-name", NOT_COUNTER))
    resets = [False] + [
        counter and (was_reset(b, a) or _restarted(window, at + 1))
        for at, (a, b) in enumerate(pairwise(points))
    ]
    if len(points) > 1 and resets[1]:
        # What was before a reset right after the first sample does not matter, not even its layout.
        first = FloatHistogram(points[1].schema, custom_values=points[1].custom_values)
    inner = points[1:-1] if counter else []
    if any(point.custom != first.custom for point in (*inner, last)):
        window.notes.add(("warn-name", EXPONENTIAL_AND_CUSTOM))
        return None
    if not counter and ends != (ResetHint.GAUGE, ResetHint.GAUGE):
        window.notes.add(("warn-name", NOT_GAUGE))
    schema = min(point.schema for point in (first, *inner, last))
    difference = added(to_schema(last, schema), first, subtract=True)
    if difference.reconciled:
        window.notes.add(("info", RECONCILED + "subtraction"))
    result = difference.histogram
    previous = first
    for at, point in enumerate(points[1:], 1):
        if resets[at]:
            total = added(result, previous)
            if total.reconciled:
                window.notes.add(("info", RECONCILED + "addition"))
            result = total.histogram
        previous = point
    return result.compact().with_hint(ResetHint.GAUGE)


def _extrapolated(window: Window, kind: str, *, use_starts: bool) -> WindowSample | None:
    counter = kind != "delta"
    times, samples = window.times, window.samples
    window_start = window.ref_ms - window.range_ms
    first = samples[0]
    start = window.starts[0] if use_starts else 0
    from_zero = counter and start != 0 and window_start < start < times[0]
    if len(samples) < 2 and not from_zero:
        return None
    if any(isinstance(sample, float) for sample in samples):
        window.mixed()
        return None
    if not use_starts:
        window = Window(times, samples, [0] * len(times), window.ref_ms, window.range_ms, window.notes)
    assert isinstance(first, FloatHistogram)
    result = _increase(window, counter=counter)
    if result is None:
        return None
    plain = (times[-1] - times[0]) / 1000
    average = plain / max(len(samples) - 1, 1)
    to_start, to_end = (times[0] - window_start) / 1000, (window.ref_ms - times[-1]) / 1000
    sampled = plain
    if to_start >= average * 1.1:
        to_start = average / 2
    if counter and result.count > 0 and first.count >= 0:
        to_start = min(to_start, sampled * (first.count / result.count))
    if from_zero:
        to_start, sampled = 0.0, (times[-1] - start) / 1000
        result = added(result, first).histogram.with_hint(ResetHint.GAUGE)
    if to_end >= average * 1.1:
        to_end = average / 2
    factor = (sampled + to_start + to_end) / sampled
    return scaled(result, factor / (window.range_ms / 1000) if kind == "rate" else factor)


def _last_two(window: Window, *, counter: bool, use_starts: bool) -> WindowSample | None:
    if len(window.samples) < 2:
        return None
    before, after = window.samples[-2:]
    seconds = (window.times[-1] - window.times[-2]) / 1000
    restarted = use_starts and counter and _restarted(window, len(window.samples) - 1)
    if isinstance(before, float) and isinstance(after, float):
        change = after if counter and (after < before or restarted) else after - before
        return change / seconds if counter else change
    if isinstance(before, float) or isinstance(after, float):
        window.mixed()
        return None
    gauges = [point.hint is ResetHint.GAUGE for point in (before, after)]
    if counter and any(gauges):
        window.notes.add(("warn-name", NOT_COUNTER))
    if not counter and not all(gauges):
        window.notes.add(("warn-name", NOT_GAUGE))
    result = after
    if not counter or not (restarted or was_reset(after, before)):
        try:
            difference = added(after, before, subtract=True)
        except IncompatibleError:
            window.notes.add(("warn-name", EXPONENTIAL_AND_CUSTOM))
            return None
        if difference.reconciled:
            window.notes.add(("info", RECONCILED + "subtraction"))
        result = difference.histogram
    result = result.compact().with_hint(ResetHint.GAUGE)
    return divided(result, seconds) if counter else result


def _summed(window: Window, *, mean: bool) -> WindowSample | None:
    points = window.histograms()
    if points is None:
        window.mixed()
        return None
    if conflicting([point.hint for point in points]):
        window.notes.add(("warn", CONFLICT))
    try:
        total = combined(points, mean=mean)
    except IncompatibleError:
        window.notes.add(("warn-name", EXPONENTIAL_AND_CUSTOM))
        return None
    if total.reconciled:
        window.notes.add(("info", RECONCILED + "aggregation"))
    return total.histogram


def _changed(before: WindowSample, after: WindowSample) -> bool:
    if isinstance(before, float) or isinstance(after, float):
        if isinstance(before, float) and isinstance(after, float):
            return before != after and not (math.isnan(before) and math.isnan(after))
        return True
    return not equal(before, after)


def _fell(before: WindowSample, after: WindowSample) -> bool:
    if isinstance(before, float) or isinstance(after, float):
        if isinstance(before, float) and isinstance(after, float):
            return after < before
        return True
    return was_reset(after, before)


def _count_pairs(
    window: Window, test: Callable[[WindowSample, WindowSample], bool], *, use_starts: bool
) -> float:
    pairs = enumerate(pairwise(window.samples), 1)
    return float(sum(test(a, b) or (use_starts and _restarted(window, at)) for at, (a, b) in pairs))


def window_value(function: str, window: Window, *, use_starts: bool) -> WindowSample | None:
    """The value of a function of one window that has samples; None: no result."""
    samples = window.samples
    match function:
        case "rate" | "increase" | "delta":
            return _extrapolated(window, function, use_starts=use_starts)
        case "irate" | "idelta":
            return _last_two(window, counter=function == "irate", use_starts=use_starts)
        case "sum_over_time" | "avg_over_time":
            return _summed(window, mean=function == "avg_over_time")
        case "count_over_time":
            return float(len(samples))
        case "present_over_time":
            return 1.0
        case "last_over_time":
            return samples[-1]
        case "first_over_time":
            return samples[0]
        case "ts_of_last_over_time":
            return window.times[-1] / 1000
        case "ts_of_first_over_time":
            return window.times[0] / 1000
        case "changes":
            return _count_pairs(window, _changed, use_starts=False)
        case _:
            assert function == "resets"
            return _count_pairs(window, _fell, use_starts=use_starts)


# Functions that know what to do with histograms; the others see only the floats.
WITH_HISTOGRAMS: Final = frozenset(
    {
        "rate", "increase", "delta", "irate", "idelta", "sum_over_time", "avg_over_time", "count_over_time",
        "present_over_time", "last_over_time", "first_over_time", "ts_of_last_over_time", "ts_of_first_over_time",
        "changes", "resets",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class HistogramRow:
    """One series of a frame, without stale markers."""

    times: Times
    samples: list[WindowSample]
    starts: list[int]

    @classmethod
    def of(cls, frame: SampleFrame, row: int, *, stats: bool = False) -> HistogramRow:
        """Take a series out of a frame that has histograms; with `stats` they have count and sum alone, and every
        counter reset is found out."""
        assert frame.histograms is not None
        array = int(frame.time_of_row[row])
        begin, end = frame.time_offsets[array : array + 2].tolist()
        part = slice(int(frame.offsets[row]), int(frame.offsets[row]) + end - begin)
        values, cells = frame.values[part], frame.histograms[part]
        times = frame.times[begin : begin + len(values)]
        starts = np.zeros(len(values), np.int64) if frame.starts is None else frame.starts[part]
        kept = np.flatnonzero(~is_stale(values) | holds(cells))
        samples: list[WindowSample] = [
            float(value) if cell is None else cell
            for value, cell in zip(values[kept].tolist(), cells[kept].tolist(), strict=True)
        ]
        if stats:
            samples = [
                sample if isinstance(sample, float) else figures_of(sample) for sample in with_resets(samples)
            ]
        return cls(times[kept], samples, starts[kept].tolist())

    def window(self, low: int, high: int, ref_ms: int, range_ms: int, notes: set[tuple[str, str]]) -> Window:
        """The samples `low:high` as a window."""
        times = self.times[low:high].tolist()
        return Window(times, self.samples[low:high], self.starts[low:high], ref_ms, range_ms, notes)


def figures_of(histogram: FloatHistogram) -> FloatHistogram:
    """A histogram of which nothing but count and sum is read."""
    return FloatHistogram(histogram.schema, count=histogram.count, sum=histogram.sum, hint=histogram.hint)


def with_resets(samples: list[WindowSample]) -> list[WindowSample]:
    """The samples with what is not known of counter resets found out from one to the next.

    Prometheus does so where only count and sum of a histogram are asked for.
    """
    out: list[WindowSample] = []
    last: FloatHistogram | None = None
    for sample in samples:
        if isinstance(sample, float):
            out.append(sample)
            continue
        shown = sample
        if sample.hint is ResetHint.UNKNOWN and last is not None:
            shown = sample.with_hint(ResetHint.RESET if was_reset(sample, last) else ResetHint.NOT_RESET)
        out.append(shown)
        last = sample
    return out


def put(
    sample: WindowSample | None, row: int, step: int, values: Matrix, present: Mask, cells: Cells
) -> None:
    """Store a function's value."""
    if sample is None:
        return
    present[row, step] = True
    if isinstance(sample, FloatHistogram):
        cells[row, step] = sample
    else:
        values[row, step] = sample


def floats_of(frame: SampleFrame, without: Mask) -> SampleFrame:
    """The float samples of a frame; rows set in `without` become empty."""
    native = is_marker(frame.values) if frame.histograms is None else holds(frame.histograms)
    if native.all():
        return SampleFrame.empty(frame.rows)
    row_of, places, within = _row_by_row(frame)
    keep = ~native[places] & ~without[row_of]
    row_of, places, within = row_of[keep], places[keep], within[keep]
    counts = np.bincount(row_of, minlength=frame.rows)
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    return SampleFrame(
        frame.values[places],
        offsets,
        frame.times[frame.time_offsets[frame.time_of_row[row_of]] + within],
        offsets,
        np.arange(frame.rows, dtype=np.int32),
        frame.has_stale,
        None if frame.starts is None else frame.starts[places],
    )


def _row_by_row(frame: SampleFrame) -> tuple[Index, Index, Index]:
    """All samples in the order of rows, which a grouped frame does not have them in: row, place, place in the row."""
    lengths = frame.lengths
    row_of = np.repeat(np.arange(frame.rows), lengths)
    within = np.arange(len(row_of)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    return row_of, frame.offsets[row_of] + within, within


def rows_with_histograms(frame: SampleFrame) -> Mask:
    """The series that hold any histogram."""
    assert frame.histograms is not None
    row_of, places, _ = _row_by_row(frame)
    hit = np.bincount(row_of, holds(frame.histograms)[places].astype(np.float64), frame.rows)
    return np.asarray(hit > 0)


def bounds_of(row: HistogramRow, refs_ms: Times, range_ms: int) -> Sequence[tuple[int, int]]:
    """The windows of a series, one per reference."""
    low = np.searchsorted(row.times, refs_ms - range_ms, side="right").tolist()
    high = np.searchsorted(row.times, refs_ms, side="right").tolist()
    return list(zip(low, high, strict=True))
