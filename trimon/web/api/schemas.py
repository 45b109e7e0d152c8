"""The shapes of what the API answers, as schemas of its description."""

from __future__ import annotations

from typing import Final

Schema = dict[str, object]

TEXT: Final[Schema] = {"type": "string"}
NUMBER: Final[Schema] = {"type": "number"}
WHOLE: Final[Schema] = {"type": "integer"}
TRUTH: Final[Schema] = {"type": "boolean"}
ANYTHING: Final[Schema] = {}
OBJECT: Final[Schema] = {"type": "object"}


def named(name: str) -> Schema:
    """One of `COMPONENTS`."""
    return {"$ref": f"#/components/schemas/{name}"}


def listed(items: Schema) -> Schema:
    """A list."""
    return {"type": "array", "items": items}


def mapped(values: Schema) -> Schema:
    """An object whose names are not known before."""
    return {"type": "object", "additionalProperties": values}


def members(*required: str, **fields: Schema) -> Schema:
    """An object with fields, of which some are always there; it may have others."""
    shape: Schema = {"type": "object", "properties": fields}
    return {**shape, "required": list(required)} if required else shape


_SAMPLE: Final[Schema] = {
    "type": "array", "prefixItems": [NUMBER, TEXT], "minItems": 2, "maxItems": 2,
    "description": "A time in seconds, and a number as text.",
}  # fmt: skip
_HISTOGRAM_SAMPLE: Final[Schema] = {"type": "array", "minItems": 2, "maxItems": 2}

COMPONENTS: Final[dict[str, Schema]] = {
    "Labels": mapped(TEXT),
    "Sample": _SAMPLE,
    "Error": members(
        "status", "errorType", "error", status={"const": "error"}, errorType=TEXT, error=TEXT, data=ANYTHING
    ),
    "Series": members(
        "metric",
        metric=named("Labels"),
        value=named("Sample"),
        values=listed(named("Sample")),
        histogram=_HISTOGRAM_SAMPLE,
        histograms=listed(_HISTOGRAM_SAMPLE),
    ),
    "Result": members(
        "resultType",
        "result",
        resultType={"enum": ["vector", "matrix", "scalar", "string"]},
        result={"anyOf": [listed(named("Series")), named("Sample")]},
        stats=OBJECT,
    ),
    "Alert": members(
        "labels",
        "annotations",
        "state",
        "activeAt",
        "value",
        labels=named("Labels"),
        annotations=named("Labels"),
        state=TEXT,
        activeAt=TEXT,
        keepFiringSince=TEXT,
        value=TEXT,
    ),
    "Rule": members("name", "query", "type", "health", name=TEXT, query=TEXT, type=TEXT, health=TEXT),
    "Group": members(
        "name", "file", "rules", name=TEXT, file=TEXT, rules=listed(named("Rule")), interval=NUMBER
    ),
    "Metadata": members(
        "type", "help", "unit", type=TEXT, help=TEXT, unit=TEXT, metric=TEXT, target=named("Labels")
    ),
    "Scrape": members(
        "id",
        "health",
        "error",
        id=WHOLE,
        time=TEXT,
        health=TEXT,
        error=TEXT,
        fault={"type": ["object", "null"]},
        duration=NUMBER,
        parts=mapped(NUMBER),
        status=WHOLE,
        contentType=TEXT,
        wireBytes=WHOLE,
        bodyBytes=WHOLE,
        samples=WHOLE,
        series=WHOLE,
        hasBody=TRUTH,
    ),
    "Ranking": listed(members("name", "value", name=TEXT, value=WHOLE)),
    "Url": members("url", url=TEXT),
}
_YAML: Final = members("yaml", yaml=TEXT)

DATA: Final[dict[str, Schema]] = {
    "/query": named("Result"),
    "/query_range": named("Result"),
    "/query_exemplars": listed(
        members("seriesLabels", "exemplars", seriesLabels=named("Labels"), exemplars=listed(OBJECT))
    ),
    "/format_query": TEXT,
    "/parse_query": OBJECT,
    "/labels": listed(TEXT),
    "/label/<name>/values": listed(TEXT),
    "/series": listed(named("Labels")),
    "/metadata": mapped(listed(named("Metadata"))),
    "/targets/metadata": listed(named("Metadata")),
    "/targets": members(
        "activeTargets",
        "droppedTargets",
        activeTargets=listed(OBJECT),
        droppedTargets=listed(OBJECT),
        droppedTargetCounts={"type": ["object", "null"], "additionalProperties": WHOLE},
    ),
    "/targets/relabel_steps": members(
        "steps",
        steps=listed(members("rule", "output", "keep", rule=OBJECT, output=named("Labels"), keep=TRUTH)),
    ),
    "/discovery": members("providers", providers=listed(OBJECT)),
    "/discovery/changes": members("since", "more", "changes", since=TEXT, more=TRUTH, changes=listed(OBJECT)),
    "/targets/scrapes": members("targets", targets=listed(OBJECT)),
    "/targets/<id>/scrapes": members(
        "target", "scrapes", target=OBJECT, scrapes=listed(named("Scrape")), olderBodies=listed(WHOLE)
    ),
    "/targets/<id>/scrape": named("Scrape"),
    "/targets/<id>/replay": OBJECT,
    "/scrape_pools": members("scrapePools", scrapePools=listed(TEXT)),
    "/scrape_pools/config": _YAML,
    "/rules": members("groups", groups=listed(named("Group")), groupNextToken=TEXT),
    "/alerts": members("alerts", alerts=listed(named("Alert"))),
    "/alertmanagers": members(
        "activeAlertmanagers",
        "droppedAlertmanagers",
        activeAlertmanagers=listed(named("Url")),
        droppedAlertmanagers=listed(named("Url")),
    ),
    "/alerts/history": members("changes", "more", "since", changes=listed(OBJECT), more=TRUTH, since=TEXT),
    "/status/config": _YAML,
    "/status/flags": mapped(TEXT),
    "/status/buildinfo": members("version", version=TEXT, revision=TEXT),
    "/status/tsdb": members(
        "headStats",
        headStats=mapped(WHOLE),
        seriesCountByMetricName=named("Ranking"),
        labelValueCountByLabelName=named("Ranking"),
        memoryInBytesByLabelName=named("Ranking"),
        seriesCountByLabelValuePair=named("Ranking"),
    ),
    "/status/tsdb/blocks": members("blocks", blocks=listed(OBJECT)),
    "/status/walreplay": members("min", "max", "current", min=WHOLE, max=WHOLE, current=WHOLE),
    "/status/self_metrics": listed(
        members("name", "type", name=TEXT, help=TEXT, type=TEXT, metric=listed(OBJECT))
    ),
    "/notifications": listed(members("text", "date", "active", text=TEXT, date=TEXT, active=TRUTH)),
    "/features": mapped(mapped(TRUTH)),
    "/admin/tsdb/snapshot": members("name", name=TEXT),
}
"""What `data` of the envelope is, by path; of others it may be anything."""
# Routes of the API whose answers have no envelope, with the media types of what they answer.
WITHOUT_ENVELOPE: Final[dict[str, str]] = {
    "/write": "",
    "/otlp/v1/metrics": "",
    "/openapi.yaml": "application/yaml",
    "/notifications/live": "text/event-stream",
    "/search/metric_names": "application/x-ndjson",
    "/search/label_names": "application/x-ndjson",
    "/search/label_values": "application/x-ndjson",
    "/admin/tsdb/delete_series": "",
    "/admin/tsdb/clean_tombstones": "",
}


def envelope(data: Schema) -> Schema:
    """A success around data."""
    return members(
        "status",
        "data",
        status={"const": "success"},
        data=data,
        warnings=listed(TEXT),
        infos=listed(TEXT),
    )
