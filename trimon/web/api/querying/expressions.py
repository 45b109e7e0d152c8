"""Routes about the text of a query: format, parse, explain, and exemplars of its selectors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

from trimon.actors.remoteread.reader import LOCAL_ONLY
from trimon.model.labels import Labels
from trimon.model.matcher import Matcher
from trimon.model.snapshot import Snapshot
from trimon.query import engine
from trimon.query.answer.jsonnumbers import format_value
from trimon.query.execution.budget import Budget
from trimon.query.explain import explain
from trimon.query.language.errors import ParseError
from trimon.query.language.nodes import Expr, VectorSelector, children
from trimon.query.language.options import QueryOptions
from trimon.storage.exemplars import StoredExemplar
from trimon.web.api.described import BETWEEN, LOOKBACK, QUERY, RANGE, TIME, TIMEOUT
from trimon.web.api.querying.queries import check_time, query_text, request_options, step_ms_of
from trimon.web.context import WebContext
from trimon.web.http import parameters
from trimon.web.http.answer import Answer, ApiError, bad_parameter, seconds, success
from trimon.web.http.asking import asker_of
from trimon.web.http.endpoint import API_PREFIX, Endpoint, Kind, Parameter
from trimon.web.http.multidict import MultiDict
from trimon.web.http.request import Request

T = TypeVar("T")


async def _parsed(
    context: WebContext,
    values: MultiDict[str, str],
    work: Callable[[str, QueryOptions], T],
    *,
    named: bool = True,
) -> T:
    """`work` on the query's text, in a thread: a long text takes a second. An error names the parameter where `named`."""
    text, options = query_text(values), context.query_options()
    try:
        return await context.offload.run(lambda: work(text, options))
    except ParseError as error:
        raise (bad_parameter("query", error) if named else ApiError("bad_data", str(error))) from None


def expression_endpoints(context: WebContext) -> list[Endpoint]:
    """/format_query, /parse_query, /explain, /query_exemplars."""

    async def format_query(request: Request) -> Answer:
        values = await request.values()
        return success(await _parsed(context, values, engine.format_query))

    async def parse_query(request: Request) -> Answer:
        values = await request.values()
        return success(await _parsed(context, values, engine.parse_query))

    async def explain_query(request: Request) -> Answer:
        values = await request.values()
        options = request_options(context, values)
        check_time(options)
        analyze = parameters.boolean(values, "analyze")
        text = query_text(values)
        if "start" in values:
            start_ms = parameters.required_time_ms(values, "start")
            end_ms = parameters.required_time_ms(values, "end")
            if end_ms < start_ms:
                raise bad_parameter("end", "end timestamp must not be before start time")
            step_ms = step_ms_of(values, start_ms, end_ms)
        else:
            start_ms = end_ms = parameters.time_ms(values, "time", context.clock.now_ms())
            step_ms = 0

        def work(snapshot: Snapshot, budget: Budget) -> tuple[dict[str, object], list[str]]:
            plan = explain(snapshot, text, start_ms, end_ms, step_ms, options, analyze=analyze, budget=budget)
            return plan.data(), plan.lines()

        try:
            plan, lines = await context.queries.run(
                f"{request.path} {text}",
                options,
                work,
                asker=asker_of(request),
                hops=0 if analyze else LOCAL_ONLY,
            )
        except ParseError as error:
            raise bad_parameter("query", error) from None
        return success({"plan": plan, "text": "\n".join(lines)})

    async def query_exemplars(request: Request) -> Answer:
        values = await request.values()
        start_ms = parameters.time_ms(values, "start", -parameters.TIME_MS_MAX)
        end_ms = parameters.time_ms(values, "end", parameters.TIME_MS_MAX)
        if end_ms < start_ms:
            raise ApiError("bad_data", "end timestamp must not be before start timestamp")
        matcher_sets = _selectors(await _parsed(context, values, engine.parse, named=False))
        if not matcher_sets:
            return Answer(b"", 204, "")
        found = context.store.exemplars.query(matcher_sets, start_ms, end_ms)
        return success([_exemplars(labels, exemplars) for labels, exemplars in found])

    return [
        Endpoint(
            API_PREFIX + "/format_query",
            ("GET", "POST"),
            format_query,
            summary="Writes an expression over lines.",
            parameters=(QUERY,),
        ),
        Endpoint(
            API_PREFIX + "/parse_query",
            ("GET", "POST"),
            parse_query,
            summary="Takes an expression apart, as a tree.",
            parameters=(QUERY,),
        ),
        Endpoint(
            API_PREFIX + "/explain",
            ("GET", "POST"),
            explain_query,
            own=True,
            summary="Shows the plan of a query, and with `analyze` what each part of it took.",
            parameters=(
                QUERY,
                TIME,
                *(replace(each, required=False) for each in RANGE),
                TIMEOUT,
                LOOKBACK,
                Parameter("analyze", "Whether the query runs.", Kind.BOOLEAN),
            ),
        ),
        Endpoint(
            API_PREFIX + "/query_exemplars",
            ("GET", "POST"),
            query_exemplars,
            summary="Finds the exemplars of the series that an expression reads.",
            parameters=(QUERY, *BETWEEN),
        ),
    ]


def _selectors(expr: Expr) -> list[tuple[Matcher, ...]]:
    """The matchers of every selector in an expression, in the order of the text."""
    found: list[tuple[Matcher, ...]] = []
    waiting = [expr]
    while waiting:
        node = waiting.pop()
        if isinstance(node, VectorSelector):
            found.append(node.matchers)
        waiting += reversed(children(node))
    return found


def _exemplars(series: Labels, exemplars: Sequence[StoredExemplar]) -> dict[str, object]:
    return {
        "seriesLabels": dict(series),
        "exemplars": [
            {
                "labels": dict(exemplar.labels),
                "value": format_value(exemplar.value),
                "timestamp": seconds(exemplar.timestamp_ms / 1000),
            }
            for exemplar in exemplars
        ],
    }
