"""One target's scrapes, one after the other: answers in, rows out, health kept. Synchronous, no I/O.

The order is always: `request()`, then `succeed` or `fail`, which give the row to append, then `granted` with storage's
answer (or `lost`, if storage could not take the row). What becomes of series between two scrapes is told in `columns`. A
scrape ends in one of these ways:

    what came                        health  samples stored  series that end         counted in the report
    no answer, a status not 200       down        no         all                     nothing
    a Content-Type of no format       down        no         all                     nothing
    nothing at all in the body         up         no         all                     nothing
    a body that fails, or a limit     down        no         those below the fault   what is above the fault
    a good body                        up         yes        those it does not show  all of it

Whatever came, the report (`up`, `scrape_*`) is stored. `succeed` and `fail` only decide which line it is; errors say by their
type which limit they are about.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from trimon.fetch.request import BodyTooBig, FetchError, FetchRequest, Response
from trimon.memory.series import SeriesAdmission
from trimon.model.rows import Appended, Columns, Row, SampleBatch
from trimon.redaction import redacted
from trimon.scrape.bodylayouts import BodyLayouts, Layout
from trimon.scrape.columns import SeriesColumns
from trimon.scrape.echoes import Echoes
from trimon.scrape.exposition.bodymemory import (
    NOTHING,
    BodyReading,
    BrokenBody,
    Ints,
    Lateness,
    SeriesRule,
    never_late,
)
from trimon.scrape.exposition.families import BodyFamily, MetadataCache
from trimon.scrape.exposition.layout import BodyLayout
from trimon.scrape.exposition.negotiation import ProtobufFormat, choose_format
from trimon.scrape.exposition.records import (
    BucketLimitError,
    ExpositionError,
    LabelLimitError,
    MetricNameLimitError,
    SampleLimitError,
)
from trimon.scrape.exposition.textformat import TextFormat
from trimon.scrape.fault import fault_at
from trimon.scrape.metadatanews import MetadataNews
from trimon.scrape.newseriesroom import NewSeriesRoom
from trimon.scrape.options import PoolOptions
from trimon.scrape.outcome import (
    NOTHING_DROPPED,
    DroppedSamples,
    ExemplarReader,
    ScrapeCounts,
    ScrapeOutcome,
    TargetState,
    batch_of,
    bounds_ms,
    starts_batch,
    timed_batch,
)
from trimon.scrape.records import ScrapeRecords
from trimon.scrape.report import ScrapeReport
from trimon.scrape.series_labels import SeriesLabels
from trimon.scrape.serieslimits import LimitedSeries, exposed_error
from trimon.scrape.target import Target
from trimon.scrape.timedseries import TimedSeries

# Series that storage refused are offered again after this long: memory pressure may be over.
REFUSED_RETRY_MS: Final = 60_000
ERROR_CHARACTERS_MAX: Final = 4096


class ScrapeSession:
    """The state of one target between scrapes. Not thread-safe; belongs to the target's actor."""

    def __init__(
        self,
        target: Target,
        options: PoolOptions,
        forced_error: str = "",
        admission: SeriesAdmission | None = None,
    ) -> None:
        self.target = target
        self.options = options
        self.forced_error = forced_error
        self.state = TargetState()
        self.records = ScrapeRecords()
        self.counts = ScrapeCounts()
        self._report = ScrapeReport(target, options)
        self._request = FetchRequest(
            target.url,
            (
                ("Accept", options.accept),
                ("Accept-Encoding", "gzip" if options.compression else "identity"),
                ("X-Prometheus-Scrape-Timeout-Seconds", f"{target.timeout_ms / 1000:.10g}"),
            ),
            timeout_s=target.timeout_ms / 1000,
            body_bytes_max=options.body_bytes_max,
            unix_socket=target.unix_socket,
            only_ok=True,
        )
        self._echoes = Echoes(options.sent_secrets, target.url)
        labels_rule = SeriesLabels(target.labels, options)
        self._limits = LimitedSeries(labels_rule, options) if options.limits_series else None
        self._series_labels: SeriesRule = self._limits or labels_rule
        self._layouts = BodyLayouts(self._series_labels, target, options, MetadataCache(self._echoes.shown))
        self._layout: Layout = self._layouts.use(TextFormat)
        self._columns = SeriesColumns(target.group, self._report.labels)
        self._timed = TimedSeries(tracked=options.track_timestamps_staleness)
        self._room = NewSeriesRoom(target.group, admission, drops=bool(options.metric_relabeling))
        self._refused_ms = 0
        # what storage said of series that it refused, until they are offered again
        self._refusal = ""
        self._metadata = MetadataNews()
        self._exemplars = ExemplarReader()

    @property
    def warm(self) -> bool:
        """Whether the last body is remembered, so that the next one is cheap to read."""
        return self._layout.slots > 0

    @property
    def is_dense(self) -> bool:
        """Whether a byte of a body takes longer to read than one of a plain text."""
        return not isinstance(self._layout, BodyLayout)

    def is_quick(self, content_type: str) -> bool:
        """Whether a body of that type is one that is cheap to read, in the format of the one remembered.

        Protobuf never is: a bucket that moves may be one byte of it, and a series of ours.
        """
        if not self.warm:
            return False
        try:
            chosen = choose_format(content_type, self.options.fallback_protocol)
        except ExpositionError:
            return True
        return chosen is self._layouts.format and chosen is not ProtobufFormat

    @property
    def size_bytes(self) -> int:
        """About how much memory the remembered body takes."""
        return self._layout.size_bytes

    @property
    def families(self) -> dict[str, BodyFamily]:
        """Metadata by metric family, as of the last good scrape."""
        return self._layout.families

    @property
    def metadata_bytes(self) -> int:
        """Length of the texts of all metadata."""
        return self._metadata.size_bytes

    def request(self) -> FetchRequest:
        """What to ask the target; the same object every time."""
        return self._request

    def succeed(
        self, response: Response, timestamp_ms: int, duration_s: float, is_late: Lateness = never_late
    ) -> ScrapeOutcome:
        """The rows of an answer; one that is no good, or not read before `is_late`, becomes a failed scrape."""
        if response.status != 200:
            error = FetchError(f"server returned HTTP status {response.status_line}")
            return self.fail(error, timestamp_ms, duration_s)
        if not response.body:
            return self._empty(timestamp_ms, duration_s)
        try:
            self._use_format(response.content_type)
            if self._refused_ms and timestamp_ms - self._refused_ms >= REFUSED_RETRY_MS:
                self._refused_ms, self._refusal = 0, ""
                self._relearn()
            reading, remark = self._read_within(response.body, timestamp_ms, is_late)
        except BrokenBody as broken:
            outcome = self._bad_body(broken, timestamp_ms, duration_s, len(response.body))
            if broken.place >= 0:
                self.state = replace(self.state, fault=fault_at(response.body, broken.place))
            return outcome
        except ExpositionError as bad:
            return self._failed(bad, timestamp_ms, duration_s, len(response.body))
        self.counts.scrapes += 1
        echoed = self._echoes.remark(response.body, changed=bool(reading.moved or reading.timed))
        remark = remark or self._refusal or echoed
        self.state = TargetState("up", remark, timestamp_ms, duration_s, reading.samples, reading.series)
        return self._outcome(reading, timestamp_ms, duration_s, len(response.body))

    def _read_within(self, body: bytes, timestamp_ms: int, is_late: Lateness) -> tuple[BodyReading, str]:
        """The numbers of a body, within limits of our own; see `NewSeriesRoom.read`."""
        limits = self._limits
        if limits is None:
            return self._room.read(self._layout, self._columns, body, bounds_ms(timestamp_ms), is_late)
        # Lines whose series are all refused are remembered, too.
        anew, limit = not self._layout.line_count, self.options.exposed_sample_limit
        surely = self._layout.series_in(body) if limit else 0
        if surely > limit and not self.options.keep_known:
            raise exposed_error(surely, limit)
        limits.begin(timestamp_ms, anew=anew)
        before = 0 if anew else limits.refused
        reading, remark = self._room.read(self._layout, self._columns, body, bounds_ms(timestamp_ms), is_late)
        try:
            limits.done(reading, self._layout.hashes, anew=anew)
        except ExpositionError as error:
            raise BrokenBody(error, reading.samples, reading.kept, 0, NOTHING) from None
        if limits.refused and not self._refused_ms:
            self._refused_ms = timestamp_ms
        self.counts.series_refused += max(limits.refused - before, 0)
        return reading, remark or (shown_error(limits.text) if limits.refused else "")

    def fail(self, error: Exception, timestamp_ms: int, duration_s: float) -> ScrapeOutcome:
        """The row of a scrape without an answer: every series ends, and `up` is 0."""
        too_big = isinstance(error, BodyTooBig)
        if too_big:
            error = FetchError(self._too_big())
        self.counts.body_size_exceeded += too_big
        return self._failed(error, timestamp_ms, duration_s, -1 if too_big else 0)

    def _too_big(self) -> str:
        if self.options.body_size_limit:
            return "body size limit exceeded"
        return f"body of more than {self.options.body_bytes_max} bytes, the most that is taken without body_size_limit"

    def _failed(
        self, error: Exception, timestamp_ms: int, duration_s: float, body_bytes: int
    ) -> ScrapeOutcome:
        self._end_all_but(NOTHING)
        down = self._down(error, timestamp_ms, duration_s, (0, 0, 0), body_bytes)
        return self._with_timed_ended(down, timestamp_ms)

    def _with_timed_ended(self, outcome: ScrapeOutcome, timestamp_ms: int) -> ScrapeOutcome:
        ended = self._timed.end(timestamp_ms)
        return replace(outcome, batch=batch_of(ended)) if ended else outcome

    def _bad_body(
        self, error: BrokenBody, timestamp_ms: int, duration_s: float, body_bytes: int
    ) -> ScrapeOutcome:
        self.counts.label_limit_exceeded += isinstance(error.cause, LabelLimitError)
        self.counts.sample_limit_exceeded += isinstance(error.cause, SampleLimitError)
        self.counts.metric_name_limit_exceeded += isinstance(error.cause, MetricNameLimitError)
        self.counts.bucket_limit_exceeded += isinstance(error.cause, BucketLimitError)
        self._end_all_but(error.slots)
        if isinstance(error.cause, MetricNameLimitError):
            # names of all series are to be counted again, also of those that go on
            self._relearn()
        counts = (error.samples, error.kept, error.added)
        return self._down(error.cause, timestamp_ms, duration_s, counts, body_bytes)

    def _down(
        self,
        error: Exception,
        timestamp_ms: int,
        duration_s: float,
        counts: tuple[int, int, int],
        body_bytes: int,
    ) -> ScrapeOutcome:
        self.counts.scrapes += 1
        self.counts.failures += 1
        self.state = TargetState("down", shown_error(str(error)), timestamp_ms, duration_s)
        report = self._report.values(0.0, duration_s, counts, body_bytes)
        return ScrapeOutcome(self._columns.row(report, timestamp_ms, report_only=True))

    def _empty(self, timestamp_ms: int, duration_s: float) -> ScrapeOutcome:
        """A body of no bytes, in whatever format: all series end, and that is no failure."""
        self.counts.scrapes += 1
        self.state = TargetState("up", "", timestamp_ms, duration_s)
        self._end_all_but(NOTHING)
        report = self._report.values(1.0, duration_s, (0, 0, 0), 0)
        empty = ScrapeOutcome(self._columns.row(report, timestamp_ms, report_only=True))
        return self._with_timed_ended(empty, timestamp_ms)

    def _end_all_but(self, slots: Ints) -> None:
        """All series end but those of some slots, which are held without a value."""
        self._columns.end_all_but(slots)
        self._layout.failed(slots)
        self.counts.cache_flushes_forced += self._layout.flushes_forced
        self._layout.flushes_forced = 0

    def _use_format(self, content_type: str) -> None:
        chosen = choose_format(content_type, self.options.fallback_protocol)
        if chosen is not self._layouts.format:
            self._relearn()
            self._layout = self._layouts.use(chosen)

    def _outcome(
        self, reading: BodyReading, timestamp_ms: int, duration_s: float, body_bytes: int
    ) -> ScrapeOutcome:
        if reading.moved:
            self._columns.move(reading, self._layout.hashes)
        counts = (reading.samples, reading.kept, reading.added)
        report = self._report.values(1.0, duration_s, counts, body_bytes)
        values = np.concatenate((reading.values, report))
        timed = reading.timed
        if ended := self._timed.seen(timed, self._layout.hashes, timestamp_ms):
            timed = (*timed, *ended)
        batch, beyond = timed_batch(timed, timestamp_ms) if timed else (None, 0)
        self.counts.duplicate += reading.repeats
        self.counts.out_of_bounds += beyond
        return ScrapeOutcome(
            self._columns.row(values, timestamp_ms),
            batch,
            self._metadata.news(self._layout.families) if reading.moved else None,
            self._exemplars.read(reading.exemplars, timestamp_ms) if reading.exemplars else None,
            DroppedSamples(duplicate=reading.repeats, out_of_bounds=beyond)
            if reading.repeats or beyond
            else NOTHING_DROPPED,
            starts_batch(reading.starts, timestamp_ms) if reading.starts else None,
        )

    def settle(
        self, outcome: ScrapeOutcome, answers: Sequence[Appended], timestamp_ms: int
    ) -> DroppedSamples:
        """Takes in storage's answers to what a scrape left to store; says what of it is not stored."""
        if outcome.starts is not None:
            # a series that is known since long is out of order there, as it should be
            answers = answers[1:]
            outcome = replace(outcome, starts=None)
        self.granted(answers[0], timestamp_ms)
        if outcome.batch is not None:
            self.counted(answers[1])
        dropped = outcome.dropped_with(answers)
        self.counts.exemplars_out_of_order += dropped.exemplars_out_of_order
        return dropped

    def granted(self, appended: Appended, timestamp_ms: int) -> None:
        """Takes in storage's answer to the last row."""
        self.counted(appended)
        self._room.landed()
        self._columns.granted(appended.columns)
        if appended.series_refused and not self._refused_ms:
            self._refused_ms = timestamp_ms
            self._refusal = shown_error(f"{appended.series_refused} new series are refused: {appended.error}")
            if self.state.health == "up" and not self.state.last_error:
                self.state = replace(self.state, last_error=self._refusal)

    def counted(self, appended: Appended) -> None:
        """Takes in what storage refused of a row or a batch."""
        self.counts.out_of_order += appended.out_of_order
        self.counts.duplicate += appended.duplicate
        self.counts.out_of_bounds += appended.out_of_bounds + appended.too_old

    def lost(self, error: str) -> None:
        """Storage could not take the last row: nothing of it is stored, and all series are offered anew.

        That says nothing against the target, whose health stays.
        """
        self._room.landed()
        self.state = replace(self.state, last_error=shown_error(error))
        self._columns.lost()
        self._layout.keep(NOTHING)

    def _relearn(self) -> None:
        """All series are offered anew, as if nothing were known of them."""
        self._columns.relearn()
        self._layout.keep(NOTHING)

    def held(self) -> Columns:
        """All columns that storage granted and that have not ended."""
        return self._columns.held()

    def successor(self) -> ScrapeSession:
        """A new session of the same target that goes on where this one is."""
        session = ScrapeSession(self.target, self.options, self.forced_error, self._room.admission)
        self._room.landed()
        session.inherit(self)
        return session

    def inherit(self, predecessor: ScrapeSession) -> None:
        """Goes on where another session of the same target ended: health, counts, and its columns.

        What the first body does not show again of the predecessor's series, ends.
        """
        self.state = predecessor.state
        self.records = predecessor.records
        self.counts = predecessor.counts
        self._columns.inherit(predecessor.held())
        self._timed.inherit(predecessor._timed)

    def end(self, timestamp_ms: int) -> list[Row | SampleBatch]:
        """What ends every series, the report's too: nothing when the target never stored anything."""
        row, ended = self._columns.end(timestamp_ms), self._timed.end(timestamp_ms)
        messages: list[Row | SampleBatch] = [row] if row is not None else []
        return [*messages, batch_of(ended)] if ended else messages


def shown_error(text: str) -> str:
    """An error for people: without secrets, and no longer than anybody reads; a target may have written most of it."""
    if len(text) > ERROR_CHARACTERS_MAX:
        text = text[:ERROR_CHARACTERS_MAX] + "…"
    return redacted(text)
