"""The block shipper: copies finished blocks to an object store, one after the other."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, Protocol

import trio

from trimon.clock import Clock
from trimon.config.own.shipper import BlockShipperConfig
from trimon.errors import OperatingError
from trimon.fetch.request import Fetch
from trimon.files import Files
from trimon.log import Log
from trimon.offload import Offload
from trimon.openfiles import ReadFile
from trimon.peers.s3 import Bucket
from trimon.records import dataclass
from trimon.redaction import redacted, shown_url
from trimon.storage.block.meta import BlockMeta
from trimon.storage.prometheus.thanos import PreparedBlock, ShippedBlocks, prepare
from trimon.storage.read.snapshot import StoreSnapshot

BACKOFF_FIRST_S: Final = 5.0
BACKOFF_MAX_S: Final = 300.0


class ShippedStore(Protocol):
    """What the shipper needs of the store."""

    def blocks(self) -> list[tuple[BlockMeta, Path]]:
        """The open blocks."""
        ...

    def block_snapshot(self, ulid: str) -> StoreSnapshot | None:
        """The samples of one block; None when it is gone."""
        ...


@dataclass(slots=True)
class ShipperCounts:
    """What became of blocks; it outlives the shipper."""

    uploads: int = 0
    failures: int = 0
    bytes: int = 0
    last_success_ms: int = 0


@dataclass(frozen=True, slots=True)
class ShipperPlace:
    """Where blocks go, and with which labels."""

    config: BlockShipperConfig
    labels: Mapping[str, str]


class BlockShipper:
    """Copies the blocks that were not copied yet.

    Owns: the connection, the block at work on the disk, the file that says which were copied.
    Receives: nothing.
    Sends: nothing; it asks the object store.
    Crashes when: it has a bug. A store that refuses or is away is told and tried again.
    On restart: goes on with what the file says; a block that is there already is not sent again.
    """

    def __init__(
        self,
        place: ShipperPlace,
        store: ShippedStore,
        shipped: ShippedBlocks,
        connect: Callable[[BlockShipperConfig], Fetch],
        offload: Offload,
        clock: Clock,
        log: Log,
        counts: ShipperCounts,
    ) -> None:
        self._place = place
        self._store = store
        self._shipped = shipped
        self._offload = offload
        self._clock = clock
        self._log = log
        self._counts = counts
        self._fetch = connect(place.config)
        self._bucket = Bucket(self._fetch, place.config.base, place.config.timeout / 1000)
        self._work = shipped.folder / "work"
        self._at_work = ""
        self._last_error = ""
        self._half: set[str] = set()

    async def run(self) -> None:
        """Copies what is there, then looks again after an interval; after a failure it waits longer and longer."""
        backoff_s = BACKOFF_FIRST_S
        try:
            while True:
                try:
                    await self._round()
                    backoff_s = BACKOFF_FIRST_S
                    await trio.sleep(self._place.config.interval / 1000)
                except (OperatingError, OSError) as error:
                    self._counts.failures += 1
                    self._last_error = redacted(str(error))
                    self._log.error("a block cannot be copied", block=self._at_work, err=self._last_error)
                    await trio.sleep(backoff_s)
                    backoff_s = min(BACKOFF_MAX_S, 2 * backoff_s)
        finally:
            await self._fetch.aclose()

    async def _round(self) -> None:
        present = [meta for meta, _ in self._store.blocks()]
        for meta in self._shipped.half(present):
            if meta.ulid not in self._half:
                self._half.add(meta.ulid)
                self._log.error(
                    "a block was merged before all of it was copied: the rest is not", block=meta.ulid
                )
        for meta in self._shipped.waiting(present):
            self._at_work = meta.ulid
            await self._ship(meta)
            self._at_work = ""
        self._last_error = ""

    async def _ship(self, meta: BlockMeta) -> None:
        snapshot = self._store.block_snapshot(meta.ulid)
        if snapshot is None:
            return  # merged or dropped meanwhile
        files, labels = self._shipped.files, self._place.labels
        began_s = trio.current_time()
        size_bytes = 0
        if not await self._bucket.has(f"{meta.ulid}/meta.json"):
            prepared = await self._offload.run(lambda: prepare(files, self._work, meta, snapshot, labels))
            if prepared is not None:
                size_bytes = await self._put(meta.ulid, prepared)
        present = [each for each, _ in self._store.blocks()]
        await self._offload.run(lambda: self._shipped.add(meta, present))
        await self._offload.run(lambda: files.remove_tree(self._work))
        self._counts.uploads += 1
        self._counts.bytes += size_bytes
        self._counts.last_success_ms = self._clock.now_ms()
        took_s = round(trio.current_time() - began_s, 3)
        self._log.info("a block was copied", block=meta.ulid, size_bytes=size_bytes, took_s=took_s)

    async def _put(self, ulid: str, prepared: PreparedBlock) -> int:
        """Puts all files of a block; their bytes."""
        files: Files = self._shipped.files
        for name, size_bytes in prepared.files:
            source = files.open(prepared.folder / name)

            async def read(begin: int, count: int, source: ReadFile = source) -> bytes:
                return await self._offload.run(lambda: source.read(begin, count))

            await self._bucket.put(f"{ulid}/{name}", read, size_bytes)
        return sum(size_bytes for _, size_bytes in prepared.files)

    def waiting(self) -> int:
        """How many blocks wait."""
        return len(self._shipped.waiting([meta for meta, _ in self._store.blocks()]))

    def inspect(self) -> Mapping[str, object]:
        """Where blocks go, what was copied, and what went wrong last."""
        counts = self._counts
        return {
            "bucket": shown_url(self._place.config.base),
            "at_work": self._at_work,
            "waiting": self.waiting(),
            "uploads": counts.uploads,
            "failures": counts.failures,
            "bytes": counts.bytes,
            "last_success_ms": counts.last_success_ms,
            "last_error": self._last_error,
        }
