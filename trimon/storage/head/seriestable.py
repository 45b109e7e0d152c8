"""The series of a head by their label pairs: runs of pair ids, found by hash, many at once."""

from __future__ import annotations

from typing import Final

import numpy as np

from trimon.compiled.library import ADDRESS, INT64, address_of, function
from trimon.storage.head.arena import Arena, Bools, Int32s, Int64s, UInt64s, ragged_positions

_EMPTY: Final = np.int32(-1)
_TABLE_FIRST: Final = 64
_find: Final = function(
    "trimon_find_series",
    INT64,
    (
        *(ADDRESS, ADDRESS, INT64, INT64, ADDRESS, INT64),
        *(ADDRESS, INT64, ADDRESS, ADDRESS, ADDRESS, INT64, ADDRESS, ADDRESS),
    ),
)
_add: Final = function(
    "trimon_add_series",
    INT64,
    (
        *(ADDRESS, ADDRESS, INT64, ADDRESS, INT64),
        *(ADDRESS, INT64, ADDRESS, ADDRESS, ADDRESS, INT64, INT64, INT64, ADDRESS),
    ),
)


class SeriesTable:
    """Runs of pair ids to series numbers, which count from 0 in order of creation.

    `flat[offsets[s]:offsets[s + 1]]` are the pairs of series `s`. The hash table is open-addressed. One thread writes; the
    arenas may be read from any. `is_compiled` False is the twin of the loops.
    """

    def __init__(self, pair_hash: Arena[np.uint64], *, is_compiled: bool = True) -> None:
        self.offsets: Arena[np.int64] = Arena(np.int64)
        self.offsets.append(0)
        self.flat: Arena[np.int32] = Arena(np.int32, 256)
        self._pair_hash = pair_hash
        self._hashes: Arena[np.uint64] = Arena(np.uint64)
        self._table: Int32s = np.full(_TABLE_FIRST, _EMPTY, np.int32)
        self._find = _find if is_compiled else None
        self._add = _add if is_compiled else None

    def __len__(self) -> int:
        return len(self._hashes)

    def size_bytes(self) -> int:
        """Memory of the arrays."""
        return self.offsets.size_bytes + self.flat.size_bytes + self._hashes.size_bytes + self._table.nbytes

    def find(self, flat: Int32s, lengths: Int64s) -> tuple[Int32s, UInt64s]:
        """Numbers of the given runs, none of which is empty, -1 where there is none; and their hashes."""
        if self._find is None:
            hashes = self._hash(flat, lengths)
            return self._probe(flat, lengths, hashes), hashes
        flat, lengths = np.ascontiguousarray(flat, np.int32), np.ascontiguousarray(lengths, np.int64)
        found, hashes = np.empty(len(lengths), np.int32), np.empty(len(lengths), np.uint64)
        pair_hash = self._pair_hash.view()
        missing = self._find(
            *(address_of(flat), address_of(lengths), len(lengths), len(flat), address_of(pair_hash), len(pair_hash)),
            *(address_of(self._table), len(self._table), address_of(self._hashes.view()), address_of(self.offsets.view())),
            *(address_of(self.flat.view()), len(self), address_of(found), address_of(hashes)),
        )  # fmt: skip
        assert missing >= 0, "all pairs are interned"
        return found, hashes

    def add(self, flat: Int32s, lengths: Int64s, limit: int = 0) -> Int32s:
        """Numbers of the given runs, none of which is empty; what is missing is made.

        With a `limit`, series beyond that many are not made: their number is -1.
        """
        found, hashes = self.find(flat, lengths)
        missing = found < 0
        count = int(np.count_nonzero(missing))
        if not count:
            return found
        self._make_room(count)
        if self._add is None:
            self._create(found, np.flatnonzero(missing), flat, lengths, hashes, limit)
            return found
        flat, lengths = np.ascontiguousarray(flat, np.int32), np.ascontiguousarray(lengths, np.int64)
        before, pairs = len(self), len(self.flat)
        most = int(lengths[missing].sum())
        stored, offsets, own = (
            self._hashes.with_room(count), self.offsets.with_room(count), self.flat.with_room(most)
        )  # fmt: skip
        series = self._add(
            *(address_of(flat), address_of(lengths), len(lengths), address_of(hashes), limit),
            *(address_of(self._table), len(self._table), address_of(stored), address_of(offsets), address_of(own)),
            *(before, before + count, pairs + most, address_of(found)),
        )  # fmt: skip
        assert series >= 0, "there is room for all"
        self.flat.fill(int(offsets[series]) - pairs)
        self.offsets.fill(series - before)
        # The last: by it readers know what is there.
        self._hashes.fill(series - before)
        return found

    def _make_room(self, more: int) -> None:
        """More than half of the table is free when so many are in it, too."""
        size, needed = len(self._table), 2 * (len(self) + more)
        if needed <= size:
            return
        while size < needed:
            size *= 2
        self._table = np.full(size, _EMPTY, np.int32)
        self._insert(np.arange(len(self), dtype=np.int32))

    # ---- the twins
    def _hash(self, flat: Int32s, lengths: Int64s) -> UInt64s:
        if len(lengths) == 0:
            return np.zeros(0, np.uint64)
        starts = np.cumsum(lengths) - lengths
        return np.add.reduceat(self._pair_hash.view()[flat], starts)

    def _probe(self, flat: Int32s, lengths: Int64s, hashes: UInt64s) -> Int32s:
        found = np.full(len(lengths), _EMPTY, np.int32)
        if len(self) == 0 or len(lengths) == 0:
            return found
        mask = np.uint64(len(self._table) - 1)
        stored = self._hashes.view()
        open_queries = np.arange(len(lengths))
        slots = (hashes & mask).astype(np.int64)
        while len(open_queries):
            candidates = self._table[slots]
            taken = candidates >= 0
            open_queries, slots, candidates = open_queries[taken], slots[taken], candidates[taken]
            same = stored[candidates] == hashes[open_queries]
            if same.any():
                same[same] = self._equal(flat, lengths, open_queries[same], candidates[same])
                found[open_queries[same]] = candidates[same]
            open_queries = open_queries[~same]
            slots = (slots[~same] + 1) & int(mask)
        return found

    def _equal(self, flat: Int32s, lengths: Int64s, queries: Int64s, series: Int32s) -> Bools:
        """Whether the pair runs of queries and stored series are the same."""
        offsets = self.offsets.view()
        starts = offsets[series]
        equal: Bools = lengths[queries] == offsets[series.astype(np.int64) + 1] - starts
        if not equal.all():
            equal[equal] = self._equal(flat, lengths, queries[equal], series[equal])
            return equal
        runs = lengths[queries]
        query_starts = (np.cumsum(lengths) - lengths)[queries]
        same = flat[ragged_positions(query_starts, runs)] == self.flat.view()[ragged_positions(starts, runs)]
        return np.logical_and.reduceat(same, np.cumsum(runs) - runs) if len(runs) else equal

    def _create(
        self, found: Int32s, missing: Int64s, flat: Int32s, lengths: Int64s, hashes: UInt64s, limit: int
    ) -> None:
        wanted = hashes[missing]
        if len(set(wanted.tolist())) == len(missing):
            chosen = missing[: max(0, limit - len(self))] if limit else missing
            first = len(self)
            self._store(chosen, flat, lengths, hashes)
            found[chosen] = np.arange(first, len(self), dtype=np.int32)
            return
        _, representative, inverse = np.unique(wanted, return_index=True, return_inverse=True)
        order = np.argsort(representative)
        chosen = missing[representative[order]]
        if limit:
            chosen = chosen[: max(0, limit - len(self))]
        first = len(self)
        self._store(chosen, flat, lengths, hashes)
        numbers = np.full(len(order), _EMPTY, np.int32)
        numbers[order[: len(chosen)]] = np.arange(first, len(self), dtype=np.int32)
        found[missing] = numbers[inverse]
        duplicates = np.setdiff1d(missing, missing[representative], assume_unique=True)
        if len(duplicates):
            self._settle_equal_hashes(found, duplicates, flat, lengths, hashes, limit)

    def _settle_equal_hashes(
        self, found: Int32s, duplicates: Int64s, flat: Int32s, lengths: Int64s, hashes: UInt64s, limit: int
    ) -> None:
        """Of equal hashes in one call most are the same series; the others are created one by one."""
        starts = np.cumsum(lengths) - lengths
        positions = ragged_positions(starts[duplicates], lengths[duplicates])
        settled = self._probe(flat[positions], lengths[duplicates], hashes[duplicates])
        for query in duplicates[settled < 0]:
            run = slice(starts[query], starts[query] + lengths[query])
            one = slice(query, query + 1)
            settled_one = self._probe(flat[run], lengths[one], hashes[one])
            if settled_one[0] < 0 and (not limit or len(self) < limit):
                self._store(np.array([query]), flat, lengths, hashes)
                settled_one[0] = len(self) - 1
            settled[duplicates == query] = settled_one[0]
        found[duplicates] = settled

    def _store(self, queries: Int64s, flat: Int32s, lengths: Int64s, hashes: UInt64s) -> None:
        """Append series and put them into the table."""
        if len(queries) == 0:
            return
        first = len(self)
        runs = lengths[queries]
        starts = (np.cumsum(lengths) - lengths)[queries]
        self.offsets.extend(np.cumsum(runs) + len(self.flat))
        self.flat.extend(flat[ragged_positions(starts, runs)])
        self._hashes.extend(hashes[queries])
        self._insert(np.arange(first, len(self), dtype=np.int32))

    def _insert(self, series: Int32s) -> None:
        mask = len(self._table) - 1
        slots = (self._hashes.view()[series] & np.uint64(mask)).astype(np.int64)
        while len(series):
            free = self._table[slots] < 0
            self._table[slots[free]] = series[free]
            lost = self._table[slots] != series
            series, slots = series[lost], (slots[lost] + 1) & mask
