"""Health, readiness, reload, quit, own metrics and version: the routes without an envelope."""

from __future__ import annotations

from typing import Final

from quart import Blueprint, Response, request

from trimon import __version__
from trimon.errors import TrimonError
from trimon.selfmetrics import CONTENT_TYPE
from trimon.web.context import WebContext
from trimon.web.http.answer import STARTING, text

# The version that clients see: Grafana and others switch features on by it.
PROMETHEUS_VERSION = "3.14.0"
# Load balancers ask these with HEAD; nothing else takes it.
PROBES: Final = ("/-/healthy", "/-/ready")


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


def operation_routes(context: WebContext) -> Blueprint:
    """/-/healthy, /-/ready, /-/reload, /-/quit, /metrics, /version."""
    blueprint = Blueprint("operation", __name__)

    @blueprint.get("/-/healthy")
    async def healthy() -> Response:
        return text("Prometheus Server is Healthy.\n")

    @blueprint.get("/-/ready")
    async def ready() -> Response:
        if not context.ready():
            answer = text("Service Unavailable", 503)
            answer.headers.update(STARTING)
            return answer
        return text("Prometheus Server is Ready.\n")

    @blueprint.route("/-/reload", methods=["GET", "POST", "PUT"])
    async def reload() -> Response:
        if request.method not in ("POST", "PUT"):
            return text("Only POST or PUT requests allowed", 405)
        if not context.options.enable_lifecycle:
            return text("Lifecycle API is not enabled.", 403)
        try:
            await context.reload()
        except TrimonError as error:
            return text(f"failed to reload config: {error}\n", 500)
        return text("")

    @blueprint.route("/-/quit", methods=["GET", "POST", "PUT"])
    async def quit_() -> Response:
        if request.method not in ("POST", "PUT"):
            return text("Only POST or PUT requests allowed", 405)
        if not context.options.enable_lifecycle:
            return text("Lifecycle API is not enabled.", 403)
        first = context.quit()
        return text("Requesting termination... Goodbye!" if first else "Termination already in progress.")

    @blueprint.get("/metrics")
    async def metrics() -> Response:
        return Response(context.metrics.expose(), content_type=CONTENT_TYPE)

    @blueprint.get("/version")
    async def version() -> dict[str, str]:
        return build_info()

    return blueprint
