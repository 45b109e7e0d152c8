"""Runs of neighbouring items, taken out of an array or copied into another: how samples of series are put together.

By a loop in C where there is one; the twin goes over an array of places, which takes eight bytes and more time an item.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Final, TypeVar

import numpy as np
import numpy.typing as npt

from trimon.compiled.library import ADDRESS, INT64, address_of, function
from trimon.storage.head.arena import Floats, Int32s, Int64s, ragged_positions

Scalar = TypeVar("Scalar", bound=np.generic)
Items = npt.NDArray[Scalar]

_copy = function(
    "trimon_copy_runs", INT64, (ADDRESS, INT64, ADDRESS, ADDRESS, INT64, ADDRESS, INT64, ADDRESS)
)
_ITEM_BYTES: Final = 8
# A call keeps the interpreter's lock: more than half a million items, a millisecond, are several calls.
ITEMS_AT_ONCE: Final = 1 << 19


def taken_runs(items: Items[Scalar], starts: Int64s, lengths: Int64s | Int32s) -> Items[Scalar]:
    """The runs `items[start : start + length]`, one after the other. Raises IndexError."""
    if _copy is None or items.itemsize != _ITEM_BYTES or items.ndim != 1 or not items.flags.c_contiguous:
        return items[ragged_positions(starts, lengths.astype(np.int64, copy=False))]
    ends = np.cumsum(lengths, dtype=np.int64)
    total = int(ends[-1]) if len(ends) else 0
    out = np.empty(total, items.dtype)
    if total:
        _copied(items, starts, lengths, out, ends - lengths)
    return out


def copy_runs(items: Floats, starts: Int64s, lengths: Int64s | Int32s, out: Floats, places: Int64s) -> None:
    """Copies each run `items[start : start + length]` to its place in `out`; both are contiguous. Raises IndexError."""
    if _copy is None or not (items.flags.c_contiguous and out.flags.c_contiguous):
        copy_runs_plainly(items, starts, lengths.astype(np.int64, copy=False), out, places)
    else:
        _copied(items, starts, lengths, out, places)


def _copied(
    items: Items[Scalar], starts: Int64s, lengths: Int64s | Int32s, out: Items[Scalar], places: Int64s
) -> None:
    assert _copy is not None
    starts, lengths, places = (np.ascontiguousarray(each, np.int64) for each in (starts, lengths, places))
    edges = [0, len(starts)]
    if len(out) > ITEMS_AT_ONCE:
        ends = np.cumsum(lengths)
        cuts = np.searchsorted(ends, np.arange(ITEMS_AT_ONCE, ends[-1] if len(ends) else 0, ITEMS_AT_ONCE))
        edges = [0, *np.unique(cuts[cuts > 0]).tolist(), len(starts)]
    source, target = address_of(items), address_of(out)
    for begin, end in pairwise(edges):
        told = [address_of(each) + _ITEM_BYTES * begin for each in (starts, lengths, places)]
        if _copy(source, len(items), told[0], told[1], end - begin, target, len(out), told[2]):
            raise IndexError(f"a run is out of the bounds of {len(items)} or {len(out)} items")


def copy_runs_plainly(items: Floats, starts: Int64s, lengths: Int64s, out: Floats, places: Int64s) -> None:
    """The twin; runs of one length that lie at steady distances are copied as one matrix."""
    if not (places[1:] >= places[:-1]).all():
        order = np.argsort(places)
        starts, lengths, places = starts[order], lengths[order], places[order]
    count = len(starts)
    if not count:
        return
    gaps_in, gaps_out = np.diff(starts), np.diff(places)
    turns = np.flatnonzero((gaps_in[1:] != gaps_in[:-1]) | (gaps_out[1:] != gaps_out[:-1])) + 2
    resized = np.flatnonzero(lengths[1:] != lengths[:-1]) + 1
    if len(turns) + len(resized) > 8 + count // 4:
        out[ragged_positions(places, lengths)] = items[ragged_positions(starts, lengths)]
        return
    begins = [0]
    for place, free in sorted([(p, True) for p in turns.tolist()] + [(p, False) for p in resized.tolist()]):
        # the first distance within a matrix may be any
        if place != begins[-1] and not (free and place == begins[-1] + 1):
            begins.append(place)
    for begin, end in pairwise([*begins, count]):
        rows, run = end - begin, int(lengths[begin])
        strides = [8 * int(at[begin + 1] - at[begin]) if rows > 1 else 8 * run for at in (starts, places)]
        blocks = [
            np.lib.stride_tricks.as_strided(flat[int(at[begin]) :], (rows, run), (stride, 8))
            for flat, at, stride in zip((items, out), (starts, places), strides, strict=True)
        ]
        np.copyto(blocks[1], blocks[0])
