"""The chain that every request passes, from the socket's side inward.

    socket ─ hypercorn ─ RequestMetrics ─ Guard ─ Authentication ─ Cors ─ Intake ─ Compression ─ Router ┬ plain ─ handler
                         │                │       │                │      │        │                    └ framework ─ same
                         │                │       │                │      │        └ packs bodies the client wants packed
                         │                │       │                │      └ counts bodies as memory while they come
                         │                │       │                └ adds the headers that browsers ask for
                         │                │       └ refuses who does not say who he is, and who may not ask for this
                         │                └ refuses: too long a body, another's host or origin, not from this machine, too often
                         └ finds the endpoint, counts, takes the time, adds the headers of all answers

Each link is an ASGI application around the next one. A link may answer itself (a refusal is counted and has its
CORS headers all the same, since it goes out through the links before it), or change the messages that come back.

The endpoint is found once, by the first link, and travels in the request's scope: so the guard knows what a request is about
before anything reads its body. Nothing is routed anywhere else: what is no row of the table is a 404, and the framework is
told the same rows. So a guard in the chain sees every route, and one that is put in front of the router cannot be
passed by: `tests/web/http/test_pipeline.py` tries it for each row.

The router is the only place with two ways. Requests without a body, or with a short one of known length, are nine of ten, and
need nothing of what makes a framework slow (a task, a context, a response object): 0.3 instead of 0.8 ms for a tiny query.
The others (chunked bodies, multipart forms, streams) take the framework's way. Handlers see one `Request` and give one
`Answer` on both, and errors are mapped by one function.

Compression stands inside Cors and Guard, next to the router, so that what they answer themselves is sent as it is; it stands
outside the router, so that both ways are packed alike. `Vary` is added by each link for what it looks at.
"""

from __future__ import annotations

from collections.abc import Sequence

from hypercorn.typing import ASGIFramework

from trimon.web.auth.authentication import Authentication
from trimon.web.auth.headers import AnswerHeaders
from trimon.web.context import WebContext
from trimon.web.http.answer import Answer, error_text
from trimon.web.http.compression import Compression
from trimon.web.http.cors import Cors
from trimon.web.http.endpoint import Endpoint, EndpointTable, Handler
from trimon.web.http.failures import answer_of_error
from trimon.web.http.guard import Guard
from trimon.web.http.intake import Intake
from trimon.web.http.lateapplication import LateApplication
from trimon.web.http.request import Request
from trimon.web.http.requestmetrics import RequestMetrics
from trimon.web.http.router import Router


async def _nothing(_: Request) -> Answer:
    return error_text("404 page not found", 404)


def pipeline(
    context: WebContext, endpoints: Sequence[Endpoint], missing: Handler = _nothing
) -> ASGIFramework:
    """The application that the HTTP server calls: the chain over a table of endpoints; `missing` answers for all else."""

    def failed(error: Exception, method: str, path: str) -> Answer:
        return answer_of_error(context, error, method, path)

    options = context.options
    table = EndpointTable(options.route_prefix, endpoints)
    for path in sorted(context.security.now.exempt_paths - table.exemptible):
        context.log.warning("exempt_paths names what everybody may not read, or what is not there", path=path)

    def framework() -> ASGIFramework:
        from trimon.web.http.framework import create_framework  # noqa: PLC0415 # see `LateApplication`

        return create_framework(table, failed, context.offload)

    threads = context.password_threads or context.offload
    late = LateApplication(framework, threads)
    router = Router(late, table, failed, context.offload, missing)
    packed = Compression(router, context.offload)
    shared = Cors(Intake(packed, context.bodies), table, options.cors_origin)
    known = Authentication(shared, context.security, threads, context.metrics)
    guarded = Guard(known, options)
    return RequestMetrics(guarded, table, context.metrics, AnswerHeaders(context.security))
