"""Which sample of its series each number of a native histogram belongs to."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from trimon.model.components import MarkerFlags as Flags
from trimon.model.components import Part, is_marker, marker_flags
from trimon.model.frame import HistogramColumns, SampleFrame
from trimon.model.sample import is_stale
from trimon.query.histograms.hints import GAUGE, NOT_RESET, UNKNOWN
from trimon.records import dataclass

Index = npt.NDArray[np.intp]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Placed:
    """The numbers that mean something, by component and time, and what is known of the samples they belong to.

    Number `i` is of component `component[i]`, and of the sample at `place[i]` in the values of the frame. For each of
    these `layouts` is the number of its layout, -1 where it is no histogram, and `hints` a code of it.
    """

    component: Index
    place: Index
    value: npt.NDArray[np.float64]
    layouts: npt.NDArray[np.int32]
    hints: npt.NDArray[np.uint8]

    @classmethod
    def of(cls, frame: SampleFrame, native: HistogramColumns) -> Placed:
        """All numbers of the histograms of a frame."""
        lengths = native.frame.lengths
        component = np.repeat(np.arange(len(native.row)), lengths)
        within = np.arange(len(component)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        value = native.frame.values[np.repeat(native.frame.offsets[:-1], lengths) + within]
        place = _places(frame, native)
        markers = is_marker(frame.values)
        kept = (place >= 0) & ~is_stale(value)
        kept &= markers[place]
        layouts = np.full(len(frame.values), -1, np.int32)
        counts = kept & (native.part == Part.COUNT)[component]
        layouts[place[counts]] = native.layout[component[counts]]
        kept &= native.layout[component] == layouts[place]
        component, place, value = component[kept], place[kept], value[kept]
        falls = _falls(native, component, place, value, len(layouts))
        gauges = (layouts >= 0) & ((marker_flags(frame.values) & Flags.GAUGE) != 0)
        return cls(component, place, value, layouts, _hints(frame, layouts, gauges, falls))


def _places(frame: SampleFrame, native: HistogramColumns) -> Index:
    """For every sample of the components the place of the sample of its row at that time; -1 where there is none."""
    found: list[Index] = []
    known: dict[tuple[int, int], Index] = {}
    own = native.frame
    mine, theirs = own.time_of_row.tolist(), frame.time_of_row[native.row].tolist()
    for pair in zip(mine, theirs, strict=True):
        if pair not in known:
            known[pair] = places_within(times_of(own, pair[0]), times_of(frame, pair[1]))
        found.append(known[pair])
    if not found:
        return np.zeros(0, np.intp)
    places = np.concatenate(found)
    begins = np.repeat(frame.offsets[native.row], [len(part) for part in found])
    return np.where(places >= 0, places + begins, -1)


def times_of(frame: SampleFrame, array: int) -> npt.NDArray[np.int64]:
    """One of the timestamp arrays of a frame."""
    return frame.times[int(frame.time_offsets[array]) : int(frame.time_offsets[array + 1])]


def places_within(times: npt.NDArray[np.int64], others: npt.NDArray[np.int64]) -> Index:
    """Where each of some ascending times is among others; -1 where it is not."""
    if not len(others):
        return np.full(len(times), -1, np.intp)
    at = np.minimum(np.searchsorted(others, times), len(others) - 1)
    return np.where(others[at] == times, at, -1)


def _falls(
    native: HistogramColumns, component: Index, place: Index, value: npt.NDArray[np.float64], samples: int
) -> Mask:
    """At which samples a count is lower than at the one before, or gone."""
    falls = np.zeros(samples + 1, np.bool_)
    if len(value):
        after = np.zeros(len(value))
        follows = (component[1:] == component[:-1]) & (place[1:] == place[:-1] + 1)
        after[:-1][follows] = value[1:][follows]
        fell = (after < value) & (native.part != Part.SUM)[component]
        falls[place[fell] + 1] = True
    return falls[:-1]


def _hints(
    frame: SampleFrame, layouts: npt.NDArray[np.int32], gauges: Mask, falls: Mask
) -> npt.NDArray[np.uint8]:
    """What is known of counter resets: a sample that follows its like and has not fallen was not reset."""
    known = np.zeros(len(layouts), np.bool_)
    known[1:] = (layouts[1:] >= 0) & (layouts[1:] == layouts[:-1]) & ~gauges[:-1] & ~falls[1:]
    begins = frame.offsets[:-1]
    known[begins[begins < len(known)]] = False
    hints = np.where(known, NOT_RESET, UNKNOWN).astype(np.uint8)
    hints[gauges] = GAUGE
    return hints
