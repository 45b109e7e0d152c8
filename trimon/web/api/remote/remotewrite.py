"""Remote write: other servers and agents push samples. Off unless `--web.enable-remote-write-receiver`."""

from __future__ import annotations

import math
from collections import Counter
from typing import Final

import trio

from trimon import limits
from trimon.actors.kernel.ask import AskTimeout
from trimon.actors.kernel.mailbox import MailboxFull
from trimon.actors.kernel.reply import ActorGone
from trimon.errors import OperatingError, UserError
from trimon.model.labels import format_label_set
from trimon.model.rows import Appended, Exemplars
from trimon.remote.snappy import decompress, decompressed_size
from trimon.remote.write_request import WriteDecoder, WriteRequest
from trimon.web.context import WebContext
from trimon.web.http.answer import STARTING, Answer, error_text, text
from trimon.web.http.endpoint import API_PREFIX, Endpoint, Role
from trimon.web.http.request import BodyTooLong, Request
from trimon.wire import TooManyFields

DISABLED: Final = "remote write receiver needs to be enabled with --web.enable-remote-write-receiver"
MEDIA_TYPE: Final = "application/x-protobuf"
MESSAGE_V1: Final = "prometheus.WriteRequest"
MESSAGE_V2: Final = "io.prometheus.write.v2.Request"
# A smaller body is decoded on the loop: less than two milliseconds, and a thread hop costs a tenth of one. One of so many
# fields of unusual form is not as cheap, and begins again in a thread.
INLINE_BYTES_MAX: Final = 32 * 1024
INLINE_FIELDS_MAX: Final = 1000
# Bigger bodies are decoded side by side: those that hold more than this wait for one another and keep nobody else waiting.
# Together they hold at most twice this and one body of the largest size in memory.
BIG_BYTES_MIN: Final = 4 * 2**20
SMALL_AT_ONCE: Final = 2
BIG_AT_ONCE: Final = 1
RETRY_AFTER_S: Final = 5
WARN_EVERY_S: Final = 60.0


class WriteRefused(Exception):
    """A request that is answered with an error as plain text."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


def check_encoding(encoding: str) -> None:
    """Raises WriteRefused (415) for a compression that is not snappy; none stands for snappy."""
    if encoding not in ("", "snappy"):
        raise WriteRefused(
            415,
            f"{encoding} encoding (compression) is not accepted by this server; only snappy is acceptable",
        )


def check_content_type(content_type: str) -> None:
    """Raises WriteRefused (415) for anything but remote write 1.0; no content type stands for it.

    Parameters are not trimmed: a blank before `proto=` hides it.
    """
    if not content_type:
        return
    media_type, *parameters = content_type.split(";")
    if media_type != MEDIA_TYPE:
        raise WriteRefused(
            415, f"expected {MEDIA_TYPE} as the first (media) part, got {content_type} content-type"
        )
    for parameter in parameters:
        name, _, message = parameter.partition("=")
        if name != "proto" or message == MESSAGE_V1:
            continue
        if message == MESSAGE_V2:
            raise WriteRefused(
                415,
                f"{message} protobuf message is not accepted by this server; only accepts {MESSAGE_V1}",
            )
        raise WriteRefused(
            415,
            f"got {content_type} content type; unknown type for remote write protobuf message {message}, "
            f"supported: {MESSAGE_V1}",
        )


class WriteReceiver:
    """What becomes of a request's body. On the loop's thread; big bodies are decoded in a worker."""

    def __init__(self, context: WebContext) -> None:
        self._context = context
        self._decoder = WriteDecoder()
        self._small = trio.Semaphore(SMALL_AT_ONCE)
        self._big = trio.Semaphore(BIG_AT_ONCE)
        self._beyond = 0
        """Series beyond a limit since the last warning of them."""
        self._warns_at_s = -math.inf
        # Requests that were refused since the log last told of one, and when it may tell again.
        self._refused = 0
        self._tells_at_s = -math.inf
        self._invalid = context.metrics.counter(
            "prometheus_api_remote_write_invalid_labels_samples_total",
            "The total number of received remote write samples and histogram samples which contained invalid labels.",
        )
        self._exemplars_refused = context.metrics.counter(
            "trimon_remote_write_exemplars_refused_total",
            "Exemplars of remote write requests that were not stored.",
        )

    async def store(self, body: bytes) -> None:
        """Stores a request, all of it or nothing.

        Raises WriteRefused; OperatingError, ActorGone, AskTimeout and MailboxFull when the sender should retry.
        """
        try:
            written = await self._decode(body)
        except UserError as error:
            raise WriteRefused(400, str(error)) from None
        if written.invalid_series:
            self._invalid.inc(written.invalid_series)
            self._warn_of(written.beyond_limits)
        batch, metadata = written.batch, written.metadata
        if len(batch.values):
            messages = (batch, metadata) if metadata.families else (batch,)
            answer = (await self._context.writer.append(*messages))[0]
            if answer.error:
                self._tell(answer)
                # a full head may have room again after the next cut: the sender keeps the samples and comes back
                raise WriteRefused(503 if answer.series_refused else 400, answer.error)
        elif metadata.families:
            await self._context.writer.append(metadata)
        if written.exemplars:
            await self._store_exemplars(written)

    def _tell(self, answer: Appended) -> None:
        """Log a refused sample as Prometheus does, but a sender that repeats itself only now and then."""
        self._refused += 1
        if answer.refused_sample is not None and trio.current_time() >= self._tells_at_s:
            self._tells_at_s = trio.current_time() + WARN_EVERY_S
            series, timestamp_ms = answer.refused_sample
            self._context.log.error(
                "Out of order sample from remote write",
                err=answer.error,
                series=format_label_set(series),
                timestamp=timestamp_ms,
                requests=self._refused,
            )
            self._refused = 0

    def _warn_of(self, beyond: Counter[str]) -> None:
        """Tell of series beyond a limit: the sender hears nothing of them, as of all that are invalid."""
        self._beyond += beyond.total()
        if beyond and trio.current_time() >= self._warns_at_s:
            self._warns_at_s = trio.current_time() + WARN_EVERY_S
            self._context.log.warning(
                "series of a remote write are beyond a limit and left out",
                count=self._beyond,
                such_as=next(iter(beyond)),
            )
            self._beyond = 0

    async def _decode(self, body: bytes) -> WriteRequest:
        most = limits.REMOTE_WRITE_DECODED_BYTES_MAX
        if len(body) <= INLINE_BYTES_MAX:
            try:
                return self._decoder.decode(decompress(body, most), INLINE_FIELDS_MAX)
            except TooManyFields:
                pass
        size_bytes = decompressed_size(body)
        lane = self._big if size_bytes >= BIG_BYTES_MIN else self._small
        async with lane:
            with self._context.bodies.counted(min(size_bytes, most)):
                return await self._context.offload.run(lambda: self._decoder.decode(decompress(body, most)))

    async def _store_exemplars(self, written: WriteRequest) -> None:
        """Exemplars that are refused fail no request, as in Prometheus."""
        (answer,) = await self._context.writer.append(Exemplars(tuple(written.exemplars)))
        refused = len(written.exemplars) - answer.appended
        if refused:
            self._exemplars_refused.inc(refused)
            self._context.log.debug("exemplars were refused", count=refused, err=answer.error)


class WriteHandler:
    """What /write answers. Only on the loop's thread."""

    def __init__(self, context: WebContext) -> None:
        self._enabled = context.options.enable_remote_write
        self._ready = context.ready
        self._receiver = WriteReceiver(context)

    async def write(self, request: Request) -> Answer:
        """/write."""
        if not self._enabled:
            return error_text(DISABLED, 404)
        if not self._ready():  # what waits for the whole log fills the memory, and its sender gives up before
            answer = text("Service Unavailable", 503)
            answer.headers |= {**STARTING, "Retry-After": str(RETRY_AFTER_S)}
            return answer
        try:
            check_encoding(request.header("content-encoding"))
            await self._take(request)
        except WriteRefused as refusal:
            answer = error_text(refusal.message, refusal.status)
            if refusal.status == 503:
                answer.headers["Retry-After"] = str(RETRY_AFTER_S)
            return answer
        except (MailboxFull, ActorGone, AskTimeout) as error:
            answer = error_text(str(error), 503)
            answer.headers["Retry-After"] = str(RETRY_AFTER_S)
            return answer
        except OperatingError as error:
            return error_text(str(error), 500)
        return Answer(b"", 204, "")

    async def _take(self, request: Request) -> None:
        body = await self._body(request)
        check_content_type(request.header("content-type"))
        await self._receiver.store(body)

    @staticmethod
    async def _body(request: Request) -> bytes:
        most = limits.REMOTE_WRITE_BODY_BYTES_MAX
        try:
            body = await request.body()
        except BodyTooLong:
            body = None
        if body is None or len(body) > most:
            raise WriteRefused(413, f"request body exceeds the {most} bytes limit")
        return body


def write_endpoints(context: WebContext) -> list[Endpoint]:
    """/write."""
    handler = WriteHandler(context)
    return [
        Endpoint(
            API_PREFIX + "/write",
            ("POST",),
            handler.write,
            role=Role.WRITE,
            changes=True,
            watches_client=True,
            summary="Takes samples as remote write sends them.",
        )
    ]
