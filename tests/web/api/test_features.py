"""/features beside a recorded Prometheus 3.14."""

from __future__ import annotations

import json
from pathlib import Path

from tests.support.oracle import recorded
from tests.support.web_world import web_world
from trimon.query.language.options import QueryOptions
from trimon.web.context import WebOptions
from trimon.web.pages import pages_are_built

CASES = [case for case in recorded("api/cases.jsonl") if case.get("path") == "/api/v1/features"]
# What Prometheus 3.14 has and this server does not (yet): it says so.
FALSE_HERE = {
    "tsdb/xor2_encoding",
}
# How Prometheus is built inside, which means nothing here.
LEFT_OUT = {"prometheus/stringlabels"}
OWN = {"service_discovery_providers/plugin"}


async def test_features_are_told_as_they_are(tmp_path: Path) -> None:
    """Keys and values are Prometheus', but for what this server lacks, which is false."""
    for case in CASES:
        given = case["server"] == "data"
        features = frozenset({"exemplar-storage", "search-api"}) if given else frozenset()
        options = QueryOptions(features=features)
        web = WebOptions(enable_admin_api=given, enable_remote_write=given, enable_otlp=given)
        async with web_world(
            tmp_path / case["id"], web, {"query_options": lambda options=options: options}
        ) as here:
            answer = await here.client.get("/api/v1/features")
        groups = json.loads(answer.body)["data"]
        assert list(groups) == sorted(groups)
        want, got = (
            {f"{group}/{name}": value for group, found in data.items() for name, value in found.items()}
            for data in (json.loads(case["body"])["data"], groups)
        )
        assert want.keys() - got.keys() == LEFT_OUT
        assert got.keys() - want.keys() == OWN
        differs = {name for name in got if name in want and got[name] != want[name]}
        providers = {name for name in differs if name.startswith("service_discovery_providers/")}
        assert not any(got[name] for name in differs)
        # The pages are there when they were built.
        assert got["ui/ui_v3"] == pages_are_built()
        differs -= {"ui/ui_v3"}
        assert differs - providers == (FALSE_HERE)
