"""Queries at work: which there are, and an end to one; and what those took that have ended."""

from __future__ import annotations

from trimon.actors.querying.pastqueries import KEPT_MAX
from trimon.gotext.times import rfc3339
from trimon.web.context import WebContext
from trimon.web.http import parameters
from trimon.web.http.answer import Answer, ApiError, success
from trimon.web.http.asking import asker_of
from trimon.web.http.endpoint import API_PREFIX, Endpoint, Kind, Parameter, Role
from trimon.web.http.request import Request
from trimon.web.permissions import may_see_queries

PATH = API_PREFIX + "/trimon/queries"


def active_query_endpoints(context: WebContext) -> list[Endpoint]:
    """/trimon/queries, /trimon/queries/<id>/cancel, /trimon/queries/past."""

    def check(request: Request) -> None:
        """Raises ApiError."""
        if not may_see_queries(context, request):
            message = (
                "queries at work are shown to this machine and to users with the role admin alone, "
                "unless --web.enable-admin-api opens them"
            )
            raise ApiError("unavailable", message, status=403)

    async def listed(request: Request) -> Answer:
        check(request)
        return success({"queries": context.queries.listed(len(context.queries.active))})

    async def past(request: Request) -> Answer:
        check(request)
        values = request.query()
        most = parameters.integer(values.get("limit", "") or "100")
        if most is None or not 1 <= most <= KEPT_MAX:
            raise ApiError("bad_data", f"limit must be a number from 1 to {KEPT_MAX}")
        kept = context.queries.past
        by_pages = "by_pages" not in values or parameters.boolean(values, "by_pages")
        shown = [
            {
                "query": each.text,
                "by_page": each.by_page,
                "count": each.count,
                "errors": each.errors,
                "canceled": each.canceled,
                "total_s": each.total_s,
                "slowest": each.slowest.as_data(),
                "last": each.last.as_data(),
            }
            for each in kept.slowest(most, by_pages=by_pages)
        ]
        return success({"since": rfc3339(kept.since_ms), "queries": shown})

    async def cancel(request: Request) -> Answer:
        check(request)
        text = request.path_values["id"]
        number = int(text) if text.isascii() and text.isdigit() and len(text) < 20 else -1
        query = context.queries.active.get(number)
        if query is None:
            raise ApiError("not_found", f'no query at work has the id "{text}"')
        context.queries.cancel(number)
        who = asker_of(request)
        context.log.info(
            "query canceled",
            id=number,
            query=query.text[:1000],
            by=who.user or who.client,
            of=query.asker.client,
        )
        return success({"id": number, "query": query.text, "phase": query.phase.value})

    return [
        Endpoint(
            PATH,
            ("GET",),
            listed,
            role=Role.ADMIN,
            own=True,
            summary="Lists the queries that are at work or wait: who asks, since when, what each does and holds.",
        ),
        Endpoint(
            PATH + "/past",
            ("GET",),
            past,
            role=Role.ADMIN,
            summary="Lists the texts that were asked last, the slowest first: how often, how long, and where the time went.",
            parameters=(
                Parameter("limit", "Most texts; 100 by default.", Kind.INTEGER),
                Parameter(
                    "by_pages",
                    "Whether what our pages asked by themselves is listed; true by default.",
                    Kind.BOOLEAN,
                ),
            ),
        ),
        Endpoint(
            PATH + "/<id>/cancel",
            ("POST",),
            cancel,
            role=Role.ADMIN,
            changes=True,
            own=True,
            summary="Ends a query at work with an error for its client.",
        ),
    ]
