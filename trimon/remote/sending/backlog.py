"""What was read of the log and is not at the receiver yet, spread over shards."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import field
from functools import reduce
from typing import Generic, TypeVar

import numpy as np

from trimon.records import dataclass
from trimon.remote.sending.entries import NONE, Counted, Entries, joined
from trimon.remote.sending.series import SeriesTable

P = TypeVar("P")


@dataclass(slots=True)
class _Chunk(Generic[P]):
    """What one read brought: the position after it, what of it is not sent, and what each shard has sent."""

    position: P
    left: Counted
    sent: list[Counted]


@dataclass(frozen=True, slots=True, eq=False)
class Batch(Generic[P]):
    """What a shard sends in one request, and from which chunks it is."""

    shard: int
    entries: Entries
    parts: tuple[tuple[_Chunk[P], Counted], ...]


@dataclass(slots=True)
class _Shard(Generic[P]):
    pieces: deque[tuple[_Chunk[P], Entries]] = field(default_factory=deque)
    pending: int = 0
    skip: Counted = NONE


class Backlog(Generic[P]):
    """Entries that wait, at most so many as the reader puts in.

    A series is always on the same shard, which sends one batch after the other, each kind of entry in order. What is behind
    the position and yet sent is therefore told by a count a shard: a reader that begins anew at the position skips so many.
    """

    def __init__(self, shards: int, position: P, skip: Sequence[Counted] = ()) -> None:
        self.position = position
        """Everything before it is at the receiver."""
        self._shards: list[_Shard[P]] = [_Shard() for _ in range(shards)]
        for shard, counted in zip(self._shards, skip, strict=False):
            shard.skip = counted
        self._chunks: deque[_Chunk[P]] = deque()

    @property
    def shards(self) -> int:
        """How many shards there are."""
        return len(self._shards)

    def pending(self, shard: int) -> int:
        """Entries that wait on a shard, those of a batch that is being sent not counted."""
        return self._shards[shard].pending

    @property
    def fullest(self) -> int:
        """Entries that wait on the shard with the most."""
        return max(shard.pending for shard in self._shards)

    @property
    def waiting(self) -> Counted:
        """Entries of each kind that are not at the receiver yet."""
        return reduce(Counted.plus, (chunk.left for chunk in self._chunks), NONE)

    @property
    def unsent(self) -> int:
        """Entries that are not at the receiver yet."""
        return sum(chunk.left.total for chunk in self._chunks)

    def add(self, position: P, parts: Sequence[Entries]) -> None:
        """What a read brought for each shard, and the position after it."""
        chunk = _Chunk(position, NONE, [NONE] * len(self._shards))
        for number, (shard, entries) in enumerate(zip(self._shards, parts, strict=True)):
            counted = entries.counted
            known = Counted(*(min(one, other) for one, other in zip(shard.skip, counted, strict=True)))
            if known.total:
                shard.skip = shard.skip.minus(known)
                chunk.sent[number] = known
                entries = entries.cut(known, counted)  # what is left of them
            left = counted.minus(known)
            if left.total:
                chunk.left = chunk.left.plus(left)
                shard.pending += left.total
                shard.pieces.append((chunk, entries))
        self._chunks.append(chunk)
        self._advance()

    def take(self, shard: int, entries_max: int) -> Batch[P] | None:
        """The next batch of a shard; None if nothing waits."""
        mine = self._shards[shard]
        taken: list[Entries] = []
        parts: list[tuple[_Chunk[P], Counted]] = []
        room = entries_max
        while mine.pieces and room > 0:
            chunk, entries = mine.pieces.popleft()
            whole = entries.counted
            samples = min(room, whole.samples)
            histograms = min(room - samples, whole.histograms)
            exemplars = min(room - samples - histograms, whole.exemplars)
            part = Counted(samples, histograms, exemplars)
            if part != whole:
                mine.pieces.appendleft((chunk, entries.cut(part, whole)))
                entries = entries.cut(NONE, part)
            taken.append(entries)
            parts.append((chunk, part))
            room -= part.total
        if not taken:
            return None
        mine.pending -= entries_max - room
        return Batch(shard, joined(taken), tuple(parts))

    def done(self, batch: Batch[P]) -> None:
        """A batch is at the receiver, or lost for good."""
        for chunk, counted in batch.parts:
            chunk.left = chunk.left.minus(counted)
            chunk.sent[batch.shard] = chunk.sent[batch.shard].plus(counted)
        self._advance()

    def _advance(self) -> None:
        while self._chunks and not self._chunks[0].left.total:
            self.position = self._chunks.popleft().position

    def beyond(self) -> list[Counted]:
        """What each shard has sent of what comes after the position."""
        total = [NONE] * len(self._shards)
        for chunk in self._chunks:
            total = [one.plus(other) for one, other in zip(total, chunk.sent, strict=True)]
        # What is still to be skipped was sent by the process before.
        return [one.plus(shard.skip) for one, shard in zip(total, self._shards, strict=True)]


def spread(table: SeriesTable, entries: Entries, shards: int) -> list[Entries]:
    """The entries of each shard."""
    if shards == 1:
        return [entries]
    hashes = table.hashes
    owner = hashes[entries.series] % shards
    of_histograms = [int(hashes[each.series]) % shards for each in entries.histograms]
    of_exemplars = [int(hashes[each.series]) % shards for each in entries.exemplars]
    out: list[Entries] = []
    for shard in range(shards):
        mine = np.flatnonzero(owner == shard)
        out.append(
            Entries(
                entries.series[mine],
                entries.times_ms[mine],
                entries.values[mine],
                tuple(h for h, of in zip(entries.histograms, of_histograms, strict=True) if of == shard),
                tuple(e for e, of in zip(entries.exemplars, of_exemplars, strict=True) if of == shard),
            )
        )
    return out
