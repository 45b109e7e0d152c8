"""/federate: the newest samples of some series, for another server that scrapes them."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator
from itertools import islice
from typing import Final

from trimon.actors.remoteread.reader import LOCAL_ONLY
from trimon.errors import UserError
from trimon.model.snapshot import Snapshot
from trimon.query.execution.budget import Budget
from trimon.query.language.selectors import parse_selector
from trimon.web.context import WebContext
from trimon.web.exposition.federated import SLICE_ROWS, FederationWriter, newest_samples
from trimon.web.exposition.negotiation import encoding_for
from trimon.web.http.answer import Answer, ApiError, error_text
from trimon.web.http.asking import asker_of
from trimon.web.http.endpoint import Endpoint, Kind, Parameter
from trimon.web.http.failures import as_api_error
from trimon.web.http.multidict import MultiDict
from trimon.web.http.request import ClientGone, Request

# What is written before the next look at who else waits for the thread.
SLICES_AT_ONCE: Final = 8
# As many series are written as a whole, and their length is told.
WHOLE_ROWS_MAX: Final = SLICE_ROWS * SLICES_AT_ONCE
_VARY: Final = {"Vary": "Accept-Encoding"}


class FederationHandler:
    """Answers another server's scrapes. Only on the loop's thread."""

    def __init__(self, context: WebContext) -> None:
        self._context = context
        self._errors = context.metrics.counter(
            "prometheus_web_federation_errors_total",
            "Total number of errors that occurred while sending federation responses.",
        )
        self._warnings = context.metrics.counter(
            "prometheus_web_federation_warnings_total",
            "Total number of warnings that occurred while sending federation responses.",
        )

    async def federate(self, request: Request) -> Answer:
        """/federate; errors are plain text."""
        try:
            answer = await self._answer(request, request.query(strict=True))
        except ClientGone:
            raise
        except Exception as error:
            known = as_api_error(error)
            if known is None:
                raise
            if known.kind not in ("bad_data", "canceled"):
                self._errors.inc()
            status = known.status if known.status in (400, 499, 503) else 500
            answer = error_text(known.message, status)
        answer.headers |= _VARY
        return answer

    async def _answer(self, request: Request, values: MultiDict[str, str]) -> Answer:
        context = self._context
        encoding = encoding_for(request.header("accept"))
        texts = values.getlist("match[]")
        if not texts:
            return Answer(b"", 200, encoding.content_type)
        options, now_ms = context.query_options(), context.clock.now_ms()
        external = context.alert_origin.external_labels()

        def work(snapshot: Snapshot, budget: Budget) -> tuple[int, int, int, Iterator[bytes], bytes | None]:
            selectors = []
            for text in texts:
                budget.check()
                try:
                    selectors.append(parse_selector(text))
                except UserError as error:
                    raise ApiError("bad_data", str(error)) from None
            found = newest_samples(
                snapshot, selectors, now_ms, options.lookback_ms, budget, native=encoding.shows_native
            )
            missing = len(snapshot.missing(now_ms - options.lookback_ms + 1, now_ms))
            pieces = FederationWriter(found, encoding, external).pieces()
            whole = b"".join(pieces) if found.labels.rows <= WHOLE_ROWS_MAX else None
            return found.nameless, missing, found.size_bytes, pieces, whole

        nameless, missing, held_bytes, pieces, whole = await request.attended(
            lambda: context.queries.run(
                "federate " + " ".join(texts), options, work, asker=asker_of(request), hops=LOCAL_ONLY
            )
        )
        self._warnings.inc(missing)
        if nameless:
            context.log.warning("series without a name are not federated", series=nameless)
        answer = Answer(whole or b"", 200, encoding.content_type)
        if whole is None:
            answer.pieces = self._streamed(pieces)
            context.bodies.hold_while_alive(answer, held_bytes)
            return answer
        return context.held(answer)

    async def _streamed(self, pieces: Iterator[bytes]) -> AsyncGenerator[bytes]:
        while part := await self._context.offload.run(lambda: list(islice(pieces, SLICES_AT_ONCE))):
            yield b"".join(part)


def federation_endpoints(context: WebContext) -> list[Endpoint]:
    """/federate."""
    handler = FederationHandler(context)
    return [
        Endpoint(
            "/federate",
            ("GET",),
            handler.federate,
            watches_client=True,
            summary="The newest sample of each series that a selector matches, as metrics to be scraped.",
            parameters=(Parameter("match[]", "Series to be shown.", Kind.SELECTOR, repeated=True),),
        )
    ]
