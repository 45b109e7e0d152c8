"""The chain that every request passes: both ways of its router answer alike, and no route goes past a link."""

from __future__ import annotations

import gzip
import math
import re
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import cramjam
import pytest
import trio

from tests.support import protobuf
from tests.support.asgi import Call
from tests.support.web_world import WebWorld, web_world
from trimon import limits
from trimon.actors.querying.gate import Queries
from trimon.model.snapshot import Snapshot
from trimon.offload import ThreadOffload
from trimon.selfmetrics import SelfMetrics
from trimon.web.context import WebOptions
from trimon.web.externalurl import ExternalUrl
from trimon.web.http import router
from trimon.web.http.answer import Answer, error_text
from trimon.web.http.compression import Compression
from trimon.web.http.endpoint import Endpoint
from trimon.web.http.framework import QuartRequest
from trimon.web.http.guard import Guard
from trimon.web.http.messages import set_match
from trimon.web.http.pipeline import pipeline
from trimon.web.http.request import Request
from trimon.web.http.wire.departure import SENDS_NO_MORE, departure_of

ENABLED = WebOptions(enable_remote_write=True)
FORM = {"content-type": "application/x-www-form-urlencoded"}
PROTO = {"content-type": "application/x-protobuf", "content-encoding": "snappy"}
NOW_S = 1_700_000_000


@contextmanager
def by_framework() -> Iterator[None]:
    """Inside, the router gives every request to the framework."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(router, "is_plain", lambda *_: False)
        yield


def write_body(name: str, *samples: tuple[int, float], **labels: str) -> bytes:
    pairs = sorted({"__name__": name, **labels}.items())
    return bytes(cramjam.snappy.compress_raw(protobuf.series(pairs, samples)))


async def filled(here: WebWorld) -> None:
    for number in range(20):
        body = write_body("m", (NOW_S * 1000, number / 3), number=f"n{number}")
        assert (await Call("POST", "/api/v1/write", PROTO, body).to(here.client.app))[0] == 204


# ruff: noqa: E501 # one case a line
CASES = {
    "no selector": ("GET", "/api/v1/query?query=vector(1)&time=5", {}, None),
    "scalar": ("GET", "/api/v1/query?query=1%2B1&time=5.25", {"origin": "http://a"}, None),
    "samples": ("GET", f"/api/v1/query?query=m&time={NOW_S}", {}, None),
    "compressed": ("GET", f"/api/v1/query?query=m&time={NOW_S}", {"accept-encoding": "br, gzip;q=1.0"}, None),
    "deflated": ("GET", f"/api/v1/query?query=m&time={NOW_S}", {"accept-encoding": "deflate", "origin": "null"}, None),
    "short and compressed": ("GET", "/api/v1/query?query=1&time=1", {"accept-encoding": "gzip"}, None),
    "limited": ("GET", f"/api/v1/query?query=m&limit=2&time={NOW_S}", {}, None),
    "range": ("GET", f"/api/v1/query_range?query=m&start={NOW_S}&end={NOW_S + 60}&step=15", {}, None),
    "range without selector": ("GET", "/api/v1/query_range?query=time()&start=0&end=60&step=15s", {}, None),
    "form": ("POST", "/api/v1/query", FORM, b"query=vector(1)%2B0&time=5"),
    "form with charset": ("POST", "/api/v1/query", {"content-type": "application/x-www-form-urlencoded; charset=utf-8"}, b"query=2&time=5"),
    "form before URL": ("POST", "/api/v1/query?query=1&time=5", FORM, b"query=2"),
    "form in odd case": ("POST", "/api/v1/query?time=5", {"content-type": "Application/X-WWW-Form-Urlencoded"}, b"query=2"),
    "form that is none": ("POST", "/api/v1/query?time=5", FORM, b"query=\xff\xfe"),
    "multipart": ("POST", "/api/v1/query?time=5", {"content-type": "multipart/form-data; boundary=b"},
                  b'--b\r\nContent-Disposition: form-data; name="query"\r\n\r\n7\r\n--b--\r\n'),
    "body of no known kind": ("POST", "/api/v1/query?query=3&time=5", {"content-type": "text/plain"}, b"query=2"),
    "body of unknown length": ("POST", "/api/v1/query?time=5", {**FORM, "transfer-encoding": "chunked"}, b"query=2"),
    "empty form": ("POST", "/api/v1/query?query=3&time=5", FORM, b""),
    "GET with a body": ("GET", "/api/v1/query?query=3&time=5", FORM, b"query=2"),
    "parse error": ("GET", "/api/v1/query?query=up%7B", {}, None),
    "no query": ("GET", "/api/v1/query", {"origin": "http://a"}, None),
    "bad time": ("GET", "/api/v1/query?query=1&time=x", {}, None),
    "bad escapes": ("GET", "/api/v1/query?query=%22%ff%zz%22&time=1", {}, None),
    "execution error": ("GET", "/api/v1/query?query=label_replace(vector(1),%22a%22,%22b%22,%22c%22,%22(%22)&time=1", {}, None),
    "bad step": ("GET", "/api/v1/query_range?query=1&start=0&end=1&step=0", {}, None),
    "wrong type": ("GET", "/api/v1/query_range?query=m[5m]&start=0&end=1&step=1", {}, None),
    "HEAD": ("HEAD", "/api/v1/query?query=1&time=5", {}, None),
    "PUT": ("PUT", "/api/v1/query?query=1&time=5", {}, None),
    "slash at the end": ("GET", "/api/v1/query/?query=1&time=5", {}, None),
    "write": ("POST", "/api/v1/write", PROTO, write_body("same", (NOW_S * 1000, 1.0))),
    "write, other encoding": ("POST", "/api/v1/write", {**PROTO, "content-encoding": "gzip"}, b"x"),
    "write, other message": ("POST", "/api/v1/write", {**PROTO, "content-type": "text/plain"}, b"x"),
    "write, corrupt": ("POST", "/api/v1/write", PROTO, b"\xff\xff"),
    "write, out of bounds": ("POST", "/api/v1/write", PROTO, write_body("old", (5, 1.0))),
    "write, GET": ("GET", "/api/v1/write", PROTO, None),
    "write, PUT": ("PUT", "/api/v1/write", PROTO, b"x"),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=str)
async def test_both_ways_answer_alike(case: str, tmp_path: Path) -> None:
    """Status, headers in their order and body are the same, and so is what the metrics count."""
    method, target, headers, body = CASES[case]
    async with web_world(tmp_path, ENABLED) as here:
        await filled(here)
        answers = []
        for way in (by_framework, nullcontext):
            with way():
                answers.append(await Call(method, target, headers, body).to(here.client.app))
            handler = target.partition("?")[0]
            handler = handler if not handler.endswith("/") else "not found"
            labels = {"handler": handler, "code": str(answers[-1][0])}
            already = 20 if labels == {"handler": "/api/v1/write", "code": "204"} else 0
            counted = here.metrics.value("prometheus_http_requests_total", labels)
            assert counted == already + len(answers), labels
            sizes = here.metrics.value("prometheus_http_response_size_bytes_sum", {"handler": handler})
            assert sizes == sum(len(answer[2]) for answer in answers)
        assert answers[0] == answers[1]
        assert answers[0][0] != 500


async def test_the_route_prefix_holds(tmp_path: Path) -> None:
    """Under a route prefix the server answers there and only there."""
    async with web_world(tmp_path, WebOptions(route_prefix="/p")) as here:
        assert (await Call("GET", "/p/api/v1/query?query=1").to(here.client.app))[0] == 200
        assert (await Call("GET", "/api/v1/query?query=1").to(here.client.app))[0] == 404


async def test_a_bug_is_a_500_with_a_report(tmp_path: Path) -> None:
    """A handler that fails answers 500 without details and leaves a crash report, on both ways."""

    def broken() -> Any:
        raise ZeroDivisionError("secret")

    async with web_world(tmp_path, changes={"query_options": broken}) as here:
        for way in (by_framework, nullcontext):
            before = here.context.tree().reports.total
            with way():
                status, _, body = await Call("GET", "/api/v1/query?query=1").to(here.client.app)
            assert (status, b"ZeroDivisionError" in body, b"secret" in body) == (500, True, False)
            assert here.context.tree().reports.total == before + 1
            report = here.context.tree().reports.latest()[0]
            assert (report.path, report.in_hand) == ("web/api/v1/query", "GET")


async def test_too_long_a_body_is_refused(tmp_path: Path) -> None:
    """A body that says it is longer than any may be is refused before it is read."""
    async with web_world(tmp_path) as here:
        headers = {**FORM, "content-length": str(limits.REQUEST_BODY_BYTES_MAX + 1)}
        status, _, body = await Call("POST", "/api/v1/query", headers, b"").to(here.client.app)
        assert (status, body) == (
            413,
            b"request body of 33554433 bytes exceeds the limit of 33554432 bytes\n",
        )


async def test_a_slow_body_is_a_timeout(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    """A client that announces a body and never sends it gets 408 after a minute."""
    async with web_world(tmp_path) as here:
        for way in (by_framework, nullcontext):
            call = Call("POST", "/api/v1/query", {**FORM, "content-length": "5"}, None)
            sent: list[dict[str, Any]] = []

            async def receive() -> dict[str, Any]:
                await trio.sleep(math.inf)
                raise AssertionError

            async def send(message: dict[str, Any], sent: list[dict[str, Any]] = sent) -> None:
                sent.append(message)

            began_s = trio.current_time()
            with way():
                await here.client.app(call.scope, receive, send)
            assert trio.current_time() - began_s == pytest.approx(60, abs=1)
            assert (sent[0]["status"], sent[1]["body"]) == (408, b"408 request timeout\n")


class SlowSnapshot:
    """A snapshot whose select waits until it is told to go on."""

    def __init__(self, snapshot: Snapshot, selecting: Callable[[], None]) -> None:
        self._snapshot = snapshot
        self._selecting = selecting

    def select(self, *args: Any) -> Any:
        self._selecting()
        return self._snapshot.select(*args)


@pytest.mark.parametrize("leaves", [True, False])
async def test_a_client_that_leaves_cancels_its_query(leaves: bool, tmp_path: Path) -> None:
    """A disconnect while the query runs stops it at its next check, and nothing is sent."""
    async with web_world(tmp_path) as here:
        call = Call("GET", f"/api/v1/query?query=m&time={NOW_S}")

        def selecting() -> None:
            (query,) = queries.active.values()
            if leaves:
                trio.from_thread.run_sync(call.gone.set, trio_token=token)
                while not query.budget.canceled:
                    pass

        token = trio.lowlevel.current_trio_token()
        queries = Queries(
            lambda: cast("Snapshot", SlowSnapshot(here.world.storage.snapshot(), selecting)),
            ThreadOffload(2), here.context.clock, concurrency_max=2,
        )  # fmt: skip
        async with web_world(tmp_path / "other", changes={"queries": queries}) as other:
            with trio.fail_after(10):
                status, _, _ = await call.to(other.client.app)
        assert status == (0 if leaves else 200)
        assert not queries.active


@pytest.mark.parametrize(
    "message", [{"type": "http.disconnect"}, SENDS_NO_MORE], ids=["gone", "sends no more"]
)
async def test_a_client_that_leaves_while_its_query_waits(message: Any, tmp_path: Path) -> None:
    """A query without a place is given up at once; who still listens is told so, and nothing is a bug."""
    async with web_world(tmp_path) as here:
        queries = here.context.queries
        for place in range(queries.concurrency_max):
            assert queries._queue.places.try_enter(f"taken {place}")
        sent: list[dict[str, Any]] = []
        scope: Any = Call("GET", "/api/v1/query?query=m").scope

        async def leave() -> None:
            await trio.sleep(0.01)
            departure_of(scope).tell(message)

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        with trio.fail_after(5):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(leave)
                await here.client.app(scope, trio.sleep_forever, send)
        assert [part["status"] for part in sent[:1]] == ([499] if message is SENDS_NO_MORE else [])
        assert not here.context.tree().reports.total
        assert (queries.inspect()["waiting"], queries.active) == (0, {})


@pytest.mark.parametrize("way", [by_framework, nullcontext])
@pytest.mark.parametrize("message", [{"type": "http.disconnect"}, None], ids=["gone", "stays"])
async def test_who_leaves_while_an_answer_is_made(
    message: dict[str, str] | None, way: Callable[[], Any], tmp_path: Path
) -> None:
    """Work that is told to end early fails as it likes: nobody is answered, nothing is reported; else it is a bug."""
    begun, token = threading.Event(), trio.lowlevel.current_trio_token()
    async with web_world(tmp_path) as here:

        async def handler(_: Request) -> Answer:
            left = threading.Event()

            def work() -> Answer:
                begun.set()
                if message is not None:
                    token.run_sync_soon(call.gone.set)
                    assert left.wait(10)
                raise ZeroDivisionError

            return await ThreadOffload(1).run(work, left.set)

        app = pipeline(
            replace(here.context, metrics=SelfMetrics()), [Endpoint("/long", ("GET", "POST"), handler)]
        )
        call = Call("POST", "/long", FORM, b"a=1")
        with way(), trio.fail_after(20):
            status, _, _ = await call.to(app)
        assert begun.is_set()
        reports = here.context.tree().reports
        assert (status, reports.total) == ((0, 0) if message else (500, 1))


async def test_queries_that_read_nothing_wait_for_no_place(tmp_path: Path) -> None:
    """With every place taken, a query without selectors is answered, and one with a selector waits."""
    async with web_world(tmp_path) as here:
        queries = here.context.queries
        for place in range(queries.concurrency_max):
            assert queries._queue.places.try_enter(f"taken {place}")
        with trio.fail_after(5):
            assert (await Call("GET", "/api/v1/query?query=vector(1)").to(here.client.app))[0] == 200
        with trio.move_on_after(0.05) as waited:
            await Call("GET", "/api/v1/query?query=m").to(here.client.app)
        assert waited.cancelled_caught
        assert queries.inspect()["waiting"] == 0


async def test_vary_names_what_compression_depends_on(tmp_path: Path) -> None:
    """A compressed answer says that it varies with Accept-Encoding, and unpacks to the plain one."""
    async with web_world(tmp_path, ENABLED) as here:
        await filled(here)
        call = f"/api/v1/query?query=m&time={NOW_S}"
        _, plain_headers, plain = await Call("GET", call).to(here.client.app)
        _, headers, body = await Call("GET", call, {"accept-encoding": "gzip"}).to(here.client.app)
        assert dict(plain_headers)[b"vary"] == b"Origin"
        assert dict(headers)[b"vary"] == b"Origin, Accept-Encoding"
        assert gzip.decompress(body) == plain


@pytest.mark.parametrize("case", ["no selector", "samples", "form", "range", "write", "parse error"])
async def test_what_is_plain_never_reaches_the_framework(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Plain GETs and POSTs are answered by the router alone, others are the framework's."""

    def asked(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(QuartRequest, "__init__", asked)
    method, target, headers, body = CASES[case]
    async with web_world(tmp_path, ENABLED) as here:
        assert (await Call(method, target, headers, body).to(here.client.app))[0] in {200, 204, 400}
        with by_framework():
            assert (await Call(method, target, headers, body).to(here.client.app))[0] == 500


async def test_every_route_passes_the_guard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the guard refuses reaches no handler, whatever the route, the method, and the way behind it."""
    reached: list[str] = []

    def refuse(_: Guard, scope: Any) -> Any:
        return error_text("not you", 401)

    options = WebOptions(allow_remote_debug=True)
    async with web_world(tmp_path, options) as here:

        def spied(endpoint: Endpoint) -> Endpoint:
            async def handler(_: Request) -> Answer:
                reached.append(endpoint.path)
                return Answer(b"")

            return replace(endpoint, handler=handler)

        chain: Any = here.client.app
        table = [spied(endpoint) for endpoint in chain._table.endpoints]
        assert len(table) > 30
        app = pipeline(replace(here.context, metrics=SelfMetrics()), table)
        calls = [
            (method, re.sub("<[^>]*>", "x", endpoint.path), headers, body)
            for endpoint in table
            for method in endpoint.methods
            for headers, body in (
                ({}, None),
                ({"transfer-encoding": "chunked"}, b"x"),
                ({"content-type": "multipart/form-data; boundary=b"}, b"--b--"),
            )
        ]
        for ask in calls:
            await Call(*ask).to(app)
        assert {endpoint.path for endpoint in table} == set(reached)
        reached.clear()
        monkeypatch.setattr(Guard, "_refusal", refuse)
        for ask in calls:
            status, _, body = await Call(*ask).to(app)
            assert (status, body) == (401, b"not you\n"), ask
        assert reached == []


async def test_every_refusal_is_counted_and_may_be_read(tmp_path: Path) -> None:
    """A refusal of the guard has its place in the request metrics under its route's name."""
    async with web_world(tmp_path) as here:
        status, _, _ = await Call("GET", "/debug/actors/web").to(here.client.app)
        assert status == 403
        labels = {"handler": "/debug/actors/*path", "code": "403"}
        assert here.metrics.value("prometheus_http_requests_total", labels) == 1


async def test_streams_are_packed_piece_by_piece() -> None:
    """Each piece of a body of unknown length can be unpacked as soon as it was sent."""
    pieces = [b"a" * 3000, b"", b"b" * 10, b"c"]

    async def app(_: Any, __: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"x", b"y")]})
        for number, piece in enumerate(pieces):
            more = number + 1 < len(pieces)
            await send({"type": "http.response.body", "body": piece, "more_body": more})

    call = Call("GET", "/", {"accept-encoding": "gzip"})

    async def matched(scope: Any, receive: Any, send: Any) -> None:
        set_match(scope, None)
        await Compression(app, ThreadOffload(1))(scope, receive, send)

    _, headers, body = await call.to(matched)
    assert dict(headers) == {b"x": b"y", b"content-encoding": b"gzip", b"vary": b"Accept-Encoding"}
    assert gzip.decompress(body) == b"".join(pieces)
    unpacker = zlib.decompressobj(31)
    assert [unpacker.decompress(part["body"]) for part in call.sent[1:]] == pieces


@pytest.mark.parametrize(
    ("prefix", "path", "answer"),
    [
        ("/p", "/", (302, "/p")),
        ("/p", "/p", (301, "/p/")),
        ("/p", "/p/-/healthy/", (301, "/p/-/healthy")),
        ("/p", "/p//metrics?a=b", (307, "/p/metrics?a=b")),
        ("/p", "/p/./x/../metrics", (307, "/p/metrics")),
        ("/p", "/metrics", (404, "")),
        ("/p", "/nothing", (404, "")),
        ("", "//evil.org/metrics", (307, "/evil.org/metrics")),
        ("", "/api/v1/label//values", (307, "/api/v1/label/values")),
        ("", "/nothing/", (404, "")),
        ("", "/", (302, "/query")),
    ],
)
async def test_what_has_moved_is_told(
    prefix: str, path: str, answer: tuple[int, str], tmp_path: Path
) -> None:
    """The root leads to the route prefix, and a path that is not clean to the clean one, never to another server."""
    async with web_world(tmp_path, WebOptions(route_prefix=prefix)) as here:
        status, headers, _ = await Call("GET", path).to(here.client.app)
        assert (status, dict(headers).get(b"location", b"").decode()) == answer


@pytest.mark.parametrize(
    ("method", "path", "answer"),
    [
        ("POST", "/p/api/v1/labels/", (307, "/p/api/v1/labels")),
        ("HEAD", "/p/-/healthy/", (307, "/p/-/healthy")),
        ("POST", "/p/-/healthy/", (404, "")),
        ("PUT", "/p/api/v1/labels/", (404, "")),
        ("POST", "/", (405, "")),
        ("HEAD", "/", (405, "")),
    ],
)
async def test_other_methods_are_led_on_with_their_bodies(
    method: str, path: str, answer: tuple[int, str], tmp_path: Path
) -> None:
    """What is not a GET is asked again as it was; where the route does not take it there is nothing."""
    async with web_world(tmp_path, WebOptions(route_prefix="/p")) as here:
        status, headers, _ = await Call(method, path).to(here.client.app)
        assert (status, dict(headers).get(b"location", b"").decode()) == answer


async def test_links_go_where_people_are(tmp_path: Path) -> None:
    """Behind a proxy that takes a path away, links have that path."""
    options = WebOptions(external=ExternalUrl("http://x.test/prom/"), route_prefix="")
    async with web_world(tmp_path, options) as here:
        _, headers, _ = await Call("GET", "/graph?g0.expr=a%20b&x=%3C").to(here.client.app)
        assert dict(headers)[b"location"] == b"/prom/query?g0.expr=a%20b&x=%3C"
        _, _, body = await Call("GET", "/query").to(here.client.app)
        assert (
            b'src="/prom/theme.js"' in body or b'href="/prom/api/v1/targets"' in body
        )  # not every machine can build
