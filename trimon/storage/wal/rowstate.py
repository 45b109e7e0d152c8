"""The state on which the rows of a group in the log build.

The log does not write a row but how it differs from the group's row before. Who writes it and who reads it keep the same
state: the value each column had last, the columns of the last row, and how many rows and grants there were.
"""

from __future__ import annotations

import numpy as np

from trimon.storage.head.arena import Floats, Int64s
from trimon.storage.head.scrapegroup import NEVER_MS


class RowState:
    """The state of one group of a run."""

    __slots__ = ("columns", "grants", "rows", "values")

    def __init__(self) -> None:
        self.values: Floats = np.zeros(8)
        """The last value by column, 0.0 after a grant."""
        self.columns: Int64s | None = None
        """The columns of the last row."""
        self.rows = 0
        self.grants = 0

    def make_room(self, width: int) -> None:
        """Have values for columns below `width`."""
        room = len(self.values)
        if width > room:
            capacity = max(width, room * 2 if width < 1024 else width + width // 8)
            self.values = np.concatenate((self.values, np.zeros(capacity - room)))

    def forget_values(self) -> None:
        """Begin afresh: the next row builds on zeros. The array that was is left as it is."""
        self.values = np.zeros(len(self.values))


class UnpackedRows(RowState):
    """The state of a group whose rows go into a head, and the newest sample of each of its columns since the last grant."""

    __slots__ = ("newest", "newest_ms", "prefix", "samples")

    def __init__(self) -> None:
        super().__init__()
        self.prefix = 0
        """How many columns the last row had, where these are the first ones; else 0."""
        self.samples = 0
        """How many were unpacked."""
        self.newest_ms: Int64s = np.full(len(self.values), NEVER_MS, np.int64)
        self.newest: Floats = np.zeros(len(self.values))

    def make_room(self, width: int) -> None:
        """Have values for columns below `width`."""
        super().make_room(width)
        more = len(self.values) - len(self.newest)
        if more:
            self.newest_ms = np.concatenate((self.newest_ms, np.full(more, NEVER_MS, np.int64)))
            self.newest = np.concatenate((self.newest, np.zeros(more)))
