"""An open block: its directory in memory, everything else read from the map when it is needed."""

from __future__ import annotations

import copy
from collections.abc import Hashable, Sequence
from dataclasses import replace
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Final

import numpy as np

from trimon.errors import OperatingError
from trimon.files import Files
from trimon.model.components import COMPONENT_LABEL
from trimon.model.labels import METRIC_NAME
from trimon.model.matcher import Matcher
from trimon.model.snapshot import NewestSamples
from trimon.model.table import LabelTable
from trimon.openfiles import OddFileError, ReadFile
from trimon.storage.block.cache import ArrayCache
from trimon.storage.block.container import MAGIC
from trimon.storage.block.damage import (
    BlockDamage,
    DamagedError,
    Loss,
    Tell,
    UnreadableIndexError,
    tell_nobody,
)
from trimon.storage.block.dictionary import Dictionary
from trimon.storage.block.index import BlockIndex
from trimon.storage.block.meta import BlockMeta, ForeignBlockError
from trimon.storage.block.samples import BlockSamples
from trimon.storage.block.writer import STRIPE_SERIES
from trimon.storage.head.arena import Bools, Int32s, Int64s
from trimon.storage.head.components import ComponentView
from trimon.storage.head.matching import codes_matching
from trimon.storage.read.deletions import (
    Deletion,
    Deletions,
    pack_deletions,
    unpack_deletions,
    without_deleted,
)
from trimon.storage.read.partialframe import PartialFrame

TOMBSTONES: Final = "tombstones"


class Block:
    """One block, readable from any thread.

    Damaged pages are left out and noted in `damage`. Where nothing can be found any more UnreadableIndexError is raised.
    """

    def __init__(self, files: Files, path: Path, cache: ArrayCache, tell: Tell = tell_nobody) -> None:
        """Open the directory of a block. `tell` hears of damage.

        Raises DamagedError if files are missing or broken, OperatingError if they cannot be read now or are not ours.
        """
        self.path = path
        self.damage = BlockDamage(path.name.partition(".")[0], tell)
        self.meta_fault = ""
        """Why meta.json could not be used; it was made anew from the index then, but not written."""
        self.tombstones_fault = ""
        try:
            self._index = self._open_index(files)
            self.meta = self._read_meta(files)
            self._data = files.open(path / "data")
            index_bytes = files.size(path / "index")
        except (FileNotFoundError, OddFileError) as error:
            raise DamagedError(f"block {path.name}: {error}") from error
        except OSError as error:
            raise OperatingError(f"block {path.name}: {error}") from error
        about = self._index.about
        self.series: int = about["series"]
        self.names: list[str] = about["names"]
        self._index.times_ms = (self.meta.min_ms, self.meta.max_ms - 1)
        self._samples = BlockSamples(self._index, self._data, path / "data", cache)
        data_bytes = self._data.size_bytes
        if data_bytes < about["data_bytes"]:
            self._samples.lose_end(data_bytes, about["data_bytes"])
        elif data_bytes > about["data_bytes"]:
            self.damage.survive(f"its data has {data_bytes} bytes instead of {about['data_bytes']}")
        if data_bytes and not self._samples.begins_right():
            self.damage.survive("the first bytes of its data are damaged")
        self.size_bytes = index_bytes + data_bytes
        self.meta = replace(self.meta, size_bytes=self.size_bytes)
        self._cache = cache
        self.deletions = self._read_deletions(files)

    def _open_index(self, files: Files) -> BlockIndex:
        """The index. Raises DamagedError, or OperatingError if the block is none of ours."""
        file = files.open(self.path / "index")
        try:
            return BlockIndex(file, self.path / "index", self.damage)
        except DamagedError:
            # Prometheus' blocks have an index, too.
            if MAGIC[:4] not in _first_bytes(file):
                self._refuse_foreign(files)
            raise

    def _refuse_foreign(self, files: Files) -> None:
        """Raises what says of a block that is not ours, or of another version, that it is. Not what is damaged."""
        try:
            BlockMeta.from_json(files.read(self.path / "meta.json"))
        except (OSError, DamagedError):
            return

    def _read_meta(self, files: Files) -> BlockMeta:
        """What meta.json says or, where it is damaged or missing, what the index says it said."""
        try:
            return BlockMeta.from_json(files.read(self.path / "meta.json"))
        except (FileNotFoundError, OddFileError, DamagedError, ForeignBlockError) as error:
            self.meta_fault = str(error)
        kept = self._index.about.get("meta")
        if kept is not None:
            return replace(BlockMeta.from_json(kept), ulid=self.damage.block)
        pages = {name: self._index.numbers(f"page/{name}") for name in ("first_ms", "last_ms", "samples")}
        first_ms, last_ms = int(pages["first_ms"].min()), int(pages["last_ms"].max())
        series = self._index.about["series"]
        return BlockMeta(self.damage.block, first_ms, last_ms + 1, series=series)

    def _read_deletions(self, files: Files) -> Deletions:
        if TOMBSTONES not in files.names(self.path):
            return ()
        try:
            deletions, damaged = unpack_deletions(files.read(self.path / TOMBSTONES))
        except OSError as error:
            raise OperatingError(f"block {self.path.name}: {error}") from error
        if damaged:
            self.tombstones_fault = "a copy of its tombstones does not pass its checksum"
            self.damage.survive(self.tombstones_fault)
        return deletions

    def delete(self, files: Files, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> Block | None:
        """The block without the matching samples in the closed interval; None if there are none.

        The tombstones file is written before this returns. Raises OperatingError.
        """
        if not self.overlaps(start_ms, end_ms):
            return None
        series = self.select(matchers)
        if len(series) == 0:
            return None
        changed = copy.copy(self)
        changed.deletions = (*self.deletions, Deletion(series, start_ms, end_ms))
        count = len(np.unique(np.concatenate([deletion.series for deletion in changed.deletions])))
        changed.meta = self.meta.with_tombstones(count)
        try:
            files.write_atomic(self.path / TOMBSTONES, pack_deletions(changed.deletions))
            files.write_atomic(self.path / "meta.json", changed.meta.to_json())
        except OSError as error:
            raise OperatingError(f"block {self.path.name}: {error}") from error
        return changed

    def noted(self, files: Files, meta: BlockMeta) -> Block:
        """The block with another meta.json, written before this returns. Raises OperatingError."""
        try:
            files.write_atomic(self.path / "meta.json", meta.to_json())
        except OSError as error:
            raise OperatingError(f"block {self.path.name}: {error}") from error
        changed = copy.copy(self)
        changed.meta = replace(meta, size_bytes=self.size_bytes)
        return changed

    # ---- labels

    def overlaps(self, start_ms: int, end_ms: int) -> bool:
        """Whether any sample may lie in the closed interval, as far as anything can be read."""
        return self.meta.min_ms <= end_ms and self.meta.max_ms > start_ms and not self.damage.whole

    def losses(self, series: Int32s | None, start_ms: int, end_ms: int) -> tuple[Loss, ...]:
        """What of the closed interval is known to be unreadable of these series; with None what concerns the whole block."""
        known = self.damage.losses
        if not known:
            return ()
        if self.damage.whole:
            return tuple(loss for loss in known if loss.touches(start_ms, end_ms) and series is None)
        if series is None:
            return ()
        bands = self._samples.bands(series)
        return tuple(
            loss
            for loss in known
            if loss.touches(start_ms, end_ms) and (loss.band is None or loss.band in bands)
        )

    def dictionary(self, number: int) -> Dictionary:
        """The values of a label by the label's number."""
        key = (self.meta.ulid, "dictionary", number)
        return self._cache.get(key, lambda: Dictionary(self._index.read(f"dictionary/{number}")))

    def _stripe(self, number: int, stripe: int) -> Int32s | None:
        """Codes of a label in one stripe of series; None if no series has it."""
        name = f"codes/{number}/{stripe}"
        if name not in self._index:
            return None
        return self._cache.get((self.meta.ulid, name), lambda: self._index.numbers(name).astype(np.int32))

    def codes(self, number: int, series: Int32s) -> Int32s:
        """Codes of a label for ascending series."""
        out = np.zeros(len(series), np.int32)
        stripes = series // STRIPE_SERIES
        if len(series) == 0:
            return out
        edges = np.flatnonzero(np.diff(stripes, prepend=-1, append=-1)).tolist()
        for begin, end in pairwise(edges):
            stripe = int(stripes[begin])
            codes = self._stripe(number, stripe)
            if codes is not None:
                out[begin:end] = codes[series[begin:end] - stripe * STRIPE_SERIES]
        return out

    def select(self, matchers: Sequence[Matcher]) -> Int32s:
        """Series that satisfy every matcher, ascending."""
        rest = list(matchers)
        found = np.arange(self.series, dtype=np.int32)
        for matcher in matchers:
            literals = (
                matcher.literals() if matcher.name == METRIC_NAME and not matcher.matches_empty else None
            )
            if literals is not None and METRIC_NAME in self.names:
                found = self._with_metrics(literals)
                rest.remove(matcher)
                break
        for matcher in rest:
            if len(found) == 0:
                break
            found = found[self._matching(matcher, found)]
        return found

    @cached_property
    def _components(self) -> ComponentView:
        """The components of native histograms."""
        if not self.has_components:
            return ComponentView(np.zeros(0, np.int32), np.zeros(0, np.int32))
        series, owner = (self._index.numbers(f"components/{name}") for name in ("series", "owner"))
        return ComponentView(series.astype(np.int32), owner.astype(np.int32))

    @property
    def has_components(self) -> bool:
        """Whether any series is a component of a histogram."""
        return "components/series" in self._index

    def without_components(self, series: Int32s) -> Int32s:
        """Those of some series that are no components of histograms."""
        return self._components.without(series)

    def components_of(self, series: Int32s) -> tuple[Int32s, Int64s]:
        """The components of some series (ascending), ascending, and the place in `series` of the series of each."""
        return self._components.of(series)

    def component_texts(self, components: Int32s) -> tuple[Int32s, Sequence[str]]:
        """The texts of some components: codes, and what they stand for."""
        number = self.names.index(COMPONENT_LABEL)
        return self.codes(number, components), self.dictionary(number)

    def _with_metrics(self, names: Sequence[str]) -> Int32s:
        dictionary = self.dictionary(self.names.index(METRIC_NAME))
        codes = sorted(code for code in map(dictionary.code, names) if code > 0)
        starts = self._metrics
        runs = [np.arange(starts[code], starts[code + 1], dtype=np.int32) for code in codes]
        return np.concatenate(runs) if runs else np.zeros(0, np.int32)

    @cached_property
    def _metrics(self) -> Int64s:
        """First series of every code of the metric name, and one more for the end."""
        return self._index.numbers("metrics")

    def _matching(self, matcher: Matcher, series: Int32s) -> Bools:
        if matcher.name not in self.names:
            return np.full(len(series), matcher.matches_empty, np.bool_)
        number = self.names.index(matcher.name)
        literals = matcher.literals()
        dictionary = self.dictionary(number)
        if literals is not None:
            wanted = [dictionary.code(value) for value in literals]
            if max(wanted) < 0:
                return np.zeros(len(series), np.bool_)
            codes = self.codes(number, series)
            return np.isin(codes, wanted) if len(wanted) > 1 else codes == wanted[0]
        return codes_matching(matcher, self.codes(number, series), dictionary)

    def table(self, series: Int32s) -> LabelTable:
        """The labels of ascending series."""
        order = sorted(range(len(self.names)), key=self.names.__getitem__)
        names: list[str] = []
        columns: list[Int32s] = []
        values: list[Sequence[str]] = []
        for number in order:
            codes = self.codes(number, series)
            if codes.any():
                names.append(self.names[number])
                columns.append(codes)
                values.append(self.dictionary(number))
        return LabelTable(len(series), tuple(names), tuple(columns), tuple(values))

    def label_names(self) -> list[str]:
        """All label names, in any order."""
        return self.names

    def label_values(self, name: str) -> list[str]:
        """All values of a label, in any order."""
        return self.dictionary(self.names.index(name))[1:] if name in self.names else []

    @property
    def identity(self) -> Hashable:
        """Stands for this block and its deletions: another value after a deletion."""
        return self.meta.ulid, len(self.deletions)

    @property
    def newest_ms(self) -> int:
        """A time that no sample of the block is after."""
        return self.meta.max_ms - 1

    @property
    def version(self) -> Hashable:
        """Another one whenever anything of the block changes."""
        return self.identity

    @property
    def labels_version(self) -> Hashable:
        """Stands for the series of the block, which never change."""
        return self.meta.ulid

    def newest_samples(self, series: Int32s, after_ms: int, until_ms: int) -> NewestSamples | None:
        """Pages are read as a whole: only a frame tells."""
        del series, after_ms, until_ms
        return None

    def mark(self, series: Int32s, before: object, *, whole: bool) -> object:
        """How far the block is settled, which is all of it."""
        del series, before, whole
        return self.identity

    def follows(self, series: Int32s, before: object, now: object) -> bool:
        """Whether what was read before still holds, which is always so."""
        del series
        return before == now

    def settled_frames(
        self, series: Int32s, start_ms: int, end_ms: int, before: object, now: object
    ) -> list[PartialFrame]:
        """As `partial_frames` the first time, nothing after it: all of a block is settled at once."""
        del now
        return self.partial_frames(series, start_ms, end_ms) if before is None else []

    def fresh_frames(self, series: Int32s, start_ms: int, end_ms: int, now: object) -> list[PartialFrame]:
        """Nothing: all of a block is settled."""
        del series, start_ms, end_ms, now
        return []

    # ---- samples

    def living(self, series: Int32s, start_ms: int, end_ms: int) -> Bools:
        """Which of some series may have samples in the closed interval: those with a page that touches it."""
        return self._samples.living(series, start_ms, end_ms)

    def estimate(self, series: Int32s, start_ms: int, end_ms: int) -> int:
        """At most how many samples lie in the closed interval."""
        return self._samples.estimate(series, start_ms, end_ms)

    def partial_frames(self, series: Int32s, start_ms: int, end_ms: int) -> list[PartialFrame]:
        """Samples of ascending series, whole pages that touch the closed interval; those that are damaged are noted."""
        read = self._samples.partial_frames(series, start_ms, end_ms)
        return without_deleted(read, series, self.deletions) if self.deletions else read

    def verify(self) -> list[str]:
        """Every section and page that does not pass its checksum or cannot be decoded, a line each."""
        problems = self._index.verify()
        problems += [
            f"block {self.path.name}: {text}" for text in (self.meta_fault, self.tombstones_fault) if text
        ]
        if not self._samples.begins_right():
            problems.append(f"{self.path / 'data'}: the first bytes are not those of a block's data")
        try:
            return problems + self._samples.verify()
        except UnreadableIndexError:
            return problems


def _first_bytes(file: ReadFile) -> bytes:
    try:
        return file.read(0, len(MAGIC))
    except OSError:
        return b""
