"""What takes series, and what grows."""

from __future__ import annotations

from typing import Final

from trimon.errors import UserError
from trimon.gotext.times import rfc3339
from trimon.storage.growth import SeriesGrowth
from trimon.storage.statistics import HeadCardinality, Ranking
from trimon.units import format_duration, parse_duration_ms
from trimon.web.context import WebContext
from trimon.web.http import parameters
from trimon.web.http.answer import Answer, ApiError, success
from trimon.web.http.endpoint import API_PREFIX, Endpoint, Kind, Parameter
from trimon.web.http.request import Request

CARDINALITY_LIMIT_MAX: Final = 10_000
# After it a head may be gone, without which series that it had look new in the next one.
GROWTH_MS_MAX: Final = 3_600_000


def cardinality_endpoints(context: WebContext) -> list[Endpoint]:
    """/status/tsdb and /status/growth."""

    async def tsdb(request: Request) -> Answer:
        most = _limit(request.query().get("limit", "") or "10")
        context.snapshot()
        return success(_cardinality(await context.offload.run(lambda: context.store.statistics(most))))

    async def growth(request: Request) -> Answer:
        values = request.query()
        text = values.get("window", "") or "1h"
        try:
            window_ms = parse_duration_ms(text)
        except UserError as error:
            raise ApiError("bad_data", f"invalid window: {error.message}") from None
        if window_ms > GROWTH_MS_MAX:
            raise ApiError("bad_data", f"window must not exceed {format_duration(GROWTH_MS_MAX)}")
        most = _limit(values.get("limit", "") or "10")
        context.snapshot()
        return success(_growth(await context.offload.run(lambda: context.store.growth(window_ms, most))))

    return [
        Endpoint(
            API_PREFIX + "/status/tsdb",
            ("GET",),
            tsdb,
            summary="Shows what takes the most series.",
            parameters=(Parameter("limit", "Most entries of a list; 10 by default.", Kind.INTEGER),),
        ),
        Endpoint(
            API_PREFIX + "/status/growth",
            ("GET",),
            growth,
            own=True,
            summary="Shows which metrics, labels and targets have new series.",
            parameters=(
                Parameter(
                    "window",
                    "How far back, a duration; 1h by default and at most.",
                    Kind.TEXT,
                ),
                Parameter("limit", "Most entries of a list; 10 by default.", Kind.INTEGER),
            ),
        ),
    ]


def _limit(text: str) -> int:
    most = parameters.integer(text)
    if most is None or not 1 <= most <= parameters.INT_MAX:
        raise ApiError("bad_data", "limit must be a positive number")
    if most > CARDINALITY_LIMIT_MAX:
        raise ApiError("bad_data", f"limit must not exceed {CARDINALITY_LIMIT_MAX}")
    return most


def _growth(found: SeriesGrowth) -> dict[str, object]:
    return {
        "since": rfc3339(found.since_ms),
        "seriesBefore": found.before,
        "newSeries": found.series,
        "newSeriesByMetricName": [{"name": name, "value": value} for name, value in found.metrics],
        "newValuesByLabelName": [
            {"name": each.name, "value": each.values, "series": each.series} for each in found.labels
        ],
        "newSeriesByTarget": [
            {"job": job, "instance": instance, "value": value} for job, instance, value in found.targets
        ],
    }


def _cardinality(found: HeadCardinality) -> dict[str, object]:
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
