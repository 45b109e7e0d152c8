"""The cells of one row, each with the series it is of."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from trimon.model.rows import Row
from trimon.storage.head.arena import Floats, Int64s
from trimon.storage.head.scrapegroup import ScrapeGroup, Span


class RowCells(NamedTuple):
    """The cells of one row, resolved: `foreign` are positions whose series is placed in another group.

    `span` are the series once more, as `ResolvedColumns` has them; `prefix` says that the columns are the first of the group.
    """

    columns: Int64s
    series: Int64s
    span: Span
    values: Floats
    prefix: bool
    foreign: Int64s

    @classmethod
    def of(cls, group: ScrapeGroup, columns: Int64s, values: Floats) -> RowCells:
        """The cells of any columns of a group."""
        series = group.series[columns].astype(np.int64)
        prefix = bool(len(columns) and (columns == np.arange(len(columns))).all())
        return cls(columns, series, series, values, prefix, np.flatnonzero(~group.placed[columns]))

    def at(self, places: Int64s) -> RowCells:
        """Those at some positions, none of which is foreign."""
        series = self.series[places]
        return RowCells(self.columns[places], series, series, self.values[places], False, self.foreign[:0])


def ended_columns(group: ScrapeGroup, row: Row, shown: Int64s, granted: Int64s) -> Int64s:
    """The columns of a group that end with a row, which shows some and was granted others; ascending.

    A sender that is not sure ends too much rather than too little: what has ended already, or goes on in this very row, is
    left alone.
    """
    ended = row.ended.astype(np.int64)
    if not len(ended):
        return ended
    ending = np.zeros(group.width, np.bool_)
    ending[ended[(ended >= 0) & (ended < group.width)]] = True
    ending &= group.granted[: group.width]
    ending[shown] = ending[granted] = False
    return np.flatnonzero(ending)
