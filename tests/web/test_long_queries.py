"""Long query texts: their reading leaves the event loop."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from tests.support.web_world import web_world
from trimon.limits import QUERY_REGEXP_INSTRUCTIONS_MAX
from trimon.memory.texts import LONGEST
from trimon.model import matcher
from trimon.offload import ThreadOffload
from trimon.query import engine
from trimon.query.language.lexer import Lexer
from trimon.query.language.options import QueryOptions
from trimon.query.language.tokens import Token
from trimon.web.context import WebOptions

LONG = "1 + (" + " " * LONGEST + "2)"
DENSE = "1+" * (engine.QUICK_MAX // 2) + "1"


@pytest.mark.parametrize("route", ["query", "query_range", "format_query", "parse_query", "query_exemplars"])
@pytest.mark.parametrize(("text", "status"), [(LONG, 200), (LONG + " )", 400), (DENSE, 200)])
async def test_long_texts_are_read_in_a_thread(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, route: str, text: str, status: int
) -> None:
    """No token of a text that takes long is read on the loop; errors are what they are elsewhere."""
    on_loop, loop = [], threading.get_ident()
    following = Lexer.next

    def watched(lexer: Lexer) -> Token:
        if threading.get_ident() == loop:
            on_loop.append(lexer.text)
        return following(lexer)

    monkeypatch.setattr(Lexer, "next", watched)
    offload = ThreadOffload(2)
    async with web_world(tmp_path, changes={"offload": offload}) as here:
        monkeypatch.setattr(here.context.queries, "_offload", offload)
        form = {"query": text, "time": "1", "start": "1", "end": "2", "step": "1"}
        answer = await here.client.post(f"/api/v1/{route}", form=form)
        error: Any = (await answer.get_json())["error"] if status == 400 else ""
    assert not on_loop
    assert answer.status_code == (204 if route == "query_exemplars" and status == 200 else status)
    if status == 400:
        assert "unexpected right parenthesis" in error


PATTERNS = '{a=~"x[a-z]+",b!~"y[0-9]*z"}'


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("post", "query"),
        ("post", "series"),
        ("post", "labels"),
        ("get", "label/a/values"),
        ("get", "rules"),
        ("post", "admin/tsdb/delete_series"),
    ],
)
async def test_patterns_are_compiled_in_a_thread(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, method: str, path: str
) -> None:
    """RE2 may take a tenth of a second for a pattern: the loop compiles none of several."""
    compiled: list[int] = []
    compiling = matcher._compiled

    def watched(pattern: str) -> object:
        if "[a-z]" in pattern or "[0-9]" in pattern:  # the front end has some of its own
            compiled.append(threading.get_ident())
        return compiling(pattern)

    monkeypatch.setattr(matcher, "_compiled", watched)
    monkeypatch.setattr(matcher, "_programs", matcher._Programs())
    offload = ThreadOffload(2)
    text = PATTERNS.replace("x", path.replace("/", "-"))
    async with web_world(tmp_path, WebOptions(enable_admin_api=True), {"offload": offload}) as here:
        monkeypatch.setattr(here.context.queries, "_offload", offload)
        fields = {"query": text, "match[]": text, "time": "1"}
        ask = getattr(here.client, method)
        answer = await ask(f"/api/v1/{path}", **{"form" if method == "post" else "query_string": fields})
    assert answer.status_code in (200, 204)
    assert len(compiled) >= 2
    assert threading.get_ident() not in compiled


async def test_selectors_look_at_the_clock(tmp_path: Path) -> None:
    """Reading many selectors ends when time is up, and before the first one is read if need be."""
    async with web_world(tmp_path, changes={"query_options": lambda: QueryOptions(timeout_s=-1)}) as here:
        fields = [("match[]", f"m{number}") for number in range(50)]
        answer = await here.client.post(
            "/api/v1/series",
            data="&".join(f"{name}={value}" for name, value in fields),
            headers={"content-type": "application/x-www-form-urlencoded"},
        )
        data: Any = await answer.get_json()
    assert answer.status_code == 503
    assert data["errorType"] == "timeout"


async def test_bad_selectors_are_named_in_times_without_samples(tmp_path: Path) -> None:
    """A selector that does not parse is refused though the start is after the end."""
    async with web_world(tmp_path) as here:
        answer = await here.client.get("/api/v1/series?match[]=%7B&start=5&end=1")
        assert answer.status_code == 400
        assert 'invalid parameter "match[]"' in (await answer.get_json())["error"]
        assert (await here.client.get("/api/v1/series?match[]=m&start=5&end=1")).status_code == 200


async def test_many_large_patterns_are_refused(tmp_path: Path) -> None:
    """A query's patterns may compile to so many instructions together, and the message says how many they are."""
    large = ",".join(f'a=~"\\\\pL{{200}}{number}"' for number in range(6))
    async with web_world(tmp_path) as here:
        answer = await here.client.post("/api/v1/query", form={"query": f"{{{large}}}"})
        assert answer.status_code == 400
        error = (await answer.get_json())["error"]
    assert "regular expressions compile to " in error
    assert error.endswith(f"more than the limit of {QUERY_REGEXP_INSTRUCTIONS_MAX}")
