"""What every answer gets, whoever made it: CORS headers, compression, and a place in the request metrics."""

from __future__ import annotations

import re
import zlib
from typing import Final

import trio
from prometheus_client import Counter, Histogram

from trimon.model.matcher import anchored, compile_regexp, full_match
from trimon.web.context import WebContext

COMPRESS_BYTES_MIN: Final = 1024
COMPRESS_INLINE_BYTES_MAX: Final = 256 * 1024
DURATION_BUCKETS_S: Final = (0.1, 0.2, 0.4, 1, 3, 8, 20, 60, 120)
SIZE_BUCKETS_BYTES: Final = tuple(100.0 * 10**power for power in range(8))
_NEVER: Final = re.compile(r"\s*q\s*=\s*0(?:\.0*)?\s*", re.ASCII)
_PARAMETER: Final = re.compile(r"<(path:)?(\w+)>")
# zlib's window: with gzip's frame, with its own.
_WINDOWS: Final = {"gzip": 31, "deflate": 15}


class Dressing:
    """Made once for an application. Only on the loop's thread."""

    def __init__(self, context: WebContext) -> None:
        self._offload = context.offload
        self._prefix = context.options.route_prefix
        self._allowed = context.options.cors_origin
        self._pattern = compile_regexp(anchored(self._allowed))
        metrics = context.metrics
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
        # what `labels` finds, remembered: it takes longer than counting
        self._counters: dict[tuple[str, int], Counter] = {}
        self._histograms: dict[str, tuple[Histogram, Histogram]] = {}

    def cors(self, origin: str) -> dict[str, str]:
        """The headers about who may read the answer; `origin` is the request's, empty when it has none."""
        headers = {"Vary": "Origin"}
        if origin:
            if self._allowed == ".*":
                headers["Access-Control-Allow-Origin"] = "*"
            elif full_match(self._pattern, origin):
                headers["Access-Control-Allow-Origin"] = origin
            headers["Access-Control-Allow-Headers"] = "Accept, Authorization, Content-Type, Origin"
            headers["Access-Control-Allow-Methods"] = "GET, POST, OPTIONS"
            headers["Access-Control-Expose-Headers"] = "Date"
        return headers

    @staticmethod
    def encoding(accepted: str) -> str:
        """The compression to use for an Accept-Encoding: the first that we know, or empty."""
        if not accepted:
            return ""
        parts = (part.partition(";") for part in accepted.split(","))
        names = (name.strip() for name, _, weight in parts if not _NEVER.fullmatch(weight))
        return next((name for name in names if name in _WINDOWS), "")

    async def packed(self, body: bytes, encoding: str) -> bytes | None:
        """The body compressed, None when it is too short for that. Long bodies are packed in a thread."""
        if len(body) < COMPRESS_BYTES_MIN:
            return None

        def work() -> bytes:
            compressor = zlib.compressobj(1, zlib.DEFLATED, _WINDOWS[encoding])
            return compressor.compress(body) + compressor.flush()

        return work() if len(body) <= COMPRESS_INLINE_BYTES_MAX else await self._offload.run(work)

    @staticmethod
    def packed_headers(encoding: str, size: int) -> dict[str, str]:
        """The headers of a body that was compressed to `size` bytes."""
        return {"Content-Encoding": encoding, "Content-Length": str(size), "Vary": "Origin, Accept-Encoding"}

    def measure(self, handler: str, status: int, began_s: float | None, size: int | None) -> None:
        """Counts a request; `handler` is its route with the prefix, `began_s` in trio's time, `size` of the body as sent."""
        counter = self._counters.get((handler, status))
        if counter is None:
            counter = self._requests.labels(self._named(handler), str(status))
            self._counters[handler, status] = counter
        counter.inc()
        histograms = self._histograms.get(handler)
        if histograms is None:
            name = self._named(handler)
            histograms = self._durations.labels(name), self._sizes.labels(name)
            self._histograms[handler] = histograms
        durations, sizes = histograms
        if began_s is not None:
            durations.observe(trio.current_time() - began_s)
        if size is not None:
            sizes.observe(size)

    def _named(self, handler: str) -> str:
        """A route as dashboards know it: without the prefix, parameters after a colon, whole paths after a star."""
        return _PARAMETER.sub(
            lambda found: ("*" if found[1] else ":") + found[2], handler.removeprefix(self._prefix)
        )
