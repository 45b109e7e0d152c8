"""Parameters that an endpoint does not know: ours refuse them, Prometheus' ignore them."""

from __future__ import annotations

import json
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.asgi import Call
from tests.support.web_world import web_world
from tests.web.http.test_pipeline import FORM, by_framework
from trimon.selfmetrics import SelfMetrics
from trimon.web.app import all_endpoints
from trimon.web.http.endpoint import Access


@pytest.mark.parametrize("ways", [nullcontext, by_framework], ids=["router", "framework"])
async def test_our_endpoints_name_what_they_do_not_know(ways: type, tmp_path: Path) -> None:
    """Every one of them, in the URL and in a form: a 400 with the name of the parameter and those there are."""
    async with web_world(tmp_path) as here:
        own = [
            each
            for each in all_endpoints(replace(here.context, metrics=SelfMetrics()))
            if each.own and each.access is Access.ANYBODY
        ]
        assert len(own) > 15
        for endpoint in own:
            path = endpoint.filled({"id": "0123456789abcdef", "scrape": "1"})
            with ways():
                status, _, body = await Call(endpoint.methods[0], f"{path}?nonsense=1").to(here.client.app)
            assert status == 400, path
            assert 'unknown parameters: "nonsense"; those of this endpoint: ' in json.loads(body)["error"]
        with ways():
            call = Call("POST", "/api/v1/explain", FORM, b"query=1&analyse=true")
            status, _, body = await call.to(here.client.app)
        assert (status, b'unknown parameters: \\"analyse\\"' in body) == (400, True)


async def test_prometheus_endpoints_ignore_what_they_do_not_know(tmp_path: Path) -> None:
    """As in Prometheus, whose clients send what newer or older versions know."""
    async with web_world(tmp_path) as here:
        for path in (
            "/api/v1/query?query=1",
            "/api/v1/targets?x=y",
            "/api/v1/rules?x=y",
            "/api/v1/status/tsdb?x=y",
        ):
            status, _, _ = await Call("GET", f"{path}&nonsense=1").to(here.client.app)
            assert status == 200, path
