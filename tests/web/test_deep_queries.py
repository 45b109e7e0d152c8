"""Queries of hundreds of operators, as programs write them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.web_world import web_world
from trimon.limits import QUERY_CHAIN_MAX, QUERY_DEPTH_MAX

CHAIN = 3000
DEPTH = QUERY_DEPTH_MAX - 10
QUERIES = {
    "sum": "1" + "+1" * CHAIN,
    "or": " or ".join(f'm{{i="{number}"}}' for number in range(CHAIN)),
    "parentheses": "(" * DEPTH + "vector(1)" + ")" * DEPTH,
}
ROUTES = {
    "query": "time=5",
    "query_range": "start=0&end=60&step=15",
    "explain": "time=5",
    "parse_query": "",
    "format_query": "",
}


@pytest.mark.parametrize("kind", QUERIES)
async def test_a_long_chain_is_answered_everywhere(kind: str, tmp_path: Path) -> None:
    """A query of thousands of operators, and one as deep as the limit allows, is answered, explained, printed and shown."""
    async with web_world(tmp_path) as here:
        for route, more in ROUTES.items():
            answer = await here.client.post(
                f"/api/v1/{route}?{more}",
                data=f"query={QUERIES[kind].replace('+', '%2B')}",
                headers={"content-type": "application/x-www-form-urlencoded"},
            )
            text = await answer.get_data(as_text=True)
            assert answer.status_code == 200, (route, text[:200])
            if route == "parse_query":
                assert text.count('"type":') >= DEPTH
                assert json.loads(text)["status"] == "success"


async def test_a_chain_beyond_the_limit_is_refused(tmp_path: Path) -> None:
    """One operator more than the limit is a parse error that names the limit."""
    async with web_world(tmp_path) as here:
        query = "%2B1" * (QUERY_CHAIN_MAX + 1)
        answer = await here.client.post(
            "/api/v1/parse_query",
            data=f"query=1{query}",
            headers={"content-type": "application/x-www-form-urlencoded"},
        )
        assert answer.status_code == 400
        assert str(QUERY_CHAIN_MAX) in (await answer.get_json())["error"]
