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
MISSING: dict[str, str] = {}
# Path, method, name and tag.
OPERATIONS = (
    ("/query", "get", "query", "query"),
    ("/query", "post", "query-post", "query"),
    ("/query_range", "get", "query-range", "query"),
    ("/query_range", "post", "query-range-post", "query"),
    ("/query_exemplars", "get", "query-exemplars", "query"),
    ("/query_exemplars", "post", "query-exemplars-post", "query"),
    ("/format_query", "get", "format-query", "query"),
    ("/format_query", "post", "format-query-post", "query"),
    ("/parse_query", "get", "parse-query", "query"),
    ("/parse_query", "post", "parse-query-post", "query"),
    ("/labels", "get", "labels", "labels"),
    ("/labels", "post", "labels-post", "labels"),
    ("/label/{name}/values", "get", "label-values", "labels"),
    ("/search/metric_names", "get", "search-metric-names", "metadata"),
    ("/search/metric_names", "post", "search-metric-names-post", "metadata"),
    ("/search/label_names", "get", "search-label-names", "labels"),
    ("/search/label_names", "post", "search-label-names-post", "labels"),
    ("/search/label_values", "get", "search-label-values", "labels"),
    ("/search/label_values", "post", "search-label-values-post", "labels"),
    ("/series", "get", "series", "series"),
    ("/series", "post", "series-post", "series"),
    ("/metadata", "get", "get-metadata", "metadata"),
    ("/scrape_pools", "get", "get-scrape-pools", "targets"),
    ("/scrape_pools/config", "get", "get-scrape-pool-config", "targets"),
    ("/targets", "get", "get-targets", "targets"),
    ("/targets/metadata", "get", "get-targets-metadata", "targets"),
    ("/targets/relabel_steps", "get", "get-targets-relabel-steps", "targets"),
    ("/rules", "get", "rules", "rules"),
    ("/alerts", "get", "alerts", "alerts"),
    ("/alertmanagers", "get", "alertmanagers", "alerts"),
    ("/status/config", "get", "get-status-config", "status"),
    ("/status/runtimeinfo", "get", "get-status-runtimeinfo", "status"),
    ("/status/buildinfo", "get", "get-status-buildinfo", "status"),
    ("/status/flags", "get", "get-status-flags", "status"),
    ("/status/tsdb", "get", "status-tsdb", "status"),
    ("/status/tsdb/blocks", "get", "status-tsdb-blocks", "status"),
    ("/status/walreplay", "get", "get-status-walreplay", "status"),
    ("/status/self_metrics", "get", "get-status-self-metrics", "status"),
    ("/admin/tsdb/delete_series", "put", "deleteSeriesPut", "admin"),
    ("/admin/tsdb/delete_series", "post", "deleteSeriesPost", "admin"),
    ("/admin/tsdb/clean_tombstones", "put", "cleanTombstonesPut", "admin"),
    ("/admin/tsdb/clean_tombstones", "post", "cleanTombstonesPost", "admin"),
    ("/admin/tsdb/snapshot", "put", "snapshotPut", "admin"),
    ("/admin/tsdb/snapshot", "post", "snapshotPost", "admin"),
    ("/write", "post", "remoteWrite", "remote"),
    ("/otlp/v1/metrics", "post", "otlpWrite", "otlp"),
    ("/notifications", "get", "get-notifications", "notifications"),
    ("/notifications/live", "get", "notifications-live", "notifications"),
    ("/features", "get", "get-features", "features"),
)


def table(here: WebWorld) -> tuple[Endpoint, ...]:
    """The rows of the table."""
    return here.endpoints


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
    [
        ("", "3.1.0"),
        ("?openapi_version=3.1", "3.1.0"),
        ("?openapi_version=3.1.0", "3.1.0"),
        ("?openapi_version=3.2", "3.2.0"),
        ("?openapi_version=3.2.0", "3.2.0"),
        ("?openapi_version=9", "3.1.0"),
    ],
)
async def test_it_is_a_description(query: str, version: str, tmp_path: Path) -> None:
    """It is what its version says, as a validator of others sees it; an unknown version gets the first."""
    async with web_world(tmp_path) as here:
        found = await document(here, query)
    assert found["openapi"] == version
    assert list(found) == ["openapi", "info", "servers", "tags", "paths", "components"]
    VALIDATORS[version](found).validate()


async def test_every_route_is_in_it(tmp_path: Path) -> None:
    """Each row under the API's prefix with each method but those it refuses, its summary and its parameters."""
    async with web_world(tmp_path) as here:
        found = (await document(here, "?openapi_version=3.2"))["paths"]
        older = (await document(here))["paths"]
        rows = [row for row in table(here) if row.path.startswith(API_PREFIX)]
    assert len(found) == len(rows)
    # A stream of events is described from 3.2 on.
    assert found.keys() - older.keys() == {"/notifications/live"}
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


async def test_operations_are_called_as_clients_know_them(tmp_path: Path) -> None:
    """Names and tags are those of Prometheus 3.14 where it has the path; every tag is told of, and used."""
    async with web_world(tmp_path) as here:
        told = await document(here, "?openapi_version=3.2")
    paths = told["paths"]
    for path, method, name, tag in OPERATIONS:
        assert (paths[path][method]["operationId"], paths[path][method]["tags"]) == (name, [tag]), path
    used = {tag for operations in paths.values() for each in operations.values() for tag in each["tags"]}
    assert used == {each["name"] for each in told["tags"]}


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
