"""Long query texts: their reading leaves the event loop."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from tests.support.web_world import web_world
from trimon.offload import ThreadOffload
from trimon.query import engine
from trimon.query.lexer import Lexer
from trimon.query.tokens import Token

LONG = "1 + (" + " " * engine.REMEMBERED_MAX + "2)"


@pytest.mark.parametrize("route", ["query", "query_range", "format_query", "parse_query", "query_exemplars"])
@pytest.mark.parametrize(("text", "status"), [(LONG, 200), (LONG + " )", 400)])
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
        data: Any = await answer.get_json()
    assert not on_loop
    assert answer.status_code == (204 if route == "query_exemplars" and status == 200 else status)
    if status == 400:
        assert "unexpected right parenthesis" in data["error"]
