"""The description of the API, made from the table of endpoints: OpenAPI 3.1 or 3.2."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from typing import Final

from trimon import __version__
from trimon.config.yaml.text import to_yaml
from trimon.web.api.operations import TAGS, operation_id, tag_of
from trimon.web.api.schemas import (
    ANYTHING,
    COMPONENTS,
    DATA,
    NUMBER,
    TEXT,
    WHOLE,
    WITHOUT_ENVELOPE,
    Schema,
    envelope,
    listed,
    named,
)
from trimon.web.context import WebContext
from trimon.web.http.answer import JSON, STATUS, Answer
from trimon.web.http.endpoint import API_PREFIX, Endpoint, Kind, Parameter
from trimon.web.http.parameters import FORM
from trimon.web.http.request import Request

VERSIONS: Final = {"3.1": "3.1.0", "3.1.0": "3.1.0", "3.2": "3.2.0", "3.2.0": "3.2.0"}
# A stream of events can be described since 3.2 alone.
_SINCE_3_2: Final = frozenset({"/notifications/live"})
_BODIES: Final = {"/write": "application/x-protobuf", "/otlp/v1/metrics": "application/x-protobuf"}
_IN_PATH: Final = re.compile(r"<(?:path:)?(\w+)>")
_SCHEMAS: Final[dict[Kind, Schema]] = {
    Kind.TEXT: TEXT,
    Kind.TIMESTAMP: {"anyOf": [NUMBER, {"type": "string", "format": "date-time"}]},
    Kind.DURATION: {"anyOf": [NUMBER, TEXT]},
    Kind.INTEGER: WHOLE,
    Kind.BOOLEAN: {"type": "boolean"},
    Kind.EXPRESSION: TEXT,
    Kind.SELECTOR: TEXT,
}


def openapi_endpoint(context: WebContext, endpoints: Sequence[Endpoint]) -> Endpoint:
    """/openapi.yaml, which describes all others and itself."""
    options = context.options

    @cache
    def document(version: str) -> bytes:
        told: dict[str, object] = {
            "openapi": version,
            "info": {
                "title": "trimon",
                "description": "A monitoring server that does what Prometheus does.",
                "version": __version__,
            },
            "servers": [{"url": f"{options.link_prefix}{API_PREFIX}"}],
            "tags": [{"name": name, "description": about} for name, about in TAGS.items()],
            "paths": {
                _path(each.path): _operations(each)
                for each in (*endpoints, row)
                if each.path.startswith(API_PREFIX)
                and not (version == "3.1.0" and _path(each.path) in _SINCE_3_2)
            },
            "components": {"schemas": dict(sorted(COMPONENTS.items()))},
        }
        return to_yaml(told).encode()

    async def openapi(request: Request) -> Answer:
        version = VERSIONS.get(request.query().get("openapi_version", ""), "3.1.0")
        body = await context.offload.run(lambda: document(version))
        answer = Answer(body, 200, "application/yaml; charset=utf-8")
        answer.headers["Cache-Control"] = "no-cache, no-store, must-revalidate"
        return answer

    row = Endpoint(
        API_PREFIX + "/openapi.yaml",
        ("GET",),
        openapi,
        summary="Describes the API.",
        parameters=(
            Parameter("openapi_version", "The version of the description.", choices=tuple(VERSIONS)),
        ),
    )
    return row


def _path(path: str) -> str:
    return _IN_PATH.sub(r"{\1}", path.removeprefix(API_PREFIX))


def _operations(endpoint: Endpoint) -> dict[str, object]:
    return {method.lower(): _operation(endpoint, method) for method in _methods(endpoint)}


def _methods(endpoint: Endpoint) -> list[str]:
    """Those that do something: where bodies are taken in, others are refused by the handler itself."""
    offered = ["POST"] if endpoint.path.removeprefix(API_PREFIX) in _BODIES else endpoint.methods
    return [method for method in ("GET", "HEAD", "POST", "PUT") if method in offered]


def _schema(parameter: Parameter) -> Schema:
    schema = _SCHEMAS[parameter.kind]
    if parameter.choices:
        schema = {"type": "string", "enum": list(parameter.choices)}
    return listed(schema) if parameter.repeated else schema


def _operation(endpoint: Endpoint, method: str) -> dict[str, object]:
    path = endpoint.path.removeprefix(API_PREFIX)
    in_path = [
        {"name": name, "in": "path", "required": True, "schema": TEXT} for name in _IN_PATH.findall(path)
    ]
    form = method == "POST" and "GET" in endpoint.methods and bool(endpoint.parameters)
    described = _path(endpoint.path)
    told: dict[str, object] = {
        "operationId": operation_id(described, method),
        "summary": endpoint.summary,
        "tags": [tag_of(described)],
    }
    in_query = [] if form else [_in_query(parameter) for parameter in endpoint.parameters]
    if in_path or in_query:
        told["parameters"] = [*in_path, *in_query]
    if form:
        told["requestBody"] = {"content": {FORM: {"schema": _form(endpoint.parameters)}}}
    elif method == "POST" and path in _BODIES:
        told["requestBody"] = {"content": {_BODIES[path]: {"schema": ANYTHING}}}
    told["responses"] = _responses(path)
    return told


def _in_query(parameter: Parameter) -> dict[str, object]:
    told: dict[str, object] = {
        "name": parameter.name,
        "in": "query",
        "description": parameter.summary,
        "required": parameter.required,
    }
    if parameter.repeated:
        told |= {"style": "form", "explode": True}
    return {**told, "schema": _schema(parameter)}


def _form(parameters: Sequence[Parameter]) -> Schema:
    required = [parameter.name for parameter in parameters if parameter.required]
    fields = {
        parameter.name: {**_schema(parameter), "description": parameter.summary} for parameter in parameters
    }
    return {"type": "object", "properties": fields, **({"required": required} if required else {})}


def _responses(path: str) -> dict[str, object]:
    if path not in WITHOUT_ENVELOPE:
        schema = envelope(DATA.get(path, ANYTHING))
        good: dict[str, object] = {
            "description": "What was asked for.",
            "content": {JSON: {"schema": schema}},
        }
        found: dict[str, object] = {"200": good}
    elif kind := WITHOUT_ENVELOPE[path]:
        found = {"200": {"description": "What was asked for.", "content": {kind: {"schema": TEXT}}}}
    else:
        found = {"204": {"description": "It is done."}}
    if path == "/query_exemplars":
        found["204"] = {"description": "The expression reads no series."}
    if path == "/notifications/live":
        found["204"] = {"description": "There are as many subscribers as may be."}
    bad = {"description": "Why it is not; a text where who asks is not let in."}
    known = "400, 404, 405, 422, 429, 499, 500, 503"
    bad["description"] += f" {known}, as the kind of the error says: {', '.join(STATUS)}."
    found["default"] = {**bad, "content": {JSON: {"schema": named("Error")}, "text/plain": {"schema": TEXT}}}
    return found
