"""Blocks in Thanos' layout, and which of ours have been copied.

    <ulid>/chunks/000001 ...   <ulid>/index   <ulid>/meta.json    the last to be put: whoever sees it sees all of the block

`meta.json` is Prometheus' with a member `thanos`: the labels of whoever made the block, its resolution, its files. A block is
known by its sources, the blocks that were cut from the head: a merged or rewritten block of sources that were copied is not
copied again, and until a block is copied it is not merged, for some time (`HELD_MS`), so that none is half copied.
Source: Thanos' documentation of its storage layout.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field
from pathlib import Path
from typing import Final

import orjson

from trimon.errors import OperatingError
from trimon.files import Files
from trimon.records import dataclass
from trimon.storage.block.meta import BlockMeta
from trimon.storage.options import HOUR_MS
from trimon.storage.prometheus.export import export_block
from trimon.storage.read.snapshot import StoreSnapshot

META: Final = "meta.json"
STATE: Final = "shipped.json"
FOLDER: Final = "shipper"
HELD_MS: Final = 48 * HOUR_MS
_VERSION: Final = 1


def sources_of(meta: BlockMeta) -> frozenset[str]:
    """The blocks of the head that a block was made of."""
    return frozenset(meta.sources or (meta.ulid,))


@dataclass(slots=True)
class ShippedBlocks:
    """The sources of blocks that were copied, as a file has them. From one thread; `is_held` from any."""

    files: Files
    folder: Path
    sources: frozenset[str] = field(default_factory=frozenset)

    def load(self) -> None:
        """Take over what the file says. Raises OperatingError."""
        path = self.folder / STATE
        try:
            document = orjson.loads(self.files.read(path))
            self.sources = frozenset(map(str, document["sources"]))
        except FileNotFoundError:
            return
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise OperatingError(f"{path}: {error}") from error

    def add(self, meta: BlockMeta, present: Iterable[BlockMeta]) -> None:
        """A block was copied; sources of blocks that are not `present` any more are forgotten. Raises OSError."""
        known = frozenset().union(*(sources_of(each) for each in present))
        sources = (self.sources & known) | sources_of(meta)
        body = orjson.dumps({"version": _VERSION, "sources": sorted(sources)})
        self.files.make_directory(self.folder)
        self.files.write_atomic(self.folder / STATE, body)
        self.sources = sources

    def waiting(self, present: Iterable[BlockMeta]) -> list[BlockMeta]:
        """The blocks that are to be copied, the oldest first."""
        found = [meta for meta in present if not sources_of(meta) & self.sources and not meta.failed]
        return sorted(found, key=lambda meta: (meta.min_ms, meta.ulid))

    def half(self, present: Iterable[BlockMeta]) -> list[BlockMeta]:
        """Blocks of which some sources were copied and others not: they cannot be copied any more."""
        return [
            meta
            for meta in present
            if (sources := sources_of(meta)) & self.sources and not sources <= self.sources
        ]

    def is_held(self, meta: BlockMeta, now_ms: int) -> bool:
        """Whether a block is not to be merged, since it waits to be copied."""
        return now_ms - meta.max_ms < HELD_MS and not sources_of(meta) & self.sources


@dataclass(frozen=True, slots=True)
class PreparedBlock:
    """A block in the layout, on the disk: its folder, and its files with their bytes in the order in which they are put."""

    folder: Path
    files: tuple[tuple[str, int], ...]


def prepare(
    files: Files, folder: Path, meta: BlockMeta, snapshot: StoreSnapshot, labels: Mapping[str, str]
) -> PreparedBlock | None:
    """Write a block below `folder`; None if it has no samples. Blocks on the disk. Raises OperatingError."""
    try:
        files.remove_tree(folder / meta.ulid)
        files.make_directory(folder)
        selection = snapshot.select((), meta.min_ms, meta.max_ms - 1)
        written = export_block(
            files, folder, selection, BlockMeta(meta.ulid, meta.min_ms, meta.max_ms, level=meta.level)
        )
        if written is None:
            return None
        block = folder / meta.ulid
        chunks = [f"chunks/{name}" for name in sorted(files.names(block / "chunks"))]
        sizes = [(name, files.size(block / name)) for name in (*chunks, "index")]
        document = orjson.loads(files.read(block / META))
        document["compaction"]["sources"] = sorted(sources_of(meta))
        document["thanos"] = _thanos(labels, chunks, sizes)
        body = orjson.dumps(document, option=orjson.OPT_INDENT_2)
        files.write_atomic(block / META, body)
    except OSError as error:
        raise OperatingError(f"block {meta.ulid}: {error}") from error
    return PreparedBlock(block, (*sizes, (META, len(body))))


def _thanos(
    labels: Mapping[str, str], chunks: Sequence[str], sizes: Sequence[tuple[str, int]]
) -> Mapping[str, object]:
    return {
        "version": 1,
        "labels": dict(labels),
        "downsample": {"resolution": 0},
        "source": "trimon",
        "segment_files": [name.removeprefix("chunks/") for name in chunks],
        "files": [
            *({"rel_path": name, "size_bytes": size_bytes} for name, size_bytes in sizes),
            {"rel_path": META},
        ],
    }
