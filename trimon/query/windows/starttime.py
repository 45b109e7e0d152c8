"""The rate family when samples carry the time their counter started at."""

from __future__ import annotations

import numpy as np

from trimon.query.execution.values import Mask
from trimon.query.windows.prefixsums import pairs_counted, running
from trimon.query.windows.rate import with_resets
from trimon.query.windows.windowarguments import Cells, WindowCall
from trimon.query.windows.windowmatrix import Panel


def _restarts(panel: Panel) -> Mask:
    """Pairs of neighbours between which the counter started anew, bool[rows, n - 1]."""
    starts = panel.starts
    assert starts is not None
    times = np.broadcast_to(panel.times, starts.shape)
    before, after = starts[:, :-1], starts[:, 1:]
    t_before, t_after = times[:, :-1], times[:, 1:]
    valid = (after != 0) & (after < t_after)
    known = (before != 0) & (before < t_before)
    restarted: Mask = valid & ((after > t_before) | ((after == t_before) & known))
    return restarted


def _overlaps(panel: Panel, call: WindowCall) -> None:
    starts = panel.starts
    assert starts is not None
    times = np.broadcast_to(panel.times, starts.shape)
    clash = (starts[:, 1:] != 0) & (starts[:, 1:] < times[:, :-1]) & (starts[:, 1:] != starts[:, :-1])
    if clash.any() and call.overlaps is not None:
        hit = pairs_counted(panel, clash) > 0
        call.overlaps.update(panel.rows[np.flatnonzero(hit.any(axis=1))].tolist())


def _extrapolated(panel: Panel, call: WindowCall, *, per_second: bool) -> Cells:
    starts = panel.starts
    assert starts is not None
    count = panel.hi - panel.lo
    last = panel.hi - 1
    values = panel.values
    first_value, last_value = panel.pick(values, panel.lo), panel.pick(values, last)
    first_time, last_time = panel.pick_times(panel.lo), panel.pick_times(last)
    window_start = call.refs_ms - call.range_ms
    first_start = panel.pick_int(starts, panel.lo)
    from_zero = (first_start > window_start) & (first_start < first_time) & (first_start != 0)
    enough = (count >= 2) | ((count == 1) & from_zero)
    result = with_resets(panel, values, last_value - first_value, _restarts(panel))
    _overlaps(panel, call)
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


def rate(panel: Panel, call: WindowCall) -> Cells:
    """Per-second increase of a counter whose restarts are known."""
    return _extrapolated(panel, call, per_second=True)


def increase(panel: Panel, call: WindowCall) -> Cells:
    """Increase of a counter whose restarts are known."""
    return _extrapolated(panel, call, per_second=False)


def irate(panel: Panel, call: WindowCall) -> Cells:
    """Per-second increase between the last two samples."""
    del call
    last = panel.hi - 1
    newer, older = panel.pick(panel.values, last), panel.pick(panel.values, last - 1)
    seconds = (panel.pick_times(last) - panel.pick_times(last - 1)) / 1000
    prefix = running(_restarts(panel))
    at = np.maximum(last, 0)
    restarted = panel.pick(prefix, at) - panel.pick(prefix, np.maximum(at - 1, 0)) > 0
    change = np.where((newer < older) | restarted, newer, newer - older)
    return change / seconds, (panel.hi - panel.lo >= 2) & (seconds > 0)


def resets(panel: Panel, call: WindowCall) -> Cells:
    """How often the counter fell or started anew."""
    del call
    fell = (panel.values[:, 1:] < panel.values[:, :-1]) | _restarts(panel)
    return pairs_counted(panel, fell), panel.hi > panel.lo
