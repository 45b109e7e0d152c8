"""The request that a target is sent, against those that Prometheus 3.14 sends for the same configuration."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.support.oracle import recordings
from trimon.config.load import load_text
from trimon.fetch.client import USER_AGENT, HttpFetch
from trimon.peers.options import client_options
from trimon.scrape.session import ScrapeSession
from trimon.scrape.target import Target, build_target
from trimon.server.jobs import pool_options

CASES: dict[str, dict[str, Any]] = {case["name"]: case for case in recordings("scrape/requests.jsonl")}
PLAYED = sorted(CASES)


@pytest.mark.skipif(not CASES, reason="the recordings are not beside the repository")
@pytest.mark.parametrize("name", PLAYED)
def test_as_recorded(name: str) -> None:
    """Request line and headers are the same, in the same order and spelling; only the user agent says who asks."""
    case = CASES[name]
    lines = [line.replace("{address}", "h:1") for line in case.get("scrape_config", "").split("\n") if line]
    text = "\n  ".join([f"scrape_configs:\n- job_name: {name}", "scrape_interval: 4s", *lines])
    config = load_text(text, "prometheus.yml").scrape_configs[0]
    options = pool_options(config, case.get("features") or ())
    target = build_target({"__address__": "h:1"}, options)
    assert isinstance(target, Target)
    request = ScrapeSession(target, options).request()
    client = client_options(config)
    fetch = HttpFetch(client)
    sent = fetch._bytes(request, urlsplit(request.url), fetch._own_headers())  # what is sent
    first, *headers = sent.decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")
    wanted = case["request"]
    assert first == wanted["request_line"]
    assert [header.split(": ", 1) for header in headers] == [
        [key, USER_AGENT if key == "User-Agent" else value.replace("{address}", "h:1")]
        for key, value in wanted["headers"]
    ]


@pytest.mark.skipif(not CASES, reason="the recordings are not beside the repository")
def test_all_are_played() -> None:
    """All recorded requests are compared."""
    assert len(PLAYED) >= 44
