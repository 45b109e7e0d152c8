"""The figures of a store behind the self metrics."""

from __future__ import annotations

from dataclasses import field

from trimon.records import dataclass
from trimon.storage.state import StoreCore


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
    return StoreFigures(
        head_series=max((view.index.series - len(view.components) for view in views), default=0),
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
