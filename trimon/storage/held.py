"""What heads hold in memory, by what it is for."""

from __future__ import annotations

from typing import NamedTuple


class HeadMemory(NamedTuple):
    """Bytes of all heads and their logs."""

    chunks: int
    """How many chunks that is."""
    rows_bytes: int
    """Rows of scrapes that are not sealed."""
    mapped_bytes: int
    """Of the rows, those in mappings of their own, beside the heap."""
    pages_bytes: int
    """Sealed pages."""
    pushed_bytes: int
    """Samples that do not come in rows."""
    index_bytes: int
    """Which series there are, in which columns of groups their samples are, and the newest of each."""
    log_bytes: int
    """The last row of each group, by which the log writes the next one."""

    @property
    def size_bytes(self) -> int:
        """All of it."""
        return self.rows_bytes + self.pages_bytes + self.pushed_bytes + self.index_bytes + self.log_bytes
