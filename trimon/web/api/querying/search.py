"""Search for names of metrics, names of labels and values of labels, as somebody types them."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import Final

import orjson

from trimon.actors.remoteread.reader import LOCAL_ONLY
from trimon.gotext.strings import go_json, go_quote
from trimon.model.labels import METRIC_NAME
from trimon.model.matcher import Matcher, watched
from trimon.model.ordering import add_in_slices, sorted_in_slices
from trimon.model.snapshot import Snapshot
from trimon.query.execution.budget import Budget
from trimon.records import dataclass
from trimon.web.api.querying.similarity import ALGORITHMS, Score, scorer
from trimon.web.context import WebContext
from trimon.web.http import parameters
from trimon.web.http.answer import Answer, ApiError, seconds
from trimon.web.http.asking import asker_of
from trimon.web.http.endpoint import API_PREFIX, Endpoint, Kind, Parameter
from trimon.web.http.multidict import MultiDict
from trimon.web.http.request import Request

FEATURE: Final = "search-api"
NDJSON: Final = "application/x-ndjson; charset=utf-8"
TERMS_MAX: Final = 32
LIMIT: Final = 100
BATCH: Final = 100
RANGE_MS: Final = 3_600_000
_CHECKED_EVERY: Final = 1024

Find = Callable[[Snapshot, Sequence[Matcher], int, int], Iterable[str]]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a search asks for."""

    start_ms: int
    end_ms: int
    selectors: Sequence[str]
    score: Score
    by_score: bool
    descending: bool
    with_score: bool
    with_metadata: bool
    limit: int
    batch: int


def _boolean(values: MultiDict[str, str], name: str, default: bool) -> bool:
    text = values.get(name, "")
    if text not in ("", "true", "false", "1", "0"):
        raise _bad(f"invalid {name} {go_quote(text)}: must be true or false")
    return text in ("true", "1") if text else default


def _positive(values: MultiDict[str, str], name: str, default: int) -> int:
    text = values.get(name, "")
    if not text:
        return default
    number = parameters.integer(text)
    if number is None or not 1 <= number <= parameters.INT_MAX:
        raise _bad(f"invalid {name} {go_quote(text)}: must be a positive integer")
    return number


def _bad(message: str) -> ApiError:
    return ApiError("bad_data", message)


def _score(values: MultiDict[str, str]) -> Score:
    terms = [term for term in values.getlist("search[]") if term]
    if len(terms) > TERMS_MAX:
        raise _bad(f"too many search[] terms: got {len(terms)}, maximum is {TERMS_MAX}")
    text = values.get("fuzz_threshold", "") or "0"
    threshold = parameters.integer(text)
    if threshold is None or not 0 <= threshold <= 100:
        raise _bad(f"invalid fuzz_threshold {go_quote(text)}: must be 0-100")
    algorithm = values.get("fuzz_alg", "") or "subsequence"
    if algorithm not in ALGORITHMS:
        raise _bad(f"unsupported fuzz_alg {go_quote(algorithm)}: must be one of [{' '.join(ALGORITHMS)}]")
    case_sensitive = _boolean(values, "case_sensitive", True)
    return scorer(terms, algorithm, threshold / 100, case_sensitive=case_sensitive)


def _order(values: MultiDict[str, str], what: str) -> tuple[bool, bool]:
    """Whether results are sorted by score, and whether downward by name."""
    by, direction = values.get("sort_by", ""), values.get("sort_dir", "")
    if by not in ("", "alpha", "score"):
        raise _bad(f'invalid sort_by {go_quote(by)} for {what}: must be "alpha" or "score"')
    if by == "score" and not any(values.getlist("search[]")):
        raise _bad("sort_by=score requires at least one search[] term")
    if direction not in ("", "asc", "dsc"):
        raise _bad(f'invalid sort_dir {go_quote(direction)}: must be "asc" or "dsc"')
    if direction and by != "alpha":
        reason = "is set" if not by else "is alpha"
        raise _bad(f"sort_dir is only valid when sort_by {reason}")
    return by == "score", direction == "dsc"


def wanted_of(values: MultiDict[str, str], what: str, now_ms: int, limit_max: int) -> Wanted:
    """What the parameters of a request ask for. Raises ApiError."""
    start_ms = parameters.time_ms(values, "start", now_ms - RANGE_MS)
    end_ms = parameters.time_ms(values, "end", now_ms)
    if end_ms < start_ms:
        raise _bad("end timestamp must not be before start timestamp")
    limit = _positive(values, "limit", min(LIMIT, limit_max))
    if limit > limit_max:
        raise _bad(f"limit {limit} exceeds the configured maximum ({limit_max}, see --web.search.max-limit)")
    score = _score(values)
    by_score, descending = _order(values, what)
    return Wanted(
        start_ms,
        end_ms,
        values.getlist("match[]"),
        score,
        by_score,
        descending,
        _boolean(values, "include_score", False),
        what == "metric_names" and _boolean(values, "include_metadata", False),
        limit,
        _positive(values, "batch_size", BATCH),
    )


def _found(wanted: Wanted, names: Sequence[str], budget: Budget) -> list[tuple[str, float]]:
    """Names with their scores in order, one more than is asked for where there are more."""

    def scored() -> Iterable[tuple[str, float]]:
        for place, name in enumerate(reversed(names) if wanted.descending else names):
            if not place % _CHECKED_EVERY:
                budget.check()
            score = wanted.score(name)
            if score > 0:
                yield name, score

    if wanted.by_score:
        return heapq.nsmallest(wanted.limit + 1, scored(), key=lambda item: (-item[1], item[0]))
    return list(islice(scored(), wanted.limit + 1))


def _names(find: Find, wanted: Wanted, snapshot: Snapshot, budget: Budget) -> Sequence[str]:
    """What there is, ascending."""
    selectors = parameters.selectors(wanted.selectors, budget.check)
    with watched(budget.check):
        if len(selectors) <= 1:
            return list(find(snapshot, selectors[0] if selectors else (), wanted.start_ms, wanted.end_ms))
        found = set[str]()
        for matchers in selectors:
            budget.check()
            add_in_slices(found, list(find(snapshot, matchers, wanted.start_ms, wanted.end_ms)))
        return sorted_in_slices(found)


class SearchHandler:
    """What the routes of search answer: lines of JSON, some results each, and a last one that says how it went."""

    def __init__(self, context: WebContext) -> None:
        self._context = context

    async def metric_names(self, request: Request) -> Answer:
        """/search/metric_names."""
        return await self._answer(request, "metric_names", "name", _metric_names)

    async def label_names(self, request: Request) -> Answer:
        """/search/label_names."""
        return await self._answer(request, "label_names", "name", _label_names)

    async def label_values(self, request: Request) -> Answer:
        """/search/label_values."""
        self._check()
        label = (await request.values(strict=True)).get("label", "")
        if not label:
            raise _bad('missing required parameter "label"')

        def find(
            snapshot: Snapshot, matchers: Sequence[Matcher], start_ms: int, end_ms: int
        ) -> Iterable[str]:
            return snapshot.label_values(label, matchers, start_ms, end_ms)

        return await self._answer(request, "label_values", "value", find)

    def _check(self) -> None:
        if not self._context.query_options().has(FEATURE):
            raise ApiError("unavailable", "search API disabled")

    async def _answer(self, request: Request, what: str, key: str, find: Find) -> Answer:
        self._check()
        context = self._context
        wanted = wanted_of(
            await request.values(strict=True), what, context.clock.now_ms(), context.options.search_limit_max
        )
        told = [
            session.families
            for _, pool in (sorted(context.scrape_pools().items()) if wanted.with_metadata else ())
            for session in pool.sessions.values()
        ]

        def work(snapshot: Snapshot, budget: Budget) -> Answer:
            found = _found(wanted, _names(find, wanted, snapshot, budget), budget)
            has_more = len(found) > wanted.limit
            shown = []
            for name, score in found[: wanted.limit]:
                entry: dict[str, object] = {key: name}
                if wanted.with_score:
                    entry["score"] = seconds(score)
                family = next((families[name] for families in told if name in families), None)
                if family is not None:
                    about = {"type": family.type, "help": family.help, "unit": family.unit}
                    entry |= {field: text for field, text in about.items() if text}
                shown.append(entry)
            lines: list[dict[str, object]] = [
                {"results": shown[at : at + wanted.batch]}
                for at in range(0, max(len(shown), 1), wanted.batch)
            ]
            warnings = snapshot.missing(wanted.start_ms, wanted.end_ms)
            last: dict[str, object] = {"status": "success", "has_more": has_more}
            lines.append(last | ({"warnings": list(warnings)} if warnings else {}))
            return Answer(go_json(b"".join(orjson.dumps(line) + b"\n" for line in lines)), 200, NDJSON)

        options = context.query_options()
        return context.held(
            await context.queries.run(
                f"search {what}", options, work, asker=asker_of(request), hops=LOCAL_ONLY
            )
        )


def _metric_names(
    snapshot: Snapshot, matchers: Sequence[Matcher], start_ms: int, end_ms: int
) -> Iterable[str]:
    return snapshot.label_values(METRIC_NAME, matchers, start_ms, end_ms)


def _label_names(
    snapshot: Snapshot, matchers: Sequence[Matcher], start_ms: int, end_ms: int
) -> Iterable[str]:
    return snapshot.label_names(matchers, start_ms, end_ms)


_PARAMETERS: Final = (
    Parameter("match[]", "Series to look among.", Kind.SELECTOR, repeated=True),
    Parameter("search[]", "What is sought; one of several is enough.", repeated=True),
    Parameter("fuzz_threshold", "The least score in percent; 0 for all that match.", Kind.INTEGER),
    Parameter("fuzz_alg", "How scores are made.", choices=tuple(ALGORITHMS)),
    Parameter("case_sensitive", "Whether capitals count; true by default.", Kind.BOOLEAN),
    Parameter("sort_by", "What results are sorted by.", choices=("alpha", "score")),
    Parameter("sort_dir", "Up or down, of names alone.", choices=("asc", "dsc")),
    Parameter("include_score", "Whether scores are shown.", Kind.BOOLEAN),
    Parameter("start", "Since when series have samples; an hour ago by default.", Kind.TIMESTAMP),
    Parameter("end", "Until when; now by default.", Kind.TIMESTAMP),
    Parameter("limit", "Most results; 100 by default.", Kind.INTEGER),
    Parameter("batch_size", "Most results a line.", Kind.INTEGER),
)


def search_endpoints(context: WebContext) -> list[Endpoint]:
    """/search/*."""
    handler, methods, path = SearchHandler(context), ("GET", "POST"), API_PREFIX + "/search"
    metadata = Parameter("include_metadata", "Whether type, help and unit are shown.", Kind.BOOLEAN)
    label = Parameter("label", "Whose values.", required=True)
    return [
        Endpoint(
            f"{path}/metric_names",
            methods,
            handler.metric_names,
            summary="Finds names of metrics, as lines of JSON.",
            parameters=(*_PARAMETERS, metadata),
        ),
        Endpoint(
            f"{path}/label_names",
            methods,
            handler.label_names,
            summary="Finds names of labels, as lines of JSON.",
            parameters=_PARAMETERS,
        ),
        Endpoint(
            f"{path}/label_values",
            methods,
            handler.label_values,
            summary="Finds values of a label, as lines of JSON.",
            parameters=(label, *_PARAMETERS),
        ),
    ]
