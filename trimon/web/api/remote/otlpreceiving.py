"""Receiving OTLP metrics: unpacking a body, decoding it, storing what is in it; the same over HTTP and gRPC."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import trio

from trimon import limits
from trimon.actors.kernel.ask import AskTimeout
from trimon.actors.kernel.mailbox import MailboxFull
from trimon.actors.kernel.reply import ActorGone
from trimon.errors import OperatingError, UserError
from trimon.fetch.inflater import inflated
from trimon.fetch.request import BodyError, BodyTooBig
from trimon.model.rows import Appended, Exemplars, SampleBatch
from trimon.query.language.options import TYPE_AND_UNIT
from trimon.records import dataclass
from trimon.remote.otlp.answer import Outcome, outcome_of
from trimon.remote.otlp.json_request import protobuf_of
from trimon.remote.otlp.request import FIELDS_MAX, OtlpDecoder, OtlpRequest, TranslationError
from trimon.remote.otlp.series import Options
from trimon.web.api.remote.receiving import (
    BIG_AT_ONCE,
    BIG_BYTES_MIN,
    INLINE_BYTES_MAX,
    SMALL_AT_ONCE,
    STARTS_AS_ZEROS,
)
from trimon.web.context import WebContext
from trimon.wire import TooManyFields

DELTAS_SUMMED: Final = "otlp-deltatocumulative"
DELTAS_KEPT: Final = "otlp-native-delta-ingestion"
RETRY_AFTER_S: Final = 5
# So many fields of unusual form are read on the loop: a millisecond or two. JSON takes several times as long a byte.
_INLINE_FIELDS_MAX: Final = 3000
_JSON_COST: Final = 8
# What is counted of requests that were taken.
_EMPTY: Final = "empty_data_points"
_LEFT_OUT: Final = "left_out_data_points"
_CATEGORIES: Final = (_EMPTY, _LEFT_OUT)
# A gzip body says in its last four bytes how much it holds.
_SIZE_BYTES: Final = 4
_GZIP_MAGIC: Final = b"\x1f\x8b"


class OtlpRefused(Exception):
    """A request of which nothing was stored. `status` is HTTP's; what may come again has a time to wait for."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message

    @property
    def is_retryable(self) -> bool:
        """Whether the same request may be taken later."""
        return self.status in (429, 503)


@dataclass(frozen=True, slots=True)
class OtlpBody:
    """A request as it came."""

    data: bytes
    is_json: bool = False
    is_gzip: bool = False


class OtlpReceiver:
    """What becomes of a request's body. On the loop's thread; big bodies are unpacked and decoded in a worker."""

    def __init__(self, context: WebContext) -> None:
        self._context = context
        self._decoder: OtlpDecoder | None = None
        self._small = trio.Semaphore(SMALL_AT_ONCE)
        self._big = trio.Semaphore(BIG_AT_ONCE)
        self._in_turn = trio.Lock()
        metrics = context.metrics
        self._warnings = metrics.counter(
            "prometheus_api_otlp_translation_warnings_total",
            "Total number of translation warnings from OTLP metrics, by what they are of.",
            ["category"],
        )
        for category in _CATEGORIES:
            self._warnings.labels(category)
        self._exemplars_refused = metrics.counter(
            "trimon_otlp_exemplars_refused_total", "Exemplars of OTLP requests that were not stored."
        )

    async def store(self, body: OtlpBody) -> Outcome:
        """Stores a request, all of it or nothing; data points that are left out by themselves are counted.

        Raises OtlpRefused.
        """
        decoder = self._current()
        try:
            if not decoder.is_stateful:
                return await self._stored(body, decoder)
            async with self._in_turn:
                try:
                    outcome = await self._stored(body, decoder)
                except BaseException:
                    decoder.forget()
                    raise
                decoder.commit(trio.current_time())
                return outcome
        except TranslationError as error:
            raise OtlpRefused(400 if error.is_limit else 500, str(error)) from None
        except BodyTooBig:
            most = limits.OTLP_DECODED_BYTES_MAX
            raise OtlpRefused(413, f"decompressed request body exceeds the {most} bytes limit") from None
        except (UserError, BodyError) as error:
            raise OtlpRefused(400, str(error)) from None
        except (MailboxFull, ActorGone, AskTimeout) as error:
            raise OtlpRefused(503, str(error)) from None
        except OperatingError as error:
            raise OtlpRefused(503, str(error)) from None

    def _current(self) -> OtlpDecoder:
        """What decodes by the configuration as it is now."""
        config, query = self._context.otlp(), self._context.query_options()
        options = Options(
            config,
            query.lookback_ms,
            type_and_unit_labels=query.has(TYPE_AND_UNIT),
            starts_as_zeros=query.has(STARTS_AS_ZEROS),
            deltas_summed=query.has(DELTAS_SUMMED),
            deltas_kept=query.has(DELTAS_KEPT),
        )
        if self._decoder is None or self._decoder.options != options:
            before, self._decoder = self._decoder, OtlpDecoder(options)
            if before is not None:
                self._decoder.deltas = before.deltas
        return self._decoder

    async def _stored(self, body: OtlpBody, decoder: OtlpDecoder) -> Outcome:
        request = await self._decode(body, decoder.decode)
        if request.empty:
            self._warnings.labels(_EMPTY).inc(request.empty)
        if request.left_out:
            self._warnings.labels(_LEFT_OUT).inc(request.left_out)
            self._context.log.debug(
                "data points of an OTLP request were left out",
                count=request.left_out,
                reason=request.left_out_reason,
            )
        batch, answer = await self._append(request)
        if answer.error:
            # a full head may have room again after the next cut: the sender keeps the samples and comes back
            raise OtlpRefused(503 if answer.series_refused else 400, answer.error)
        if request.exemplars:
            await self._store_exemplars(request)
        return outcome_of(request, batch, answer)

    async def _append(self, request: OtlpRequest) -> tuple[SampleBatch, Appended]:
        """What was stored, and what became of it. Where a start does not fit, the samples are stored without the starts."""
        writer, metadata = self._context.writer, request.metadata
        batch = request.batch
        if not len(batch.values):
            if metadata.families:
                await writer.append(metadata)
            return batch, Appended()
        if request.without_zeros is not None:
            answer = (await writer.append(batch))[0]
            if not answer.error:
                if metadata.families:
                    await writer.append(metadata)
                return batch, answer
            batch = request.without_zeros
        messages = (batch, metadata) if metadata.families else (batch,)
        return batch, (await writer.append(*messages))[0]

    async def _store_exemplars(self, request: OtlpRequest) -> None:
        """Exemplars that are refused fail no request, as in Prometheus."""
        (answer,) = await self._context.writer.append(Exemplars(tuple(request.exemplars)))
        refused = len(request.exemplars) - answer.appended
        if refused:
            self._exemplars_refused.inc(refused)
            self._context.log.debug("exemplars were refused", count=refused, err=answer.error)

    async def _decode(self, body: OtlpBody, decode: Callable[[bytes, int], OtlpRequest]) -> OtlpRequest:
        most = limits.OTLP_DECODED_BYTES_MAX
        size = min(_claimed(body), most)
        if size * (_JSON_COST if body.is_json else 1) <= INLINE_BYTES_MAX:
            try:
                return decode(_message(body, INLINE_BYTES_MAX), _INLINE_FIELDS_MAX)
            except (TooManyFields, BodyTooBig):  # a gzip body of several members holds more than its end says
                size = most if body.is_gzip else size
        lane = self._big if size >= BIG_BYTES_MIN else self._small
        async with lane:
            with self._context.bodies.counted(size):
                return await self._context.offload.run(lambda: decode(_message(body, most), FIELDS_MAX))


def _claimed(body: OtlpBody) -> int:
    """How many bytes a body says that it holds; whether that is so is found out when it is unpacked."""
    if not body.is_gzip or not body.data.startswith(_GZIP_MAGIC):
        return len(body.data)
    return max(len(body.data), int.from_bytes(body.data[-_SIZE_BYTES:], "little"))


def _message(body: OtlpBody, bytes_max: int) -> bytes:
    """The request in protobuf. Raises BodyError, BodyTooBig, JsonError."""
    data = b"".join(inflated(body.data, bytes_max)) if body.is_gzip else body.data
    return protobuf_of(data) if body.is_json else data
