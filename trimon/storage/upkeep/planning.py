"""What maintenance is due: a pure function of blocks, heads and options."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TypeAlias

from trimon.records import dataclass
from trimon.storage.block.meta import BlockMeta
from trimon.storage.options import StoreOptions

# Blocks with deletions in more than this share of their series are rewritten.
_TOMBSTONE_SHARE = 0.05
# How long after its end a window is cut into a block: stragglers still find their head.
SETTLE_SHARE = 12
# Time runs faster in samples that catch up: their stragglers are waited for by the clock, until the samples are so
# far past the window that nothing more is taken for it.
QUIET_MS = 1000
CLOSED_SHARE = 2
_RANGE_FACTOR = 3


@dataclass(frozen=True, slots=True)
class HeadState:
    """A head as the plan sees it: its window, its newest sample, the wall clock of its last append."""

    start_ms: int
    end_ms: int
    samples: int
    last_append_ms: int


@dataclass(frozen=True, slots=True)
class PlannedCut:
    """Write the heads of a window as blocks."""

    start_ms: int
    end_ms: int


@dataclass(frozen=True, slots=True)
class PlannedMerge:
    """Write several blocks as one, or one without what was deleted from it."""

    blocks: tuple[BlockMeta, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class PlannedDrop:
    """Remove blocks that are beyond a retention."""

    blocks: tuple[BlockMeta, ...]
    reason: str


Action: TypeAlias = PlannedCut | PlannedMerge | PlannedDrop


@dataclass(frozen=True, slots=True)
class DiskUsage:
    """Bytes outside of blocks, and of the whole file system (0: unknown)."""

    wal_bytes: int = 0
    disk_bytes: int = 0


def plan_actions(
    blocks: Sequence[BlockMeta],
    heads: Sequence[HeadState],
    newest_ms: int,
    now_ms: int,
    options: StoreOptions,
    usage: DiskUsage,
    held: Collection[str] = (),
) -> list[Action]:
    """What to do next, in this order; to be asked again when it is done. Empty: nothing is due.

    Blocks that are `held` are not merged for now.
    """
    actions: list[Action] = []
    dropped = plan_retention(blocks, now_ms, options, usage)
    actions.extend(dropped)
    gone = {meta.ulid for drop in dropped for meta in drop.blocks}.union(held)
    cuts = plan_cuts(heads, newest_ms, now_ms, options)
    actions.extend(cuts[:1])
    if not cuts:
        merge = plan_merge([meta for meta in blocks if meta.ulid not in gone], options)
        actions.extend([merge] if merge is not None else [])
    return actions


def plan_cuts(
    heads: Sequence[HeadState], newest_ms: int, now_ms: int, options: StoreOptions
) -> list[PlannedCut]:
    """Windows to be cut, oldest first.

    A window is due when samples have arrived from some time after its end and it gets no more itself, or when that
    much time has passed by the clock as well as since the last append to it.
    """
    settle_ms = options.min_block_ms // SETTLE_SHARE
    closed_ms = options.min_block_ms // CLOSED_SHARE
    last_append_ms: dict[tuple[int, int], int] = {}
    for head in heads:
        window = (head.start_ms, head.end_ms)
        last_append_ms[window] = max(head.last_append_ms, last_append_ms.get(window, head.last_append_ms))
    due = []
    for (start_ms, end_ms), append_ms in last_append_ms.items():
        silent_ms = now_ms - append_ms
        left_behind = newest_ms >= end_ms + (settle_ms if silent_ms >= QUIET_MS else closed_ms)
        passed = now_ms >= end_ms + settle_ms and silent_ms >= settle_ms
        if left_behind or passed:
            due.append((start_ms, end_ms))
    with_data = {(head.start_ms, head.end_ms) for head in heads if head.samples}
    return [PlannedCut(*window) for window in sorted(with_data.intersection(due))]


def block_ranges(options: StoreOptions) -> list[int]:
    """Block lengths by level: powers of three of the shortest, up to the longest allowed."""
    ranges = [options.min_block_ms]
    while ranges[-1] * _RANGE_FACTOR <= options.block_ms_max:
        ranges.append(ranges[-1] * _RANGE_FACTOR)
    return ranges


def plan_merge(blocks: Sequence[BlockMeta], options: StoreOptions) -> PlannedMerge | None:
    """The next blocks to merge: overlapping ones, then full windows, then those with many deletions."""
    usable = sorted((meta for meta in blocks if not meta.failed), key=lambda meta: (meta.min_ms, meta.max_ms))
    overlapping = _overlapping(usable)
    if overlapping:
        return PlannedMerge(tuple(overlapping), "overlap")
    ranges = block_ranges(options)
    failed = [meta for meta in blocks if meta.failed]
    if len(usable) > 1:
        newest = usable[-1]
        for length_ms in ranges[1:]:
            window = _full_window(usable[:-1], failed, length_ms, newest.min_ms)
            if window:
                return PlannedMerge(tuple(window), "level")
    for meta in usable[:-1]:
        if meta.tombstones and (
            meta.tombstones >= meta.series
            or (meta.max_ms - meta.min_ms >= ranges[len(ranges) // 2] and _many_deleted(meta))
        ):
            return PlannedMerge((meta,), "tombstones")
    return None


def _many_deleted(meta: BlockMeta) -> bool:
    return meta.tombstones / (meta.series + 1) > _TOMBSTONE_SHARE


def _overlapping(blocks: Sequence[BlockMeta]) -> list[BlockMeta]:
    """The first chain of blocks whose ranges overlap; `blocks` sorted by start."""
    chain: list[BlockMeta] = []
    end_ms = 0
    for meta in blocks:
        if chain and meta.min_ms < end_ms:
            chain.append(meta)
            end_ms = max(end_ms, meta.max_ms)
        elif len(chain) > 1:
            return chain
        else:
            chain, end_ms = [meta], meta.max_ms
    return chain if len(chain) > 1 else []


def _full_window(
    blocks: Sequence[BlockMeta], failed: Sequence[BlockMeta], length_ms: int, newest_start_ms: int
) -> list[BlockMeta]:
    """The oldest aligned window of this length that holds at least two blocks and will get no more."""
    windows: dict[int, list[BlockMeta]] = {}
    for meta in blocks:
        window = meta.min_ms // length_ms
        if meta.max_ms <= (window + 1) * length_ms:
            windows.setdefault(window, []).append(meta)
    for window in sorted(windows):
        members = windows[window]
        start_ms, end_ms = window * length_ms, (window + 1) * length_ms
        spanned = max(meta.max_ms for meta in members) - min(meta.min_ms for meta in members) == length_ms
        broken = any(meta.min_ms < end_ms and meta.max_ms > start_ms for meta in failed)
        complete = spanned or max(meta.max_ms for meta in members) <= newest_start_ms
        if len(members) > 1 and complete and not broken and (spanned or end_ms <= newest_start_ms):
            return members
    return []


def plan_retention(
    blocks: Sequence[BlockMeta], now_ms: int, options: StoreOptions, usage: DiskUsage
) -> list[PlannedDrop]:
    """Blocks beyond the retention by time, size or share of the disk.

    The newest block always stays as far as time goes, and a block from the future does not age the others.
    """
    newest_first = sorted(blocks, key=lambda meta: (meta.max_ms, meta.min_ms), reverse=True)
    drops: list[PlannedDrop] = []
    kept = newest_first
    if options.retention_ms > 0 and newest_first:
        reference_ms = max((meta.max_ms for meta in newest_first if meta.max_ms <= now_ms), default=now_ms)
        old = [meta for meta in newest_first[1:] if reference_ms - meta.max_ms >= options.retention_ms]
        if old:
            drops.append(PlannedDrop(tuple(old), "time"))
            kept = [meta for meta in newest_first if meta not in old]
    limit = options.retention_bytes
    if options.retention_percentage > 0 and usage.disk_bytes > 0:
        limit = int(usage.disk_bytes * options.retention_percentage / 100)
    if limit > 0:
        total = usage.wal_bytes
        for place, meta in enumerate(kept):
            total += meta.size_bytes
            if total > limit:
                drops.append(PlannedDrop(tuple(kept[place:]), "size"))
                break
    return drops
