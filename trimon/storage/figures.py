"""The figures of a store behind the self metrics, and what it holds in memory."""

from __future__ import annotations

from dataclasses import field
from typing import Final

from trimon.records import dataclass
from trimon.storage.state import StoreCore

# A label pair that was seen: its value and the pair as objects, its number, and its place in a dictionary; letters apart.
_PAIR_BYTES: Final = 250


@dataclass(frozen=True, slots=True)
class StoreFigures:
    """Gauges and counters of a store at one moment; times are None where there is nothing."""

    head_series: int
    head_chunks: int
    head_samples: int
    head_min_ms: int | None
    head_max_ms: int | None
    head_bytes: int
    loose_samples: int
    symbol_bytes: int
    blocks: int
    blocks_bytes: int
    lowest_ms: int | None
    wal_bytes: int
    wal_segment: int
    cache_bytes: int
    kept_bytes: int
    counts: dict[str, int] = field(default_factory=dict)


def figures_of(core: StoreCore, wal_bytes: int) -> StoreFigures:
    """The figures now. Cheap."""
    state = core.state
    views = [live.head.view for live in state.heads]
    filled = [view for view in views if view.samples]
    logs = [live.log for live in state.heads if live.log is not None]
    first_ms = min((view.min_ms for view in filled), default=None)
    block_times = [block.meta.min_ms for block in state.blocks]
    heads = core.measured_heads()
    living = core.counts["series_created"] - core.counts["series_removed"]
    # Pages are made of rows, which makes fewer chunks of several: a counter stays where it is then.
    created = max(core.counts["chunks_created"], heads.chunks + core.counts["chunks_removed"])
    core.counts["chunks_created"] = created
    return StoreFigures(
        head_series=max([living, *(view.index.series - len(view.components) for view in views)]),
        head_chunks=heads.chunks,
        head_samples=sum(view.samples for view in views),
        head_min_ms=first_ms,
        head_max_ms=max((view.max_ms for view in filled), default=None),
        head_bytes=heads.size_bytes,
        loose_samples=sum(view.loose.samples for view in views),
        symbol_bytes=sum(live.head.index.symbols.text_bytes for live in state.heads),
        blocks=len(state.blocks),
        blocks_bytes=sum(block.size_bytes for block in state.blocks),
        lowest_ms=min([*block_times, *([first_ms] if first_ms is not None else [])], default=None),
        wal_bytes=wal_bytes,
        wal_segment=max((log.segment for log in logs), default=0),
        cache_bytes=core.cache.used_bytes + core.pages.used_bytes,
        kept_bytes=core.memory.used_bytes,
        counts=dict(core.counts),
    )


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
