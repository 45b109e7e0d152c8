"""One target's scrapes, one after the other: answers in, rows out, health kept. Synchronous, no I/O.

The order is always: `request()`, then `succeed` or `fail`, which give the row to append, then `granted` with storage's
answer (or `lost`, if storage could not take the row).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from trimon.fetch.request import BodyTooBig, FetchError, Request, Response
from trimon.model.labels import METRIC_NAME, Labels
from trimon.model.rows import NO_COLUMNS, Appended, Columns, Metadata, Row, SampleBatch
from trimon.scrape.bodymemory import Reading
from trimon.scrape.exposition import Format, ParseError, TextFormat
from trimon.scrape.families import Family
from trimon.scrape.layout import Layout
from trimon.scrape.negotiation import choose_format
from trimon.scrape.options import PoolOptions
from trimon.scrape.series_labels import SeriesLabels
from trimon.scrape.target import Target

Health = Literal["unknown", "up", "down"]

REPORT = (
    "up",
    "scrape_duration_seconds",
    "scrape_samples_scraped",
    "scrape_samples_post_metric_relabeling",
    "scrape_series_added",
)
EXTRA_REPORT = ("scrape_timeout_seconds", "scrape_sample_limit", "scrape_body_size_bytes")

# The column of a series that storage has granted none.
NO_COLUMN = np.int32(-1)
# Series that storage refused are offered again after this long: memory pressure may be over.
REFUSED_RETRY_MS = 60_000


@dataclass(frozen=True, slots=True)
class State:
    """What the targets page shows of one target."""

    health: Health = "unknown"
    last_error: str = ""
    last_scrape_ms: int = 0
    last_duration_s: float = 0.0
    samples: int = 0
    series: int = 0


@dataclass(slots=True)
class Counts:
    """What a target's scrapes ran into, since it started."""

    scrapes: int = 0
    failures: int = 0
    missed: int = 0
    duplicate: int = 0
    out_of_order: int = 0
    out_of_bounds: int = 0
    body_size_exceeded: int = 0
    sample_limit_exceeded: int = 0
    label_limit_exceeded: int = 0

    def add(self, other: Counts) -> None:
        """Adds the counts of another target."""
        for name in self.__slots__:
            setattr(self, name, getattr(self, name) + getattr(other, name))


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a scrape leaves to store: always a row, and a batch when samples carried their own timestamps."""

    row: Row
    batch: SampleBatch | None = None
    metadata: Metadata | None = None
    """Families whose type, help or unit is new."""


class ScrapeSession:
    """The state of one target between scrapes. Not thread-safe; belongs to the target's actor."""

    def __init__(self, target: Target, options: PoolOptions, forced_error: str = "") -> None:
        self.target = target
        self.options = options
        self.forced_error = forced_error
        self.state = State()
        self.counts = Counts()
        names = REPORT + EXTRA_REPORT if options.extra_metrics else REPORT
        self._report_labels: tuple[Labels, ...] = tuple(
            tuple(sorted(((METRIC_NAME, name), *target.labels))) for name in names
        )
        self._request = Request(
            target.url,
            (
                ("Accept", options.accept),
                ("Accept-Encoding", "gzip" if options.compression else "identity"),
                ("X-Prometheus-Scrape-Timeout-Seconds", f"{target.timeout_ms / 1000:.10g}"),
            ),
            timeout_s=target.timeout_ms / 1000,
            body_bytes_max=options.body_bytes_max,
        )
        self._series_labels = SeriesLabels(target.labels, options)
        self._layout = self._new_layout(TextFormat())
        # one column a slot of the layout, then the report's; -1 where storage has granted none
        self._columns: Columns = np.full(len(names), -1, np.int32)
        self._ungranted = True
        self._offered: list[tuple[int, Labels]] = []
        # columns whose series are gone: they end with the next row
        self._ending: Columns = NO_COLUMNS
        # columns whose series may come back with the next row: what is not granted again then, ends
        self._unsure: Columns = NO_COLUMNS
        self._refused_ms = 0
        self._told: dict[str, Family] = {}

    def _new_layout(self, text_format: Format) -> Layout:
        honor = self.options.honor_timestamps
        return Layout(text_format, self._series_labels, honor_timestamps=honor)

    @property
    def warm(self) -> bool:
        """Whether the last body is remembered, so that the next one is cheap to read."""
        return self._layout.slots > 0

    @property
    def families(self) -> dict[str, Family]:
        """Metadata by metric family, as of the last good scrape."""
        return self._layout.families

    def request(self) -> Request:
        """What to ask the target; the same object every time."""
        return self._request

    def succeed(self, response: Response, timestamp_ms: int, duration_s: float) -> Outcome:
        """The rows of an answer; an answer that is no good becomes a failed scrape."""
        try:
            if response.status != 200:
                raise FetchError(f"server returned HTTP status {response.status_line}")
            self._use_format(response.content_type)
            if self._refused_ms and timestamp_ms - self._refused_ms >= REFUSED_RETRY_MS:
                self._refused_ms = 0
                self._relearn()
            reading = self._layout.read(response.body)
            kept = len(reading.values) + len(reading.timed) + reading.duplicates
            if self.options.sample_limit and kept > self.options.sample_limit:
                self.counts.sample_limit_exceeded += 1
                raise ParseError("sample limit exceeded")
        except (ParseError, FetchError) as error:
            if "label_" in str(error):
                self.counts.label_limit_exceeded += 1
            return self.fail(error, timestamp_ms, duration_s)
        self.counts.scrapes += 1
        self.counts.duplicate += reading.duplicates
        self.state = State("up", "", timestamp_ms, duration_s, reading.samples, len(reading.values))
        return self._outcome(reading, kept, timestamp_ms, duration_s, len(response.body))

    def fail(self, error: Exception, timestamp_ms: int, duration_s: float) -> Outcome:
        """The row of a failed scrape: every series ends, and `up` is 0."""
        self.counts.scrapes += 1
        self.counts.failures += 1
        too_big = isinstance(error, BodyTooBig)
        self.counts.body_size_exceeded += too_big
        self.state = State("down", str(error), timestamp_ms, duration_s)
        self._ending = _union(self._ending, self._unsure, self._forget())
        self._unsure = NO_COLUMNS
        report = self._report(0.0, duration_s, 0, 0, 0, -1 if too_big else 0)
        return Outcome(self._row(report, (), timestamp_ms))

    def _use_format(self, content_type: str) -> None:
        chosen = choose_format(content_type, self.options.fallback_protocol)
        if not isinstance(self._layout.text_format, chosen):
            families = self._layout.families
            self._relearn()
            self._layout = self._new_layout(chosen())
            self._layout.families = families

    def _report(  # the report's series, in order
        self, up: float, duration_s: float, scraped: int, kept: int, added: int, body_bytes: int
    ) -> list[float]:
        report = [up, duration_s, float(scraped), float(kept), float(added)]
        if self.options.extra_metrics:
            timeout_s = self.target.timeout_ms / 1000
            report += [timeout_s, float(self.options.sample_limit), float(body_bytes)]
        return report

    def _outcome(
        self, reading: Reading, kept: int, timestamp_ms: int, duration_s: float, body_bytes: int
    ) -> Outcome:
        if reading.moved:
            self._move(reading.old_slot)
        added = len(reading.new_labels)
        report = self._report(1.0, duration_s, reading.samples, kept, added, body_bytes)
        values = np.concatenate((reading.values, report))
        return Outcome(
            self._row(values, reading.new_labels, timestamp_ms),
            _batch(reading.timed) if reading.timed else None,
            self._news() if reading.moved else None,
        )

    def _news(self) -> Metadata | None:
        """Metadata that storage has not been told; families no longer exposed are forgotten."""
        families = self._layout.families
        if families == self._told:
            return None
        news = [(name, family) for name, family in families.items() if self._told.get(name) != family]
        self._told = dict(families)
        if not news:
            return None
        return Metadata(tuple((name, family.type, family.help, family.unit) for name, family in news))

    def _move(self, old_slot: npt.NDArray[np.int64]) -> None:
        slots = len(self._columns) - len(self._report_labels)
        old, report = self._columns[:slots], self._columns[slots:]
        columns = np.append(old, NO_COLUMN)[old_slot]  # -1, for a new series, is the one that was appended
        left = np.ones(slots + 1, bool)
        left[old_slot] = False
        gone = old[left[:-1]]
        self._ending = _union(self._ending, gone[gone >= 0])
        self._columns = np.concatenate((columns, report))
        self._ungranted = bool((self._columns < 0).any())

    def _row(
        self, values: npt.NDArray[np.float64] | list[float], new_labels: tuple[Labels, ...], timestamp_ms: int
    ) -> Row:
        values = np.asarray(values, np.float64)
        if not self._ungranted:
            return Row(self.target.group, timestamp_ms, self._columns, values, ended=self._ending)
        held = self._columns >= 0
        self._offered = self._offer(new_labels)
        offered_at = np.fromiter((slot for slot, _ in self._offered), np.int64, len(self._offered))
        return Row(
            self.target.group,
            timestamp_ms,
            self._columns[held],
            values[held],
            tuple(labels for _, labels in self._offered),
            values[offered_at],
            self._ending,
        )

    def _offer(self, new_labels: tuple[Labels, ...]) -> list[tuple[int, Labels]]:
        """The slots to ask columns for: the new series in order, and the report while it has none."""
        slots = len(self._columns) - len(self._report_labels)
        fresh = np.flatnonzero(self._columns[:slots] == -1).tolist()
        offered = list(zip(fresh, new_labels, strict=True))
        offered += [
            (slots + index, labels)
            for index, labels in enumerate(self._report_labels)
            if self._columns[slots + index] < 0
        ]
        return offered

    def granted(self, appended: Appended, timestamp_ms: int) -> None:
        """Takes in storage's answer to the last row."""
        self.counted(appended)
        self._ending = NO_COLUMNS
        if not self._ungranted:
            return
        columns = self._columns.copy()
        for (slot, _), column in zip(self._offered, appended.columns.tolist(), strict=True):
            # -2: storage refused the series; its cells are left out of the rows
            columns[slot] = column if column >= 0 else -2
        self._columns = columns
        self._offered = []
        self._ungranted = bool((columns < 0).any())
        self._ending = (
            np.setdiff1d(self._unsure, columns).astype(np.int32) if len(self._unsure) else NO_COLUMNS
        )
        self._unsure = NO_COLUMNS
        if appended.series_refused and not self._refused_ms:
            self._refused_ms = timestamp_ms

    def counted(self, appended: Appended) -> None:
        """Takes in what storage refused of a row or a batch."""
        self.counts.out_of_order += appended.out_of_order
        self.counts.duplicate += appended.duplicate
        self.counts.out_of_bounds += appended.out_of_bounds + appended.too_old

    def lost(self, error: str) -> None:
        """Storage could not take the last row: nothing of it is stored, and all series are offered anew."""
        self.state = replace(self.state, health="down", last_error=error)
        self._unsure = _union(self._unsure, self._ending)
        self._ending = NO_COLUMNS
        self._relearn()

    def _relearn(self) -> None:
        self._unsure = _union(self._unsure, self._forget())

    def _forget(self) -> Columns:
        """Empties the layout; the columns that its series held."""
        slots = len(self._columns) - len(self._report_labels)
        held = self._columns[:slots]
        self._columns = self._columns[slots:].copy()
        self._ungranted = True
        self._layout.forget()
        return held[held >= 0]

    def held(self) -> Columns:
        """All columns that storage granted and that have not ended."""
        return _union(self._ending, self._unsure, self._columns[self._columns >= 0])

    def inherit(self, predecessor: ScrapeSession) -> None:
        """Goes on where another session of the same target ended: health, counts, and its columns.

        What the first body does not show again of the predecessor's series, ends.
        """
        self.state = predecessor.state
        self.counts = predecessor.counts
        self._unsure = _union(self._unsure, predecessor.held())

    def end(self, timestamp_ms: int) -> Row | None:
        """The row that ends every series, the report's too; None when the target never stored anything."""
        columns = self.held()
        if not len(columns):
            return None
        return Row(self.target.group, timestamp_ms, NO_COLUMNS, np.zeros(0, np.float64), ended=columns)


def _union(*parts: npt.NDArray[np.int32]) -> Columns:
    parts = tuple(part for part in parts if len(part))
    if not parts:
        return NO_COLUMNS
    return np.unique(np.concatenate(parts)).astype(np.int32)


def _batch(timed: tuple[tuple[Labels, int, float], ...]) -> SampleBatch:
    count = len(timed)
    return SampleBatch(
        series=tuple(labels for labels, _, _ in timed),
        series_index=np.arange(count, dtype=np.int32),
        timestamps_ms=np.fromiter((timestamp for _, timestamp, _ in timed), np.int64, count),
        values=np.fromiter((value for _, _, value in timed), np.float64, count),
    )
