"""InfluxDB's line protocol, as versions 1 and 2 take it: behind `trimon_receivers.influx`."""

from __future__ import annotations

from typing import Final

import orjson
import trio

from trimon import limits
from trimon.actors.kernel.ask import AskTimeout
from trimon.actors.kernel.mailbox import MailboxFull
from trimon.actors.kernel.reply import ActorGone
from trimon.config.own.receivers import InfluxConfig
from trimon.errors import OperatingError, UserError
from trimon.fetch.request import BodyError, BodyTooBig
from trimon.remote.pushed.influx import PRECISIONS_NS, InfluxReader, InfluxSamples
from trimon.web.api.remote.packedbody import unpacked_body
from trimon.web.api.remote.refusals import Refusals
from trimon.web.context import WebContext
from trimon.web.http.answer import STARTING, Answer
from trimon.web.http.endpoint import Endpoint, Parameter, Role
from trimon.web.http.request import BodyTooLong, Request

DISABLED: Final = "InfluxDB's line protocol is not received: the configuration has no trimon_receivers.influx"
# A smaller body is read on the loop: some two milliseconds.
INLINE_BYTES_MAX: Final = 32 * 1024
RETRY_AFTER_S: Final = 5
VERSION_HEADERS: Final = {"X-Influxdb-Version": "1.8.10", "X-Influxdb-Build": "OSS"}


class _Refused(Exception):
    """A request of which nothing was stored; the log says so, but not of a server that starts or takes none."""

    def __init__(self, status: int, message: str, *, is_told: bool = True) -> None:
        super().__init__(message)
        self.is_told = is_told
        self.status = status
        self.message = message


class InfluxHandler:
    """What /influx answers. Only on the loop's thread; big bodies are read in a worker, one at a time."""

    def __init__(self, context: WebContext) -> None:
        self._context = context
        self._reader = InfluxReader()
        self._config: InfluxConfig | None = None
        self._reading = trio.Lock()
        self._refusals = Refusals(context.log)
        self._strings = context.metrics.counter(
            "trimon_influx_strings_total", "Fields of line protocol that were strings, which are no samples."
        )

    async def write(self, request: Request) -> Answer:
        """/influx/write, /influx/api/v2/write."""
        try:
            await self._take(request)
        except _Refused as refusal:
            if refusal.is_told:
                self._refusals.tell(
                    "lines of InfluxDB's protocol are refused",
                    refusal.message,
                    status=refusal.status,
                    request=request,
                )
            return _error(refusal.status, refusal.message)
        except (MailboxFull, ActorGone, AskTimeout, OperatingError) as error:
            return _error(503, str(error))
        return Answer(b"", 204, "")

    async def ping(self, _: Request) -> Answer:
        """/influx/ping: clients ask whether there is somebody."""
        return Answer(b"", 204, "", dict(VERSION_HEADERS))

    async def _take(self, request: Request) -> None:
        reader = self._current()
        if not self._context.ready():
            raise _Refused(503, "the server is starting: it reads its log", is_told=False)
        values = request.query()
        precision = values.get("precision", "")
        unit_ns = PRECISIONS_NS.get(precision)
        if unit_ns is None:
            raise _Refused(400, f"unknown precision {precision[:20]!r}")
        body, now_ms = await self._body(request), self._context.clock.now_ms()
        database = values.get("db", "") or values.get("bucket", "")

        def read() -> InfluxSamples:
            return reader.read(body, unit_ns, now_ms, database)

        try:
            async with self._reading:
                found = read() if len(body) <= INLINE_BYTES_MAX else await self._context.offload.run(read)
        except UserError as error:
            raise _Refused(400, error.message) from None
        self._strings.inc(found.strings)
        if found.values:
            (answer,) = await self._context.writer.append(found.batch())
            if answer.error:
                raise _Refused(503 if answer.series_refused else 400, found.told(answer))

    def _current(self) -> InfluxReader:
        """What reads by the configuration as it is now."""
        config = self._context.receivers().influx
        if config is None:
            raise _Refused(404, DISABLED, is_told=False)
        if config != self._config:
            self._config, self._reader = config, InfluxReader(config.labels)
        return self._reader

    async def _body(self, request: Request) -> bytes:
        most = limits.INFLUX_BODY_BYTES_MAX
        try:
            return await unpacked_body(self._context, request, most)
        except (BodyTooLong, BodyTooBig):
            raise _Refused(413, f"request body exceeds the {most} bytes limit") from None
        except UserError as error:
            raise _Refused(400, error.message) from None
        except BodyError as error:
            raise _Refused(400, str(error)) from None


def _error(status: int, message: str) -> Answer:
    """As InfluxDB has errors: version 1 has the text in `error`, version 2 in `message`."""
    codes = {400: "invalid", 404: "not found", 413: "request too large", 503: "unavailable"}
    told = {"code": codes[status], "message": message, "error": message}
    answer = Answer(orjson.dumps(told), status)
    if status == 503:
        answer.headers |= {**STARTING, "Retry-After": str(RETRY_AFTER_S)}
    return answer


def influx_endpoints(context: WebContext) -> list[Endpoint]:
    """/influx/write, /influx/api/v2/write, /influx/ping."""
    handler = InfluxHandler(context)
    parameters = (
        Parameter("precision", "Unit of the times: ns (the default), us, ms, s, m or h."),
        Parameter("db", "A database, which becomes the label db."),
        Parameter("bucket", "The same, as version 2 calls it."),
    )
    return [
        *(
            Endpoint(
                path,
                ("POST",),
                handler.write,
                role=Role.WRITE,
                changes=True,
                watches_client=True,
                summary="Takes samples as lines of InfluxDB's protocol.",
                parameters=parameters,
            )
            for path in ("/influx/write", "/influx/api/v2/write")
        ),
        Endpoint("/influx/ping", ("GET", "HEAD"), handler.ping, summary="Says that there is somebody."),
    ]
