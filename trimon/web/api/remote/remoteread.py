"""Remote read: other servers ask for stored samples, or for chunks of them."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from itertools import islice
from typing import Final, TypeVar

import numpy as np
import numpy.typing as npt
import trio

from trimon import limits
from trimon.actors.remoteread.endpoint import HOPS_HEADER
from trimon.errors import UserError
from trimon.model.frame import SampleFrame
from trimon.model.labels import Labels, labels_of
from trimon.model.matcher import Matcher, watched
from trimon.model.snapshot import Snapshot
from trimon.model.table import LabelTable
from trimon.query.execution.budget import Budget
from trimon.query.execution.labelcodes import sort_order
from trimon.records import dataclass
from trimon.remote.read_request import (
    STREAMED_CHUNKS,
    ReadQuery,
    UnsupportedAnswerError,
    decode_read_request,
)
from trimon.remote.snappy import CorruptError, compress, decompress
from trimon.storage.prometheus.readanswers import (
    Run,
    count_of,
    frames,
    result_message,
    runs_within,
    series_message,
)
from trimon.web.agent import NOT_OF_AN_AGENT
from trimon.web.context import WebContext
from trimon.web.http.answer import Answer, ApiError, error_text
from trimon.web.http.asking import asker_of
from trimon.web.http.endpoint import API_PREFIX, Endpoint, Role
from trimon.web.http.failures import as_api_error
from trimon.web.http.request import BodyTooLong, ClientGone, Request

SAMPLED_TYPE: Final = "application/x-protobuf"
STREAMED_TYPE: Final = "application/x-streamed-protobuf; proto=prometheus.ChunkedReadResponse"
_SNAPPY: Final = {"Content-Encoding": "snappy"}
# A sample as a message, in the answer and once more packed.
_SAMPLE_BYTES: Final = 40
# Of the queries of one request, among those that run now.
_QUERIES_SHOWN: Final = 10
_FRAMES_AT_ONCE: Final = 64
# So much before the interval is looked at: whether the first histogram goes on from one before it.
_BEFORE_MS: Final = 300_000

T = TypeVar("T")


class ReadHandler:
    """What /read answers. Only on the loop's thread; samples are read and encoded in workers."""

    def __init__(self, context: WebContext) -> None:
        self._context = context
        # 0: any number.
        most = context.options.remote_read_concurrent_max
        self._limiter = trio.CapacityLimiter(most) if most > 0 else None
        self._queries = context.metrics.gauge(
            "prometheus_remote_read_handler_queries",
            "The current number of remote read queries that are either in execution or queued on the handler.",
        )

    async def read(self, request: Request) -> Answer:
        """/read; errors are plain text."""
        self._queries.inc()
        try:
            if self._limiter is None:
                return await self._answer(request)
            async with self._limiter:
                return await self._answer(request)
        finally:
            self._queries.dec()

    async def _answer(self, request: Request) -> Answer:
        try:
            body = await request.body()
            asked = decode_read_request(_unpacked(body))
            streamed = asked.answer_kind() == STREAMED_CHUNKS
        except UnsupportedAnswerError as error:
            return error_text(str(error), 400)
        except BodyTooLong:
            return error_text(
                f"request body exceeds the {limits.REMOTE_WRITE_BODY_BYTES_MAX} bytes limit", 413
            )
        except UserError as error:
            return error_text(str(error), 400)
        external = self._context.alert_origin.external_labels()
        try:
            wanted = [_Wanted(query, query.matchers(dict(external)), external) for query in asked.queries]
            return await (self._streamed(request, wanted) if streamed else self._sampled(request, wanted))
        except ClientGone:
            raise
        except Exception as error:
            known = as_api_error(error)
            if known is None:
                raise
            # What is wrong with a request was found before: Prometheus calls all that fails later an error of its own.
            status = (
                known.status if isinstance(error, _TooManySamplesError) or known.status in (499, 503) else 500
            )
            answer = error_text(known.message, status)
            answer.headers |= {} if streamed else _SNAPPY
            return answer

    async def _sampled(self, request: Request, wanted: Sequence[_Wanted]) -> Answer:
        most = self._context.options.remote_read_samples_max

        def work(snapshot: Snapshot, budget: Budget) -> bytes:
            results: list[bytes] = []
            held_bytes = 0
            for query in wanted:
                samples = 0
                series: list[bytes] = []
                for labels, runs in query.read(snapshot, budget).series():
                    budget.check()
                    samples += (count := count_of(runs))
                    if 0 < most < samples:
                        raise _TooManySamplesError("bad_data", f"exceeded sample limit ({most})")
                    held_bytes += count * _SAMPLE_BYTES
                    budget.take_bytes(held_bytes, "the answer to a remote read")
                    series.append(series_message(labels, [] if query.query.is_for_series else runs))
                results.append(result_message(series))
            return compress(b"".join(results))

        answer = Answer(await self._run(request, wanted, work), 200, SAMPLED_TYPE)
        answer.headers |= _SNAPPY
        return self._context.held(answer)

    async def _streamed(self, request: Request, wanted: Sequence[_Wanted]) -> Answer:
        frame_bytes_max = self._context.options.remote_read_frame_bytes_max

        def work(snapshot: Snapshot, budget: Budget) -> tuple[list[bytes], Iterator[bytes], int]:
            read = [query.read(snapshot, budget) for query in wanted]
            pieces = (
                piece
                for number, result in enumerate(read)
                for piece in frames(result.series(), number, frame_bytes_max)
            )
            first: list[bytes] = []
            for piece in islice(pieces, _FRAMES_AT_ONCE):
                budget.check()
                first.append(piece)
            return first, pieces, sum(one.frame.size_bytes for one in read)

        first, pieces, held_bytes = await self._run(request, wanted, work)
        answer = Answer(b"".join(first), 200, STREAMED_TYPE)
        if len(first) < _FRAMES_AT_ONCE:
            return self._context.held(answer)
        answer.pieces = self._pieces(pieces)
        self._context.bodies.hold_while_alive(answer, held_bytes)
        return answer

    async def _pieces(self, pieces: Iterator[bytes]) -> AsyncGenerator[bytes]:
        while part := await self._context.offload.run(lambda: list(islice(pieces, _FRAMES_AT_ONCE))):
            yield b"".join(part)

    async def _run(
        self, request: Request, wanted: Sequence[_Wanted], work: Callable[[Snapshot, Budget], T]
    ) -> T:
        context = self._context
        if context.options.agent:
            raise ApiError("execution", NOT_OF_AN_AGENT)
        text = "remote read " + " ".join(query.text for query in wanted[:_QUERIES_SHOWN])
        if len(wanted) > _QUERIES_SHOWN:
            text += f" and {len(wanted) - _QUERIES_SHOWN} more"
        return await request.attended(
            lambda: context.queries.run(
                text, context.query_options(), work, asker=asker_of(request), hops=_hops(request)
            )
        )


def _hops(request: Request) -> int:
    """How many servers have asked one another before this one; one that does not say is the first."""
    text = request.header(HOPS_HEADER.lower())
    return int(text) if text.isdecimal() and text.isascii() and len(text) < 3 else 0


def _unpacked(body: bytes) -> bytes:
    """The message in a body. Raises UserError, in the words of the library that Prometheus reads this with."""
    try:
        return decompress(body, limits.REMOTE_WRITE_DECODED_BYTES_MAX)
    except CorruptError:
        raise UserError("snappy: corrupt input") from None


class _TooManySamplesError(ApiError):
    """More samples than an answer may have."""


@dataclass(frozen=True, slots=True)
class _Read:
    """The samples of a query; rows in `order`."""

    wanted: _Wanted
    labels: LabelTable
    frame: SampleFrame
    order: npt.NDArray[np.intp]

    def series(self) -> Iterator[tuple[Labels, list[Run]]]:
        """Series that have samples in the interval, in order of their labels, with the external labels that they lack."""
        query = self.wanted.query
        for row in self.order.tolist():
            runs = runs_within(self.frame, row, query.start_ms, query.end_ms)
            if runs:
                yield labels_of({**dict(self.wanted.external), **dict(self.labels.labels(row))}), runs


@dataclass(frozen=True, slots=True)
class _Wanted:
    """One query: what of what is stored it asks for."""

    query: ReadQuery
    matchers: tuple[Matcher, ...]
    external: Labels

    @property
    def text(self) -> str:
        """How it shows among the active queries."""
        return "{" + ", ".join(map(str, self.matchers)) + "}"

    def read(self, snapshot: Snapshot, budget: Budget) -> _Read:
        """The samples. A query without matchers selects nothing, as everywhere."""
        start_ms, end_ms = self.query.start_ms, self.query.end_ms
        if not self.matchers or start_ms > end_ms:
            return _Read(self, LabelTable.empty(), SampleFrame.empty(), np.zeros(0, np.intp))
        budget.check()
        with watched(budget.check):
            selection = snapshot.select(self.matchers, start_ms, end_ms)
        frame = selection.wide_frame(
            start_ms - _BEFORE_MS, end_ms, lambda size: budget.take_bytes(size, "samples from storage")
        )
        return _Read(self, selection.labels, frame, sort_order(selection.labels))


def read_endpoints(context: WebContext) -> list[Endpoint]:
    """/read."""
    handler = ReadHandler(context)
    return [
        Endpoint(
            API_PREFIX + "/read",
            ("POST",),
            handler.read,
            role=Role.READ,
            watches_client=True,
            summary="Stored samples, or chunks of them, as remote read asks for them.",
        )
    ]
