"""Which series of a head are components of native histograms, and of which series; how their samples are judged.

A histogram comes as a marker in its series and a number in each of its components (`model/components.py`). All of it is
stored, or nothing: the verdict over the marker is that over the components of the same sample.

```text
                   alone            with its marker
marker  x   t=5    in order         in order
count   x   t=5    in order         in order
bucket  x   t=5    in order         in order      new: it has no sample before

marker  y   t=5    out of order     out of order  counted, once
count   y   t=5    out of order     left out
bucket  y   t=5    in order (!)     left out      it was not there when y's newest sample came
```
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from trimon.model.components import is_component
from trimon.model.labels import Labels
from trimon.storage.head.acceptance import DUPLICATE, IN_ORDER, LATE, SAME, Verdicts
from trimon.storage.head.arena import Arena, Bools, Int32s, Int64s, ragged_positions

# What stands for the place of a marker: the sample is no component; it is one, but its marker did not come with it.
NO_COMPONENT = -1
NO_MARKER = -2


class ComponentView:
    """The components of a source: `series` ascend, `owner[i]` is the series whose histograms `series[i]` is part of."""

    def __init__(self, series: Int32s, owner: Int32s) -> None:
        self.series = series
        self.owner = owner
        self._by_owner: tuple[Int64s, Int32s] | None = None

    def __len__(self) -> int:
        return len(self.series)

    def are_components(self, series: npt.NDArray[np.integer]) -> Bools:
        """Which of some series are components."""
        if not len(self.series):
            return np.zeros(len(series), np.bool_)
        place = np.minimum(np.searchsorted(self.series, series), len(self.series) - 1)
        found: Bools = self.series[place] == series
        return found

    def without(self, series: Int32s) -> Int32s:
        """Those of some series that are no components."""
        return series[~self.are_components(series)] if len(self.series) else series

    def owners_of(self, series: npt.NDArray[np.integer]) -> Int32s:
        """The series whose components some series are, -1 for those that are none."""
        if not len(self.series):
            return np.full(len(series), -1, np.int32)
        place = np.minimum(np.searchsorted(self.series, series), len(self.series) - 1)
        return np.where(self.series[place] == series, self.owner[place], np.int32(-1))

    def of(self, owners: Int32s) -> tuple[Int32s, Int64s]:
        """The components of some series, ascending, and the place in `owners` of the series of each."""
        if not len(self.series):
            return self.series, np.zeros(0, np.int64)
        if self._by_owner is None:
            order = np.argsort(self.owner, kind="stable")
            self._by_owner = order, self.owner[order]
        order, sorted_owner = self._by_owner
        first = np.searchsorted(sorted_owner, owners)
        counts = np.searchsorted(sorted_owner, owners, side="right") - first
        found = self.series[order[ragged_positions(first, counts)]]
        place = np.repeat(np.arange(len(owners)), counts)
        ascending = np.argsort(found, kind="stable")
        return found[ascending], place[ascending]


class ComponentBook:
    """The components of a head as they are made; `view` is for readers."""

    def __init__(self) -> None:
        self._series: Arena[np.int32] = Arena(np.int32, 0)
        self._owner: Arena[np.int32] = Arena(np.int32, 0)
        self.view = ComponentView(self._series.view(), self._owner.view())

    def __len__(self) -> int:
        return len(self._series)

    @property
    def size_bytes(self) -> int:
        """Memory held."""
        return self._series.size_bytes + self._owner.size_bytes

    def add(self, series: Int32s, owner: Int32s) -> None:
        """Note new components; they ascend and are greater than all before."""
        self._series.extend(series)
        self._owner.extend(owner)
        self.view = ComponentView(self._series.view(), self._owner.view())


def markers_in_row(series: Int64s, components: ComponentView) -> Int64s:
    """Where in a row, in which a series comes once, the marker of each sample is; see NO_COMPONENT and NO_MARKER."""
    owners = components.owners_of(series)
    out = np.full(len(series), NO_COMPONENT, np.int64)
    mine = np.flatnonzero(components.are_components(series))
    if len(mine):
        order = np.argsort(series, kind="stable")
        place = order[np.minimum(np.searchsorted(series[order], owners[mine]), len(series) - 1)]
        out[mine] = np.where(series[place] == owners[mine], place, NO_MARKER)
    return out


def markers_in_batch(label_sets: Sequence[Labels], series_index: Int32s, times: Int64s) -> Int64s:
    """Where in a batch, in which components follow their marker, that of each sample is; see NO_COMPONENT and NO_MARKER."""
    listed = np.fromiter(map(is_component, label_sets), np.bool_, len(label_sets))
    mine = listed[series_index]
    last = np.maximum.accumulate(np.where(mine, -1, np.arange(len(mine))))
    known = mine & (last >= 0)
    at = np.flatnonzero(known)
    # A series may be listed several times: its first place stands for it.
    owners: dict[Labels, int] = {}
    owner = np.array(
        [
            -1 if listed[number] else owners.setdefault(labels, number)
            for number, labels in enumerate(label_sets)
        ],
        np.int64,
    )
    owner_of = np.array(
        [owners.get(labels[1:], -1) if is_component(labels) else -1 for labels in label_sets], np.int64
    )
    fits = (owner_of[series_index[at]] == owner[series_index[last[at]]]) & (times[last[at]] == times[at])
    out = np.where(mine, NO_MARKER, NO_COMPONENT).astype(np.int64)
    out[at[fits]] = last[at[fits]]
    return out


def follow_markers(verdicts: Verdicts, markers: Int64s) -> None:
    """Give the components the verdicts over their markers, in place.

    A marker that is the same as before with other numbers is a duplicate. What of a histogram is left out is counted at its
    marker alone: components get the verdict SAME, by which nothing is stored or counted.
    """
    mine = np.flatnonzero(markers != NO_COMPONENT)
    if not len(mine):
        return
    alone = mine[markers[mine] == NO_MARKER]
    verdicts[alone] = SAME
    mine = mine[markers[mine] >= 0]
    own, ruling = verdicts[mine], verdicts[markers[mine]]
    differs = (ruling == SAME) & (own != SAME)
    verdicts[markers[mine[differs]]] = DUPLICATE
    out = np.full(len(mine), SAME, verdicts.dtype)
    out[(ruling == IN_ORDER) & (own == IN_ORDER)] = IN_ORDER
    # What lies there without a marker is older than the marker: what comes now is late.
    out[(ruling == IN_ORDER) & (own == LATE)] = LATE
    out[(ruling == LATE) & (own != SAME)] = LATE
    verdicts[mine] = out


def incomplete(label_sets: Sequence[Labels], found: Int32s) -> set[Labels]:
    """The series of which a component was refused: their histograms cannot be stored as a whole."""
    refused = (label_sets[place] for place in np.flatnonzero(found < 0).tolist())
    return {labels[1:] for labels in refused if is_component(labels)}
