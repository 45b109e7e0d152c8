"""Scrape pools' configurations and relabeling steps beside a recorded Prometheus 3.14, and own metrics in other forms."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.asgi import Call
from tests.support.oracle import recorded
from tests.support.web_world import WebWorld, web_world
from tests.web.test_federation import DELIMITED, delimited
from trimon.config import load_text

SETUP, *CASES = recorded("api/cases.jsonl")
PATHS = ("/api/v1/scrape_pools/config", "/api/v1/targets/relabel_steps")
ASKED = [case for case in CASES if case["path"].startswith(PATHS)]


def live() -> dict[str, Any]:
    """A context with the configuration of the recording."""
    jobs = {job.job_name: job for job in load_text(json.dumps(SETUP["live_config"]), "p.yml").scrape_configs}
    return {"scrape_config": jobs.get}


async def asked(here: WebWorld, path: str, accept: str = "") -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body."""
    status, headers, body = await Call("GET", path, {"accept": accept} if accept else {}).to(here.client.app)
    return status, {name.decode(): value.decode() for name, value in headers}, body


@pytest.mark.parametrize("case", ASKED, ids=lambda case: case["id"])
async def test_pools_are_told_as_prometheus_tells_them(case: dict[str, Any], tmp_path: Path) -> None:
    """Each recorded request has the recorded answer to the byte."""
    async with web_world(tmp_path, None, live()) as here:
        status, headers, body = await asked(here, case["path"])
        assert (status, json.loads(body)) == (case["status"], json.loads(case["body"]))
        assert body.decode() == case["body"]
        assert headers["content-type"] == case["headers"]["content-type"]


async def test_secrets_of_a_pool_are_masked(tmp_path: Path) -> None:
    """The credentials of a job are not in its configuration as it is shown."""
    async with web_world(tmp_path, None, live()) as here:
        _, _, body = await asked(here, f"{PATHS[0]}?scrapePool=good2")
    assert b"credentials: \\u003csecret\\u003e" in body
    assert b"credentials: tok" not in body


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        ("", "no labels parameter provided"),
        ("{", "error parsing labels: unexpected end of JSON input"),
        ("x", "error parsing labels: invalid character 'x' looking for beginning of value"),
        ("{%22a%22%201}", "error parsing labels: invalid character '1' after object key"),
        (
            "{%22a%22:%221%22%20%222%22}",
            "error parsing labels: invalid character '\"' after object key:value pair",
        ),
        ("{}x", "error parsing labels: invalid character 'x' after top-level value"),
        ("[1]", "error parsing labels: it is no JSON object whose values are texts"),
        ("{%22a%22:1}", "error parsing labels: it is no JSON object whose values are texts"),
    ],
)
async def test_labels_that_are_none(labels: str, words: str, tmp_path: Path) -> None:
    """What is no JSON object of texts is told with what is wrong in it."""
    async with web_world(tmp_path, None, live()) as here:
        status, _, body = await asked(here, f"{PATHS[1]}?scrapePool=good&labels={labels}")
    assert (status, json.loads(body)["error"]) == (400, words)


async def test_own_metrics_in_protobuf_and_json(tmp_path: Path) -> None:
    """/metrics comes as it is preferred; self_metrics has the same families, or those that a pattern takes whole."""
    async with web_world(tmp_path) as here:
        here.metrics.counter("a_total", "A.").inc(2)
        here.metrics.gauge("ab", "B.", ("x",)).labels("y").set(1.5)
        _, headers, body = await asked(here, "/metrics", DELIMITED)
        assert "encoding=delimited" in headers["content-type"]
        names = dict(delimited(body))
        assert (names["a_total"], names["ab"]) == (1, 1)
        status, _, body = await asked(here, "/api/v1/status/self_metrics")
        assert {family["name"] for family in json.loads(body)["data"]} >= names.keys()
        path = "/api/v1/status/self_metrics?metric_name_pattern="
        status, _, body = await asked(here, f"{path}a.*l")
        assert json.loads(body)["data"] == [
            {"name": "a_total", "help": "A.", "type": "COUNTER", "metric": [{"counter": {"value": 2}}]}
        ]
        status, _, body = await asked(here, f"{path}(")
        assert status == 400
        assert json.loads(body)["error"].startswith("invalid metric_name_pattern: error parsing regexp: ")
