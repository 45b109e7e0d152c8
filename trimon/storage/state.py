"""What the parts of a store share: settings, seams, and the state readers see."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import field
from pathlib import Path
from typing import Any, NamedTuple

from trimon.clock import Clock
from trimon.errors import OperatingError
from trimon.files import Files
from trimon.random import Randomness
from trimon.records import dataclass
from trimon.storage.block.cache import CACHE_BYTES, ArrayCache
from trimon.storage.block.damage import Loss
from trimon.storage.block.meta import BlockMeta, BlockNames
from trimon.storage.block.reader import Block
from trimon.storage.growth import SeriesMarks
from trimon.storage.head.census import Others, common_series, new_series
from trimon.storage.head.head import Head
from trimon.storage.head.scrapegroup import NEVER_MS
from trimon.storage.held import HeadMemory
from trimon.storage.options import StoreOptions
from trimon.storage.problems import Problems
from trimon.storage.read.cachedsnapshot import CachedSnapshot
from trimon.storage.read.framecache import SELECTIONS_BYTES, FrameCache, frames_bytes
from trimon.storage.read.settledsource import SettledSource
from trimon.storage.read.snapshot import StoreSnapshot
from trimon.storage.wal.ends import save_ends, write_identity
from trimon.storage.wal.kept import KeptLog
from trimon.storage.wal.lazy import GROUPS_OF_LOG
from trimon.storage.wal.log import HeadLog

# Up to this many groups are measured whenever somebody asks.
_GROUPS_MAX = 1000


@dataclass(slots=True, eq=False)
class LiveHead:
    """A head and the runs of the log it can be rebuilt from; `log` is None once nothing more is appended."""

    head: Head
    log: HeadLog | None
    epochs: frozenset[int]
    last_append_ms: int
    foreign_notes: list[tuple[int, list[Any]]] = field(default_factory=list)
    """Deletions in it that stand in the logs of other runs, each with the run: a head without a log has none of its own."""
    marks: SeriesMarks = field(init=False)
    counted: int = 0
    """So many of its series, which came first, are in the count of series that there ever were."""

    def __post_init__(self) -> None:
        self.marks = SeriesMarks(self.last_append_ms, len(self.head.index))


class StoreState(NamedTuple):
    """Everything readers see; replaced as a whole."""

    blocks: tuple[Block, ...]
    heads: tuple[LiveHead, ...]

    def sources(self) -> list[SettledSource]:
        """Blocks, oldest first, then heads: the earlier one's samples win."""
        return [*self.blocks, *(live.head.view for live in self.heads)]


def _counted(lives: Iterable[LiveHead]) -> Others:
    """Heads, and how many of their series are counted already."""
    return [(live.head, live.counted) for live in lives]


class StoreCore:
    """What the parts of a store share. Who changes heads or the state holds `writing`; readers only read `state`."""

    def __init__(self, options: StoreOptions, files: Files, clock: Clock, randomness: Randomness) -> None:
        self.options = options
        self.files = files
        self.clock = clock
        self.randomness = randomness
        self.names = BlockNames(clock, randomness)
        self.cache = ArrayCache()
        """Decoded parts of blocks."""
        self.pages = ArrayCache()
        """Decoded pages of heads, which every dashboard asks for again and again."""
        self.memory = FrameCache(frames_bytes())
        self.memory_series_max = 0
        """The most series of a head that memory allows; 0 for any number."""
        self.writing = threading.RLock()
        self.state = StoreState((), ())
        self.newest_ms = NEVER_MS
        self.counts: Counter[str] = Counter()
        self.problems = Problems(clock)
        self.lost: tuple[Loss, ...] = ()
        """What cannot be read of blocks that were set aside, and of heads that became blocks; replaced as a whole."""
        self.kept_log = KeptLog(files, options.path, clock)
        """Runs that are in blocks and that somebody still sends from."""
        self.log_id = ""
        self.is_named = False
        """Whether the name of the log is written down."""
        self.refusal = ""
        """Why nothing may be written to the data directory, which is that of somebody else; empty if it may."""
        self.missing_blocks: set[str] = set()
        """Blocks in use whose files were removed."""
        self.is_held: Callable[[BlockMeta, int], bool] | None = None
        """Which blocks are not to be merged at a time."""
        self._measured: HeadMemory | None = None

    @property
    def path(self) -> Path:
        """The data directory."""
        return self.options.path

    @property
    def wal_path(self) -> Path:
        """The directory of the log's segments."""
        return self.options.path / "wal"

    def snapshot(self) -> StoreSnapshot:
        """All data as of the last complete append."""
        state = self.state
        self.memory.serve(state)
        return CachedSnapshot(state.sources(), self.memory, self.lost, strict=self.options.strict_reads)

    @property
    def series_max(self) -> int:
        """The most series that the newest head may have; 0 for any number."""
        limits = [limit for limit in (self.options.series_max, self.memory_series_max) if limit]
        return min(limits, default=0)

    @property
    def caches_bytes(self) -> int:
        """What all caches hold."""
        return self.cache.used_bytes + self.pages.used_bytes + self.memory.used_bytes

    def limit_caches(self, size_bytes: int) -> None:
        """All caches together hold no more than this, nor each more than it would."""
        parts = {
            self.cache: CACHE_BYTES,
            self.pages: CACHE_BYTES,
            self.memory.selections: SELECTIONS_BYTES,
            self.memory.frames: frames_bytes(),
        }
        part = min(size_bytes / sum(parts.values()), 1.0)
        for cache, most_bytes in parts.items():
            cache.limit(int(most_bytes * part))

    def shed_caches(self) -> None:
        """Forget what caches hold."""
        for cache in (self.cache, self.pages, self.memory):
            cache.clear()

    def forget_unused(self) -> int:
        """Forget what was not used since the call before the last one; the bytes it held."""
        caches = (self.cache, self.pages, self.memory.selections, self.memory.frames)
        return sum(cache.forget_unused() for cache in caches)

    def measure_heads(self) -> HeadMemory:
        """Count chunks and bytes of all heads, which takes milliseconds for a thousand groups."""
        heads = [live.head for live in self.state.heads]
        logs = [live.log for live in self.state.heads if live.log is not None]
        self._measured = HeadMemory.of(heads, logs)
        return self._measured

    def measured_heads(self) -> HeadMemory:
        """Chunks and bytes of all heads; where there are many groups, as of the last maintenance."""
        groups = sum(len(live.head.groups) for live in self.state.heads)
        return self._measured if self._measured is not None and groups > _GROUPS_MAX else self.measure_heads()

    def epochs_in_blocks(self, log_id: str) -> set[int]:
        """Runs of our own log whose samples are in blocks. Blocks of another directory tell of another log."""
        own = (block.meta for block in self.state.blocks if block.meta.log == log_id)
        return {epoch for meta in own for epoch in meta.epochs}

    def name_log(self) -> None:
        """Write the name of the log down, if it is not yet. Raises OSError."""
        if not self.is_named:
            write_identity(self.files, self.path, self.log_id)
            self.is_named = True

    def count_series(self, live: LiveHead) -> None:
        """Count the series that are new in a head and in no other, as published. The writer's turn."""
        series = live.head.view.index.series
        if live.counted < series:
            others = _counted(other for other in self.state.heads if other is not live)
            self.counts["series_created"] += new_series(live.head.view, live.counted, others)
            live.counted = series

    def count_removed(self, gone: LiveHead) -> None:
        """Count the series of a head that is not in the state any more and that no other has. The writer's turn."""
        self.counts["series_removed"] += new_series(gone.head.view, 0, _counted(self.state.heads))

    def count_recovered(self, recovered: Sequence[LiveHead]) -> None:
        """Count the series of heads that are not in the state yet: of several windows seconds for a million of new ones."""
        for place, live in enumerate(recovered):
            others = _counted(recovered[:place])
            self.counts["series_created"] += new_series(live.head.view, 0, others)
            live.counted = live.head.view.index.series

    def recount(self, recovered: Sequence[LiveHead]) -> None:
        """What came meanwhile and is in heads that were recovered was not new. The writer's turn, before they are seen."""
        others = _counted(recovered)
        for live in self.state.heads:
            self.counts["series_created"] -= common_series(live.head.view, live.counted, others)

    def save_ends(self, *, without: Collection[int] = ()) -> None:
        """Note where the segments of the log end, but those of runs that are removed next or still written. Raises OSError."""
        self.name_log()
        save_ends(self.files, self.path, self.log_id, without=without)

    def require_directory(self) -> None:
        """Before something is written: the data directory must be ours. Raises OperatingError."""
        if self.refusal:
            raise OperatingError(self.refusal)

    def disk_is_full(self, error: OSError) -> None:
        """Note that there is no room for samples."""
        self.problem("files", "disk", f"the disk is full: samples are refused until there is room: {error}")

    def problem(self, kind: str, subject: str, text: str, count: int = 1) -> None:
        """Note a fault for log, metric and status page; see Problems."""
        self.problems.note(kind, subject, text, count)
        self.counts["problems"] = self.problems.total

    def damaged_block(self, block: str, text: str) -> None:
        """Note damage in a block."""
        self.counts["damaged_pages"] += 1
        self.problem("blocks", block, text)

    def damaged_log(self, what: str, text: str, sections: int) -> None:
        """Note sections of the log that cannot be read again."""
        self.counts["damaged_pages"] += sections
        self.counts["log_corruptions"] += sections
        self.problem(GROUPS_OF_LOG, what, text)
