"""Sending a batch until the receiver has it, or it is lost for good."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import field
from typing import Final

import trio

from trimon.actors.remotewrite.savepointfile import SavepointFile
from trimon.clock import Clock
from trimon.config.remote import MESSAGES, RemoteWriteConfig
from trimon.fetch.request import Fetch, FetchError, FetchRequest
from trimon.gotext.times import rfc3339
from trimon.log import Log
from trimon.model.labels import format_labels
from trimon.offload import Offload
from trimon.records import dataclass
from trimon.redaction import redacted, shown_url
from trimon.remote.sending.answers import TAKEN, Judgement, Verdict, judge
from trimon.remote.sending.entries import NONE, Counted, Entries
from trimon.remote.sending.messages import (
    is_custom,
    metadata_request,
    write_request,
    write_request_2,
)
from trimon.remote.sending.resharding import Demand
from trimon.remote.sending.series import SeriesTable
from trimon.remote.snappy import compress
from trimon.selfmetrics import Durations

# Bounds of the classes into which attempts are counted by how long they took.
SENDING_S: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 25.0, 60.0, 120.0, 300.0)
ANSWER_BYTES_MAX: Final = 64 * 1024
# Of the labels in a request that is put together on the loop, in about a millisecond.
INLINE_BYTES_MAX: Final = 512 * 1024
REPEATED_S: Final = 60.0
# Of a request that was refused.
SERIES_LOGGED_MAX: Final = 10


@dataclass(slots=True)
class QueueCounts:
    """What became of what a queue read; it outlives the actor."""

    came: Counted = NONE
    """What was read of the log, with what rules drop."""
    sent: Counted = NONE
    failed: Counted = NONE
    retried: Counted = NONE
    too_old: Counted = NONE
    ruled_out: Counted = NONE
    custom: int = 0
    """Histograms that 1.0 has no form for."""
    metadata: Counter[str] = field(default_factory=Counter)
    bytes: int = 0
    metadata_bytes: int = 0
    full: int = 0
    """How often what was read next had to wait for room in a shard."""
    took: Durations = field(default_factory=lambda: Durations(SENDING_S))
    """How long each attempt took."""
    newest_sent_ms: int = 0
    newest_read_ms: int = 0
    first_read_ms: int = 0
    """The oldest timestamp of what was read first."""
    lost_bytes: int = 0
    """Bytes of the log that were removed before they were read."""


class Sender:
    """What all shards of a queue share: how requests are made, judged and repeated."""

    def __init__(
        self,
        config: RemoteWriteConfig,
        name: str,
        clock: Clock,
        offload: Offload,
        log: Log,
        counts: QueueCounts,
        savepoint: SavepointFile,
    ) -> None:
        assert config.url is not None
        self.url = config.url.reveal()
        self.config = config
        self.counts = counts
        self.demand = Demand()
        self.last_error = ""
        self.last_taken_s = -1.0
        self.backoff_s = 0.0
        """The wait before the present attempt; 0 while all goes well."""
        self.is_second = config.protobuf_message == MESSAGES[1]
        self._name = name
        self._clock = clock
        self._offload = offload
        self._log = log
        self._savepoint = savepoint
        self._quiet_until_s = 0.0

    async def deliver(
        self, fetch: Fetch, table: SeriesTable, entries: Entries, gives_up: Callable[[], bool]
    ) -> bool:
        """Send entries until the receiver has them or never will; False where it `gives_up` before."""
        return await self._delivered(fetch, table, entries, gives_up) is not None

    async def _delivered(
        self,
        fetch: Fetch,
        table: SeriesTable,
        entries: Entries,
        gives_up: Callable[[], bool],
        *,
        in_doubt: bool = False,
    ) -> Judgement | None:
        """The last answer; None where it gives up. What is refused while it is `in_doubt` counts as repeated, not as failed."""
        counts = self.counts
        if not self.is_second and any(map(is_custom, entries.histograms)):
            kept = tuple(each for each in entries.histograms if not is_custom(each))
            counts.custom += len(entries.histograms) - len(kept)
            entries = Entries(entries.series, entries.times_ms, entries.values, kept, entries.exemplars)
        attempt, body, encoded = 0, b"", NONE
        sleep_s = self.config.queue_config.min_backoff / 1000
        while True:
            entries = self._fresh(entries)
            told = entries.counted
            if not told.total:
                return TAKEN
            if told != encoded:
                body = await self._body(table, entries)
                encoded = told
            judged = await self._attempt(fetch, body, attempt, told)
            if in_doubt and judged.contradicts:
                counts.sent = counts.sent.plus(told)
                counts.retried = counts.retried.plus(told)
                self.last_taken_s = trio.current_time()
                return judged
            if judged.verdict is not Verdict.RETRY:
                self._settled(judged, entries, len(body))
                if judged.verdict is Verdict.LOST and self.config.failed_request_logging:
                    self._log_request(table, entries, len(body))
                return judged
            counts.retried = counts.retried.plus(told)
            counts.sent = counts.sent.plus(told)
            if gives_up():
                return None
            attempt += 1
            sleep_s = await self.wait(judged, sleep_s)

    async def repeat(
        self, fetch: Fetch, table: SeriesTable, entries: Entries, gives_up: Callable[[], bool]
    ) -> bool:
        """Send the first entries after a start, some of which the receiver may have: nobody saw the answer to them.

        A receiver of 1.0 refuses a whole request for a sample that it has, and with it what is new. What is refused so is
        sent once more, time by time: then the receiver has each part, from before or from now.
        """
        first = await self._delivered(fetch, table, entries, gives_up, in_doubt=True)
        if first is None:
            return False
        if not first.contradicts:
            return True
        self._log.info(
            "the receiver refuses what it may have from before the start: sent again in parts",
            remote_name=self._name,
            url=shown_url(self.url),
            err=redacted(first.error),
        )
        for part in entries.by_time():
            if await self._delivered(fetch, table, part, gives_up, in_doubt=True) is None:
                return False
        return True

    async def wait(self, judged: Judgement, sleep_s: float) -> float:
        """Wait before the next attempt, at least as long as the receiver says; the wait after that."""
        self._warn(judged.error)
        self.backoff_s = judged.wait_s or sleep_s
        await trio.sleep(self.backoff_s)
        return min(self.backoff_s * 2, self.config.queue_config.max_backoff / 1000)

    async def _body(self, table: SeriesTable, entries: Entries) -> bytes:
        """The body of a request; what was sent before it is written down first.

        A short one takes less time than handing it to a thread does.
        """
        is_short = not self.is_second and entries.text_bytes(table) <= INLINE_BYTES_MAX
        if is_short and self._savepoint.try_write():
            return self._encoded(table, entries)

        def work() -> bytes:
            self._savepoint.write()
            return self._encoded(table, entries)

        return await self._offload.run(work)

    def _encoded(self, table: SeriesTable, entries: Entries) -> bytes:
        return compress((write_request_2 if self.is_second else write_request)(table, entries))

    def _fresh(self, entries: Entries) -> Entries:
        limit_ms = self.config.queue_config.sample_age_limit
        if not limit_ms:
            return entries
        kept = entries.since(self._clock.now_ms() - limit_ms)
        self.counts.too_old = self.counts.too_old.plus(entries.counted.minus(kept.counted))
        return kept

    async def _attempt(self, fetch: Fetch, body: bytes, attempt: int, told: Counted) -> Judgement:
        queue = self.config.queue_config
        began_s = trio.current_time()
        try:
            answer = await fetch.send(self._request(body, attempt))
        except FetchError as error:
            return Judgement(Verdict.RETRY, redacted(str(error)))
        finally:
            took_s = trio.current_time() - began_s
            self.counts.took.observe(took_s)
            self.demand.sending.add(took_s)
        return judge(
            answer.status,
            answer.status_line,
            answer.body,
            answer.headers,
            told,
            is_second=self.is_second,
            retries_429=queue.retry_on_http_429,
            now_ms=self._clock.now_ms(),
        )

    def _request(self, body: bytes, attempt: int) -> FetchRequest:
        second = self.is_second
        kind = f"application/x-protobuf;proto={MESSAGES[1]}" if second else "application/x-protobuf"
        headers = [
            ("Content-Encoding", "snappy"),
            ("Content-Type", kind),
            ("X-Prometheus-Remote-Write-Version", "2.0.0" if second else "0.1.0"),
            *self.config.headers,
        ]
        if attempt:
            headers.append(("Retry-Attempt", str(attempt)))
        return FetchRequest(
            self.url,
            headers=tuple(headers),
            timeout_s=self.config.remote_timeout / 1000,
            body_bytes_max=ANSWER_BYTES_MAX,
            method="POST",
            status_counts=True,
            body=body,
        )

    def _settled(self, judged: Judgement, entries: Entries, body_bytes: int) -> None:
        counts, told = self.counts, entries.counted
        counts.sent = counts.sent.plus(told)
        counts.bytes += body_bytes
        self.demand.sent.add(told.total)
        self.backoff_s = 0.0
        if judged.verdict is Verdict.TAKEN:
            counts.failed = counts.failed.plus(judged.unwritten)
            counts.newest_sent_ms = max(counts.newest_sent_ms, entries.newest_ms)
            self.last_taken_s = trio.current_time()
            self.last_error = ""
            return
        counts.failed = counts.failed.plus(judged.unwritten if judged.unwritten.total else told)
        self.last_error = redacted(judged.error)
        self._log.error(
            "non-recoverable error",
            remote_name=self._name,
            url=shown_url(self.url),
            failed_samples=told.samples,
            failed_histograms=told.histograms,
            failed_exemplars=told.exemplars,
            err=self.last_error,
        )

    def _log_request(self, table: SeriesTable, entries: Entries, body_bytes: int) -> None:
        """What was in a request that the receiver refused for good."""
        numbers = [*entries.series.tolist(), *(each.series for each in entries.histograms)]
        distinct = list(dict.fromkeys(numbers))
        self._log.warning(
            "remote write request that was refused",
            remote_name=self._name,
            url=shown_url(self.url),
            message=self.config.protobuf_message,
            body_bytes=body_bytes,
            newest=rfc3339(entries.newest_ms),
            series=len(distinct),
            first_series=[format_labels(table.labels[number]) for number in distinct[:SERIES_LOGGED_MAX]],
        )

    def _warn(self, error: str) -> None:
        self.last_error = redacted(error)
        now_s = trio.current_time()
        if now_s < self._quiet_until_s:
            return
        self._quiet_until_s = now_s + REPEATED_S
        self._log.warning(
            "Failed to send batch, retrying",
            remote_name=self._name,
            url=shown_url(self.url),
            err=self.last_error,
        )

    async def tell_metadata(self, fetch: Fetch, families: list[tuple[str, str, str, str]]) -> None:
        """Send metadata in requests of 1.0, each until the receiver has it or never will."""
        metadata = self.counts.metadata
        size = max(1, self.config.metadata_config.max_samples_per_send)
        for begin in range(0, len(families), size):
            part = families[begin : begin + size]
            body = await self._offload.run(lambda p=part: compress(metadata_request(p)))  # type: ignore[misc]  # mypy knows no type of a default
            attempt, sleep_s = 0, self.config.queue_config.min_backoff / 1000
            while True:
                judged = await self._attempt(fetch, body, attempt, NONE)
                metadata["sent"] += len(part)
                if judged.verdict is not Verdict.RETRY:
                    self.counts.metadata_bytes += len(body)
                    metadata["failed"] += len(part) if judged.verdict is Verdict.LOST else 0
                    break
                metadata["retried"] += len(part)
                attempt += 1
                sleep_s = await self.wait(judged, sleep_s)
