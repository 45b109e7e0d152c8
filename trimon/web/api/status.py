"""Status: configuration, flags, runtime, build, storage."""

from __future__ import annotations

from dataclasses import asdict

import orjson
from quart import Blueprint, Response, request

from trimon.storage.statistics import Cardinality, Ranking
from trimon.web.context import WebContext
from trimon.web.http import parameters
from trimon.web.http.answer import ApiError, success
from trimon.web.management import build_info

CARDINALITY_LIMIT_MAX = 10_000


def status_routes(context: WebContext) -> Blueprint:
    """/status/*."""
    blueprint = Blueprint("status", __name__)

    @blueprint.get("/status/config")
    async def config() -> Response:
        return success({"yaml": context.config_yaml()})

    @blueprint.get("/status/flags")
    async def flags() -> Response:
        return success(dict(context.flags))

    @blueprint.get("/status/runtimeinfo")
    async def runtime() -> Response:
        return success(dict(context.runtime()))

    @blueprint.get("/status/buildinfo")
    async def build() -> Response:
        return success(build_info())

    @blueprint.get("/status/tsdb")
    async def tsdb() -> Response:
        text = request.args.get("limit", "") or "10"
        most = parameters.integer(text)
        if most is None or not 1 <= most <= parameters.INT_MAX:
            raise ApiError("bad_data", "limit must be a positive number")
        if most > CARDINALITY_LIMIT_MAX:
            raise ApiError("bad_data", f"limit must not exceed {CARDINALITY_LIMIT_MAX}")
        context.snapshot()
        return success(_cardinality(await context.offload.run(lambda: context.store.statistics(most))))

    @blueprint.get("/status/tsdb/blocks")
    async def blocks() -> Response:
        return success({"blocks": [orjson.loads(meta.to_json()) for meta, _ in context.store.blocks()]})

    @blueprint.get("/status/storage")
    async def storage() -> Response:
        figures = asdict(context.store.figures())
        return success({"problems": context.store.problems, "figures": figures})

    @blueprint.get("/status/walreplay")
    async def replay() -> Response:
        done, total = context.store.replay_progress
        return success({"min": 0, "max": max(0, total - 1), "current": max(0, done - 1)})

    return blueprint


def _cardinality(found: Cardinality) -> dict[str, object]:
    def listed(ranking: Ranking) -> list[dict[str, object]]:
        return [{"name": name, "value": value} for name, value in ranking]

    return {
        "headStats": {
            "numSeries": found.series,
            "numLabelPairs": found.label_pairs,
            "chunkCount": found.chunks,
            "minTime": found.min_ms,
            "maxTime": found.max_ms,
        },
        "seriesCountByMetricName": listed(found.series_by_metric),
        "labelValueCountByLabelName": listed(found.values_by_label),
        "memoryInBytesByLabelName": listed(found.bytes_by_label),
        "seriesCountByLabelValuePair": listed(found.series_by_pair),
    }
