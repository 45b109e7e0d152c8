"""The cells of a row: which columns end with it, and whose series they are."""

from __future__ import annotations

import numpy as np

from tests.storage.conftest import START_MS, first_row, series
from trimon.model.rows import Row
from trimon.storage.head.acceptance import TimeBounds
from trimon.storage.head.head import Head
from trimon.storage.head.rowcells import RowCells, ended_columns
from trimon.storage.head.scrapegroup import ScrapeGroup

NAMES = [series("a", i=str(i)) for i in range(4)]
BOUNDS = TimeBounds(START_MS, START_MS + 7_200_000, None)


def filled() -> tuple[Head, ScrapeGroup]:
    """A head with a group of four columns."""
    head = Head(START_MS, START_MS + 7_200_000)
    head.append_row(first_row("g", START_MS, dict.fromkeys(NAMES, 1.0)), BOUNDS)
    return head, head.group("g")


def ending(group: ScrapeGroup, ended: list[int], shown: list[int], granted: list[int]) -> list[int]:
    row = Row("g", START_MS + 1, np.zeros(0, np.int32), np.zeros(0), ended=np.array(ended, np.int32))
    found: list[int] = ended_columns(
        group, row, np.array(shown, np.int64), np.array(granted, np.int64)
    ).tolist()
    return found


def test_only_columns_that_are_held_and_not_shown_end() -> None:
    """A sender that is not sure may end too much: what it shows, was just granted or never had goes on."""
    _, group = filled()
    assert ending(group, [3, 1, 1], [], []) == [1, 3]
    assert ending(group, [0, 1, 2, 3], [0], [2]) == [1, 3]
    assert ending(group, [-1, 4, 1000], [], []) == []
    group.hand_back(np.array([1], np.int64))
    assert ending(group, [1, 3], [], []) == [3]
    assert ending(group, [], [], []) == []


def test_cells_know_their_series_and_whether_they_come_first() -> None:
    """Columns from the first one on without a gap are a prefix; series that another group has are foreign."""
    head, group = filled()
    numbers = head.index.find(NAMES).tolist()
    cells = RowCells.of(group, np.arange(3), np.array([1.0, 2.0, 3.0]))
    assert (cells.series.tolist(), cells.prefix, cells.foreign.tolist()) == (numbers[:3], True, [])
    cells = RowCells.of(group, np.array([0, 2]), np.array([1.0, 3.0]))
    assert (cells.series.tolist(), cells.prefix) == ([numbers[0], numbers[2]], False)
    head.append_row(first_row("other", START_MS + 1, dict.fromkeys(NAMES[:2], 1.0)), BOUNDS)
    other = head.group("other")
    assert RowCells.of(other, np.arange(2), np.zeros(2)).foreign.tolist() == [0, 1]


def test_some_cells_are_no_prefix_any_more() -> None:
    """Cells at some positions keep column, series and value."""
    _, group = filled()
    whole = RowCells.of(group, np.arange(4), np.arange(4.0))
    part = whole.at(np.array([1, 3]))
    assert (part.columns.tolist(), part.values.tolist(), part.prefix) == ([1, 3], [1.0, 3.0], False)
    assert part.series.tolist() == part.span.tolist() == whole.series[[1, 3]].tolist()  # type: ignore[union-attr]  # an array, as made
