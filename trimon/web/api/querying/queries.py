"""Queries: instant and range."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Final

import orjson

from trimon import limits
from trimon.actors.querying.backends import BackendPart
from trimon.actors.querying.querylog import QueryRecord
from trimon.errors import UserError
from trimon.model.arrow import STREAM_TYPE, ArrowMissing
from trimon.model.snapshot import Snapshot
from trimon.query import engine
from trimon.query.answer.arrow import NoArrowForm, arrow_bytes, arrow_stream
from trimon.query.answer.json import data_pieces, text_bytes
from trimon.query.answer.result import QueryResult
from trimon.query.answer.statsdata import stats_data
from trimon.query.execution.annotations import limited
from trimon.query.execution.budget import Budget
from trimon.query.execution.grid import Grid
from trimon.query.language.errors import ParseError
from trimon.query.language.options import PER_STEP_STATS, QueryOptions
from trimon.query.planning.trivial import is_trivial
from trimon.records import dataclass
from trimon.web.api.described import EVALUATION, QUERY, RANGE, TIME
from trimon.web.api.querying.repeatedanswers import RepeatedAnswers
from trimon.web.context import WebContext
from trimon.web.http import parameters
from trimon.web.http.answer import JSON, Answer, ApiError, bad_parameter, success_in_parts
from trimon.web.http.asking import asker_of
from trimon.web.http.endpoint import API_PREFIX, Endpoint
from trimon.web.http.multidict import MultiDict
from trimon.web.http.request import Request

_NS_PER_MS = 1_000_000
# Less than this is over in Prometheus, too, before anything begins.
_TIMEOUT_S_MIN: Final = 1e-6
_WEIGHT: Final = re.compile(r"(?:^|;)\s*q\s*=\s*([01](?:\.\d{0,3})?)\s*(?:;|$)", re.IGNORECASE)
Evaluate = Callable[[Snapshot, Grid, QueryOptions, Budget], QueryResult]


def request_options(context: WebContext, values: MultiDict[str, str]) -> QueryOptions:
    """The server's options with the request's `timeout` and `lookback_delta`. Raises ApiError.

    The time may be over before anything begins: see `check_time`.
    """
    timeout_s = lookback_ms = None
    if text := values.get("timeout", ""):
        try:
            timeout_s = parameters.parse_span_ns(text) / 1e9
        except UserError as error:
            raise bad_parameter("timeout", error) from None
    if text := values.get("lookback_delta", ""):
        try:
            lookback_ms = parameters.parse_span_ms(text)
            lookback_ms = lookback_ms if lookback_ms > 0 else None
        except UserError as error:
            raise ApiError("bad_data", f"error parsing lookback delta duration: {error}") from None
    options = context.query_options().with_(lookback_ms=lookback_ms, timeout_s=timeout_s)
    costs = context.options.query_cost_max, context.options.query_range_cost_max
    return replace(options, cost_max=costs[0], range_cost_max=costs[1]) if any(costs) else options


def check_time(options: QueryOptions) -> None:
    """Raises ApiError where a timeout leaves no time at all.

    Prometheus says one of three things then, by chance: this one half of the time.
    """
    if options.timeout_s < _TIMEOUT_S_MIN:
        raise bad_parameter("query", "context deadline exceeded")


def query_text(values: MultiDict[str, str]) -> str:
    """The `query` parameter. Raises ApiError when it is too long."""
    text = values.get("query", "")
    size = len(text.encode())
    if size > limits.QUERY_TEXT_BYTES_MAX:
        raise bad_parameter("query", f"{size} bytes, the limit is {limits.QUERY_TEXT_BYTES_MAX}")
    return text


def step_ms_of(values: MultiDict[str, str], start_ms: int, end_ms: int) -> int:
    """The `step` parameter of a range query. Raises ApiError when there would be too many steps."""
    text = values.get("step", "")
    try:
        step_ns = parameters.parse_span_ns(text)
    except UserError as error:
        raise bad_parameter("step", error) from None
    if step_ns <= 0:
        raise bad_parameter(
            "step",
            "zero or negative query resolution step widths are not accepted. Try a positive integer",
        )
    if (end_ms - start_ms) * _NS_PER_MS // step_ns > limits.QUERY_POINTS_PER_SERIES_MAX:
        raise ApiError(
            "bad_data",
            "exceeded maximum resolution of 11,000 points per timeseries. "
            "Try decreasing the query resolution (?step=XX)",
        )
    step_ms = step_ns // _NS_PER_MS
    if not step_ms:
        raise bad_parameter("step", f"{text} seconds are less than a millisecond, the finest resolution")
    return step_ms


def asks_for_arrow(request: Request) -> bool:
    """Whether the client names the type of Arrow streams among those that it takes."""
    accepted = request.header("accept")
    if STREAM_TYPE not in accepted.lower():
        return False
    weights = dict(map(_weighted, accepted.split(",")))
    return weights.get(STREAM_TYPE, 0.0) > 0 and weights[STREAM_TYPE] >= weights.get(JSON, 0.0)


def _weighted(part: str) -> tuple[str, float]:
    """A type of an Accept header and its weight; one that cannot be read is 1."""
    kind, _, parameters = part.partition(";")
    said = _WEIGHT.search(parameters)
    return kind.strip().lower(), float(said[1]) if said is not None else 1.0


@dataclass(frozen=True, slots=True)
class _Form:
    """How a result is to be answered."""

    series_max: int
    stats: str
    per_step: bool
    arrow: bool

    @property
    def plain(self) -> bool:
        """Whether it is JSON, whole, and nothing else."""
        return not (self.series_max or self.stats or self.arrow)


def _rendered(result: QueryResult, budget: Budget, form: _Form) -> Answer:
    """The answer that a result is, with its warnings and infos; made in the query's own thread."""
    series_max, stats = form.series_max, form.stats
    warnings = limited(result.warnings, "warning")
    if series_max:
        result, cut = result.limited(series_max)
        if cut:
            warnings.append(parameters.TRUNCATED)
    if stats and stats not in ("true", "all"):
        warnings.append(
            f'value "{stats}" for parameter "stats" is deprecated and will be rejected in the next major release, '
            'use "true" or "all"'
        )
    budget.check()
    if form.arrow:
        return _arrow(result, budget, warnings)
    budget.take_bytes(text_bytes(result), "the answer's text")
    per_step_of = result.times_ms.tolist() if form.per_step and stats == "all" else []
    shown = orjson.dumps(stats_data(result.stats, per_step_of)) if stats else b""
    return success_in_parts(data_pieces(result, shown, budget.check), warnings, limited(result.infos, "info"))


def _arrow(result: QueryResult, budget: Budget, warnings: list[str]) -> Answer:
    budget.take_bytes(arrow_bytes(result), "the answer's columns")
    try:
        body = arrow_stream(result, warnings, limited(result.infos, "info"))
    except (ArrowMissing, NoArrowForm) as error:
        raise ApiError("not_acceptable", str(error)) from None
    return Answer(body, 200, STREAM_TYPE, {"Vary": "Accept"})


class QueryHandler:
    """What /query and /query_range answer. Only on the loop's thread."""

    def __init__(self, context: WebContext) -> None:
        self._context = context
        self._repeated = RepeatedAnswers()

    async def instant(self, request: Request) -> Answer:
        """/query."""
        values = await request.values()
        most = parameters.limit(values)
        time_ms = parameters.time_ms(values, "time", self._context.clock.now_ms())

        text = query_text(values)

        def evaluate(snapshot: Snapshot, grid: Grid, options: QueryOptions, budget: Budget) -> QueryResult:
            return engine.instant(snapshot, text, grid.start_ms, options, budget)

        return await self._answer(request, values, most, text, Grid.instant(time_ms), evaluate)

    async def range_(self, request: Request) -> Answer:
        """/query_range."""
        values = await request.values()
        most = parameters.limit(values)
        start_ms = parameters.required_time_ms(values, "start")
        end_ms = parameters.required_time_ms(values, "end")
        if end_ms < start_ms:
            raise bad_parameter("end", "end timestamp must not be before start time")
        step_ms = step_ms_of(values, start_ms, end_ms)

        text = query_text(values)

        def evaluate(snapshot: Snapshot, grid: Grid, options: QueryOptions, budget: Budget) -> QueryResult:
            return engine.range_(snapshot, text, grid.start_ms, end_ms, step_ms, options, budget)

        return await self._answer(
            request, values, most, text, Grid.between(start_ms, end_ms, step_ms), evaluate, end_ms
        )

    async def _answer(
        self,
        request: Request,
        values: MultiDict[str, str],
        most: int,
        text: str,
        grid: Grid,
        evaluate: Evaluate,
        end_ms: int | None = None,
    ) -> Answer:
        """The answer, `most` series of it, over the steps of a grid, or at its only one where there is no `end_ms`."""
        ranged, options = end_ms is not None, request_options(self._context, values)
        times_ms = (grid.start_ms, grid.start_ms if end_ms is None else end_ms, grid.step_ms if ranged else 0)
        origin = {"clientIP": request.client, "method": request.method, "path": request.path}
        asker = asker_of(request)
        record = QueryRecord(text, *times_ms, {"httpRequest": origin}, by_page=asker.by_page)
        per_step = PER_STEP_STATS in options.features
        form = _Form(most, values.get("stats", ""), per_step, asks_for_arrow(request))

        evaluated: list[tuple[Snapshot, QueryResult]] = []

        def work(snapshot: Snapshot, budget: Budget) -> Answer:
            def local(steps: Grid) -> QueryResult:
                return evaluate(snapshot, steps, options, budget)

            result = local(grid) if part is None else part.over(local)
            record.stats = result.stats
            answer = _rendered(result, budget, form)
            evaluated[:] = [(snapshot, result)] if form.plain and answer.parts is None else []
            return answer

        def again(snapshot: Snapshot) -> Answer | None:
            found = self._repeated.find(snapshot, text, grid, options, end_ms)
            if found is None:
                return None
            body, record.stats = found
            return Answer(body)

        queries, part = self._context.queries, None
        try:
            # An error is told before the queue, and the tree is remembered; a long text would hold up the loop.
            expr = engine.parse(text, options) if engine.is_quickly_parsed(text) else None
            check_time(options)
            if expr is not None and is_trivial(text, expr, grid.count) and not form.arrow:
                return queries.run_now(options, work, record)  # the library of Arrow is long to import
            part = await self._asked(request, text, grid, options, ranged=ranged)
            if part is None and form.plain:
                repeated = queries.repeat(options, again, record)
                if repeated is not None:
                    return self._context.held(repeated)
            answer = queries.run_quick(text, options, work, record) if part is None else None
            if answer is None:
                answer = await request.attended(lambda: queries.run(text, options, work, record, asker))
            if part is None:
                for snapshot, result in evaluated:
                    self._repeated.keep(snapshot, text, grid, options, end_ms, result, answer.body)
        except ParseError as error:
            # only the check of the whole query's type has no place in the text
            raise bad_parameter(
                "query", error if error.position.line or not text else error.message
            ) from None
        return self._context.held(answer)

    async def _asked(
        self, request: Request, text: str, grid: Grid, options: QueryOptions, *, ranged: bool
    ) -> BackendPart | None:
        """What engines answer of a query. Raises ParseError, QueryError."""
        backends = self._context.backends
        if backends is None or not backends.is_on:
            return None
        return await request.attended(lambda: backends.part(text, grid, options, ranged=ranged))


def query_endpoints(context: WebContext) -> list[Endpoint]:
    """/query and /query_range."""
    handler, methods = QueryHandler(context), ("GET", "POST")
    return [
        Endpoint(
            API_PREFIX + "/query",
            methods,
            handler.instant,
            watches_client=True,
            summary="Evaluates an expression at one time.",
            parameters=(QUERY, TIME, *EVALUATION),
        ),
        Endpoint(
            API_PREFIX + "/query_range",
            methods,
            handler.range_,
            watches_client=True,
            summary="Evaluates an expression at every step of a range.",
            parameters=(QUERY, *RANGE, *EVALUATION),
        ),
    ]
