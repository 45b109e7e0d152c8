"""The rate family: `rate`, `increase`, `delta`, `irate`, `idelta`, with Prometheus' extrapolation."""

from __future__ import annotations

import numpy as np

from trimon.query.operators.prefix import running
from trimon.query.operators.windowcall import Cells, WindowCall
from trimon.query.panel import Panel
from trimon.query.values import Mask, Matrix


def reset_correction(panel: Panel, values: Matrix) -> Matrix | None:
    """What counter resets add inside every window: the values before the falls; None when nothing falls."""
    falls = values[:, 1:] < values[:, :-1]
    if not falls.any():
        return None
    lost = np.where(falls, values[:, :-1], 0.0)
    infinite = np.isinf(lost)
    spoiled = infinite.any()
    if spoiled:
        lost = np.where(infinite, 0.0, lost)
    prefix = running(lost)
    last = np.maximum(panel.hi - 1, panel.lo)
    correction = panel.pick(prefix, last) - panel.pick(prefix, panel.lo)
    if spoiled:
        marks = running(infinite)
        hit = panel.pick(marks, last) - panel.pick(marks, panel.lo) > 0
        correction = np.where(hit, np.inf, correction)
    return correction


def _extrapolated(panel: Panel, call: WindowCall, *, counter: bool, per_second: bool) -> Cells:
    count = panel.hi - panel.lo
    enough: Mask = count >= 2
    last = panel.hi - 1
    first_value = panel.pick(panel.values, panel.lo)
    result = panel.pick(panel.values, last)
    result -= first_value
    if counter:
        correction = reset_correction(panel, panel.values)
        if correction is not None:
            result += correction
    first_time, last_time = panel.pick_times(panel.lo), panel.pick_times(last)
    sampled = (last_time - first_time) / 1000
    average = sampled / np.maximum(count - 1, 1)
    to_start = (first_time - (call.refs_ms - call.range_ms)) / 1000
    to_end = (call.refs_ms - last_time) / 1000
    threshold = average * 1.1
    to_start = np.where(to_start >= threshold, average / 2, to_start)
    to_end = np.where(to_end >= threshold, average / 2, to_end)
    divisor = sampled * (call.range_ms / 1000) if per_second else sampled
    if counter:
        # A counter can not have been below zero: do not look further back than where it would have been 0.
        zero = first_value
        zero /= result
        zero *= sampled
        limited = (result > 0) & (zero >= 0) & (zero < to_start)
        start = np.where(limited, zero, to_start)
        start += sampled + to_end
        start /= divisor
        result *= start
    else:
        result *= (sampled + to_start + to_end) / divisor
    return result, enough


def rate(panel: Panel, call: WindowCall) -> Cells:
    """Per-second increase of a counter, extrapolated to the window."""
    return _extrapolated(panel, call, counter=True, per_second=True)


def increase(panel: Panel, call: WindowCall) -> Cells:
    """Increase of a counter, extrapolated to the window."""
    return _extrapolated(panel, call, counter=True, per_second=False)


def delta(panel: Panel, call: WindowCall) -> Cells:
    """Difference of a gauge, extrapolated to the window."""
    return _extrapolated(panel, call, counter=False, per_second=False)


def _last_two(panel: Panel) -> tuple[Matrix, Matrix, Matrix, Mask]:
    last = panel.hi - 1
    newer, older = panel.pick(panel.values, last), panel.pick(panel.values, last - 1)
    seconds = (panel.pick_times(last) - panel.pick_times(last - 1)) / 1000
    return newer, older, seconds, (panel.hi - panel.lo >= 2) & (seconds > 0)


def irate(panel: Panel, call: WindowCall) -> Cells:
    """Per-second increase between the last two samples; after a reset the last value itself."""
    del call
    newer, older, seconds, enough = _last_two(panel)
    return np.where(newer < older, newer, newer - older) / seconds, enough


def idelta(panel: Panel, call: WindowCall) -> Cells:
    """Difference between the last two samples."""
    del call
    newer, older, _, enough = _last_two(panel)
    return newer - older, enough
