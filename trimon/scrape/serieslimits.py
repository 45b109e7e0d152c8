"""Limits of our own on what a target may bring: they refuse new series, and let those that are known go on."""

from __future__ import annotations

from typing import Final

from trimon.model.labels import METRIC_NAME, Labels
from trimon.scrape.exposition.bodymemory import BodyReading, Ints
from trimon.scrape.exposition.families import FamilyDeclaration
from trimon.scrape.exposition.records import (
    ExpositionError,
    LabelLimitError,
    MetricNameLimitError,
    Pairs,
    SampleLimitError,
)
from trimon.scrape.options import PoolOptions
from trimon.scrape.series_labels import SeriesLabels

_MINUTE_MS: Final = 60_000


class LimitedSeries:
    """A rule for series that refuses some of those that were not in the last body. Not thread-safe.

    With `keep_known` that is what happens beyond `sample_limit`, `exposed_sample_limit`, `metric_name_limit` and the limits on
    labels; otherwise such a body fails. `new_series_limit` always refuses, but not in the first body, where all is new.
    A series that is refused is left out as if relabeling had dropped it, until all of the body is looked at again.
    """

    def __init__(self, rule: SeriesLabels, options: PoolOptions) -> None:
        self.refused = 0
        """How many series the last body had that were refused."""
        self._rule = rule
        self._options = options
        self._known: set[int] = set()
        self._names: set[str] = set()
        self._seen_names: set[str] = set()
        self._series = 0
        self._exposed = 0
        # new series of this body, and of this minute
        self._taken = 0
        self._taken_in_minute = 0
        self._minute_ms = 0
        self._is_first = True
        self._why = ""

    @property
    def text(self) -> str:
        """How many series are refused, and why."""
        return f"{self.refused} new series are refused: {self._why}"

    def begin(self, timestamp_ms: int, *, anew: bool) -> None:
        """A body is read; `anew`: all of its series are looked at, as nothing is remembered."""
        if anew:
            self.refused = 0
            self._seen_names = set()
            if not self._options.keep_known:
                # the last body failed, or there was none
                self._names = set()
        if timestamp_ms - self._minute_ms >= _MINUTE_MS:
            self._minute_ms, self._taken_in_minute = timestamp_ms, 0
        self._taken = 0

    def done(self, reading: BodyReading, hashes: Ints, *, anew: bool) -> None:
        """The body was read. Raises ExpositionError where it has more samples than it may."""
        limit = self._options.exposed_sample_limit
        if limit and reading.samples > limit and not self._options.keep_known:
            raise exposed_error(reading.samples, limit)
        if reading.moved or reading.timed:
            self._known = set(hashes.tolist()).union(hash(labels) for labels, _, _ in reading.timed)
        if anew:
            self._names = self._seen_names
        self._series, self._exposed = reading.series + len(reading.timed), reading.samples
        self._is_first = False

    def __call__(self, pairs: Pairs, declared: FamilyDeclaration) -> Labels | None:
        """The final labels of a series, None when relabeling drops it or a limit refuses it. Raises ExpositionError."""
        try:
            labels = self._rule(pairs, declared)
        except LabelLimitError as error:
            if not self._options.keep_known:
                raise
            self._refuse(str(error))
            return None
        if labels is None:
            return None
        hashed = hash(labels)
        name = _name_of(labels)
        if hashed not in self._known:
            why = self._limit_reached(name)
            if why:
                self._refuse(why)
                return None
            self._known.add(hashed)
            self._taken += 1
            self._taken_in_minute += not self._is_first
        self._names.add(name)
        self._seen_names.add(name)
        return labels

    def _refuse(self, why: str) -> None:
        self.refused += 1
        self._why = why

    def _limit_reached(self, name: str) -> str:
        """Which limit a series more would break; empty for none. Raises MetricNameLimitError."""
        options = self._options
        limit = options.metric_name_limit
        if limit and len(self._names) >= limit and name not in self._names:
            if not options.keep_known:
                raise MetricNameLimitError(f"metric_name_limit exceeded (metric: {name:.50}, limit: {limit})")
            return f"metric_name_limit of {limit} is reached"
        limit = options.new_series_limit
        if limit and not self._is_first and self._taken_in_minute >= limit:
            return f"new_series_limit of {limit} a minute is reached"
        if not options.keep_known:
            return ""
        limit = options.sample_limit
        if limit and self._series + self._taken >= limit:
            return f"sample_limit of {limit} is reached"
        limit = options.exposed_sample_limit
        if limit and self._exposed + self._taken >= limit:
            return f"exposed_sample_limit of {limit} is reached"
        return ""


def exposed_error(samples: int, limit: int) -> ExpositionError:
    """The error of a body with too many samples, whatever relabeling leaves of them."""
    return SampleLimitError(f"exposed_sample_limit exceeded (samples: {samples}, limit: {limit})")


def _name_of(labels: Labels) -> str:
    return next((value for label, value in labels if label == METRIC_NAME), "")
