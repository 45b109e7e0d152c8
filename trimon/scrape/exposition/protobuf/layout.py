"""The memory of a target's bodies in protobuf: between two scrapes only numbers change.

Where the body is as long as the last one and differs from it in numbers only, all of them are taken in one go. Where numbers
have become longer, everything has moved: then metrics are found by their lengths, compared with themselves in runs, and only
those are read again that differ in more than numbers or are longer. A body with other metrics is read metric by metric.
"""

from __future__ import annotations

import numpy as np

from trimon.memory.series import SeriesGrant
from trimon.scrape.exposition.bodymemory import (
    NOTHING,
    BodyReading,
    BrokenBody,
    Ints,
    Lateness,
    never_late,
)
from trimon.scrape.exposition.families import BodyFamilies, BodyFamily, MetadataCache
from trimon.scrape.exposition.protobuf.memory import KnownMetrics, MetricRules
from trimon.scrape.exposition.protobuf.moved import follow
from trimon.scrape.exposition.protobuf.reader import MetricByMetric

# Hashes of series of failed scrapes are kept up to so many more than twice those of the last good one, as in Prometheus.
_SERIES_SPARE = 1000
# What a metric and a sample take beside the bytes of the body.
_METRIC_BYTES = 150
_SAMPLE_BYTES = 60


class ProtobufLayout:
    """Metrics and slots of one target. Not thread-safe. What it promises is what `BodyLayout` does."""

    def __init__(self, rules: MetricRules, metadata: MetadataCache, *, sample_limit: int = 0) -> None:
        self.flushes_forced = 0
        """How often so many series of failed scrapes had gathered that they were forgotten."""
        self._rules = rules
        self._metadata = metadata
        self._sample_limit = sample_limit
        self._metrics = KnownMetrics(BodyFamilies())
        # hashes of series that ended with a failed scrape: when they come back they are no new ones
        self._series: set[int] = set()
        self._failed_series: set[int] = set()
        self._series_good = 0

    @property
    def families(self) -> dict[str, BodyFamily]:
        """What the bodies said of their families; those that are gone are kept for ten scrapes."""
        return self._metadata.by_name

    @property
    def slots(self) -> int:
        """Number of series with the scrape's own timestamp, components among them."""
        return len(self._metrics.hashes)

    @property
    def line_count(self) -> int:
        """Number of samples that are remembered."""
        return len(self._metrics.slots)

    @property
    def size_bytes(self) -> int:
        """About how much memory the metrics take."""
        known = self._metrics
        return 2 * len(known.body) + _METRIC_BYTES * len(known.starts) + _SAMPLE_BYTES * len(known.slots)

    @property
    def hashes(self) -> Ints:
        """By slot the hash of the series' labels."""
        return self._metrics.hashes

    def series_in(self, body: bytes) -> int:
        """How many series a body surely has; not known before it is read."""
        del body
        return 0

    def read(
        self,
        body: bytes,
        bounds_ms: tuple[int, int] | None = None,
        is_late: Lateness = never_late,
        grant: SeriesGrant | None = None,
    ) -> BodyReading:
        """The numbers of the next body. Raises BrokenBody, also when it is late."""
        reading = self._unchanged(body, is_late)
        if reading is None:
            found = self._metric_by_metric(body, bounds_ms, is_late, grant, in_runs=True)
            if found is None:
                found = self._metric_by_metric(body, bounds_ms, is_late, grant, in_runs=False)
            assert found is not None
            self._metrics, reading = found
            self._series = set()
            self._series_good = len(self._metrics.hashes)
        self._metadata.seen(self._metrics.families)
        return reading

    def _metric_by_metric(
        self,
        body: bytes,
        bounds_ms: tuple[int, int] | None,
        is_late: Lateness,
        grant: SeriesGrant | None,
        *,
        in_runs: bool,
    ) -> tuple[KnownMetrics, BodyReading] | None:
        reader = MetricByMetric(
            self._rules,
            self._metrics,
            self._metadata.by_name,
            self._series,
            bounds_ms,
            self._sample_limit,
            is_late,
            grant,
            in_runs=in_runs,
        )
        try:
            return reader.read(body)
        except BrokenBody:
            if in_runs and grant is None and not is_late():
                # Runs are checked when they have been read: a fault in one may lie above the one that was met.
                return None
            self._metadata.partly_seen(reader.families)
            self._series |= reader.series
            self._failed_series = reader.series
            raise

    def _unchanged(self, body: bytes, is_late: Lateness) -> BodyReading | None:
        """The numbers when every metric is what it was."""
        known = self._metrics
        if known.one_by_one or not len(known.starts):
            return None
        if not follow(known, body, self._rules, is_late):
            # it is not what it was any more, even where it was half way followed
            return None
        values = known.values()
        if values is None:
            return None
        return BodyReading(
            values,
            known.samples,
            known.duplicates,
            known.duplicates,
            exemplars=known.shown_exemplars(),
            components=known.components,
        )

    def failed(self, slots: Ints) -> None:
        """After a failed scrape: the series of these slots go on, the others have ended."""
        self._metadata.failed()
        self.keep(slots)

    def keep(self, slots: Ints = NOTHING) -> None:
        """Forgets all metrics; the series of some slots are numbered anew, in this order."""
        self._series |= self._metrics.series()
        self._metrics = self._metrics.only(np.asarray(slots, np.int64))
        self._rules.shapes.forget()
        if len(self._series) > 2 * self._series_good + _SERIES_SPARE:
            # What the body that failed has is not forgotten with the rest: it is not new next time.
            self._series = self._metrics.series() | self._failed_series
            self.flushes_forced += 1
        self._failed_series = set()
