"""Single windows taken out of a window matrix: the slow, exact way for the few that need it, and for functions that
must see every sample of a window.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
import numpy.typing as npt

from trimon.query.execution.reducers import Reducer
from trimon.query.execution.values import Index, Mask, Matrix
from trimon.query.windows.windowmatrix import WindowMatrix

_CELLS_MAX: Final = 1 << 19
# Windows of more lengths than these are irregular and are padded instead.
_LENGTHS_MAX: Final = 24
_NO_TIMES: Final = np.zeros((0, 0), np.int64)


def window_chunks(
    windows: WindowMatrix, mask: Mask, *, with_times: bool = False
) -> Iterator[tuple[Index, Index, Matrix, Index, npt.NDArray[np.int64]]]:
    """The windows at the set cells of `mask` (bool[rows, steps]) as padded matrices of like lengths.

    Yields rows, steps, values [cells, width] (padding NaN), lengths, and where wanted times [cells, width].
    """
    if windows.lo.ndim == 1 and mask.strides[0] == 0:
        lengths = (windows.hi - windows.lo)[mask[0]]
        distinct = np.unique(lengths)
        if len(distinct) <= _LENGTHS_MAX:
            yield from _aligned_chunks(windows, mask[0], distinct, with_times=with_times)
            return
    rows, steps = np.nonzero(mask)
    lo = windows.lo[steps] if windows.lo.ndim == 1 else windows.lo[rows, steps]
    hi = windows.hi[steps] if windows.hi.ndim == 1 else windows.hi[rows, steps]
    lengths = hi - lo
    order = np.argsort(lengths, kind="stable")
    at = 0
    while at < len(order):
        longest = max(int(lengths[order[at]]) * 5 // 4, 8)
        stop = int(np.searchsorted(lengths[order], longest, side="right"))
        stop = min(stop, at + max(1, _CELLS_MAX // longest))
        part = order[at:stop]
        length = lengths[part]
        width = int(length[-1])
        index = lo[part, None] + np.arange(width)
        inside = np.arange(width) < length[:, None]
        index = np.minimum(index, windows.values.shape[1] - 1)
        values = np.where(inside, windows.values[rows[part, None], index], np.nan)
        times = _NO_TIMES
        if with_times:
            times = (
                windows.times[index] if windows.times.ndim == 1 else windows.times[rows[part, None], index]
            )
        yield rows[part], steps[part], values, length, times
        at = stop


def _aligned_chunks(
    windows: WindowMatrix, shown: Mask, lengths: Index, *, with_times: bool
) -> Iterator[tuple[Index, Index, Matrix, Index, npt.NDArray[np.int64]]]:
    """The windows at the same steps of all rows of a window matrix, those of one length at a time, without padding."""
    count = len(windows.rows)
    for length in lengths.tolist():
        steps = np.flatnonzero(shown & (windows.hi - windows.lo == length))
        spans = np.lib.stride_tricks.sliding_window_view(windows.values, length, axis=1)
        moments = np.lib.stride_tricks.sliding_window_view(windows.times, length)
        chunk = max(1, _CELLS_MAX // (length * count))
        for at in range(0, len(steps), chunk):
            part = steps[at : at + chunk]
            size = len(part)
            yield (
                np.repeat(np.arange(count), size),
                np.tile(part, count),
                spans[:, windows.lo[part]].reshape(count * size, length),
                np.full(count * size, length),
                np.tile(moments[windows.lo[part]], (count, 1)) if with_times else _NO_TIMES,
            )


def reduce_windows(windows: WindowMatrix, mask: Mask, out: Matrix, reducer: Reducer) -> None:
    """Put `reducer`'s value of every window in `mask` into `out`."""
    for rows, steps, values, lengths, _ in window_chunks(windows, mask):
        out[rows, steps] = reducer(values, lengths)
