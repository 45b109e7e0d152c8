"""Health, readiness, reload, quit, own metrics and version: the routes without an envelope."""

from __future__ import annotations

import orjson
import trio

from trimon import __version__
from trimon.errors import TrimonError
from trimon.selfmetrics import CONTENT_TYPE
from trimon.web.context import WebContext
from trimon.web.exposition.families import written
from trimon.web.exposition.negotiation import encoding_for
from trimon.web.exposition.selffamilies import families_of
from trimon.web.http.answer import STARTING, TEXT, Answer, error_text, text
from trimon.web.http.endpoint import Endpoint, Role
from trimon.web.http.request import Request

# The version that clients see: Grafana and others switch features on by it.
PROMETHEUS_VERSION = "3.14.0"


def build_info() -> dict[str, str]:
    """/version and /api/v1/status/buildinfo."""
    return {
        "version": PROMETHEUS_VERSION,
        "revision": f"trimon-{__version__}",
        "branch": "main",
        "buildUser": "",
        "buildDate": "",
        "goVersion": "",
    }


def management_endpoints(context: WebContext) -> list[Endpoint]:
    """/-/healthy, /-/ready, /-/reload, /-/quit, /metrics, /version."""
    handlers = ManagementHandler(context)
    # Load balancers ask the probes with HEAD; nothing else takes it.
    probed, changed = ("GET", "HEAD"), ("GET", "POST", "PUT")
    return [
        Endpoint(
            "/-/healthy",
            probed,
            handlers.healthy,
            role=Role.NONE,
            probe=True,
            summary="Says that the server lives.",
        ),
        Endpoint(
            "/-/ready",
            probed,
            handlers.ready,
            role=Role.NONE,
            probe=True,
            summary="Says whether the server can answer queries.",
        ),
        Endpoint(
            "/-/reload",
            changed,
            handlers.reload,
            role=Role.ADMIN,
            changes=True,
            summary="Reads the configuration anew.",
        ),
        Endpoint(
            "/-/quit", changed, handlers.quit, role=Role.ADMIN, changes=True, summary="Ends the server."
        ),
        Endpoint("/metrics", ("GET",), handlers.metrics, summary="The server's own metrics, to be scraped."),
        Endpoint("/version", ("GET",), handlers.version, summary="Shows the version."),
    ]


class ManagementHandler:
    """What the routes of the management API answer. Only on the loop's thread."""

    def __init__(self, context: WebContext) -> None:
        self._context = context
        self._name = "Prometheus Agent" if context.options.agent else "Prometheus Server"
        self._exposed: bytes | None = None

    async def healthy(self, request: Request) -> Answer:
        """/-/healthy."""
        return _probed(request, text(f"{self._name} is Healthy.\n"))

    async def ready(self, request: Request) -> Answer:
        """/-/ready."""
        if not self._context.ready():
            answer = text("Service Unavailable", 503)
            answer.headers.update(STARTING)
            return _probed(request, answer)
        return _probed(request, text(f"{self._name} is Ready.\n"))

    async def reload(self, request: Request) -> Answer:
        """/-/reload."""
        refusal = self._refusal(request)
        if refusal is not None:
            return refusal
        try:
            await self._context.reload()
        except TrimonError as error:
            return error_text(f"failed to reload config: {error}", 500)
        return Answer(b"", 200, "")

    async def quit(self, request: Request) -> Answer:
        """/-/quit."""
        refusal = self._refusal(request)
        if refusal is not None:
            return refusal
        first = self._context.quit()
        return text("Requesting termination... Goodbye!" if first else "Termination already in progress.")

    def _refusal(self, request: Request) -> Answer | None:
        if request.method == "GET":
            return text("Only POST or PUT requests allowed", 405)
        if not self._context.options.enable_lifecycle:
            return text("Lifecycle API is not enabled.", 403)
        return None

    async def metrics(self, request: Request) -> Answer:
        """/metrics; all who ask for text between two looks of the loop at the network get the same."""
        encoding = encoding_for(request.header("accept"))
        if encoding.content_type != CONTENT_TYPE:
            collected = list(self._context.metrics.collected())
            body = await self._context.offload.run(lambda: written(encoding, families_of(collected)))
            return Answer(body, 200, encoding.content_type)
        if self._exposed is None:
            self._exposed = self._context.metrics.expose()
            trio.lowlevel.current_trio_token().run_sync_soon(self._forget, idempotent=True)
        return Answer(self._exposed, 200, CONTENT_TYPE)

    def _forget(self) -> None:
        self._exposed = None

    async def version(self, _: Request) -> Answer:
        """/version."""
        return Answer(orjson.dumps(build_info()), 200, TEXT)


def _probed(request: Request, answer: Answer) -> Answer:
    """The answer to a probe, which has a type where it has a body."""
    return Answer(b"", answer.status, "", answer.headers) if request.method == "HEAD" else answer
