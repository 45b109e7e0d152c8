"""What an agent does not answer: it scrapes, keeps a log and sends it, so there is nothing to query and nothing fires."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from trimon.web.http.answer import Answer, ApiError
from trimon.web.http.endpoint import API_PREFIX, Endpoint
from trimon.web.http.request import Request

NOT_OF_AN_AGENT: Final = "unavailable with Prometheus Agent"
_ROUTES: Final = (
    "/query",
    "/query_range",
    "/query_exemplars",
    "/format_query",
    "/parse_query",
    "/explain",
    "/trimon/queries",
    "/trimon/queries/past",
    "/trimon/queries/<id>/cancel",
    "/series",
    "/labels",
    "/label/<name>/values",
    "/search/metric_names",
    "/search/label_names",
    "/search/label_values",
    "/rules",
    "/rules/selectors",
    "/rules/backtest",
    "/alerts",
    "/alerts/history",
    "/alertmanagers",
    "/status/tsdb",
    "/status/tsdb/blocks",
    "/admin/tsdb/delete_series",
    "/admin/tsdb/clean_tombstones",
    "/admin/tsdb/snapshot",
)
UNAVAILABLE: Final = frozenset((*(API_PREFIX + route for route in _ROUTES), "/federate"))
"""The routes that need queries, rules or blocks."""


async def unavailable(_: Request) -> Answer:
    """The answer of such a route."""
    raise ApiError("execution", NOT_OF_AN_AGENT)


def of_agent(endpoints: Sequence[Endpoint]) -> list[Endpoint]:
    """The endpoints as an agent has them."""
    return [
        replace(endpoint, handler=unavailable) if endpoint.path in UNAVAILABLE else endpoint
        for endpoint in endpoints
    ]
