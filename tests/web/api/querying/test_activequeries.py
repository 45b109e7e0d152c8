"""Queries at work: listed and cancelled by an admin, limits of cost, and the routes that answer while all is busy."""

from __future__ import annotations

import threading
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import cramjam
import orjson
import pytest
import trio

from tests.support import protobuf
from tests.support.asgi import Call
from tests.support.web_world import WebWorld, web_world
from trimon.actors.kernel import ChildSpec, Group
from trimon.actors.kernel.mailbox import Mailbox
from trimon.actors.querying.gate import Queries
from trimon.actors.querying.places import Asker
from trimon.clock import WallClock
from trimon.offload import ThreadOffload
from trimon.query.language.errors import QueryError
from trimon.query.language.options import QueryOptions
from trimon.selfmetrics import SelfMetrics
from trimon.web.app import all_endpoints, create_app
from trimon.web.context import WebContext, WebOptions
from trimon.web.http.endpoint import Access

PATH = "/api/v1/trimon/queries"


def app_of(context: WebContext) -> Any:
    """A front end with metrics of its own."""
    return create_app(replace(context, metrics=SelfMetrics()))


class Held:
    """Queries of one place, one of which computes until it is let go."""

    def __init__(self, here: WebWorld, options: WebOptions) -> None:
        self.queries = Queries(here.world.storage.snapshot, ThreadOffload(1), WallClock(), concurrency_max=1)
        self.context = replace(here.context, queries=self.queries, options=options)
        self.app = app_of(self.context)
        self.inside, self.go = threading.Event(), threading.Event()

    def work(self, _: object, budget: Any) -> None:
        self.inside.set()
        while not self.go.wait(0.001):
            budget.check()

    async def start(self, nursery: trio.Nursery) -> None:
        """A query is at work now."""
        asker = Asker("10.0.0.1", "10.0.0.1", "eve")

        async def ask() -> None:
            with suppress(QueryError):  # the test ends it
                await self.queries.run("sum(up)", QueryOptions(), self.work, asker=asker)

        nursery.start_soon(ask)
        await trio.to_thread.run_sync(self.inside.wait)


async def call(
    app: Any, method: str, path: str, client: str = "127.0.0.1", **headers: str
) -> tuple[int, Any]:
    asked = Call(method, path, dict(headers), b"" if method == "POST" else None)
    status, _, body = await asked.to(lambda scope, *rest: app({**scope, "client": (client, 1)}, *rest))
    return status, orjson.loads(body)


async def test_an_admin_lists_queries_and_cancels_one(tmp_path: Path) -> None:
    """The list says who asks, what it does and holds; cancelled, the client gets 499; a second time there is none."""
    async with web_world(tmp_path) as here:
        held = Held(here, WebOptions())
        answers: list[Any] = []

        async def ask() -> None:
            answers.append(await call(held.app, "GET", "/api/v1/query?query=m%2B1", "10.0.0.2"))

        async with trio.open_nursery() as nursery:
            await held.start(nursery)
            nursery.start_soon(ask)
            with trio.fail_after(10):
                while len(held.queries.active) < 2:  # noqa: ASYNC110 # it comes by itself
                    await trio.sleep(0.01)
            status, found = await call(held.app, "GET", PATH)
            assert status == 200
            first, second = found["data"]["queries"]
            assert (first["query"], first["user"], first["client"]) == ("sum(up)", "eve", "10.0.0.1")
            assert (second["query"], second["client"], second["phase"]) == (
                "m+1",
                "10.0.0.2",
                "waits for a place",
            )
            assert first.keys() >= {
                "id",
                "start",
                "age_s",
                "phase",
                "estimated_bytes",
                "used_bytes",
                "samples",
            }
            status, found = await call(held.app, "POST", f"{PATH}/{second['id']}/cancel")
            assert (status, found["data"]["query"]) == (200, "m+1")
            with trio.fail_after(10):
                while not answers:  # noqa: ASYNC110 # it comes by itself
                    await trio.sleep(0.01)
            held.go.set()
        assert answers == [
            (499, {"status": "error", "errorType": "canceled", "error": "query was canceled in query queue"})
        ]
        status, found = await call(held.app, "POST", f"{PATH}/{second['id']}/cancel")
        assert (status, found["errorType"]) == (404, "not_found")
        status, found = await call(held.app, "POST", f"{PATH}/x%C2%B2/cancel")
        assert status == 404


async def test_others_see_and_cancel_nothing(tmp_path: Path) -> None:
    """From another machine both are refused unless a flag opens them, and a page of another origin cancels nothing."""
    async with web_world(tmp_path) as here:
        held = Held(here, WebOptions())
        for method, path in (("GET", PATH), ("POST", PATH + "/0/cancel")):
            status, found = await call(held.app, method, path, "10.0.0.2")
            assert (status, found["errorType"]) == (403, "unavailable")
        status, _ = await call(held.app, "POST", PATH + "/0/cancel", origin="http://evil")
        assert status == 403
        opened = Held(here, WebOptions(enable_admin_api=True))
        assert (await call(opened.app, "GET", PATH, "10.0.0.2"))[0] == 200
        assert (await call(opened.app, "POST", PATH + "/0/cancel", "10.0.0.2"))[0] == 404


@pytest.mark.parametrize(
    ("path", "refused"),
    [
        ("query?query=m", 0), ("query?query=m%2Bm", 6), ("query?query=rate(m[1s])", 0),
        ("query?query=count_over_time(m[1h])", 12),
        ("query?query=vector(1)", 0), ("query_range?query=m&start=1699999000&end=1700000000&step=500", 0),
        ("query_range?query=m&start=1699999000&end=1700000000&step=10", 303), ("explain?query=m%2Bm&analyze=true", 6),
    ],
)  # fmt: skip
async def test_dear_queries_are_refused_before_they_run(path: str, refused: int, tmp_path: Path) -> None:
    """With limits of cost a query whose plan looks at more samples is 422 with both numbers; without them nothing is."""
    options = WebOptions(query_cost_max=5, query_range_cost_max=100)
    async with web_world(tmp_path) as here:
        await fill(here)
        for limited in (False, True):
            app = app_of(replace(here.context, options=options if limited else WebOptions()))
            status, found = await call(app, "GET", f"/api/v1/{path}")
            if limited and refused:
                assert (status, found["errorType"]) == (422, "execution")
                flag = "--query.range-cost-max" if "range" in path else "--query.cost-max"
                assert f"limit of {100 if 'range' in path else 5} ({flag})" in found["error"]
                number = int(found["error"].split("about ")[1].split()[0])
                assert number == refused
            else:
                assert status == 200, found


async def fill(here: WebWorld) -> None:
    """Four samples of each of three series, in the minute before the end."""

    times = [1_700_000_000_000 - 1000 * back for back in (40, 30, 20, 10)]
    message = b"".join(
        protobuf.series([("__name__", "m"), ("n", str(n))], [(at, float(n)) for at in times])
        for n in range(3)
    )
    app = app_of(replace(here.context, options=WebOptions(enable_remote_write=True)))
    headers = {"content-type": "application/x-protobuf", "content-encoding": "snappy"}
    status, _, text = await Call(
        "POST", "/api/v1/write", headers, bytes(cramjam.snappy.compress_raw(message))
    ).to(app)
    assert status == 204, text


class Idle:
    """Never reads its mailbox."""

    async def run(self) -> None:
        await trio.sleep_forever()

    def inspect(self) -> dict[str, object]:
        return {}


async def test_debug_routes_answer_while_all_is_busy(tmp_path: Path) -> None:
    """With a jammed mailbox, all threads of queries and all others at work, and a full queue every debug route answers."""
    async with web_world(tmp_path) as here, trio.open_nursery() as nursery:
        mailbox: Mailbox[int] = Mailbox("jammed", max=1)
        mailbox.send_nowait(1)
        root = Group("root", [ChildSpec("jammed", Idle, mailbox)])
        nursery.start_soon(root.run)
        await root.ready.wait()
        nursery.start_soon(mailbox.send, 2)
        held = Held(here, WebOptions())
        threads = ThreadOffload(1)
        app = app_of(replace(held.context, tree=lambda: root, offload=threads))
        await held.start(nursery)
        nursery.start_soon(threads.run, held.go.wait)
        try:
            await all_debug_routes_answer(replace(held.context, tree=lambda: root), app)
        finally:
            held.go.set()
            nursery.cancel_scope.cancel()


async def all_debug_routes_answer(context: WebContext, app: Any) -> None:
    """Each row for this machine alone has an answer of 200 soon."""
    endpoints = all_endpoints(replace(context, metrics=SelfMetrics()))
    # a stream has an answer when it ends
    rows = [row for row in endpoints if row.access is Access.LOOPBACK and not row.path.endswith("/live")]
    assert len(rows) >= 6
    for row in rows:
        path = row.path.replace("<path:path>", next(iter(context.tree().children())).path)
        with trio.fail_after(5):
            status, _, body = await Call("GET", path, {"accept-encoding": "gzip"}).to(
                lambda scope, *rest: app({**scope, "client": ("127.0.0.1", 1)}, *rest)
            )
        assert status == 200, (path, body)


async def test_what_pages_ask_by_themselves_is_told_apart(tmp_path: Path) -> None:
    """A question with the pages' header is marked, counted apart from the same one of a person, and left out on demand."""
    async with web_world(tmp_path) as here:
        app = app_of(here.context)
        for headers in ({}, {"x-trimon-page": "1"}, {"x-trimon-page": "1"}):
            await call(app, "GET", "/api/v1/query?query=up%2B1", **headers)
        _, found = await call(app, "GET", f"{PATH}/past")
        listed = sorted((each["query"], each["by_page"], each["count"]) for each in found["data"]["queries"])
        assert listed == [("up+1", False, 1), ("up+1", True, 2)]
        _, found = await call(app, "GET", f"{PATH}/past?by_pages=false")
        assert [(each["by_page"], each["count"]) for each in found["data"]["queries"]] == [(False, 1)]
        status, _ = await call(app, "GET", f"{PATH}/past?by_pages=perhaps")
        assert status == 400
