"""What heads hold in memory, by what it is for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from trimon.storage.head.head import Head
from trimon.storage.statistics import chunk_count
from trimon.storage.wal.log import HeadLog


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

    @classmethod
    def of(cls, heads: Sequence[Head], logs: Sequence[HeadLog]) -> HeadMemory:
        """Counted anew, which takes milliseconds for a thousand groups."""
        return cls(
            sum(chunk_count(head.view) for head in heads),
            sum(_rows_bytes(head) for head in heads),
            sum(chunk.mapped_bytes for head in heads for group in head.groups for chunk in group.view.raw),
            sum(page.size_bytes for head in heads for group in head.groups for page in group.view.sealed),
            sum(head.loose.size_bytes() for head in heads),
            sum(head.index_bytes() for head in heads),
            sum(log.size_bytes for log in logs),
        )


def _rows_bytes(head: Head) -> int:
    """About how much memory unsealed rows take; of a chunk what is filled."""
    chunks = [chunk for group in head.groups for chunk in group.view.raw]
    owners = {id(chunk.series): chunk.series.nbytes for chunk in chunks}
    return sum(owners.values()) + sum(chunk.filled_bytes for chunk in chunks)
