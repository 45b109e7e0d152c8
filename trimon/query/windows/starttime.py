"""The rate family when samples carry the time their counter started at."""

from __future__ import annotations

import numpy as np

from trimon.query.execution.values import Mask
from trimon.query.windows.prefixsums import pairs_counted, running
from trimon.query.windows.rate import with_resets
from trimon.query.windows.windowarguments import WindowCall, WindowResults
from trimon.query.windows.windowmatrix import WindowMatrix


def _restarts(windows: WindowMatrix) -> Mask:
    """Pairs of neighbours between which the counter started anew, bool[rows, n - 1]."""
    starts = windows.starts
    assert starts is not None
    times = np.broadcast_to(windows.times, starts.shape)
    before, after = starts[:, :-1], starts[:, 1:]
    t_before, t_after = times[:, :-1], times[:, 1:]
    valid = (after != 0) & (after < t_after)
    known = (before != 0) & (before < t_before)
    restarted: Mask = valid & ((after > t_before) | ((after == t_before) & known))
    return restarted


def _overlaps(windows: WindowMatrix, call: WindowCall) -> None:
    starts = windows.starts
    assert starts is not None
    times = np.broadcast_to(windows.times, starts.shape)
    clash = (starts[:, 1:] != 0) & (starts[:, 1:] < times[:, :-1]) & (starts[:, 1:] != starts[:, :-1])
    if clash.any() and call.overlaps is not None:
        hit = pairs_counted(windows, clash) > 0
        call.overlaps.update(windows.rows[np.flatnonzero(hit.any(axis=1))].tolist())


def _extrapolated(windows: WindowMatrix, call: WindowCall, *, per_second: bool) -> WindowResults:
    starts = windows.starts
    assert starts is not None
    count = windows.hi - windows.lo
    last = windows.hi - 1
    values = windows.values
    first_value, last_value = windows.pick(values, windows.lo), windows.pick(values, last)
    first_time, last_time = windows.pick_times(windows.lo), windows.pick_times(last)
    window_start = call.refs_ms - call.range_ms
    first_start = windows.pick_int(starts, windows.lo)
    from_zero = (first_start > window_start) & (first_start < first_time) & (first_start != 0)
    enough = (count >= 2) | ((count == 1) & from_zero)
    result = with_resets(windows, values, last_value - first_value, _restarts(windows))
    _overlaps(windows, call)
    plain = (last_time - first_time) / 1000
    average = plain / np.maximum(count - 1, 1)
    to_start = np.broadcast_to((first_time - window_start) / 1000, result.shape)
    to_end = (call.refs_ms - last_time) / 1000
    to_start = np.where(to_start >= average * 1.1, average / 2, to_start)
    zero = np.where((result > 0) & (first_value >= 0), plain * (first_value / result), to_start)
    to_start = np.minimum(to_start, zero)
    sampled = np.where(from_zero, (last_time - first_start) / 1000, plain)
    to_start = np.where(from_zero, 0.0, to_start)
    result = np.where(from_zero, result + first_value, result)
    to_end = np.where(to_end >= average * 1.1, average / 2, to_end)
    factor = (sampled + to_start + to_end) / sampled
    if per_second:
        factor = factor / (call.range_ms / 1000)
    return result * factor, enough


def rate(windows: WindowMatrix, call: WindowCall) -> WindowResults:
    """Per-second increase of a counter whose restarts are known."""
    return _extrapolated(windows, call, per_second=True)


def increase(windows: WindowMatrix, call: WindowCall) -> WindowResults:
    """Increase of a counter whose restarts are known."""
    return _extrapolated(windows, call, per_second=False)


def irate(windows: WindowMatrix, call: WindowCall) -> WindowResults:
    """Per-second increase between the last two samples."""
    del call
    last = windows.hi - 1
    newer, older = windows.pick(windows.values, last), windows.pick(windows.values, last - 1)
    seconds = (windows.pick_times(last) - windows.pick_times(last - 1)) / 1000
    prefix = running(_restarts(windows))
    at = np.maximum(last, 0)
    restarted = windows.pick(prefix, at) - windows.pick(prefix, np.maximum(at - 1, 0)) > 0
    change = np.where((newer < older) | restarted, newer, newer - older)
    return change / seconds, (windows.hi - windows.lo >= 2) & (seconds > 0)


def resets(windows: WindowMatrix, call: WindowCall) -> WindowResults:
    """How often the counter fell or started anew."""
    del call
    fell = (windows.values[:, 1:] < windows.values[:, :-1]) | _restarts(windows)
    return pairs_counted(windows, fell), windows.hi > windows.lo
