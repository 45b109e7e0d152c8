"""Targets, as the API shows them."""

from __future__ import annotations

import threading
from dataclasses import replace

import orjson

from trimon.actors.scraping.scrapepool import ScrapePool
from trimon.config.dump import section_yaml
from trimon.config.model import show_model
from trimon.config.relabel import RelabelConfig
from trimon.config.scrape import ScrapeConfig
from trimon.errors import UserError
from trimon.gotext.strings import go_quote, go_quote_rune
from trimon.model.relabel import Relabeling
from trimon.redaction import redacted
from trimon.scrape.target import DroppedTarget, Target
from trimon.web.api.described import POOL
from trimon.web.api.targets.targetlist import TargetList
from trimon.web.api.targets.triedrules import ANSWER_CHARACTERS_MAX, LABEL_CHARACTERS_MAX, tried_rules
from trimon.web.api.targets.truelabels import TrueLabels, true_labels
from trimon.web.context import WebContext
from trimon.web.http.answer import Answer, ApiError, success, success_in_parts
from trimon.web.http.endpoint import API_PREFIX, Endpoint, Parameter
from trimon.web.http.request import ClientGone, Request


class TargetsHandler:
    """Answers about targets and pools. Only on the loop's thread."""

    def __init__(self, context: WebContext) -> None:
        self._context = context

    def _pools(self, wanted: str) -> list[tuple[str, ScrapePool]]:
        return [
            item for item in sorted(self._context.scrape_pools().items()) if not wanted or item[0] == wanted
        ]

    async def targets(self, request: Request) -> Answer:
        """/targets."""
        values = request.query()
        state = values.get("state", "").lower() or "any"
        pools = self._pools(values.get("scrapePool", ""))
        found = TargetList()
        if state in ("any", "active"):
            for _, pool in pools:
                await found.note(pool)
        if state in ("any", "dropped"):
            found.dropped_counts = {name: job.dropped_count for name, job in self._pools("")}
            found.dropped = [(name, list(pool.dropped)) for name, pool in pools]
        context, left = self._context, threading.Event()

        def check() -> None:
            if left.is_set():
                raise ClientGone

        def work() -> Answer:
            return success_in_parts(found.pieces(context.options.external, context.mask, check))

        return context.held(await context.offload.run(work, left.set))

    async def scrape_pools(self, _: Request) -> Answer:
        """/scrape_pools."""
        return success({"scrapePools": sorted(self._context.scrape_pools())})

    def _config(self, pool: str) -> ScrapeConfig:
        if not pool:
            raise ApiError("bad_data", "no scrapePool parameter provided")
        found = self._context.scrape_config(pool)
        if found is None:
            reason = f"error retrieving scrape config: scrape pool {go_quote(pool)} not found"
            raise ApiError("bad_data", reason)
        return found

    async def pool_config(self, request: Request) -> Answer:
        """/scrape_pools/config."""
        found = self._config(request.query().get("scrapePool", ""))
        return success({"yaml": await self._context.offload.run(lambda: section_yaml(found))})

    async def relabel_steps(self, request: Request) -> Answer:
        """/targets/relabel_steps."""
        values = request.query()
        pool, text = values.get("scrapePool", ""), values.get("labels", "")
        if not pool:
            raise ApiError("bad_data", "no scrapePool parameter provided")
        if not text:
            raise ApiError("bad_data", "no labels parameter provided")
        labels = _labels(text)
        config = self._config(pool)
        mask, found = self._context.mask, self._context.scrape_pools().get(pool)
        # Rules that somebody tries could tell him what is masked, a letter at a time: they see what he sees.
        tries = "relabel_configs" in values
        targets: list[Target | DroppedTarget] = []
        if found is not None and not tries:
            targets = [*found.targets.values(), *found.dropped]

        def work() -> Answer:
            rules = config.relabel_configs
            if tries:
                legacy = config.metric_name_validation_scheme == "legacy"
                rules = tried_rules(values, "relabel_configs", legacy=legacy)
            known = TrueLabels(labels)
            if not tries:
                known = true_labels(labels, (target.discovered for target in targets), mask)
            steps = Relabeling(rules).steps(known.labels, LABEL_CHARACTERS_MAX, ANSWER_CHARACTERS_MAX)
            shown = [
                {"rule": _rule(rule), "output": known.shown(step.labels, mask), "keep": step.keep}
                for rule, step in zip(rules, steps, strict=True)
            ]
            return success({"steps": shown}, known.warnings)

        try:
            return await self._context.offload.run(work)
        except UserError as error:
            raise ApiError("bad_data", redacted(str(error))) from None


def targets_endpoints(context: WebContext) -> list[Endpoint]:
    """/targets and /scrape_pools."""
    handler = TargetsHandler(context)
    return [
        Endpoint(
            API_PREFIX + "/targets",
            ("GET",),
            handler.targets,
            summary="Lists targets: where they are, and how their last scrape went.",
            parameters=(
                Parameter(
                    "state",
                    "Those that are scraped, or that relabeling dropped.",
                    choices=("active", "dropped", "any"),
                ),
                POOL,
            ),
        ),
        Endpoint(
            API_PREFIX + "/targets/relabel_steps",
            ("GET",),
            handler.relabel_steps,
            summary="Shows what each relabeling rule of a pool makes of labels.",
            parameters=(
                replace(POOL, required=True),
                Parameter("labels", "A JSON object of labels.", required=True),
                Parameter("relabel_configs", "Rules to try, as YAML; those of the pool by default."),
            ),
        ),
        Endpoint(
            API_PREFIX + "/scrape_pools",
            ("GET",),
            handler.scrape_pools,
            summary="Lists the names of scrape pools.",
        ),
        Endpoint(
            API_PREFIX + "/scrape_pools/config",
            ("GET",),
            handler.pool_config,
            summary="Shows the configuration of a scrape pool, secrets masked.",
            parameters=(replace(POOL, required=True),),
        ),
    ]


def _rule(rule: RelabelConfig) -> dict[str, object]:
    """A rule as JSON, which tells its pattern always."""
    shown = show_model(rule)
    before: dict[str, object] = {
        name: shown.pop(name) for name in ("source_labels", "separator") if name in shown
    }
    shown.pop("regex", None)
    return {**before, "regex": rule.regex, **shown}


def _labels(text: str) -> dict[str, str]:
    """Labels of a JSON object. Raises ApiError."""
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise ApiError("bad_data", f"error parsing labels: {_fault(text, error.pos)}") from None
    if found is None:
        return {}
    if not isinstance(found, dict) or not all(isinstance(value, str) for value in found.values()):
        raise ApiError("bad_data", "error parsing labels: it is no JSON object whose values are texts")
    return found


def _fault(text: str, place: int) -> str:
    """What is wrong at a place of a flat JSON object, as Go says it."""
    place = next((at for at in range(place, len(text)) if not text[at].isspace()), len(text))
    before = text[:place].rstrip()
    if place >= len(text):
        return "unexpected end of JSON input"
    where = {
        "{": "looking for beginning of object key string",
        ",": "looking for beginning of object key string",
        "}": "after top-level value",
    }.get(before[-1:], "looking for beginning of value")
    if before.endswith('"'):
        member = before[max(before.rfind("{"), before.rfind(",")) :]
        where = "after object key:value pair" if ":" in member else "after object key"
    return f"invalid character {go_quote_rune(text[place])} {where}"
