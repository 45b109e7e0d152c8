"""What a store was given, in plain lists, and what must be readable of it after each kind of end.

    attempted ⊇ taken ⊇ durable

Attempted is every sample that was ever handed over; taken is what was acknowledged and so is readable while the process
lives; durable is what a power failure must not touch. After a process was killed everything taken is there; of what was
attempted without an answer anything may be there, but nothing else ever, and no sample twice.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tests.support.sample_world import Written
from trimon.model.labels import Labels
from trimon.model.matcher import Matcher
from trimon.model.rows import Appended, Exemplars, Metadata, Row, SampleBatch
from trimon.model.sample import STALE_NAN

Sample = tuple[Labels, int, float]
Readable = dict[Labels, dict[int, int]]
"""Bits of the value by time, by series."""


def bits(value: float) -> int:
    """The bits of a value, so that NaN and staleness markers are equal to themselves."""
    return int(np.float64(value).view(np.int64))


class History:
    """The plain lists of one store, through all its processes."""

    def __init__(self, block_ms: int) -> None:
        self._block_ms = block_ms
        self.written = Written(block_ms)
        self._attempted: dict[tuple[Labels, int], set[int]] = {}
        self._pending: set[tuple[Labels, int]] = set()
        self._dropped: set[tuple[Labels, int]] = set()
        self._deleted: set[tuple[Labels, int]] = set()
        self._gone: set[tuple[Labels, int]] = set()
        self._refused: set[tuple[Labels, int]] = set()
        self._unsure: set[tuple[Labels, int]] = set()
        self._columns: dict[str, dict[int, Labels]] = {}
        self.taken = 0
        self.lost = 0
        """Samples that the last start did not bring back though it had to: only of a damaged disk."""

    # ---- what is handed over

    def samples_of(self, message: Row | SampleBatch | Metadata | Exemplars) -> list[Sample]:
        """The samples of a message, in the order in which they count."""
        if isinstance(message, SampleBatch):
            places = message.series_index.tolist()
            times, values = message.timestamps_ms.tolist(), message.values.tolist()
            return [(message.series[p], t, v) for p, t, v in zip(places, times, values, strict=True)]
        if not isinstance(message, Row):
            return []
        held = self._columns.get(message.group, {})
        known = [held[column] for column in message.columns.tolist()]
        rows = [
            *zip(known, message.values.tolist(), strict=True),
            *zip(message.new_series, message.new_values.tolist(), strict=True),
            *((held[column], STALE_NAN) for column in message.ended.tolist()),
        ]
        return [(labels, message.timestamp_ms, value) for labels, value in rows]

    def attempt(self, messages: Sequence[Row | SampleBatch | Metadata | Exemplars]) -> None:
        """Before the store is asked."""
        for message in messages:
            for labels, time_ms, value in self.samples_of(message):
                self._attempted.setdefault((labels, time_ms), set()).add(bits(value))
                self._gone.discard((labels, time_ms))

    def refused(self, messages: Sequence[Row | SampleBatch | Metadata | Exemplars]) -> None:
        """After the store has failed to take them."""
        for message in messages:
            self._refused.update((labels, time_ms) for labels, time_ms, _ in self.samples_of(message))

    def take(
        self,
        messages: Sequence[Row | SampleBatch | Metadata | Exemplars],
        answers: Sequence[Appended],
        now_ms: int,
    ) -> None:
        """After the store has acknowledged."""
        before = self.written.newest_ms
        for message, answer in zip(messages, answers, strict=True):
            samples = self.samples_of(message)
            if isinstance(message, SampleBatch) and message.atomic and answer.error:
                continue
            if isinstance(message, Row):
                held = self._columns.setdefault(message.group, {})
                for column in message.ended.tolist():
                    del held[column]
                held.update(zip(answer.columns.tolist(), message.new_series, strict=True))
            for labels, time_ms, value in samples:
                if self.written.take(labels, time_ms, value, now_ms, before):
                    self._pending.add((labels, time_ms))
                    self.taken += 1

    def pending(self) -> set[tuple[Labels, int]]:
        """What has been taken and is not known to be durable; asked for before a sync begins."""
        return set(self._pending)

    def synced(self, pending: set[tuple[Labels, int]]) -> None:
        """A sync that began when these were pending has succeeded."""
        self._pending -= pending - self._dropped
        self._deleted &= self._dropped

    def not_synced(self) -> None:
        """A sync failed, and said so: what the system has dropped then no later sync brings to the medium."""
        self._dropped |= self._pending | self._deleted

    def delete(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> None:
        """Before the store is asked to delete: from here on nobody knows, until it answers."""
        for labels, found in self.written.matching(matchers, start_ms, end_ms).items():
            self._unsure |= {(labels, time_ms) for time_ms, _ in found}

    def deleted(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> None:
        """After the store has acknowledged a deletion; a power failure before the next sync may undo it."""
        for labels, found in self.written.matching(matchers, start_ms, end_ms).items():
            for time_ms, _ in found:
                self._deleted.add((labels, time_ms))
                self._gone.add((labels, time_ms))
                self._unsure.discard((labels, time_ms))
        self.written.delete(matchers, start_ms, end_ms)

    @property
    def unsure(self) -> bool:
        """Whether a deletion failed, so that nobody knows what is left of its samples."""
        return bool(self._unsure)

    # ---- what must be readable

    def readable(self) -> Readable:
        """What the store shows now, exactly."""
        return {
            labels: {time_ms: bits(value) for time_ms, value in samples.items()}
            for labels, samples in self.written.samples.items()
            if samples
        }

    def differs(self, found: Readable) -> str:
        """Empty when a living store shows what it must, else the first difference."""
        wanted = self.readable()
        for labels in wanted.keys() | found.keys():
            mine, theirs = wanted.get(labels, {}), found.get(labels, {})
            if mine != theirs:
                wrong = sorted(
                    time_ms
                    for time_ms in mine.keys() | theirs.keys()
                    if mine.get(time_ms) != theirs.get(time_ms)
                )
                sure = [time_ms for time_ms in wrong if (labels, time_ms) not in self._unsure]
                if sure:
                    at = sure[0]
                    return f"{labels} at {at}: {theirs.get(at)} instead of {mine.get(at)}, {len(sure)} such"
        return ""

    def survived(self, found: Readable, *, power_failed: bool, damaged: bool = False) -> str:
        """The same for a store that has come back; what it shows is the truth from then on."""
        wanted = self.readable()
        for labels, samples in found.items():
            for time_ms, value in samples.items():
                if value not in self._attempted.get((labels, time_ms), ()):
                    return f"{labels} at {time_ms}: {value} was never given"
                if (labels, time_ms) in self._gone:
                    # The record of a deletion may be lost as any other.
                    if not damaged and not (power_failed and (labels, time_ms) in self._deleted):
                        return f"{labels} at {time_ms} was deleted"
                    self._gone.discard((labels, time_ms))
                known = wanted.get(labels, {}).get(time_ms)
                # Of two values for one time the first counts; where it is lost or deleted, the second may be left.
                # What was refused because the disk failed may be in the log all the same, before what was taken later.
                excused = damaged or (labels, time_ms) in self._unsure
                excused |= (labels, time_ms) in self._refused
                excused |= power_failed and (labels, time_ms) in self._pending
                if known is not None and known != value and not excused:
                    return f"{labels} at {time_ms}: {value} instead of {known}"
        lost = [
            (labels, time_ms)
            for labels, samples in wanted.items()
            for time_ms in samples
            if time_ms not in found.get(labels, {}) and (labels, time_ms) not in self._unsure
        ]
        if power_failed:
            lost = [each for each in lost if each not in self._pending]
        self.lost = len(lost)
        if lost and not damaged:
            return f"{len(lost)} samples are lost, such as {min(lost, key=lambda each: each[1])}"
        self._begin_again(found, power_failed=power_failed)
        return ""

    def _begin_again(self, found: Readable, *, power_failed: bool) -> None:
        before = {(labels, t) for labels, samples in self.written.samples.items() for t in samples}
        removed = self.written.removed
        self.written = Written(self._block_ms)
        self.written.removed = removed
        for labels, samples in found.items():
            self.written.restore(labels, {t: float(np.int64(b).view(np.float64)) for t, b in samples.items()})
        self._columns = {}
        here = {(labels, time_ms) for labels, samples in found.items() for time_ms in samples}
        # What was attempted and is here after all may be as little synced as what was not yet.
        self._pending = set() if power_failed else (self._pending | (here - before)) & here
        self._dropped &= self._pending | self._deleted
        self._deleted = set() if power_failed else self._deleted
        self._unsure = set()
