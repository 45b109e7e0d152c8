"""The last scrapes of each target: times, verdicts, bodies; one more at once; and a body under other relabeling rules."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Final, TypeVar

import trio

from trimon.actors.scraping.scrapepool import ScrapePool
from trimon.errors import UserError
from trimon.gotext.strings import go_quote
from trimon.gotext.times import json_time
from trimon.model.labels import Labels
from trimon.model.relabel import Relabeling
from trimon.redaction import redacted
from trimon.scrape.records import KeptBody, ScrapeRecord
from trimon.scrape.replay import Replay, replay
from trimon.scrape.session import ScrapeSession
from trimon.scrape.target import Target
from trimon.web.api.described import LIMIT, POOL
from trimon.web.api.targets.triedrules import tried_rules
from trimon.web.context import WebContext
from trimon.web.http import parameters
from trimon.web.http.answer import TEXT, Answer, ApiError, seconds, success
from trimon.web.http.endpoint import API_PREFIX, Endpoint, Parameter, Role
from trimon.web.http.pieces import success_in_slices
from trimon.web.http.request import Request

T = TypeVar("T")

ID_CHARACTERS_MIN: Final = 8
EXAMPLES_DEFAULT: Final = 100
EXAMPLES_MAX: Final = 10_000
REPLAY_S: Final = 10.0
# What a scrape that is asked for may take beside its own timeout: the one under way, reading, storing.
PATIENCE_S: Final = 15.0
_PATH: Final = API_PREFIX + "/targets/<id>"
_AT: Final = Parameter(
    "scrape", "The time of a scrape in ms, its `id`; the newest that has a body by default."
)


class ScrapesHandler:
    """Answers about scrapes that were. Only on the loop's thread."""

    def __init__(self, context: WebContext) -> None:
        self._context = context

    async def listing(self, request: Request) -> Answer:
        """/targets/scrapes."""
        values = request.query(strict=True)
        wanted, health, most = (
            values.get("scrapePool", ""),
            values.get("health", ""),
            parameters.limit(values),
        )
        found = (
            self._described(pool, key) | {"lastScrape": self._shown(record) if record is not None else None}
            for name, pool in sorted(self._context.scrape_pools().items())
            if not wanted or name == wanted
            for key, session in sorted(pool.sessions.items(), key=lambda item: item[1].target.labels)
            if key in pool.targets and (not health or session.state.health == health)
            for record in (session.records.last(),)
        )
        return self._context.held(await success_in_slices({"targets": _first(found, most)}))

    async def scrapes(self, request: Request) -> Answer:
        """/targets/<id>/scrapes."""
        pool, session = self._session(request)
        key = session.target.key
        kept = self._context.kept_bodies.of(key)
        records = [
            self._shown(record) | {"hasBody": record.at_ms in kept} for record in session.records.all()
        ]
        remembered = {record["id"] for record in records}
        older = sorted(at_ms for at_ms in kept if at_ms not in remembered)
        return success({"target": self._described(pool, key), "scrapes": records, "olderBodies": older})

    async def body(self, request: Request) -> Answer:
        """/targets/<id>/scrapes/<scrape>/body."""
        _, session = self._session(request)
        kept = self._kept(session, request.path_values["scrape"])

        def work() -> bytes:
            # Credentials are ASCII: as Latin-1 a body of any encoding is a text that they stand in as they are.
            return redacted(kept.body().decode("latin-1")).encode("latin-1", "replace")

        body = await self._context.offload.run(work)
        kind = "application/octet-stream" if "protobuf" in kept.content_type else TEXT
        answer = Answer(
            body, content_type=kind, headers={"X-Scraped-Content-Type": _header(redacted(kept.content_type))}
        )
        return self._context.held(answer)

    async def scrape_now(self, request: Request) -> Answer:
        """/targets/<id>/scrape."""
        pool, session = self._session(request)
        done = self._context.scrape_now(session)
        if done is None:
            raise ApiError("unavailable", "the target is not scraped now: it starts, stops, or crashed", 503)
        patience_s = session.target.timeout_ms / 1000 * 2 + PATIENCE_S

        async def wait() -> None:
            with trio.fail_after(patience_s):
                await done.wait()

        try:
            await request.attended(wait)
        except trio.TooSlowError:
            raise ApiError("timeout", f"no scrape ended within {patience_s:g} s") from None
        session = pool.sessions.get(session.target.key, session)
        last = session.records.last()
        assert last is not None, "a scrape was recorded"
        kept = self._context.kept_bodies.of(session.target.key)
        return success(self._shown(last) | {"hasBody": last.at_ms in kept})

    async def replay(self, request: Request) -> Answer:
        """/targets/<id>/replay."""
        pool, session = self._session(request)
        values = await request.values(strict=True)
        most = min(parameters.limit(values) or EXAMPLES_DEFAULT, EXAMPLES_MAX)
        kept = self._kept(session, values.get("scrape", ""))
        options = pool.config.options
        until_s = time.monotonic() + REPLAY_S

        def work() -> Replay:
            rules = options.metric_relabeling
            if "metric_relabel_configs" in values:
                rules = Relabeling(tried_rules(values, "metric_relabel_configs", legacy=options.legacy_names))
            target = session.target
            return replay(
                target,
                options,
                kept,
                rules,
                examples_max=most,
                is_late=lambda: time.monotonic() >= until_s,
            )

        try:
            found = await request.attended(lambda: self._context.offload.run(work))
        except UserError as error:
            raise ApiError("bad_data", redacted(str(error))) from None
        return self._context.held(await success_in_slices(_shown_replay(kept, found)))

    def _session(self, request: Request) -> tuple[ScrapePool, ScrapeSession]:
        """The target that the path names. Raises ApiError."""
        wanted = request.path_values["id"]
        if len(wanted) < ID_CHARACTERS_MIN:
            raise ApiError("bad_data", f"the id of a target has at least {ID_CHARACTERS_MIN} characters")
        found = [
            (pool, session)
            for pool in self._context.scrape_pools().values()
            for key, session in pool.sessions.items()
            if key.startswith(wanted)
        ]
        if not found:
            raise ApiError("not_found", f"no target with id {go_quote(wanted[:100])}")
        if len({session.target.key for _, session in found}) > 1:
            raise ApiError("bad_data", f"{len(found)} targets have ids that begin with {go_quote(wanted)}")
        return found[0]

    def _kept(self, session: ScrapeSession, scrape: str) -> KeptBody:
        kept = self._context.kept_bodies.of(session.target.key)
        if not kept:
            raise ApiError(
                "not_found",
                "no body of this target is kept: its scrapes failed before there was one, it was not scraped, "
                "or others took its place; a scrape that is asked for keeps what it reads",
            )
        if not scrape:
            return kept[max(kept)]
        at_ms = parameters.integer(scrape)
        if at_ms is None:
            raise ApiError("bad_data", f"the id of a scrape is its time in ms, not {go_quote(scrape[:100])}")
        if at_ms not in kept:
            there = ", ".join(map(str, sorted(kept)))
            raise ApiError("not_found", f"the body of scrape {at_ms} is not kept; there are those of {there}")
        return kept[at_ms]

    def _described(self, pool: ScrapePool, key: str) -> dict[str, object]:
        session = pool.sessions[key]
        target: Target = session.target
        return {
            "id": key,
            "scrapePool": target.job,
            "scrapeUrl": target.shown_url,
            "globalUrl": self._context.options.external.of_target(target.shown_url),
            "labels": dict(target.labels),
            "discoveredLabels": dict(self._context.mask(pool.targets.get(key, target).discovered)),
            "health": session.state.health,
        }

    def _shown(self, record: ScrapeRecord) -> dict[str, object]:
        parts = {
            "resolve": record.resolve_s,
            "connect": record.connect_s,
            "tls": record.tls_s,
            "firstByte": record.first_byte_s,
            "body": record.body_s,
            "read": record.read_s,
            "store": record.store_s,
        }
        return {
            "id": record.at_ms,
            "time": json_time(record.at_ms),
            "health": "up" if record.is_up else "down",
            "error": record.error,
            "fault": record.fault.shown() if record.fault is not None else None,
            "duration": seconds(record.duration_s),
            "parts": {name: seconds(round(taken_s, 6)) for name, taken_s in parts.items()},
            "status": record.status,
            "contentType": redacted(record.content_type),
            "wireBytes": record.wire_bytes,
            "bodyBytes": record.body_bytes,
            "samples": record.samples,
            "series": record.series,
        }


def _first(items: Iterator[T], most: int) -> Iterator[T]:
    for index, item in enumerate(items):
        if most and index >= most:
            return
        yield item


def _header(text: str) -> str:
    """What a header may hold of a text that came from elsewhere."""
    return "".join(character for character in text if " " <= character <= "~")[:200]


def _shown_replay(kept: KeptBody, found: Replay) -> dict[str, object]:
    def labels(each: Labels | None) -> dict[str, str] | None:
        return None if each is None else dict(each)

    return {
        "scrape": kept.at_ms,
        "series": found.series,
        "keptNow": found.kept_now,
        "keptThen": found.kept_then,
        "dropped": found.dropped,
        "gained": found.gained,
        "changed": found.changed,
        "collisions": found.collisions,
        "invalid": found.invalid,
        "examples": (
            {"exposed": dict(one.exposed), "now": labels(one.now), "then": labels(one.then)}
            for one in found.examples
        ),
    }


def scrapes_endpoints(context: WebContext) -> list[Endpoint]:
    """/targets/scrapes and /targets/<id>/*."""
    handler = ScrapesHandler(context)
    return [
        Endpoint(
            API_PREFIX + "/targets/scrapes",
            ("GET",),
            handler.listing,
            own=True,
            summary="Lists targets by their ids, each with its last scrape: times of all parts, sizes, verdict.",
            parameters=(
                POOL,
                Parameter("health", "Targets of this health alone.", choices=("up", "down", "unknown")),
                LIMIT,
            ),
        ),
        Endpoint(
            _PATH + "/scrapes",
            ("GET",),
            handler.scrapes,
            own=True,
            summary="Lists the last scrapes of a target, the newest first; the id is its own or the first 8 of it.",
        ),
        Endpoint(
            _PATH + "/scrapes/<scrape>/body",
            ("GET",),
            handler.body,
            own=True,
            summary="Gives the body of a scrape that is kept, credentials out.",
        ),
        Endpoint(
            _PATH + "/scrape",
            ("POST",),
            handler.scrape_now,
            role=Role.ADMIN,
            changes=True,
            watches_client=True,
            own=True,
            summary="Scrapes a target now, beside its slots, stores what it gives, and keeps the body.",
        ),
        Endpoint(
            _PATH + "/replay",
            ("POST",),
            handler.replay,
            watches_client=True,
            own=True,
            summary="Reads a body that is kept under other rules, and says what becomes of its series.",
            parameters=(
                Parameter("metric_relabel_configs", "Rules as YAML; those of the job by default."),
                _AT,
                LIMIT,
            ),
        ),
    ]
