"""/debug/actors with many actors: whole, and never long on the loop; browsers are led to the page."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import orjson
import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from tests.support.asgi import Call
from tests.support.web_world import web_world
from trimon.actors.kernel import Actor, ChildSpec, Group, Pool, tree
from trimon.web.context import WebOptions
from trimon.web.debug import tree_json
from trimon.web.externalurl import ExternalUrl
from trimon.web.http import pieces
from trimon.web.http.pieces import SLICE_S, gathered


class Idle:
    """Does nothing, and has something to show."""

    async def run(self) -> None:
        await trio.sleep_forever()

    def inspect(self) -> dict[str, object]:
        return {"text": 'one\ntwo "three"', "numbers": [1, 2], "nothing": {}}


def giving(pool: Pool[int]) -> Callable[[], Pool[int]]:
    return lambda: pool


def group_of(*sizes: int, kind: Callable[[], Actor] = Idle) -> Group:
    """A tree with pools of these sizes, one of them two levels deep."""
    pools = []
    for number, size in enumerate(sizes):
        pool: Pool[int] = Pool(f"pool{number}")
        pool.reconcile({n: ChildSpec(f"w{n}", kind) for n in range(size)})
        pools.append(pool)
    inner = Group("deep", [ChildSpec("only", Idle)])
    specs = [ChildSpec(pool.path, giving(pool)) for pool in pools]
    return Group("root", [*specs, ChildSpec("deep", lambda: inner), ChildSpec("last", Idle)])


async def test_pieces_are_the_json_of_the_whole_tree(nursery: trio.Nursery) -> None:
    """Written a node at a time it is the same text as written at once, empty supervisors and deep ones included."""
    for sizes in ((), (0,), (3, 0, 1), (0, 2)):
        group = group_of(*sizes)
        nursery.start_soon(group.run)
        await wait_all_tasks_blocked()
        assert await gathered(tree_json(group)) == orjson.dumps(tree(group), option=orjson.OPT_INDENT_2)
        for child in group.children():
            assert await gathered(tree_json(child)) == orjson.dumps(tree(child), option=orjson.OPT_INDENT_2)
    nursery.cancel_scope.cancel()


async def test_others_have_their_turn_while_a_large_tree_is_written(
    nursery: trio.Nursery, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of 5,000 actors no more are written between two turns of others than a slice has time for; here one takes a ms."""
    shown, between = 0, list[int]()

    class Counted(Idle):
        def inspect(self) -> dict[str, object]:
            nonlocal shown
            shown += 1
            return super().inspect()

    group = group_of(5000, kind=Counted)
    nursery.start_soon(group.run)
    monkeypatch.setattr(pieces, "time", SimpleNamespace(perf_counter=lambda: shown / 1000))
    await wait_all_tasks_blocked()

    async def pulse() -> None:
        while True:
            before = shown
            await trio.lowlevel.checkpoint()
            between.append(shown - before)

    nursery.start_soon(pulse)
    text = await gathered(tree_json(group))
    assert len(json.loads(text)["children"][0]["children"]) == 5000
    # Tasks that are ready together run in any order: two slices may lie between two turns, and some behind the last one.
    slices_most = 2 * (int(SLICE_S * 1000) + 1)
    assert 5000 - 2 * slices_most <= sum(between) <= 5000
    assert max(between) <= slices_most
    nursery.cancel_scope.cancel()


@pytest.mark.parametrize("built", [True, False])
async def test_a_browser_is_led_to_the_page_of_actors(
    built: bool, tmp_path: Path, nursery: trio.Nursery, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where there are pages, a browser that asks for actors is led to theirs; everything else is JSON."""
    monkeypatch.setattr("trimon.web.debug.pages_are_built", lambda: built)
    group = group_of(2)
    nursery.start_soon(group.run)
    await wait_all_tasks_blocked()
    options = WebOptions(allow_remote_debug=True, external=ExternalUrl("http://x.test/prom/"))
    async with web_world(tmp_path, options, {"tree": lambda: group}) as here:

        async def asked(path: str, accept: str = "text/html,*/*;q=0.8") -> tuple[int, str, bytes]:
            status, headers, body = await Call("GET", path, {"accept": accept}).to(here.client.app)
            return status, dict(headers).get(b"location", b"").decode(), body

        for path, page in (
            ("/debug/actors", "/prom/actors"),
            ("/debug/actors/root/pool0", "/prom/actors?search=root%2Fpool0"),
        ):
            status, where, body = await asked(path)
            assert (status, where) == ((302, page) if built else (200, ""))
            assert built or json.loads(body)["path"]
            status, _, body = await asked(path, "*/*")
            assert status == 200
            assert json.loads(body)["path"]
        for path in ("crashes", "plugins", "queries", "memory"):
            status, _, body = await asked(f"/debug/{path}")
            assert status == 200
            json.loads(body)
        assert (await asked("/debug/actors/nobody"))[0] == 404
    nursery.cancel_scope.cancel()
