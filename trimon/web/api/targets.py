"""Targets, as the API shows them."""

from __future__ import annotations

from trimon.actors.scrape import ScrapePool
from trimon.gotext.times import json_time
from trimon.model.labels import Labels
from trimon.scrape.session import ScrapeSession
from trimon.scrape.target import Target
from trimon.units import format_duration
from trimon.web.context import WebContext
from trimon.web.externalurl import ExternalUrl
from trimon.web.http.answer import Answer, seconds, success
from trimon.web.http.endpoint import API_PREFIX, Endpoint
from trimon.web.http.pieces import success_in_slices
from trimon.web.http.request import Request


def _active(
    target: Target, session: ScrapeSession | None, external: ExternalUrl, mask: Labels
) -> dict[str, object]:
    state = session.state if session is not None else None
    return {
        "discoveredLabels": dict(mask),
        "labels": dict(target.labels),
        "scrapePool": target.job,
        "scrapeUrl": target.shown_url,
        "globalUrl": external.of_target(target.shown_url),
        "lastError": state.last_error if state else "",
        "lastScrape": json_time(state.last_scrape_ms if state else 0),
        "lastScrapeDuration": seconds(state.last_duration_s) if state else 0,
        "health": state.health if state else "unknown",
        "scrapeInterval": format_duration(target.interval_ms),
        "scrapeTimeout": format_duration(target.timeout_ms),
    }


def targets_endpoints(context: WebContext) -> list[Endpoint]:
    """/targets and /scrape_pools."""

    def jobs(wanted: str) -> list[tuple[str, ScrapePool]]:
        return [item for item in sorted(context.scrape_pools().items()) if not wanted or item[0] == wanted]

    async def targets(request: Request) -> Answer:
        values = request.query()
        state = values.get("state", "").lower() or "any"
        pools = jobs(values.get("scrapePool", ""))
        shown: dict[str, object] = {"activeTargets": [], "droppedTargets": [], "droppedTargetCounts": None}
        if state in ("any", "active"):
            shown["activeTargets"] = (
                _active(
                    target, pool.sessions.get(key), context.options.external, context.mask(target.discovered)
                )
                for _, pool in pools
                for key, target in sorted(pool.targets.items(), key=lambda item: item[1].labels)
            )
        if state in ("any", "dropped"):
            shown["droppedTargetCounts"] = {name: job.dropped_count for name, job in jobs("")}
            shown["droppedTargets"] = (
                {"discoveredLabels": dict(context.mask(target.discovered)), "scrapePool": name}
                for name, pool in pools
                for target in list(pool.dropped)
            )
        return context.held(await success_in_slices(shown))

    async def scrape_pools(_: Request) -> Answer:
        return success({"scrapePools": sorted(context.scrape_pools())})

    return [
        Endpoint(API_PREFIX + "/targets", ("GET",), targets),
        Endpoint(API_PREFIX + "/scrape_pools", ("GET",), scrape_pools),
    ]
