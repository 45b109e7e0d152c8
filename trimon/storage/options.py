"""How a store is set up."""

from __future__ import annotations

from pathlib import Path
from typing import Final, Literal

from trimon.records import dataclass

HOUR_MS: Final = 3_600_000
DAY_MS: Final = 24 * HOUR_MS


@dataclass(frozen=True, slots=True)
class StoreLimits:
    """The settings of a store that a reload may change, as in `StoreOptions`."""

    out_of_order_window_ms: int
    retention_ms: int
    retention_bytes: int
    retention_percentage: float
    exemplars_max: int


@dataclass(frozen=True, slots=True)
class StoreOptions:
    """The settings of a store; zero switches a limit off.

    `series_max` caps the series of the newest head, `exemplars_max` the ring of exemplars. The block range
    `min_block_ms` is also the window of a head. With `strict_reads` a query that touches damage is refused instead of
    answered with a warning.
    """

    path: Path
    fsync: Literal["always", "interval", "never"] = "interval"
    out_of_order_window_ms: int = 0
    retention_ms: int = 15 * DAY_MS
    retention_bytes: int = 0
    retention_percentage: float = 0.0
    series_max: int = 0
    min_block_ms: int = 2 * HOUR_MS
    max_block_ms: int = 0
    wal_segment_bytes: int = 64 * 2**20
    lockfile: bool = True
    exemplars_max: int = 100_000
    strict_reads: bool = False
    keeps_blocks: bool = True
    """Whether a window that is over becomes blocks; an agent lets go of it, and its log stays for receivers alone."""

    @property
    def block_ms_max(self) -> int:
        """The longest range blocks are merged to: as set, or a tenth of the retention, at most 31 days."""
        if self.max_block_ms:
            return max(self.max_block_ms, self.min_block_ms)
        tenth = self.retention_ms // 10 if self.retention_ms > 0 else 31 * DAY_MS
        return max(self.min_block_ms, min(31 * DAY_MS, tenth))
