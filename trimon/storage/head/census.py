"""Which series come and go: one that goes on in the head of the next window is neither new there nor gone with the last."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np

from trimon.storage.head.arena import Bools, Int32s
from trimon.storage.head.series import HeadSeries
from trimon.storage.head.view import HeadView

# Heads, and how many series of each count: those that came first.
Others: TypeAlias = "Sequence[tuple[HeadSeries, int]]"


def _of(view: HeadView, first: int, last: int) -> Int32s:
    """The series of a range, without components of histograms, which are none."""
    return view.components.without(np.arange(first, last, dtype=np.int32))


def _known(view: HeadView, series: Int32s, others: Others) -> Bools:
    """Which series of a head are in any of some others. It takes some microseconds a series."""
    known = np.zeros(len(series), np.bool_)
    for head, count in others:
        if not count:
            continue
        left = np.flatnonzero(~known)
        found = head.index.find_series(view.index, series[left])
        known[left] = (found >= 0) & (found < count)
    return known


def new_series(view: HeadView, first: int, others: Others) -> int:
    """How many series of a head, from one on, are in no other. The writer's turn, where it writes to the others."""
    return int((~_known(view, _of(view, first, view.index.series), others)).sum())


def common_series(view: HeadView, count: int, others: Others) -> int:
    """How many of the first series of a head are in any other. The writer's turn."""
    return int(_known(view, _of(view, 0, count), others).sum())
