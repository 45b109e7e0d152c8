"""One target's scrapes, one after the other: answers in, rows out, health kept. Synchronous, no I/O.

The order is always: `request()`, then `succeed` or `fail`, which give the row to append, then `granted` with storage's
answer (or `lost`, if storage could not take the row). Between two scrapes a series of the target is in one of these states:

    state     text in layout  column   what the next row has of it
    unknown        no           -      nothing
    offered        yes         -1      its labels and a value, under `new_series`; storage grants a column
    held           yes         >= 0    a value under its column
    refused        yes         -2      nothing, until a minute has passed
    ending         no      in _ending  a staleness marker; the column is given back
    unsure         no      in _unsure  nothing, or a value under new labels; then held, or lapsed
    lapsed         no      in _lapsed  a marker, unless the row offers series: it may be one of them, and is unsure again

                   body shows it               granted                 body does not show it
    unknown ----------------------> offered ------------> held ---------------------------------> ending
       ^                                                  |  ^  \\ fetch failed, or fault above it    | row stored
       |                                                  |  |   \\------------------------------> ending -> unknown
       |                             fault in body below it  | body shows it
       |                                                  v  |
       +---- inherited or lost: unsure -----------> held, without a value in that row

A body that fails (a line is no good, a limit is exceeded) stores none of its samples. Series that were read above the
fault get no marker either: nobody knows whether they are gone, so they stay held and are judged by the next good body.
Those that were not reached end, as all do when there is no answer. An empty body is a good scrape in which all end.
Texts of series that ended with a failure are remembered: when they come back they are not counted as added.

The report (`up`, `scrape_*`) has its columns behind those of the slots. Where the target itself exposes a series with the
labels of one, that wins: both are one series in storage, so the column moves to the slot, the report's own is SHADOWED,
and takes the column back as soon as the target no longer shows the series or the scrape fails.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np
import numpy.typing as npt

from trimon.fetch.request import BodyTooBig, FetchError, Request, Response
from trimon.model.labels import METRIC_NAME, Labels, labels_of
from trimon.model.rows import NO_COLUMNS, Appended, Columns, Metadata, Row
from trimon.scrape.bodymemory import NOTHING, BodyError, Ints, Reading
from trimon.scrape.exposition import TextFormat
from trimon.scrape.families import Family
from trimon.scrape.layout import Layout
from trimon.scrape.negotiation import choose_format
from trimon.scrape.options import PoolOptions
from trimon.scrape.outcome import (
    NOTHING_DROPPED,
    Counts,
    Dropped,
    ExemplarReader,
    Outcome,
    State,
    bounds_ms,
    timed_batch,
)
from trimon.scrape.records import LabelLimitError, ParseError, SampleLimitError
from trimon.scrape.series_labels import SeriesLabels
from trimon.scrape.target import Target

REPORT = (
    "up",
    "scrape_duration_seconds",
    "scrape_samples_scraped",
    "scrape_samples_post_metric_relabeling",
    "scrape_series_added",
)
EXTRA_REPORT = ("scrape_timeout_seconds", "scrape_sample_limit", "scrape_body_size_bytes")

# Columns that are none: storage has granted none yet; it refused the series; the target exposes the report's series.
NO_COLUMN: Final = np.int32(-1)
REFUSED: Final = -2
SHADOWED: Final = -3
# Series that storage refused are offered again after this long: memory pressure may be over.
REFUSED_RETRY_MS: Final = 60_000


class ScrapeSession:
    """The state of one target between scrapes. Not thread-safe; belongs to the target's actor."""

    def __init__(self, target: Target, options: PoolOptions, forced_error: str = "") -> None:
        self.target = target
        self.options = options
        self.forced_error = forced_error
        self.state = State()
        self.counts = Counts()
        names = REPORT + EXTRA_REPORT if options.extra_metrics else REPORT
        self._report_labels: tuple[Labels, ...] = tuple(_report_labels(name, target.labels) for name in names)
        self._request = Request(
            target.url,
            (
                ("Accept", options.accept),
                ("Accept-Encoding", "gzip" if options.compression else "identity"),
                ("X-Prometheus-Scrape-Timeout-Seconds", f"{target.timeout_ms / 1000:.10g}"),
            ),
            timeout_s=target.timeout_ms / 1000,
            body_bytes_max=options.body_bytes_max,
            unix_socket=target.unix_socket,
        )
        self._series_labels = SeriesLabels(target.labels, options)
        self._layout = Layout(
            TextFormat(),
            self._series_labels,
            honor_timestamps=options.honor_timestamps,
            sample_limit=options.sample_limit,
        )
        # one column a slot of the layout, then the report's; -1 where storage has granted none
        self._columns: Columns = np.full(len(names), -1, np.int32)
        self._ungranted = True
        # slots of series that the last body showed for the first time, with their labels
        self._fresh: list[tuple[int, Labels]] = []
        # by index in the report the slot of the series that shadows it
        self._shadows: dict[int, int] = {}
        self._offered: list[tuple[int, Labels]] = []
        # columns whose series are gone: they end with the next row
        self._ending: Columns = NO_COLUMNS
        # columns whose series may come back with the next row: what is not granted again then, ends
        self._unsure: Columns = NO_COLUMNS
        # columns that did not come back: they end with the next row that offers no series
        self._lapsed: Columns = NO_COLUMNS
        self._refused_ms = 0
        self._told: dict[str, Family] = {}
        self._exemplars = ExemplarReader()

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
        if response.status != 200:
            error = FetchError(f"server returned HTTP status {response.status_line}")
            return self.fail(error, timestamp_ms, duration_s)
        if not response.body:
            return self._empty(timestamp_ms, duration_s)
        try:
            self._use_format(response.content_type)
            if self._refused_ms and timestamp_ms - self._refused_ms >= REFUSED_RETRY_MS:
                self._refused_ms = 0
                self._relearn()
            reading = self._layout.read(response.body, bounds_ms(timestamp_ms))
        except BodyError as error:
            return self._bad_body(error, timestamp_ms, duration_s, len(response.body))
        except ParseError as error:
            return self._failed(error, timestamp_ms, duration_s, len(response.body))
        self.counts.scrapes += 1
        self.state = State("up", "", timestamp_ms, duration_s, reading.samples, len(reading.values))
        return self._outcome(reading, timestamp_ms, duration_s, len(response.body))

    def fail(self, error: Exception, timestamp_ms: int, duration_s: float) -> Outcome:
        """The row of a scrape without an answer: every series ends, and `up` is 0."""
        too_big = isinstance(error, BodyTooBig)
        self.counts.body_size_exceeded += too_big
        return self._failed(error, timestamp_ms, duration_s, -1 if too_big else 0)

    def _failed(self, error: Exception, timestamp_ms: int, duration_s: float, body_bytes: int) -> Outcome:
        self._end_all_but(NOTHING)
        return self._down(error, timestamp_ms, duration_s, (0, 0, 0), body_bytes)

    def _bad_body(self, error: BodyError, timestamp_ms: int, duration_s: float, body_bytes: int) -> Outcome:
        self.counts.label_limit_exceeded += isinstance(error.cause, LabelLimitError)
        self.counts.sample_limit_exceeded += isinstance(error.cause, SampleLimitError)
        self._end_all_but(error.slots)
        counts = (error.samples, error.kept, error.added)
        return self._down(error.cause, timestamp_ms, duration_s, counts, body_bytes)

    def _down(
        self,
        error: Exception,
        timestamp_ms: int,
        duration_s: float,
        counts: tuple[int, int, int],
        body_bytes: int,
    ) -> Outcome:
        self.counts.scrapes += 1
        self.counts.failures += 1
        self.state = State("down", str(error), timestamp_ms, duration_s)
        report = self._report(0.0, duration_s, counts, body_bytes)
        return Outcome(self._row(report, timestamp_ms, first=self._slots))

    def _empty(self, timestamp_ms: int, duration_s: float) -> Outcome:
        """A body of no bytes, in whatever format: all series end, and that is no failure."""
        self.counts.scrapes += 1
        self.state = State("up", "", timestamp_ms, duration_s)
        self._end_all_but(NOTHING)
        report = self._report(1.0, duration_s, (0, 0, 0), 0)
        return Outcome(self._row(report, timestamp_ms, first=self._slots))

    def _end_all_but(self, slots: Ints) -> None:
        """All series end but those of some slots, which are held without a value."""
        self._unshadow()
        held = self._columns[: self._slots]
        going_on = held[slots]
        ending = np.setdiff1d(held[held >= 0], going_on)
        self._ending = _union(self._ending, self._unsure, self._lapsed, ending)
        self._unsure = self._lapsed = NO_COLUMNS
        self._columns = np.concatenate((going_on, self._columns[self._slots :]))
        self._ungranted = True
        self._fresh = []
        self._layout.failed(slots)
        self.counts.cache_flushes_forced += self._layout.flushes_forced
        self._layout.flushes_forced = 0

    def _use_format(self, content_type: str) -> None:
        chosen = choose_format(content_type, self.options.fallback_protocol)
        if not isinstance(self._layout.text_format, chosen):
            self._relearn()
            self._layout.use(chosen())

    @property
    def _slots(self) -> int:
        return len(self._columns) - len(self._report_labels)

    def _report(
        self, up: float, duration_s: float, counts: tuple[int, int, int], body_bytes: int
    ) -> list[float]:
        """The report's values in order; `counts` are samples scraped, samples kept, series added."""
        report = [up, duration_s, *map(float, counts)]
        if self.options.extra_metrics:
            timeout_s = self.target.timeout_ms / 1000
            report += [timeout_s, float(self.options.sample_limit), float(body_bytes)]
        return report

    def _outcome(self, reading: Reading, timestamp_ms: int, duration_s: float, body_bytes: int) -> Outcome:
        if reading.moved:
            self._move(reading)
        counts = (reading.samples, reading.kept, reading.added)
        report = self._report(1.0, duration_s, counts, body_bytes)
        values = np.concatenate((reading.values, report))
        batch, beyond = timed_batch(reading.timed, timestamp_ms) if reading.timed else (None, 0)
        self.counts.duplicate += reading.repeats
        self.counts.out_of_bounds += beyond
        return Outcome(
            self._row(values, timestamp_ms),
            batch,
            self._news() if reading.moved else None,
            self._exemplars.read(reading.exemplars, timestamp_ms) if reading.exemplars else None,
            Dropped(duplicate=reading.repeats, out_of_bounds=beyond)
            if reading.repeats or beyond
            else NOTHING_DROPPED,
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

    def _move(self, reading: Reading) -> None:
        """The slots are new ones: columns move along, those of series that are gone end."""
        self._unshadow()
        slots, old_slot = self._slots, reading.old_slot
        old, report = self._columns[:slots], self._columns[slots:]
        columns = np.append(old, NO_COLUMN)[old_slot]  # -1, for a new series, is the one that was appended
        left = np.ones(slots + 1, bool)
        left[old_slot] = False
        gone = old[left[:-1]]
        self._ending = _union(self._ending, gone[gone >= 0])
        self._columns = np.concatenate((columns, report))
        self._fresh = list(zip(np.flatnonzero(old_slot < 0).tolist(), reading.new_labels, strict=True))
        self._shadow()
        self._ungranted = bool(((self._columns < 0) & (self._columns != SHADOWED)).any())

    def _shadow(self) -> None:
        """Gives the columns of the report to the series that the target itself exposes under the same labels."""
        hashes, slots = self._layout.hashes, self._slots
        for index, labels in enumerate(self._report_labels):
            found = np.flatnonzero(hashes == hash(labels))
            if not len(found):
                continue
            slot = int(found[0])
            self._shadows[index] = slot
            if self._columns[slot] == NO_COLUMN:
                self._columns[slot] = self._columns[slots + index]
            self._columns[slots + index] = SHADOWED

    def _unshadow(self) -> None:
        """Gives the report its columns back."""
        slots = self._slots
        for index, slot in self._shadows.items():
            self._columns = self._columns.copy()
            self._columns[slots + index] = self._columns[slot]
            self._columns[slot] = NO_COLUMN
        self._shadows = {}

    def _row(self, values: npt.NDArray[np.float64] | list[float], timestamp_ms: int, first: int = 0) -> Row:
        """The row of all columns from `first` on, of which these are the values."""
        values = np.asarray(values, np.float64)
        if len(self._lapsed):
            self._settle_lapsed()
        if not self._ungranted and not self._shadows and not first:
            return Row(self.target.group, timestamp_ms, self._columns, values, ended=self._ending)
        columns = self._columns[first:]
        held = columns >= 0
        self._offered = self._offer(first)
        offered_at = np.fromiter((slot - first for slot, _ in self._offered), np.int64, len(self._offered))
        return Row(
            self.target.group,
            timestamp_ms,
            columns[held],
            values[held],
            tuple(labels for _, labels in self._offered),
            values[offered_at],
            self._ending,
        )

    def _settle_lapsed(self) -> None:
        """Ends what did not come back, unless it may be among the series that are offered now."""
        if self._fresh:
            self._unsure = _union(self._unsure, self._lapsed)
        else:
            self._ending = _union(self._ending, self._lapsed)
        self._lapsed = NO_COLUMNS

    def _offer(self, first: int) -> list[tuple[int, Labels]]:
        """The places to ask columns for: the new series in order, and the report while it has none."""
        columns, slots = self._columns, self._slots
        offered = {
            slot: labels for slot, labels in self._fresh if columns[slot] == NO_COLUMN and slot >= first
        }
        for index, labels in enumerate(self._report_labels):
            place = self._shadows.get(index, slots + index)
            if columns[place] == NO_COLUMN and place >= first:
                offered[place] = labels
        return list(offered.items())

    def settle(self, outcome: Outcome, answers: Sequence[Appended], timestamp_ms: int) -> Dropped:
        """Takes in storage's answers to what a scrape left to store; says what of it is not stored."""
        self.granted(answers[0], timestamp_ms)
        if outcome.batch is not None:
            self.counted(answers[1])
        late = answers[len(outcome.messages()) - 1 - (outcome.metadata is not None)].out_of_order
        exemplars_late = late if outcome.exemplars is not None else 0
        self.counts.exemplars_out_of_order += exemplars_late
        samples = answers[:2] if outcome.batch is not None else answers[:1]
        lost = [(one.duplicate, one.out_of_order, one.out_of_bounds + one.too_old) for one in samples]
        if not exemplars_late and outcome.dropped is NOTHING_DROPPED and not any(map(any, lost)):
            return NOTHING_DROPPED
        duplicate, out_of_order, out_of_bounds = map(sum, zip(*lost, strict=True))
        return Dropped(
            outcome.dropped.duplicate + duplicate,
            out_of_order,
            outcome.dropped.out_of_bounds + out_of_bounds,
            exemplars_late,
        )

    def granted(self, appended: Appended, timestamp_ms: int) -> None:
        """Takes in storage's answer to the last row."""
        self.counted(appended)
        self._ending = NO_COLUMNS
        if not self._ungranted and not self._shadows:
            return
        columns = self._columns.copy()
        for (slot, _), column in zip(self._offered, appended.columns.tolist(), strict=True):
            columns[slot] = column if column >= 0 else REFUSED
        self._columns = columns
        self._offered = []
        self._fresh = []
        self._ungranted = bool(((columns < 0) & (columns != SHADOWED)).any())
        if len(self._unsure):
            self._lapsed = np.setdiff1d(self._unsure, columns).astype(np.int32)
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
        self._unsure = _union(self._unsure, self._lapsed, self._ending)
        self._ending = self._lapsed = NO_COLUMNS
        self._relearn()

    def _relearn(self) -> None:
        """All series are offered anew; their columns end unless storage grants them again."""
        self._unshadow()
        held = self._columns[: self._slots]
        self._unsure = _union(self._unsure, held[held >= 0])
        self._columns = self._columns[self._slots :].copy()
        self._ungranted = True
        self._fresh = []
        self._layout.keep(NOTHING)

    def held(self) -> Columns:
        """All columns that storage granted and that have not ended."""
        return _union(self._ending, self._unsure, self._lapsed, self._columns[self._columns >= 0])

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


def _report_labels(name: str, target_labels: Labels) -> Labels:
    """The labels of a report series. A target's `exported_x` gives way where the target has a label `x` too."""
    labels = {METRIC_NAME: name}
    for label, value in target_labels:
        labels.pop(f"exported_{label}", None)
        labels[label] = value
    return labels_of(labels)
