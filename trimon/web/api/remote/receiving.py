"""What becomes of the body of a remote write request: all of it or nothing in 1.0, series by series in 2.0."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, TypeVar

import trio

from trimon import limits
from trimon.errors import UserError
from trimon.model.labels import Labels
from trimon.model.rows import Appended, Exemplars, RefusedSample
from trimon.query.language.options import TYPE_AND_UNIT
from trimon.records import dataclass
from trimon.remote.snappy import decompress, decompressed_size
from trimon.remote.write_request import FIELDS_MAX, WriteDecoder, WriteRequest
from trimon.remote.write_request2 import Decoder2
from trimon.remote.write_series2 import Options, Request2, shown_series
from trimon.web.api.remote.refusals import Refusals
from trimon.web.context import WebContext
from trimon.wire import TooManyFields, WireError

T = TypeVar("T")

# A smaller body is decoded on the loop: less than two milliseconds, and a thread hop costs a tenth of one. One of so many
# fields of unusual form is not as cheap, and begins again in a thread. Where a loop in C reads requests, larger ones take
# less: what it does not take begins again in a thread as well.
INLINE_BYTES_MAX: Final = 32 * 1024
QUICK_BYTES_MAX: Final = 256 * 1024
QUICK_DECODED_MAX: Final = 1024 * 1024
INLINE_FIELDS_MAX: Final = 1000
# Bigger bodies are decoded side by side: those that hold more than this wait for one another and keep nobody else waiting.
# Together they hold at most twice this and one body of the largest size in memory.
BIG_BYTES_MIN: Final = 4 * 2**20
SMALL_AT_ONCE: Final = 2
BIG_AT_ONCE: Final = 1
STARTS_AS_ZEROS: Final = "created-timestamp-zero-ingestion"


class WriteRefused(Exception):
    """A request that is answered with an error as plain text, and with how much of it was stored all the same.

    `is_told` is whether the log has it already.
    """

    def __init__(
        self, status: int, message: str, written: Written | None = None, *, is_told: bool = False
    ) -> None:
        super().__init__(message)
        self.is_told = is_told
        self.status = status
        self.message = message
        self.written = written


@dataclass(frozen=True, slots=True)
class Written:
    """How much of a request of 2.0 was stored, or was there already."""

    samples: int = 0
    histograms: int = 0
    exemplars: int = 0

    @property
    def headers(self) -> dict[str, str]:
        """As the sender is told."""
        before = "X-Prometheus-Remote-Write"
        return {
            f"{before}-Samples-Written": str(self.samples),
            f"{before}-Histograms-Written": str(self.histograms),
            f"{before}-Exemplars-Written": str(self.exemplars),
        }


class WriteReceiver:
    """What becomes of a request's body. On the loop's thread; big bodies are decoded in a worker."""

    def __init__(self, context: WebContext, refusals: Refusals) -> None:
        self._context = context
        self._refusals = refusals
        self._decoder = WriteDecoder()
        self._second: Decoder2 | None = None
        self._small = trio.Semaphore(SMALL_AT_ONCE)
        self._big = trio.Semaphore(BIG_AT_ONCE)
        self._invalid = context.metrics.counter(
            "prometheus_api_remote_write_invalid_labels_samples_total",
            "The total number of received remote write samples and histogram samples which contained invalid labels.",
        )
        self._exemplars_refused = context.metrics.counter(
            "trimon_remote_write_exemplars_refused_total",
            "Exemplars of remote write requests that were not stored.",
        )

    async def check_packed(self, body: bytes) -> None:
        """Raises WriteRefused where a body is no snappy, or holds too much."""

        def nothing(data: bytes, fields_max: int) -> None:
            del data, fields_max

        try:
            await self._decode(body, nothing, nothing)
        except UserError as error:
            raise WriteRefused(400, str(error)) from None

    async def store(self, body: bytes) -> None:
        """Stores a request, all of it or nothing.

        Raises WriteRefused; OperatingError, ActorGone, AskTimeout and MailboxFull when the sender should retry.
        """
        try:
            written = self._decode_quickly(body)
            if written is None:
                written = await self._decode(body, self._decoder.decode, self._decoder.decode_briefly)
        except UserError as error:
            raise WriteRefused(400, str(error)) from None
        if written.invalid_series:
            self._invalid.inc(written.invalid_series)
            self._refusals.tell(
                "series of a remote write have labels that none may have, and are left out",
                next(iter(written.faults)),
                written.invalid_series,
            )
        batch, metadata = written.batch, written.metadata
        if len(batch.values):
            messages = (batch, metadata) if metadata.families else (batch,)
            answer = (await self._context.writer.append(*messages))[0]
            if answer.error:
                is_told = self._tell(answer)
                # a full head may have room again after the next cut: the sender keeps the samples and comes back
                raise WriteRefused(503 if answer.series_refused else 400, answer.error, is_told=is_told)
        elif metadata.families:
            await self._context.writer.append(metadata)
        if written.exemplars:
            await self._store_exemplars(written.exemplars)

    def _tell(self, answer: Appended) -> bool:
        """Log a refused sample as Prometheus does, but a sender that repeats itself only now and then; whether there is one."""
        if answer.refused_sample is None:
            return False
        series, timestamp_ms = answer.refused_sample
        self._refusals.tell(
            "Out of order sample from remote write",
            answer.error,
            series=shown_series(series),
            timestamp=timestamp_ms,
        )
        return True

    def _decode_quickly(self, body: bytes) -> WriteRequest | None:
        """A larger request whose series are known and whose form is usual; None where it is to be decoded in a thread."""
        if not INLINE_BYTES_MAX < len(body) <= QUICK_BYTES_MAX or decompressed_size(body) > QUICK_DECODED_MAX:
            return None
        return self._decoder.decode_known(decompress(body, QUICK_DECODED_MAX))

    async def _decode(
        self, body: bytes, decode: Callable[[bytes, int], T], briefly: Callable[[bytes, int], T]
    ) -> T:
        most = limits.REMOTE_WRITE_DECODED_BYTES_MAX
        if len(body) <= INLINE_BYTES_MAX:
            try:
                return briefly(decompress(body, most), INLINE_FIELDS_MAX)
            except TooManyFields:
                pass
        size_bytes = decompressed_size(body)
        lane = self._big if size_bytes >= BIG_BYTES_MIN else self._small
        async with lane:
            with self._context.bodies.counted(min(size_bytes, most)):
                return await self._context.offload.run(lambda: decode(decompress(body, most), FIELDS_MAX))

    @property
    def _decoder2(self) -> Decoder2:
        """What reads 2.0, made when the first request of it comes: features are known then."""
        if self._second is None:
            features = self._context.query_options().features
            self._second = Decoder2(Options(TYPE_AND_UNIT in features, STARTS_AS_ZEROS in features))
        return self._second

    async def store2(self, body: bytes) -> Written:
        """Stores those series of a request of 2.0 that can be, and says how much that was.

        Raises WriteRefused with what is wrong with the others; OperatingError, ActorGone, AskTimeout and MailboxFull
        when the sender should retry.
        """
        try:
            request = await self._decode(body, self._decoder2.decode, self._decoder2.decode)
        except WireError as error:
            raise WriteRefused(400, str(error), Written()) from None
        except UserError as error:  # no snappy
            raise WriteRefused(400, str(error)) from None
        messages = (request.batch, request.metadata) if request.metadata.families else (request.batch,)
        answer = (
            (await self._context.writer.append(*messages))[0] if len(request.batch.values) else Appended()
        )
        exemplars = await self._store_exemplars(request.exemplars) if request.exemplars else Appended()
        written, errors = _outcome(request, answer, exemplars)
        if answer.series_refused:
            raise WriteRefused(503, answer.error, written)
        if errors:
            is_told = self._tell(answer)
            raise WriteRefused(400, "\n".join(errors), written, is_told=is_told)
        return written

    async def _store_exemplars(self, exemplars: Sequence[tuple[Labels, Labels, float, int]]) -> Appended:
        """Exemplars that are refused fail no request of 1.0, as in Prometheus; what became of them."""
        (answer,) = await self._context.writer.append(Exemplars(tuple(exemplars)))
        refused = len(exemplars) - answer.appended
        if refused:
            self._exemplars_refused.inc(refused)
            self._context.log.debug("exemplars were refused", count=refused, err=answer.error)
        return answer


def _outcome(request: Request2, answer: Appended, exemplars: Appended) -> tuple[Written, list[str]]:
    """What was written, and what is wrong, in the order of the series."""
    told = [each for each in answer.told if (each.series, each.time_ms) not in request.zeros]
    histograms = sum(each.is_histogram for each in told)
    written = Written(
        request.samples - (len(told) - histograms), request.histograms - histograms, exemplars.appended
    )
    told += exemplars.told
    places = {labels: at for at, labels in enumerate(request.batch.series)} if told else {}
    errors: list[tuple[int, str | RefusedSample]] = [*request.errors]
    errors += [(request.places[places[each.series]], each) for each in told]
    errors.sort(key=lambda error: error[0])
    shown = [
        error if isinstance(error, str) else f"{error.text} for series {shown_series(error.series)}"
        for _, error in errors[: limits.ERRORS_TOLD_MAX]
    ]
    if len(errors) > len(shown):
        shown.append(f"and {len(errors) - len(shown)} more")
    return written, shown
