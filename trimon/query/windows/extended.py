"""`anchored` and `smoothed`: windows that look at the samples just outside their ends."""

from __future__ import annotations

import numpy as np

from trimon.model.frame import SampleFrame, Times
from trimon.query.execution.values import Index, Mask, Matrix
from trimon.query.windows.prefixsums import pairs_counted
from trimon.query.windows.rate import with_resets
from trimon.query.windows.windowarguments import WindowCall, WindowResults
from trimon.query.windows.windowmatrix import WindowMatrix, window_matrices


def widened(windows: WindowMatrix, start: Index, end: Index) -> WindowMatrix:
    """The window matrix with other windows."""
    return WindowMatrix(windows.rows, windows.times, windows.values, start, end, windows.starts)


def anchored_windows(windows: WindowMatrix, refs_ms: Times, range_ms: int, lookback_ms: int) -> WindowMatrix:
    """Windows that begin with the newest sample at or before the window's start, if the lookback has one.

    The window matrix's own windows must be left-open `(ref - range, ref]`.
    """
    before = windows.lo - 1
    reach = (before >= 0) & (windows.pick_times(before) > refs_ms - range_ms - lookback_ms)
    return widened(windows, np.where(reach, before, windows.lo), windows.hi)


def anchored(kind: str, windows: WindowMatrix, call: WindowCall, lookback_ms: int) -> WindowResults:
    """`rate`, `increase`, `delta`, `changes` or `resets` over anchored windows; nothing is extrapolated.

    There must be a sample inside the window itself.
    """
    shown: Mask = windows.hi > windows.lo
    wide = anchored_windows(windows, call.refs_ms, call.range_ms, lookback_ms)
    values = windows.values
    if kind == "changes":
        before, after = values[:, :-1], values[:, 1:]
        moved = (before != after) & ~(np.isnan(before) & np.isnan(after))
        return pairs_counted(wide, moved), shown
    if kind == "resets":
        return pairs_counted(wide, values[:, 1:] < values[:, :-1]), shown
    result = windows.pick(values, wide.hi - 1) - windows.pick(values, wide.lo)
    if kind != "delta":
        result = with_resets(wide, values, result)
    if kind == "rate":
        result /= call.range_ms / 1000
    return result, shown


def _between(windows: WindowMatrix, at_ms: Times, before: Index, after: Index, *, counter: bool) -> Matrix:
    """The value at `at_ms` on the line between two samples; a counter that fell starts from 0."""
    left, right = windows.pick(windows.values, before), windows.pick(windows.values, after)
    t0, t1 = windows.pick_times(before), windows.pick_times(after)
    if counter:
        left = np.where(right < left, 0.0, left)
    span = np.maximum(t1 - t0, 1)
    return np.where(t1 == t0, right, left + (right - left) * (at_ms - t0) / span)


def smoothed(kind: str, windows: WindowMatrix, call: WindowCall, lookback_ms: int) -> WindowResults:
    """`rate`, `increase` or `delta` between the values interpolated at both ends of the window."""
    counter = kind != "delta"
    start_ms, end_ms = call.refs_ms - call.range_ms, call.refs_ms
    width = windows.times.shape[-1]
    times, last = windows.pick_times, width - 1
    before_ok = (windows.lo >= 1) & (times(windows.lo - 1) > start_ms - lookback_ms)
    after_ok = (windows.hi <= last) & (times(np.minimum(windows.hi, last)) <= end_ms + lookback_ms)
    first = np.where(before_ok, windows.lo - 1, windows.lo)
    exact_end = (windows.hi >= 1) & (times(windows.hi - 1) == end_ms)
    final = np.where(after_ok & ~exact_end, windows.hi, windows.hi - 1)
    inside = windows.hi > windows.lo
    shown = (final >= first) & (inside | (before_ok & after_ok & (windows.lo == windows.hi)))
    first, final = np.clip(first, 0, last), np.clip(final, 0, last)
    interpolate_left = before_ok & (times(first) < start_ms) & (first < final)
    second = np.minimum(first + 1, last)
    left = windows.pick(windows.values, first)
    left = np.where(interpolate_left, _between(windows, start_ms, first, second, counter=counter), left)
    penultimate = np.maximum(final - 1, 0)
    interpolate_right = (times(final) > end_ms) & (first < final)
    right = windows.pick(windows.values, final)
    right = np.where(interpolate_right, _between(windows, end_ms, penultimate, final, counter=counter), right)
    result = right - left
    if counter:
        result += _inner_resets(windows, first, final, interpolate_left, interpolate_right, left, right)
    if kind == "rate":
        result /= call.range_ms / 1000
    return result, shown


def _inner_resets(
    windows: WindowMatrix,
    first: Index,
    final: Index,
    cut_left: Mask,
    cut_right: Mask,
    left: Matrix,
    right: Matrix,
) -> Matrix:
    """What resets add between the interpolated left value, the samples inside, and the right value.

    `_between` already starts a falling counter at 0, so a fall across an end counts from the end's value.
    """
    low = np.where(cut_left, first + 1, first)
    high = np.where(cut_right, final - 1, final)
    filled = high >= low
    inner = widened(windows, np.where(filled, low, 0), np.where(filled, high + 1, 1))
    added = np.where(filled, with_resets(inner, windows.values, np.zeros(left.shape)), 0.0)
    head = windows.pick(windows.values, np.clip(low, 0, None))
    added = added + np.where(filled & cut_left & (head < left), left, 0.0)
    tail = windows.pick(windows.values, np.clip(high, 0, None))
    added = added + np.where(filled & cut_right & (right < tail), tail, 0.0)
    return added + np.where(~filled & (right < left), left, 0.0)


def interpolate_instant(
    frame: SampleFrame, refs_ms: Times, lookback_ms: int, values: Matrix, present: Mask
) -> None:
    """A smoothed instant selector over floats: the value at `ref` between its neighbours within the lookback."""
    for windows in window_matrices(frame, refs_ms + lookback_ms, 2 * lookback_ms, drop_stale=True):
        ends = panels_index(windows, refs_ms)
        before, after = ends - 1, ends
        last = windows.times.shape[-1] - 1
        has_before = (before >= 0) & (windows.pick_times(before) > refs_ms - lookback_ms)
        has_after = (after <= last) & (windows.pick_times(after) <= refs_ms + lookback_ms)
        exact = has_before & (windows.pick_times(before) == refs_ms)
        between = has_before & has_after & ~exact
        low, high = np.clip(before, 0, last), np.clip(after, 0, last)
        found = np.where(
            between,
            _between(windows, refs_ms, low, high, counter=False),
            windows.pick(windows.values, low),
        )
        values[windows.rows] = found
        present[windows.rows] = np.broadcast_to(has_before, found.shape)


def panels_index(windows: WindowMatrix, refs_ms: Times) -> Index:
    """How many samples of each row are at or before each reference."""
    if windows.times.ndim == 1:
        return np.searchsorted(windows.times, refs_ms, side="right")
    return np.stack([np.searchsorted(row, refs_ms, side="right") for row in windows.times])
