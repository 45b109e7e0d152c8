"""Metadata of metric families, as the targets state it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from trimon.actors.scraping.scrapepool import ScrapePool
from trimon.errors import UserError
from trimon.model.matcher import Matcher
from trimon.model.ordering import sorted_in_slices
from trimon.query.language.selectors import parse_selector
from trimon.scrape.exposition.families import BodyFamily
from trimon.scrape.session import ScrapeSession
from trimon.web.api.described import LIMIT, METRIC
from trimon.web.context import WebContext
from trimon.web.http import parameters
from trimon.web.http.answer import Answer, ApiError, bad_parameter, success
from trimon.web.http.endpoint import API_PREFIX, Endpoint, Kind, Parameter
from trimon.web.http.pieces import json_map, success_in_slices
from trimon.web.http.request import Request

# The families of so many are gathered on the loop: less than a millisecond or two.
INLINE_TARGETS_MAX: Final = 10


def metadata_endpoints(context: WebContext) -> list[Endpoint]:
    """/metadata and /targets/metadata."""

    async def metadata(request: Request) -> Answer:
        values = request.query()
        most = _number(values.get("limit", ""), "limit")
        most_each = _number(values.get("limit_per_metric", ""), "limit_per_metric")
        wanted = values.get("metric", "")
        told = [session.families for _, session in _sessions(context.scrape_pools())]

        def work() -> Answer:
            found: dict[str, list[dict[str, str]]] = {}
            for family, entry in _families(told, wanted):
                entries = found.setdefault(family, [])
                if entry not in entries and (most_each <= 0 or len(entries) < most_each):
                    entries.append(entry)
            names = sorted_in_slices(found)
            return success(json_map(found, names[:most] if most >= 0 else names))

        # A hundred families of each of thousands of targets; the families of a target are replaced and not changed.
        return context.held(await context.offload.run(work) if len(told) > INLINE_TARGETS_MAX else work())

    async def targets_metadata(request: Request) -> Answer:
        values = request.query()
        text = values.get("match_target", "")
        matchers = _target_matchers(text)
        most = _number(values.get("limit", ""), "limit")
        wanted = values.get("metric", "")

        def shown() -> Iterator[dict[str, object]]:
            count = 0
            for labels, families in _by_target(context.scrape_pools(), wanted):
                if 0 <= most <= count:
                    break  # The limit is looked at between targets alone, as in Prometheus.
                if all(matcher.matches(labels.get(matcher.name, "")) for matcher in matchers):
                    for family in families:
                        count += 1
                        yield {"target": labels, **family}

        return context.held(await success_in_slices(shown()))

    return [
        Endpoint(
            API_PREFIX + "/metadata",
            ("GET",),
            metadata,
            summary="Shows type, help and unit of families, as targets state them.",
            parameters=(
                METRIC,
                LIMIT,
                Parameter("limit_per_metric", "Most entries of a family.", Kind.INTEGER),
            ),
        ),
        Endpoint(
            API_PREFIX + "/targets/metadata",
            ("GET",),
            targets_metadata,
            summary="Shows what each target states of its families.",
            parameters=(
                Parameter("match_target", "What labels of targets match.", Kind.SELECTOR),
                METRIC,
                LIMIT,
            ),
        ),
    ]


def _entry(family: BodyFamily) -> dict[str, str]:
    """What a target states of a family, in the order of Prometheus' lists of families."""
    return {"type": family.type, "unit": family.unit, "help": family.help}


def _entry_of_target(family: BodyFamily) -> dict[str, str]:
    """The same in the order of its lists of targets."""
    return {"type": family.type, "help": family.help, "unit": family.unit}


def _sessions(jobs: Mapping[str, ScrapePool]) -> list[tuple[str, ScrapeSession]]:
    """The sessions of all targets, by job."""
    return [(name, session) for name, job in sorted(jobs.items()) for session in job.sessions.values()]


def _by_target(
    jobs: Mapping[str, ScrapePool], wanted: str
) -> Iterator[tuple[dict[str, str], Iterator[dict[str, str]]]]:
    """Labels of a target and its families; a family's name only when none was asked for."""
    for _, session in _sessions(jobs):
        families = session.families
        if not wanted:
            found = [({"metric": name}, family) for name, family in families.items()]
        else:
            found = [({}, families[wanted])] if wanted in families else []
        yield dict(session.target.labels), ({**named, **_entry_of_target(family)} for named, family in found)


def _families(told: Sequence[Mapping[str, BodyFamily]], wanted: str) -> Iterator[tuple[str, dict[str, str]]]:
    for families in told:
        if wanted:
            if wanted in families:
                yield wanted, _entry(families[wanted])
            continue
        for name, family in families.items():
            yield name, _entry(family)


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
