"""The columns that storage granted to the series of a target, and which of them are to end: a table of states.

Between two scrapes a series of the target is in one of these states:

    state     text in layout  column   what the next row has of it
    unknown        no           -      nothing
    offered        yes         -1      its labels and a value, under `new_series`; storage grants a column
    held           yes         >= 0    a value under its column
    refused        yes         -2      nothing, until a minute has passed
    ending         no      in _ending  a staleness marker; the column is given back
    unsure         no      in _unsure  nothing, or a value under new labels; then held, or lapsed
    lapsed         no      in _lapsed  a marker, unless the row offers series: it may be one of them, and is unsure again

                   body shows it               granted                 body does not show it
    unknown ----------------------> offered ------------> held ---------------------------------> ending
       ^                                                  |  ^  \\ fetch failed, or fault above it    | row stored
       |                                                  |  |   \\------------------------------> ending -> unknown
       |                             fault in body below it  | body shows it
       |                                                  v  |
       +---- inherited or lost: unsure -----------> held, without a value in that row

A body that fails (a line is no good, a limit is exceeded) stores none of its samples. Series that were read above the
fault get no marker either: nobody knows whether they are gone, so they stay held and are judged by the next good body.
Those that were not reached end, as all do when there is no answer. An empty body is a good scrape in which all end.
Texts of series that ended with a failure are remembered: when they come back they are not counted as added.

The report (`up`, `scrape_*`) has its columns behind those of the slots. Where the target itself exposes a series with the
labels of one, that wins: both are one series in storage, so the column moves to the slot, the report's own is SHADOWED,
and takes the column back as soon as the target no longer shows the series or the scrape fails.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from trimon.model.components import is_component
from trimon.model.labels import Labels
from trimon.model.rows import NO_COLUMNS, Columns, Row
from trimon.scrape.exposition.bodymemory import NOTHING, BodyReading, Ints

# Columns that are none: storage has granted none yet; it refused the series; the target exposes the report's series.
NO_COLUMN: Final = np.int32(-1)
REFUSED: Final = -2
SHADOWED: Final = -3
_NONE: Final[tuple[Ints, Sequence[Labels]]] = (NOTHING, ())


class SeriesColumns:
    """One column a slot of the layout, then those of the report. Not thread-safe."""

    def __init__(self, group: str, report_labels: tuple[Labels, ...]) -> None:
        self._group = group
        self._report_labels = report_labels
        self._columns: Columns = np.full(len(report_labels), -1, np.int32)
        self._ungranted = True
        # slots of series that the last body showed for the first time, and their labels
        self._fresh: tuple[Ints, Sequence[Labels]] = _NONE
        # by index in the report the slot of the series that shadows it
        self._shadows: dict[int, int] = {}
        self._offered: tuple[Ints, Sequence[Labels]] = _NONE
        # columns whose series are gone: they end with the next row
        self._ending: Columns = NO_COLUMNS
        # columns whose series may come back with the next row: what is not granted again then, lapses
        self._unsure: Columns = NO_COLUMNS
        # columns that did not come back: they end with the next row that offers no series
        self._lapsed: Columns = NO_COLUMNS
        # by slot the hash of the labels
        self._hashes: Ints = NOTHING

    @property
    def _slots(self) -> int:
        return len(self._columns) - len(self._report_labels)

    def move(self, reading: BodyReading, hashes: Ints) -> None:
        """The slots are new ones: columns move along, those of series that are gone end."""
        self._unshadow()
        self._hashes = hashes
        slots, old_slot = self._slots, reading.old_slot
        old, report = self._columns[:slots], self._columns[slots:]
        columns = np.append(old, NO_COLUMN)[old_slot]  # -1, for a new series, is the one that was appended
        left = np.ones(slots + 1, bool)
        left[old_slot] = False
        gone = old[left[:-1]]
        self._ending = _union(self._ending, gone[gone >= 0])
        self._columns = np.concatenate((columns, report))
        self._fresh = np.flatnonzero(old_slot < 0), reading.new_labels
        self._shadow(hashes)
        self._ungranted = bool(((self._columns < 0) & (self._columns != SHADOWED)).any())

    def _shadow(self, hashes: Ints) -> None:
        """Gives the columns of the report to the series that the target itself exposes under the same labels."""
        slots = self._slots
        for index, labels in enumerate(self._report_labels):
            found = np.flatnonzero(hashes == hash(labels))
            if not len(found):
                continue
            slot = int(found[0])
            self._shadows[index] = slot
            if self._columns[slot] == NO_COLUMN:
                self._columns[slot] = self._columns[slots + index]
            self._columns[slots + index] = SHADOWED

    def _unshadow(self) -> None:
        """Gives the report its columns back."""
        slots = self._slots
        for index, slot in self._shadows.items():
            self._columns = self._columns.copy()
            self._columns[slots + index] = self._columns[slot]
            self._columns[slot] = NO_COLUMN
        self._shadows = {}

    def row(
        self, values: npt.NDArray[np.float64] | list[float], timestamp_ms: int, *, report_only: bool = False
    ) -> Row:
        """The row of these values, of all slots and the report, or of the report alone."""
        first = self._slots if report_only else 0
        values = np.asarray(values, np.float64)
        if len(self._lapsed):
            self._settle_lapsed()
        if not self._ungranted and not self._shadows and not first:
            return Row(self._group, timestamp_ms, self._columns, values, ended=self._ending)
        columns = self._columns[first:]
        held = columns >= 0
        slots, offered = self._offered = self._offer(first)
        return Row(
            self._group,
            timestamp_ms,
            columns[held],
            values[held],
            offered,
            values[slots - first],
            self._ending,
        )

    def _settle_lapsed(self) -> None:
        """Ends what did not come back, unless it may be among the series that are offered now."""
        if len(self._fresh[0]):
            self._unsure = _union(self._unsure, self._lapsed)
        else:
            self._ending = _union(self._ending, self._lapsed)
        self._lapsed = NO_COLUMNS

    def _offer(self, first: int) -> tuple[Ints, Sequence[Labels]]:
        """The places to ask columns for: the new series in order, and the report while it has none."""
        columns, slots = self._columns, self._slots
        fresh, labels = self._fresh
        if not first and not self._shadows and not (columns[slots:] == NO_COLUMN).any():
            # so it is but for the first body: nothing is made of the labels
            return self._fresh
        offered = {
            slot: each
            for slot, each in zip(fresh.tolist(), labels, strict=True)
            if columns[slot] == NO_COLUMN and slot >= first
        }
        for index, each in enumerate(self._report_labels):
            place = self._shadows.get(index, slots + index)
            if columns[place] == NO_COLUMN and place >= first:
                offered[place] = each
        return np.fromiter(offered, np.int64, len(offered)), tuple(offered.values())

    def end_all_but(self, slots: Ints) -> None:
        """All series end but those of some slots, which are held without a value."""
        if not self._slots and not len(self._unsure) and not len(self._lapsed):
            return  # a target that stays down
        self._unshadow()
        held = self._columns[: self._slots]
        going_on = held[slots]
        ending = np.setdiff1d(held[held >= 0], going_on)
        self._ending = _union(self._ending, self._unsure, self._lapsed, ending)
        self._unsure = self._lapsed = NO_COLUMNS
        self._columns = np.concatenate((going_on, self._columns[self._slots :]))
        self._ungranted = True
        self._fresh = _NONE

    def granted(self, granted: Columns) -> None:
        """The last row is stored; these are the columns of the series that it offered, -1 where one is refused."""
        self._ending = NO_COLUMNS
        if not self._ungranted and not self._shadows:
            return
        columns = self._columns.copy()
        slots, offered = self._offered
        columns[slots] = np.where(granted >= 0, granted, np.int32(REFUSED))
        refused = np.flatnonzero(granted < 0).tolist()
        lacking = {labels[1:] for labels in (offered[place] for place in refused) if is_component(labels)}
        if lacking:
            self._refuse_histograms(columns, lacking)
        self._columns = columns
        self._offered = _NONE
        self._fresh = _NONE
        self._ungranted = bool(((columns < 0) & (columns != SHADOWED)).any())
        if len(self._unsure):
            self._lapsed = np.setdiff1d(self._unsure, columns).astype(np.int32)
            self._unsure = NO_COLUMNS

    def _refuse_histograms(self, columns: Columns, lacking: set[Labels]) -> None:
        """A histogram without one of its components would be another: as a whole it is refused, or ends."""
        hashes = [hash(labels) for labels in lacking]
        slots = np.flatnonzero(np.isin(self._hashes, hashes))
        held = columns[slots]
        self._ending = _union(self._ending, held[held >= 0])
        columns[slots] = REFUSED

    def lost(self) -> None:
        """The last row is not stored: what was to end may still be there."""
        self._unsure = _union(self._unsure, self._lapsed, self._ending)
        self._ending = self._lapsed = NO_COLUMNS
        self.relearn()

    def relearn(self) -> None:
        """All series are offered anew; their columns end unless storage grants them again."""
        self._unshadow()
        held = self._columns[: self._slots]
        self._unsure = _union(self._unsure, held[held >= 0])
        self._columns = self._columns[self._slots :].copy()
        self._ungranted = True
        self._fresh = _NONE

    def held(self) -> Columns:
        """All columns that storage granted and that have not ended."""
        return _union(self._ending, self._unsure, self._lapsed, self._columns[self._columns >= 0])

    def inherit(self, held: Columns) -> None:
        """Columns of a predecessor: what the first body does not show again of their series, ends."""
        self._unsure = _union(self._unsure, held)

    def end(self, timestamp_ms: int) -> Row | None:
        """The row that ends every series, the report's too; None when there never was one."""
        columns = self.held()
        if not len(columns):
            return None
        return Row(self._group, timestamp_ms, NO_COLUMNS, np.zeros(0, np.float64), ended=columns)


def _union(*parts: npt.NDArray[np.int32]) -> Columns:
    parts = tuple(part for part in parts if len(part))
    if not parts:
        return NO_COLUMNS
    if len(parts) == 1:  # which has each column once
        return np.sort(parts[0])
    return np.unique(np.concatenate(parts)).astype(np.int32)
