"""A store that lives through random events, and beside it every sample that it took, in the plainest form."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from tests.support.upkeep import clean_tombstones
from trimon.clock import StoppedClock
from trimon.files import DiskFiles
from trimon.limits import FUTURE_MS_MAX
from trimon.model.labels import Labels, labels_of
from trimon.model.matcher import Matcher, MatchType
from trimon.model.rows import Row, SampleBatch
from trimon.model.sample import STALE_NAN
from trimon.query.conformance.memory import MemoryStore
from trimon.storage.options import StoreOptions
from trimon.storage.store import Store

BEGIN_MS = 1_700_006_400_000  # on a two-hour boundary
WINDOW_MS = 3 * 3_600_000
STEP_MS = 15_000

_VALUES = (0.0, 1.5, -2.0, 7.0, float("inf"), float("nan"), STALE_NAN)
PUSHED: tuple[Labels, ...] = tuple(
    labels_of({"__name__": name, "i": str(i)}) for name in ("a", "b") for i in range(5)
)
SCRAPED: tuple[Labels, ...] = tuple(
    labels_of({"__name__": name, "target": str(i)}) for name in ("a", "c") for i in range(6)
)


def _bits(value: float) -> int:
    return int(np.float64(value).view(np.int64))


class Written:
    """Samples by series and time: of several for one time the first counts. Judges as a naive reader of the rules."""

    def __init__(self, block_ms: int) -> None:
        self._block_ms = block_ms
        self.samples: dict[Labels, dict[int, float]] = {}
        # the newest of their series when they were deleted: whether they are taken again is not said
        self.removed: set[tuple[Labels, int]] = set()
        self._newest: dict[Labels, int] = {}
        self.newest_ms: int | None = None

    def take(self, labels: Labels, time_ms: int, value: float, now_ms: int, published_ms: int | None) -> bool:
        """Whether a sample is accepted; it is kept then. `published_ms` is the newest time before the message."""
        lowest_ms = -(1 << 62) if published_ms is None else published_ms - self._block_ms // 2
        latest_ms = -(1 << 62) if published_ms is None else published_ms - WINDOW_MS
        last_ms = self._newest.get(labels, -(1 << 62))
        if time_ms > now_ms + FUTURE_MS_MAX or time_ms < latest_ms:
            return False
        if time_ms == last_ms and time_ms >= lowest_ms:
            return False
        if time_ms > last_ms and time_ms >= lowest_ms:
            self._newest[labels] = time_ms
        self.samples.setdefault(labels, {}).setdefault(time_ms, value)
        self.newest_ms = time_ms if self.newest_ms is None else max(self.newest_ms, time_ms)
        return True

    def restore(self, labels: Labels, samples: dict[int, float]) -> None:
        """What a store still has of a series after a crash."""
        self.samples[labels] = dict(samples)
        self._newest[labels] = newest_ms = max(samples)
        self.newest_ms = newest_ms if self.newest_ms is None else max(self.newest_ms, newest_ms)

    def delete(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> None:
        """Samples that are there now go; what comes later for these times stays."""
        for labels, samples in self.samples.items():
            if all(matcher.matches(dict(labels).get(matcher.name, "")) for matcher in matchers):
                for time_ms in [t for t in samples if start_ms <= t <= end_ms]:
                    del samples[time_ms]
                    if time_ms == self._newest.get(labels):
                        self.removed.add((labels, time_ms))

    def matching(
        self, matchers: Sequence[Matcher], start_ms: int, end_ms: int
    ) -> dict[Labels, list[tuple[int, int]]]:
        """(time, bits) of the samples of matching series in the closed interval; series without any are left out."""
        found = {}
        for labels, samples in self.samples.items():
            if all(matcher.matches(dict(labels).get(matcher.name, "")) for matcher in matchers):
                inside = sorted((t, _bits(v)) for t, v in samples.items() if start_ms <= t <= end_ms)
                if inside:
                    found[labels] = inside
        return found

    def memory(self) -> MemoryStore:
        """The same samples for the query engine."""
        store = MemoryStore()
        for labels, samples in self.samples.items():
            store.extend(labels, sorted(samples.items()))
        return store


class SampleWorld:
    """Events that happen to a store. The same seed is the same world."""

    def __init__(self, seed: int, path: Path) -> None:
        self.random = random.Random(seed)
        self.clock = StoppedClock(BEGIN_MS)
        block_ms = self.random.choice((7_200_000, 1_200_000))
        self.late_share = self.random.choice((0.03, 0.3))
        self.options = StoreOptions(
            path,
            fsync="never",
            out_of_order_window_ms=WINDOW_MS,
            retention_ms=90 * 86_400_000,
            min_block_ms=block_ms,
        )
        self.now_ms = BEGIN_MS
        self.written = Written(block_ms)
        self.columns: dict[str, dict[Labels, int]] = {}
        self.log: list[str] = []
        self.store = self._open()

    def _open(self) -> Store:
        store = Store.open(self.options, DiskFiles(), self.clock)
        store.replay()
        return store

    def close(self) -> None:
        """The store is closed."""
        self.store.close()

    def step(self, by_ms: int) -> None:
        """Time passes."""
        self.now_ms += by_ms
        self.clock.value_ms = max(self.clock.value_ms, self.now_ms)

    def happen(self) -> None:
        """One event."""
        events = (
            (self.scrape, 10),
            (self.push, 6),
            (self.late, 3),
            (self.mixed, 2),
            (self.delete, 0.7),
            (self.pause, 1),
            (self.jump, 0.4),
            (self.maintain, 0.8),
            (self.clean, 0.2),
            (self.restart, 0.3),
        )
        event = self.random.choices([event for event, _ in events], [weight for _, weight in events])[0]
        self.log.append(f"{event.__name__} at {self.now_ms - BEGIN_MS}")
        event()

    # ---- samples

    def _value(self) -> float:
        return (
            self.random.choice(_VALUES) if self.random.random() < 0.3 else float(self.random.randint(0, 50))
        )

    def scrape(self) -> None:
        """A target is scraped some times; series come, go with a marker or without, and come back."""
        pick = self.random
        group = pick.choice(("g", "h", "k"))
        held = self.columns.setdefault(group, {})
        base = SCRAPED[:6] if group == "g" else SCRAPED[3:]
        chosen = list(base) if pick.random() < 0.6 else pick.sample([*base, *PUSHED[:2]], pick.randint(1, 7))
        for _ in range(pick.choice((1, 1, 2, 9, 20))):
            if pick.random() < 0.1:
                chosen = pick.sample(base, pick.randint(0, len(base)))
            time_ms = self.now_ms - (pick.randint(1, 9) * STEP_MS if pick.random() < self.late_share else 0)
            self._row(group, held, chosen, time_ms)
            self.step(STEP_MS)

    def _row(self, group: str, held: dict[Labels, int], chosen: list[Labels], time_ms: int) -> None:
        pick = self.random
        chosen = [labels for labels in chosen if (labels, time_ms) not in self.written.removed]
        known = [labels for labels in chosen if labels in held]
        new = [labels for labels in chosen if labels not in held]
        gone = [labels for labels in held if labels not in chosen and pick.random() < 0.5]
        gone = [labels for labels in gone if (labels, time_ms) not in self.written.removed]
        values = {labels: self._value() for labels in chosen}
        row = Row(
            group,
            time_ms,
            np.array([held[labels] for labels in known], np.int32),
            np.array([values[labels] for labels in known], np.float64),
            tuple(new),
            np.array([values[labels] for labels in new], np.float64),
            np.array([held[labels] for labels in gone], np.int32),
        )
        (answer,) = self.store.append([row])
        held.update(zip(new, answer.columns.tolist(), strict=True))
        before = self.written.newest_ms
        for labels in gone:
            del held[labels]
        for labels, value in [*values.items(), *((labels, STALE_NAN) for labels in gone)]:
            self.written.take(labels, time_ms, value, self.clock.value_ms, before)

    def _send(self, samples: list[tuple[Labels, int, float]], *, atomic: bool = False) -> None:
        samples = [sample for sample in samples if sample[:2] not in self.written.removed]
        if not samples:
            return
        listed = tuple(dict.fromkeys(labels for labels, _, _ in samples))
        batch = SampleBatch(
            listed,
            np.array([listed.index(labels) for labels, _, _ in samples], np.int32),
            np.array([time_ms for _, time_ms, _ in samples], np.int64),
            np.array([value for _, _, value in samples], np.float64),
            atomic,
        )
        (answer,) = self.store.append([batch])
        if atomic and answer.error:
            assert answer.appended == 0
            return
        before = self.written.newest_ms
        for labels, time_ms, value in samples:
            self.written.take(labels, time_ms, value, self.clock.value_ms, before)

    def push(self) -> None:
        """A remote writer's batch."""
        chosen = self.random.sample(PUSHED, self.random.randint(1, len(PUSHED)))
        count = self.random.choice((1, 1, 3, 12))
        times = [self.now_ms + step * STEP_MS for step in range(count)]
        self._send(
            [(labels, time_ms, self._value()) for labels in chosen for time_ms in times],
            atomic=self.random.random() < 0.3,
        )
        self.step(count * STEP_MS)

    def late(self) -> None:
        """A few samples out of order, of any series."""
        pick = self.random
        self._send(
            [
                (
                    pick.choice((*PUSHED, *SCRAPED)),
                    self.now_ms - pick.choice((1, 7, 60, 700)) * 13_000,
                    self._value(),
                )
                for _ in range(pick.randint(1, 4))
            ]
        )

    def mixed(self) -> None:
        """A batch in any order, with times that are there already and series that lag behind."""
        pick = self.random
        times = [self.now_ms - place * STEP_MS for place in range(8)]
        self._send([(pick.choice((*PUSHED, *SCRAPED)), pick.choice(times), self._value()) for _ in range(25)])

    # ---- everything else

    def pause(self) -> None:
        """Nothing comes for a while."""
        self.step(self.random.choice((60_000, 600_000, 1_800_000)))

    def jump(self) -> None:
        """Nothing comes for long."""
        self.step(self.random.choice((1, 2, 3, 8)) * 3_600_000)

    def delete(self) -> None:
        """Samples are deleted."""
        matchers = (self.matcher(),)
        start_ms = self.now_ms - self.random.choice((1, 30, 300, 2000)) * STEP_MS
        end_ms = start_ms + self.random.choice((0, 10, 100, 100_000)) * STEP_MS
        self.store.delete_series(matchers, start_ms, end_ms)
        self.written.delete(matchers, start_ms, end_ms)

    def maintain(self) -> None:
        """What is due is cut, merged and dropped."""
        while jobs := self.store.plan(self.clock.now_ms()):
            for job in jobs:
                self.log.append(job.what)
                job.run()
                job.install()

    def clean(self) -> None:
        """Deleted samples leave the disk."""
        clean_tombstones(self.store)

    def restart(self) -> None:
        """The process ends and starts."""
        self.store.close()
        if self.random.random() < 0.2:
            self.options = replace(self.options, wal_segment_bytes=self.random.choice((1 << 16, 1 << 26)))
        self.store = self._open()
        self.columns = {}

    def matcher(self) -> Matcher:
        """One of a few, so that questions are asked again."""
        return self.random.choice(MATCHERS)


MATCHERS: tuple[Matcher, ...] = (
    Matcher("__name__", MatchType.EQUAL, "a"),
    Matcher("__name__", MatchType.EQUAL, "c"),
    Matcher("__name__", MatchType.REGEXP, ".+"),
    Matcher("i", MatchType.REGEXP, "1|3"),
    Matcher("target", MatchType.NOT_EQUAL, ""),
    Matcher("i", MatchType.EQUAL, ""),
)
