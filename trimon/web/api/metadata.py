"""Metadata of metric families, as the targets state it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from trimon.actors.scrape import ScrapePool
from trimon.errors import UserError
from trimon.model.matcher import Matcher
from trimon.query.language.selectors import parse_selector
from trimon.scrape.exposition.families import BodyFamily
from trimon.web.context import WebContext
from trimon.web.http import parameters
from trimon.web.http.answer import Answer, ApiError, bad_parameter, success
from trimon.web.http.endpoint import API_PREFIX, Endpoint
from trimon.web.http.request import Request


def metadata_endpoints(context: WebContext) -> list[Endpoint]:
    """/metadata and /targets/metadata."""

    async def metadata(request: Request) -> Answer:
        values = request.query()
        most = _number(values.get("limit", ""), "limit")
        most_each = _number(values.get("limit_per_metric", ""), "limit_per_metric")
        wanted = values.get("metric", "")
        found: dict[str, list[dict[str, str]]] = {}
        for family, entry in _families(context, wanted):
            entries = found.setdefault(family, [])
            if entry not in entries and (most_each <= 0 or len(entries) < most_each):
                entries.append(entry)
        names = sorted(found)[:most] if most >= 0 else sorted(found)
        return success({name: found[name] for name in names})

    async def targets_metadata(request: Request) -> Answer:
        values = request.query()
        text = values.get("match_target", "")
        matchers = _target_matchers(text)
        most = _number(values.get("limit", ""), "limit")
        wanted = values.get("metric", "")
        shown: list[dict[str, object]] = []
        for labels, families in _by_target(context.scrape_pools(), wanted):
            if 0 <= most <= len(shown):
                break  # The limit is looked at between targets alone, as in Prometheus.
            if all(matcher.matches(labels.get(matcher.name, "")) for matcher in matchers):
                shown += [{"target": labels, **family} for family in families]
        return success(shown)

    return [
        Endpoint(API_PREFIX + "/metadata", ("GET",), metadata),
        Endpoint(API_PREFIX + "/targets/metadata", ("GET",), targets_metadata),
    ]


def _entry(family: BodyFamily) -> dict[str, str]:
    return {"type": family.type, "help": family.help, "unit": family.unit}


def _by_target(
    jobs: Mapping[str, ScrapePool], wanted: str
) -> Iterator[tuple[dict[str, str], list[dict[str, str]]]]:
    """Labels of a target and its families; a family's name only when none was asked for."""
    for _, job in sorted(jobs.items()):
        for session in list(job.sessions.values()):
            if not wanted:
                found = [{"metric": name, **_entry(family)} for name, family in session.families.items()]
            else:
                found = [_entry(session.families[wanted])] if wanted in session.families else []
            yield dict(session.target.labels), found


def _families(context: WebContext, wanted: str) -> list[tuple[str, dict[str, str]]]:
    jobs: Mapping[str, ScrapePool] = context.scrape_pools()
    return [
        (name, _entry(family))
        for _, job in sorted(jobs.items())
        for session in list(job.sessions.values())
        for name, family in session.families.items()
        if not wanted or name == wanted
    ]


def _number(text: str, name: str) -> int:
    if not text:
        return -1
    number = parameters.integer(text)
    if number is None or abs(number) > parameters.INT_MAX:
        raise ApiError("bad_data", f"{name} must be a number")
    return number


def _target_matchers(text: str) -> tuple[Matcher, ...]:
    """The matchers of a `match_target`, which may match everything. Raises ApiError."""
    if not text.strip():
        return ()
    try:
        return parse_selector(text)
    except UserError as error:
        raise bad_parameter("match_target", error) from None
