"""The application: blueprints, error mapping, CORS, compression and request metrics."""

from __future__ import annotations

import re
import zlib
from typing import Final

import trio
from quart import Response, request
from quart_trio import QuartTrio
from werkzeug.exceptions import HTTPException

from trimon import limits
from trimon.actors.kernel.mailbox import MailboxFull
from trimon.actors.kernel.reply import ActorGone, AskTimeout
from trimon.actors.storage import NotReady
from trimon.errors import OperatingError, UserError
from trimon.query.errors import QueryError
from trimon.web.admin import admin_routes
from trimon.web.context import WebContext
from trimon.web.debug import debug_routes
from trimon.web.envelope import ApiError, failure, text
from trimon.web.expressions import expression_routes
from trimon.web.metadata import metadata_routes
from trimon.web.operation import operation_routes
from trimon.web.queries import query_routes
from trimon.web.rules import rules_routes
from trimon.web.series import series_routes
from trimon.web.status import status_routes
from trimon.web.targets import targets_routes
from trimon.web.write import write_routes

API_PREFIX: Final = "/api/v1"
API_ROUTES: Final = (
    query_routes,
    expression_routes,
    series_routes,
    metadata_routes,
    targets_routes,
    rules_routes,
    status_routes,
    admin_routes,
    write_routes,
)
COMPRESS_BYTES_MIN: Final = 1024
COMPRESS_INLINE_BYTES_MAX: Final = 256 * 1024
DURATION_BUCKETS_S: Final = (0.1, 0.2, 0.4, 1, 3, 8, 20, 60, 120)
SIZE_BUCKETS_BYTES: Final = tuple(100.0 * 10**power for power in range(8))


def create_app(context: WebContext) -> QuartTrio:
    """The whole front end over one context."""
    app = QuartTrio("trimon", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = limits.REQUEST_BODY_BYTES_MAX
    app.config["MAX_FORM_MEMORY_SIZE"] = limits.REQUEST_FORM_BYTES_MAX
    prefix = context.options.route_prefix
    for routes in API_ROUTES:
        app.register_blueprint(routes(context), url_prefix=prefix + API_PREFIX)
    for routes in (operation_routes, debug_routes):
        app.register_blueprint(routes(context), url_prefix=prefix or None)
    _map_errors(app, context)
    _add_cors(app, context)
    _add_compression(app, context)
    _add_metrics(app, context)
    return app


def as_api_error(error: Exception) -> ApiError | None:
    """The envelope of an expected error; None for a bug."""
    match error:
        case ApiError():
            return error
        case QueryError():
            return ApiError(error.kind.value, str(error))
        case UserError():
            return ApiError("bad_data", str(error))
        case MailboxFull():
            return ApiError("unavailable", str(error), status=503, retry_after_s=error.retry_after_s)
        case NotReady():
            return ApiError("unavailable", str(error), status=503, retry_after_s=1)
        case ActorGone() | AskTimeout():
            return ApiError("unavailable", str(error), status=503, retry_after_s=1)
        case OperatingError():
            return ApiError("internal", str(error))
        case _:
            return None


def _map_errors(app: QuartTrio, context: WebContext) -> None:
    @app.errorhandler(HTTPException)
    async def http_error(error: HTTPException) -> Response:
        status = error.code or 500
        return text(f"{status} {error.name.lower()}\n" if status != 404 else "404 page not found\n", status)

    @app.errorhandler(Exception)
    async def any_error(error: Exception) -> Response:
        known = as_api_error(error)
        if known is None:
            context.tree().reports.add(f"web{request.path}", 1, error, 0.0, request.method)
            known = ApiError("internal", f"internal error: {type(error).__name__}; see /debug/crashes")
        return failure(known)


def _add_cors(app: QuartTrio, context: WebContext) -> None:
    allowed = context.options.cors_origin
    pattern = re.compile(allowed)

    @app.after_request
    async def cors(response: Response) -> Response:
        response.headers["Vary"] = "Origin"
        origin = request.headers.get("Origin")
        if origin:
            headers = response.headers
            if allowed == ".*":
                headers["Access-Control-Allow-Origin"] = "*"
            elif pattern.fullmatch(origin):
                headers["Access-Control-Allow-Origin"] = origin
            headers["Access-Control-Allow-Headers"] = "Accept, Authorization, Content-Type, Origin"
            headers["Access-Control-Allow-Methods"] = "GET, POST, OPTIONS"
            headers["Access-Control-Expose-Headers"] = "Date"
        return response


def _add_compression(app: QuartTrio, context: WebContext) -> None:
    @app.after_request
    async def compress(response: Response) -> Response:
        accepted = [
            part.partition(";")[0].strip() for part in request.headers.get("Accept-Encoding", "").split(",")
        ]
        encoding = next((name for name in accepted if name in ("gzip", "deflate")), None)
        if encoding is None or "Content-Encoding" in response.headers:
            return response
        body = await response.get_data(as_text=False)
        if len(body) < COMPRESS_BYTES_MIN:
            return response
        window = 31 if encoding == "gzip" else 15

        def work() -> bytes:
            compressor = zlib.compressobj(1, zlib.DEFLATED, window)
            return compressor.compress(body) + compressor.flush()

        packed = work() if len(body) <= COMPRESS_INLINE_BYTES_MAX else await context.offload.run(work)
        response.set_data(packed)
        response.headers["Content-Encoding"] = encoding
        response.headers["Content-Length"] = str(len(packed))
        response.headers["Vary"] = "Origin, Accept-Encoding"
        return response


def _add_metrics(app: QuartTrio, context: WebContext) -> None:
    requests = context.metrics.counter(
        "prometheus_http_requests_total", "Counter of HTTP requests.", ("handler", "code")
    )
    durations = context.metrics.histogram(
        "prometheus_http_request_duration_seconds",
        "Latencies of HTTP requests.",
        ("handler",),
        DURATION_BUCKETS_S,
    )
    sizes = context.metrics.histogram(
        "prometheus_http_response_size_bytes", "Sizes of HTTP responses.", ("handler",), SIZE_BUCKETS_BYTES
    )

    @app.before_request
    async def begin() -> None:
        request.began_s = trio.current_time()  # type: ignore[attr-defined]  # carried to `measure`

    @app.after_request
    async def measure(response: Response) -> Response:
        handler = request.url_rule.rule if request.url_rule is not None else "not found"
        began_s = getattr(request, "began_s", None)
        requests.labels(handler, str(response.status_code)).inc()
        if began_s is not None:
            durations.labels(handler).observe(trio.current_time() - began_s)
        if response.content_length is not None:
            sizes.labels(handler).observe(response.content_length)
        return response
