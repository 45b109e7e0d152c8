"""The application: blueprints, error mapping, what every answer gets, and the front before them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import trio
from quart import Blueprint, Response, request
from quart_trio import QuartTrio
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from trimon import limits
from trimon.web.api.admin import admin_routes
from trimon.web.api.expressions import expression_routes
from trimon.web.api.metadata import metadata_routes
from trimon.web.api.queries import query_endpoints
from trimon.web.api.remotewrite import write_endpoints
from trimon.web.api.rules import rules_routes
from trimon.web.api.series import series_routes
from trimon.web.api.status import status_routes
from trimon.web.api.targets import targets_routes
from trimon.web.context import WebContext
from trimon.web.debug import debug_routes
from trimon.web.http.answer import respond, text
from trimon.web.http.failures import answer_of_error
from trimon.web.http.fastpath import Front
from trimon.web.http.middleware import Dressing
from trimon.web.http.request import Endpoint, view
from trimon.web.management import PROBES, operation_routes

API_PREFIX: Final = "/api/v1"
API_ROUTES: Final = (
    expression_routes,
    series_routes,
    metadata_routes,
    targets_routes,
    rules_routes,
    status_routes,
    admin_routes,
)


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
    busiest = [*query_endpoints(context), *write_endpoints(context)]
    app.register_blueprint(_busiest_routes(busiest), url_prefix=prefix + API_PREFIX)
    dressing = Dressing(context)
    _map_errors(app, context)
    _dress(app, dressing, prefix + API_PREFIX + "/")
    # the way that the framework has for what stands before it
    app.asgi_app = Front(app.asgi_app, prefix + API_PREFIX, busiest, context, dressing)  # type: ignore[method-assign]
    return app


def _busiest_routes(endpoints: Sequence[Endpoint]) -> Blueprint:
    """The framework's routes of what the front answers when it is simple."""
    blueprint = Blueprint("busiest", __name__)
    for endpoint in endpoints:
        blueprint.add_url_rule(
            endpoint.path, endpoint.path[1:], view(endpoint.handler), methods=list(endpoint.methods)
        )
    return blueprint


def _map_errors(app: QuartTrio, context: WebContext) -> None:
    probes = {context.options.route_prefix + path for path in PROBES}

    @app.before_request
    async def refuse_head() -> None:
        # the framework has a HEAD for every GET
        rule = request.url_rule
        if request.method == "HEAD" and rule is not None and request.path not in probes:
            raise MethodNotAllowed(sorted(rule.methods or ()))

    @app.errorhandler(HTTPException)
    async def http_error(error: HTTPException) -> Response:
        status = error.code or 500
        if isinstance(error, MethodNotAllowed):
            probed = request.path in probes
            methods = {method for method in error.valid_methods or () if method != "HEAD" or probed}
            refusal = text("Method Not Allowed\n", status)
            refusal.headers["Allow"] = ", ".join(sorted(methods))
            return refusal
        return text(f"{status} {error.name.lower()}\n" if status != 404 else "404 page not found\n", status)

    @app.errorhandler(Exception)
    async def any_error(error: Exception) -> Response:
        return respond(answer_of_error(context, error, request.method, request.path))


def _dress(app: QuartTrio, dressing: Dressing, api: str) -> None:
    @app.before_request
    async def begin() -> Response | None:
        request.began_s = trio.current_time()  # type: ignore[attr-defined]  # carried to `dress`
        if request.method == "OPTIONS" and request.path.startswith(api):
            return Response(b"", status=204)  # what a browser asks before it asks
        return None

    @app.after_request
    async def dress(response: Response) -> Response:
        # other pages may not look into what is only shown on this machine
        if request.path.startswith(api):
            response.headers.update(dressing.cors(request.headers.get("Origin", "")))
        encoding = dressing.encoding(request.headers.get("Accept-Encoding", ""))
        if encoding and "Content-Encoding" not in response.headers:
            packed = await dressing.packed(await response.get_data(as_text=False), encoding)
            if packed is not None:
                response.set_data(packed)
                response.headers.update(dressing.packed_headers(encoding, len(packed)))
        handler = request.url_rule.rule if request.url_rule is not None else "not found"
        began_s = getattr(request, "began_s", None)
        dressing.measure(handler, response.status_code, began_s, response.content_length)
        return response
