"""The outcome of a scrape: what is to be stored, the state for the targets page, and counts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from operator import attrgetter
from typing import Final, Literal

import numpy as np

from trimon.model.labels import Labels
from trimon.model.rows import Appended, Exemplars, Metadata, Row, SampleBatch
from trimon.records import dataclass
from trimon.scrape.exposition.bodymemory import SeriesExemplar
from trimon.scrape.exposition.records import LineExemplar
from trimon.scrape.fault import BodyFault

Health = Literal["unknown", "up", "down"]

# Storage takes samples from so far ahead of the clock, and as a rule from so far behind the newest.
AHEAD_MS: Final = 600_000
BEHIND_MS: Final = 3_600_000
# A time beyond this, in milliseconds, is nobody's.
TIME_MS_MAX: Final = 2**53


@dataclass(frozen=True, slots=True)
class TargetState:
    """What the targets page shows of one target."""

    health: Health = "unknown"
    last_error: str = ""
    last_scrape_ms: int = 0
    last_duration_s: float = 0.0
    samples: int = 0
    series: int = 0
    fault: BodyFault | None = None
    """Where the last body is at fault."""


@dataclass(slots=True)
class ScrapeCounts:
    """What a target's scrapes ran into, since it started."""

    scrapes: int = 0
    failures: int = 0
    missed: int = 0
    duplicate: int = 0
    out_of_order: int = 0
    out_of_bounds: int = 0
    exemplars_out_of_order: int = 0
    body_size_exceeded: int = 0
    sample_limit_exceeded: int = 0
    bucket_limit_exceeded: int = 0
    metric_name_limit_exceeded: int = 0
    series_refused: int = 0
    label_limit_exceeded: int = 0
    cache_flushes_forced: int = 0

    def miss(self, slots: int) -> None:
        """So many scrapes did not begin in time."""
        self.missed += slots

    def add(self, others: Iterable[ScrapeCounts]) -> None:
        """Adds the counts of other targets, tens of thousands in milliseconds."""
        names = self.__slots__
        for name, column in zip(names, zip(*map(attrgetter(*names), others), strict=True), strict=False):
            setattr(self, name, getattr(self, name) + sum(column))


@dataclass(frozen=True, slots=True)
class DroppedSamples:
    """Samples and exemplars of one scrape that are not stored, by Prometheus' kinds."""

    duplicate: int = 0
    out_of_order: int = 0
    out_of_bounds: int = 0
    exemplars_out_of_order: int = 0

    def warnings(self) -> list[tuple[str, int]]:
        """What is logged of them, in Prometheus' words, with how many there are."""
        found = (
            ("Error on ingesting out-of-order samples", self.out_of_order),
            ("Error on ingesting samples with different value but same timestamp", self.duplicate),
            (
                "Error on ingesting samples that are too old or are too far into the future",
                self.out_of_bounds,
            ),
            ("Error on ingesting out-of-order exemplars", self.exemplars_out_of_order),
        )
        return [(text, count) for text, count in found if count]


NOTHING_DROPPED: Final = DroppedSamples()


@dataclass(frozen=True, slots=True)
class ScrapeOutcome:
    """What a scrape leaves to store: always a row, and a batch when samples carried their own timestamps."""

    row: Row
    batch: SampleBatch | None = None
    metadata: Metadata | None = None
    """Families whose type, help or unit is new."""
    exemplars: Exemplars | None = None
    dropped: DroppedSamples = NOTHING_DROPPED
    """What is known to be dropped before storage sees it."""
    starts: SampleBatch | None = None
    """What series had when they began, to be stored before all else; what is refused of it is no loss."""

    def messages(self) -> list[Row | SampleBatch | Metadata | Exemplars]:
        """All that is to be stored: what was before the row, the row, the rest."""
        parts = (self.starts, self.row, self.batch, self.exemplars, self.metadata)
        return [part for part in parts if part is not None]

    def dropped_with(self, answers: Sequence[Appended]) -> DroppedSamples:
        """What is not stored in the end, by storage's answers to the messages; there are to be no `starts`."""
        late = answers[len(self.messages()) - 1 - (self.metadata is not None)].out_of_order
        exemplars_late = late if self.exemplars is not None else 0
        samples = answers[:2] if self.batch is not None else answers[:1]
        lost = [(one.duplicate, one.out_of_order, one.out_of_bounds + one.too_old) for one in samples]
        if not exemplars_late and self.dropped is NOTHING_DROPPED and not any(map(any, lost)):
            return NOTHING_DROPPED
        duplicate, out_of_order, out_of_bounds = map(sum, zip(*lost, strict=True))
        return DroppedSamples(
            self.dropped.duplicate + duplicate,
            out_of_order,
            self.dropped.out_of_bounds + out_of_bounds,
            exemplars_late,
        )


def bounds_ms(scrape_ms: int) -> tuple[int, int]:
    """The timestamps that storage will take, as far as one can tell before it is asked."""
    return scrape_ms - BEHIND_MS, scrape_ms + AHEAD_MS


def timed_batch(timed: Sequence[tuple[Labels, int, float]], scrape_ms: int) -> tuple[SampleBatch | None, int]:
    """The batch of samples with timestamps of their own, and how many are beyond all times that can be stored."""
    sound = [
        sample
        for sample in timed
        if -TIME_MS_MAX < sample[1] < TIME_MS_MAX and sample[1] <= scrape_ms + AHEAD_MS
    ]
    count = len(sound)
    if not count:
        return None, len(timed)
    return batch_of(sound), len(timed) - count


def batch_of(samples: Sequence[tuple[Labels, int, float]]) -> SampleBatch:
    """A batch of samples of one series each."""
    count = len(samples)
    return SampleBatch(
        series=tuple(labels for labels, _, _ in samples),
        series_index=np.arange(count, dtype=np.int32),
        timestamps_ms=np.fromiter((timestamp for _, timestamp, _ in samples), np.int64, count),
        values=np.fromiter((value for _, _, value in samples), np.float64, count),
    )


def starts_batch(starts: Sequence[tuple[Labels, int, float]], scrape_ms: int) -> SampleBatch | None:
    """What series had when they began, of those that began before the scrape."""
    sound = [start for start in starts if 0 < start[1] < scrape_ms]
    return batch_of(sound) if sound else None


class ExemplarReader:
    """Exemplars of a target as storage takes them. Remembers those of the last body."""

    def __init__(self) -> None:
        self._last: dict[Labels, LineExemplar] = {}

    def read(self, shown: Sequence[SeriesExemplar], scrape_ms: int) -> Exemplars | None:
        """Without a time of its own an exemplar has the sample's or the scrape's, and is a new one when it changed."""
        found = []
        last: dict[Labels, LineExemplar] = {}
        for one in shown:
            exemplar, time_ms = one.exemplar, one.exemplar.timestamp_ms
            if time_ms is None:
                last[one.series] = exemplar
                if self._last.get(one.series) == exemplar:
                    continue
                time_ms = scrape_ms if one.sample_timestamp_ms is None else one.sample_timestamp_ms
            if -TIME_MS_MAX < time_ms < TIME_MS_MAX and _is_text(exemplar.labels):
                found.append((one.series, exemplar.labels, exemplar.value, time_ms))
        self._last = last
        # Those of one series in order of their times, then of their values: storage takes no earlier one afterwards.
        places = {series: place for place, (series, *_) in reversed(list(enumerate(found)))}
        found.sort(key=lambda one: (places[one[0]], one[3], one[2], one[1]))
        return Exemplars(tuple(found)) if found else None


def _is_text(labels: Labels) -> bool:
    try:
        "".join(name + value for name, value in labels).encode()
    except UnicodeEncodeError:
        return False
    return True
