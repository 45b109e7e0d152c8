"""SpanExporter: sends the spans that are done to where the configuration says, as OTLP."""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from dataclasses import replace
from typing import Final, Protocol

import trio

from trimon.config.tracing import TracingConfig
from trimon.errors import OperatingError
from trimon.fetch.client import ClientOptions, HttpFetch
from trimon.fetch.grpc import GrpcClient
from trimon.fetch.request import FetchError, FetchRequest
from trimon.log import Log
from trimon.offload import Offload
from trimon.peers.tls import TlsContexts
from trimon.records import dataclass
from trimon.tracing.otlp import export_request
from trimon.tracing.tracer import Tracer

BATCH_SPANS_MAX: Final = 512
INTERVAL_S: Final = 5.0
LOOK_S: Final = 0.5
TIMEOUT_S: Final = 10.0
RETRY_FIRST_S: Final = 5.0
RETRIES_MAX: Final = 2
# What is left at the end of the server is sent once, within this time.
FLUSH_S: Final = 2.0
GRPC_PATH: Final = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
HTTP_PATH: Final = "/v1/traces"
GRPC_PORT: Final = 4317
HTTP_PORT: Final = 4318
_RETRYABLE_STATUS: Final = frozenset((429, 502, 503, 504))


class SpanSender(Protocol):
    """One way to a collector."""

    async def send(self, message: bytes) -> None:
        """Raises FetchError, RefusedError; `retryable` of what they raise says whether another try makes sense."""
        ...

    async def aclose(self) -> None:
        """Closes what is open."""
        ...


class RefusedError(OperatingError):
    """The collector refused spans for good, or for now."""

    def __init__(self, message: str, *, retryable: bool) -> None:
        super().__init__(message)
        self.retryable = retryable


class _GrpcSender:
    def __init__(self, config: TracingConfig) -> None:
        host, port = _address(config, GRPC_PORT)
        self._timeout_s = config.timeout / 1000 or TIMEOUT_S
        self._client = GrpcClient(
            host,
            port,
            None if config.insecure else TlsContexts(config.tls_config).context,
            server_name=config.tls_config.server_name,
            headers=config.headers,
            compresses=config.compression == "gzip",
        )

    async def send(self, message: bytes) -> None:
        """One call."""
        await self._client.call(GRPC_PATH, message, self._timeout_s)

    async def aclose(self) -> None:
        """Nothing stays open."""
        await trio.lowlevel.checkpoint()


class _HttpSender:
    def __init__(self, config: TracingConfig) -> None:
        host, port = _address(config, HTTP_PORT)
        self._compresses = config.compression == "gzip"
        self._fetch = HttpFetch(
            ClientOptions(
                headers=config.headers,
                tls=TlsContexts(config.tls_config).context,
                server_name=config.tls_config.server_name,
                follow_redirects=False,
            )
        )
        shown = f"[{host}]" if ":" in host else host
        coding = (("Content-Encoding", "gzip"),) if self._compresses else ()
        self._request = FetchRequest(
            f"http{'' if config.insecure else 's'}://{shown}:{port}{HTTP_PATH}",
            (("Content-Type", "application/x-protobuf"), *coding),
            timeout_s=config.timeout / 1000 or TIMEOUT_S,
            body_bytes_max=2**20,
            method="POST",
            status_counts=True,
        )

    async def send(self, message: bytes) -> None:
        """One request."""
        body = gzip.compress(message, 1) if self._compresses else message
        answer = await self._fetch.send(replace(self._request, body=body))
        if not 200 <= answer.status < 300:
            raise RefusedError(
                f"server returned HTTP status {answer.status_line}",
                retryable=answer.status in _RETRYABLE_STATUS,
            )

    async def aclose(self) -> None:
        """Closes the connection."""
        await self._fetch.aclose()


def _address(config: TracingConfig, port: int) -> tuple[str, int]:
    """Host and port of `host:port`, `[host]:port`, `host`; a scheme before it and a path behind it do not count."""
    place = config.endpoint.reveal().partition("://")[2] or config.endpoint.reveal()
    place = place.partition("/")[0]
    host, colon, number = place.rpartition(":")
    if not colon or "]" in number or (":" in host and not host.startswith("[")):
        host, number = place, ""
    return host.strip("[]"), int(number) if number.isdigit() else port


@dataclass(slots=True)
class SpanCounts:
    """What became of spans that were done."""

    sent: int = 0
    failed: int = 0
    """Given up after tries that failed, or refused."""


class SpanExporter:
    """Looks for spans that are done, and sends them in batches.

    Owns: the connection to the collector.
    Receives: nothing; spans wait in the tracer.
    Sends: nothing; it asks the collector.
    Crashes when: it has a bug; a collector that is down costs spans, which are counted.
    On restart: goes on with the spans that wait.
    """

    def __init__(self, tracer: Tracer, offload: Offload, log: Log) -> None:
        self.counts = SpanCounts()
        self.last_error = ""
        self._tracer = tracer
        self._offload = offload
        self._log = log
        self._config: TracingConfig | None = None
        self._sender: SpanSender | None = None
        self._leaving: list[SpanSender] = []
        self._draining = False
        self._changed = trio.Event()

    def configure(self, config: TracingConfig | None) -> None:
        """Where spans go from now on; None: nowhere, and none are made."""
        if config == self._config:
            return
        self._config = config
        if self._sender is not None:
            self._leaving.append(self._sender)
        self._sender = None
        if config is not None:
            self._sender = _HttpSender(config) if config.client_type == "http" else _GrpcSender(config)
        self._tracer.configure(config.sampling_fraction if config is not None else None)
        self._wake()

    def drain(self) -> None:
        """What waits is sent once more, then it ends."""
        self._draining = True
        self._wake()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = trio.Event()

    async def run(self) -> None:
        """Sends, for ever."""
        while not self._draining:
            while self._leaving:
                await self._leaving.pop().aclose()
            if self._sender is None:
                await self._changed.wait()
                continue
            await self._collect()
            if self._tracer.ended:
                await self._send()
        with trio.move_on_after(FLUSH_S):
            while self._tracer.ended and self._sender is not None:
                await self._send()
        if self._sender is not None:
            await self._sender.aclose()

    async def _collect(self) -> None:
        """Until there is a whole batch, or it is time."""
        changed = self._changed
        with trio.move_on_after(INTERVAL_S):
            while len(self._tracer.ended) < BATCH_SPANS_MAX and not changed.is_set():
                with trio.move_on_after(LOOK_S):
                    await changed.wait()

    async def _send(self) -> None:
        ended, sender = self._tracer.ended, self._sender
        assert sender is not None, "there is a sender while spans are made"
        spans = [ended.popleft() for _ in range(min(len(ended), BATCH_SPANS_MAX))]
        message = await self._offload.run(lambda: export_request(spans))
        for tries in range(RETRIES_MAX + 1):
            try:
                await sender.send(message)
            except (FetchError, RefusedError, OSError) as error:
                final = not getattr(error, "retryable", True)
                if final or tries == RETRIES_MAX or self._draining or sender is not self._sender:
                    self.counts.failed += len(spans)
                    self._tell(str(error))
                    return
                changed = self._changed
                with trio.move_on_after(RETRY_FIRST_S * 2**tries):
                    await changed.wait()
            else:
                self.counts.sent += len(spans)
                self.last_error = ""
                return

    def _tell(self, error: str) -> None:
        """Once for each cause in a row."""
        if error != self.last_error:
            self._log.warning("traces export", err=error)
        self.last_error = error

    def inspect(self) -> Mapping[str, object]:
        """Figures for people."""
        return {
            "client": self._config.client_type if self._config is not None else None,
            "waiting": len(self._tracer.ended),
            "sent": self.counts.sent,
            "failed": self.counts.failed,
            "dropped": self._tracer.dropped,
            "last_error": self.last_error,
        }
