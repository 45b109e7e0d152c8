"""What a store holds in memory, by what it is for."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from trimon.storage.state import StoreCore

# A label pair that was seen: its value and the pair as objects, its number, and its place in a dictionary; letters apart.
_PAIR_BYTES = 250


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


def held_by(core: StoreCore) -> dict[str, int]:
    """Bytes by owner. Cheap: where there are many groups, heads are as the last maintenance found them."""
    heads, memory = core.measured_heads(), core.memory
    symbols = [live.head.index.symbols for live in core.state.heads]
    return {
        "head_rows": heads.rows_bytes,
        "head_pages": heads.pages_bytes,
        "head_pushed": heads.pushed_bytes,
        "head_index": heads.index_bytes,
        "head_symbols": sum(each.text_bytes + _PAIR_BYTES * each.pairs for each in symbols),
        "log": heads.log_bytes,
        "frames": memory.frames.used_bytes,
        "selections": memory.selections.used_bytes,
        "decoded_pages": core.pages.used_bytes,
        "decoded_indexes": core.cache.used_bytes,
    }
