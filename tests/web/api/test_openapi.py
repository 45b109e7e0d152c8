"""The description of the API, which is made from the table of endpoints."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from openapi_spec_validator import OpenAPIV31SpecValidator, OpenAPIV32SpecValidator

from tests.support.oracle import recordings
from tests.support.web_world import WebWorld, web_world
from trimon.web.api.schemas import DATA, WITHOUT_ENVELOPE
from trimon.web.context import WebOptions
from trimon.web.http.endpoint import API_PREFIX, Endpoint

VALIDATORS = {"3.1.0": OpenAPIV31SpecValidator, "3.2.0": OpenAPIV32SpecValidator}
# What Prometheus describes and this server does not have.
MISSING = {"/read": "remote read is not served yet"}


def table(here: WebWorld) -> tuple[Endpoint, ...]:
    """The rows of the table."""
    found: tuple[Endpoint, ...] = here.client.app._table.endpoints  # type: ignore[attr-defined]
    return found


async def document(here: WebWorld, query: str = "") -> dict[str, Any]:
    """The description."""
    answer = await here.client.get(f"/api/v1/openapi.yaml{query}")
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "application/yaml; charset=utf-8"
    assert answer.headers["Cache-Control"] == "no-cache, no-store, must-revalidate"
    found: dict[str, Any] = yaml.safe_load(answer.body)
    return found


@pytest.mark.parametrize(
    ("query", "version"),
    [("", "3.1.0"), ("?openapi_version=3.1", "3.1.0"), ("?openapi_version=3.2", "3.2.0"), ("?openapi_version=9", "3.1.0")],
)  # fmt: skip
async def test_it_is_a_description(query: str, version: str, tmp_path: Path) -> None:
    """It is what its version says, as a validator of others sees it; an unknown version gets the first."""
    async with web_world(tmp_path) as here:
        found = await document(here, query)
    assert found["openapi"] == version
    assert list(found) == ["openapi", "info", "servers", "paths", "components"]
    VALIDATORS[version](found).validate()


async def test_every_route_is_in_it(tmp_path: Path) -> None:
    """Each row under the API's prefix with each method but those it refuses, its summary and its parameters."""
    async with web_world(tmp_path) as here:
        found = (await document(here))["paths"]
        rows = [row for row in table(here) if row.path.startswith(API_PREFIX)]
    assert len(found) == len(rows)
    for row in rows:
        path = row.path.removeprefix(API_PREFIX).replace("<", "{").replace(">", "}")
        methods = {"POST"} if path == "/write" else set(row.methods)
        assert set(found[path]) == {each.lower() for each in methods}, path
        for method, told in found[path].items():
            assert told["summary"] == row.summary
            names = {each["name"] for each in told.get("parameters", ()) if each["in"] == "query"}
            for content in told.get("requestBody", {}).get("content", {}).values():
                names |= set(content["schema"].get("properties", ()))
            assert names == {each.name for each in row.parameters}, (path, method)
    assert {f"{each['operationId']}" for told in found.values() for each in told.values()}.__len__() == sum(
        map(len, found.values())
    )


async def test_every_row_says_what_it_does(tmp_path: Path) -> None:
    """Each row has a summary that is a sentence, each parameter, too; no parameter is there twice."""
    options = WebOptions(user_assets=tmp_path, console_templates=tmp_path)
    async with web_world(tmp_path / "data", options) as here:
        rows = table(here)
    for row in rows:
        assert row.summary[:1].isupper(), row.path
        assert row.summary.endswith("."), row.path
        names = [each.name for each in row.parameters]
        assert len(names) == len(set(names)), row.path
        assert all(each.summary.endswith(".") for each in row.parameters), row.path


async def test_schemas_are_of_routes_that_there_are(tmp_path: Path) -> None:
    """No schema belongs to a route that is gone."""
    async with web_world(tmp_path) as here:
        paths = {row.path.removeprefix(API_PREFIX) for row in table(here)}
    assert DATA.keys() <= paths
    assert WITHOUT_ENVELOPE.keys() <= paths
    assert not DATA.keys() & WITHOUT_ENVELOPE.keys()


async def test_what_prometheus_describes_is_described(tmp_path: Path) -> None:
    """Every path of the recorded description is in ours, beside those that Prometheus does not have."""
    cases = [case for case in recordings("api/cases.jsonl") if case.get("openapi_paths")]
    async with web_world(tmp_path) as here:
        for case in cases:
            found = await document(here, "?" + case["path"].partition("?")[2])
            assert f"openapi: {found['openapi']}" == case["openapi_first_line"]
            assert set(case["openapi_paths"]) - found["paths"].keys() == MISSING.keys()


async def test_links_have_the_prefix_of_people_elsewhere(tmp_path: Path) -> None:
    """The API is where the server is found."""
    async with web_world(tmp_path, WebOptions(route_prefix="/p")) as here:
        answer = await here.client.get("/p/api/v1/openapi.yaml")
    assert yaml.safe_load(answer.body)["servers"] == [{"url": "/p/api/v1"}]
