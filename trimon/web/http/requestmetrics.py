"""The outermost link of the chain: finds a request's endpoint, counts the request and takes its time.

It sees each answer last, so the headers that all have are added here.
"""

from __future__ import annotations

from typing import Final

import trio
from hypercorn.typing import (
    ASGIFramework,
    ASGIReceiveCallable,
    ASGISendCallable,
    ASGISendEvent,
    HTTPScope,
    Scope,
)
from prometheus_client import Counter, Histogram

from trimon.selfmetrics import SelfMetrics
from trimon.tracing.span import TRACEPARENT, SpanContext, SpanKind, context_of
from trimon.tracing.tracer import TRACER
from trimon.web.auth.headers import AnswerHeaders
from trimon.web.http.endpoint import EndpointTable
from trimon.web.http.messages import set_match

DURATION_BUCKETS_S: Final = (0.1, 0.2, 0.4, 1, 3, 8, 20, 60, 120)
SIZE_BUCKETS_BYTES: Final = tuple(100.0 * 10**power for power in range(8))
_NO_ENDPOINT: Final = "not found"
SERVER_FAULT: Final = 500


class RequestMetrics:
    """Counts what was answered by endpoint and status, with duration and size of the body as sent."""

    def __init__(
        self, app: ASGIFramework, table: EndpointTable, metrics: SelfMetrics, headers: AnswerHeaders
    ) -> None:
        self._app = app
        self._table = table
        self._headers = headers
        self._requests = metrics.counter(
            "prometheus_http_requests_total", "Counter of HTTP requests.", ("handler", "code")
        )
        self._durations = metrics.histogram(
            "prometheus_http_request_duration_seconds",
            "Latencies of HTTP requests.",
            ("handler",),
            DURATION_BUCKETS_S,
        )
        self._sizes = metrics.histogram(
            "prometheus_http_response_size_bytes",
            "Sizes of HTTP responses.",
            ("handler",),
            SIZE_BUCKETS_BYTES,
        )
        # What `labels` finds is remembered: finding takes longer than counting.
        self._counters: dict[tuple[str, int], Counter] = {}
        self._histograms: dict[str, tuple[Histogram, Histogram]] = {}

    async def __call__(self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        """One request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began_s = trio.current_time()
        match = self._table.find_raw(scope["raw_path"], scope["path"])
        set_match(scope, match)
        label = match.endpoint.label if match is not None else _NO_ENDPOINT
        status = size_bytes = 0

        async def counted(message: ASGISendEvent) -> None:
            nonlocal status, size_bytes
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = self._headers.complete(message["headers"])
            elif message["type"] == "http.response.body":
                size_bytes += len(message["body"])
                if not message["more_body"]:
                    self._count(label, status, trio.current_time() - began_s, size_bytes)
            await send(message)

        if not TRACER.is_on:
            await self._app(scope, receive, counted)
            return
        about = {"http.request.method": scope["method"], "http.route": label}
        parent = _parent(scope)
        with TRACER.span(label, about, SpanKind.SERVER, parent) as span:
            await self._app(scope, receive, counted)
            if span is not None:
                span.set("http.response.status_code", status)
                span.error = f"status {status}" if status >= SERVER_FAULT else ""

    def _count(self, label: str, status: int, duration_s: float, size_bytes: int) -> None:
        counter = self._counters.get((label, status))
        if counter is None:
            counter = self._counters[label, status] = self._requests.labels(label, str(status))
        counter.inc()
        histograms = self._histograms.get(label)
        if histograms is None:
            histograms = self._durations.labels(label), self._sizes.labels(label)
            self._histograms[label] = histograms
        histograms[0].observe(duration_s)
        histograms[1].observe(size_bytes)


def _parent(scope: HTTPScope) -> SpanContext | None:
    """The span of who asks, where he says so."""
    name = TRACEPARENT.lower().encode()
    said = (value for key, value in scope["headers"] if key == name)
    return context_of(next(said, b"").decode("latin-1"))
