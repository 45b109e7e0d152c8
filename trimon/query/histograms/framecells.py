"""Frames whose histograms are objects, from frames whose histograms are columns. For what is rare: it loops over samples."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from trimon.model.components import Layout, Part, is_marker
from trimon.model.frame import HistogramColumns, SampleFrame
from trimon.model.histogram import Buckets, FloatHistogram
from trimon.model.sample import STALE_NAN
from trimon.query.histograms.hints import HINTS
from trimon.query.histograms.matrix import Cells
from trimon.query.histograms.placed import Placed


def with_objects(frame: SampleFrame) -> SampleFrame:
    """The frame with `histograms` instead of `native`.

    A marker without numbers, as there may be where stored bytes are damaged, becomes a staleness marker.
    """
    native = frame.native
    if native is None:
        return frame
    placed = Placed.of(frame, native)
    cells = np.full(len(frame.values), None, np.object_)
    _fill(cells, native, placed)
    values, has_stale = frame.values.copy(), frame.has_stale
    markers = is_marker(values)
    empty = markers & (placed.layouts < 0)
    values[markers] = np.nan
    if empty.any():
        values[empty] = STALE_NAN
        before = np.concatenate([[0], np.cumsum(empty)])
        has_stale = has_stale | (before[frame.offsets[:-1] + frame.lengths] > before[frame.offsets[:-1]])
    return replace(
        frame,
        values=values,
        has_stale=has_stale,
        histograms=cells if (placed.layouts >= 0).any() else None,
        native=None,
        facts=None,
    )


def _fill(cells: Cells, native: HistogramColumns, placed: Placed) -> None:
    order = np.lexsort((native.index[placed.component], native.part[placed.component], placed.place))
    component, place = placed.component[order], placed.place[order]
    part, index, value = native.part[component], native.index[component], placed.value[order]
    edges = np.flatnonzero(np.diff(place)) + 1
    begins = [0, *edges.tolist()] if len(place) else []
    ends = [*edges.tolist(), len(place)]
    for begin, end in zip(begins, ends if begins else [], strict=True):
        at = int(place[begin])
        layout, hint = native.layouts[placed.layouts[at]], HINTS[placed.hints[at]]
        cells[at] = _histogram(layout, part[begin:end], index[begin:end], value[begin:end]).with_hint(hint)


def _histogram(layout: Layout, part: np.ndarray, index: np.ndarray, value: np.ndarray) -> FloatHistogram:
    """A histogram of numbers sorted by part and index."""
    bounds = np.searchsorted(part, np.arange(len(Part) + 1))

    def number(which: Part) -> float:
        return float(value[bounds[which]]) if bounds[which + 1] > bounds[which] else 0.0

    def buckets(which: Part) -> Buckets:
        taken = slice(bounds[which], bounds[which + 1])
        return Buckets(index[taken], value[taken])

    return FloatHistogram(
        layout.schema,
        layout.zero_threshold,
        number(Part.ZERO),
        number(Part.COUNT),
        number(Part.SUM),
        buckets(Part.POSITIVE),
        buckets(Part.NEGATIVE),
        layout.custom_values,
    )
