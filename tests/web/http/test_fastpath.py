"""The front and the framework: who answers what, and that nobody can tell the difference."""

from __future__ import annotations

import gzip
import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cramjam
import pytest
import trio

from tests.support import protobuf
from tests.support.web_world import WebWorld, web_world
from trimon import limits
from trimon.actors.querying.gate import Queries
from trimon.model.snapshot import Snapshot
from trimon.offload import ThreadOffload
from trimon.web.context import WebOptions
from trimon.web.http.connection import SENDS_NO_MORE
from trimon.web.http.fastpath import Front

ENABLED = WebOptions(enable_remote_write=True)
FORM = {"content-type": "application/x-www-form-urlencoded"}
PROTO = {"content-type": "application/x-protobuf", "content-encoding": "snappy"}
NOW_S = 1_700_000_000


@dataclass
class Call:
    """One request to an ASGI application, and what it sent."""

    method: str
    target: str
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | None = None
    sent: list[dict[str, Any]] = field(default_factory=list)
    gone: trio.Event = field(default_factory=trio.Event)

    @property
    def scope(self) -> dict[str, Any]:
        path, _, query = self.target.partition("?")
        headers = {"host": "x", **self.headers}
        if self.body is not None and "transfer-encoding" not in headers:
            headers.setdefault("content-length", str(len(self.body)))
        return {
            "type": "http", "method": self.method, "path": path, "raw_path": path.encode(), "root_path": "",
            "query_string": query.encode(), "scheme": "http", "http_version": "1.1", "extensions": {},
            "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
            "client": ("10.0.0.9", 1234), "server": ("127.0.0.1", 9090), "asgi": {"version": "3.0"},
        }  # fmt: skip

    async def to(self, app: Callable[..., Awaitable[None]]) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
        """Status, headers and body of the answer; nothing of it (0) when the application sent none."""
        messages = [self.body[at : at + 7] for at in range(0, len(self.body), 7)] if self.body else [b""]

        async def receive() -> dict[str, Any]:
            if messages:
                part = messages.pop(0)
                return {"type": "http.request", "body": part, "more_body": bool(messages)}
            await self.gone.wait()
            return {"type": "http.disconnect"}

        async def send(message: dict[str, Any]) -> None:
            self.sent.append(message)

        await app(self.scope, receive, send)
        if not self.sent:
            return 0, [], b""
        body = b"".join(message.get("body", b"") for message in self.sent[1:])
        return self.sent[0]["status"], self.sent[0]["headers"], body


def front_of(here: WebWorld) -> Front:
    front = here.client.app.asgi_app
    assert isinstance(front, Front)
    return front


def framework_of(here: WebWorld) -> Callable[..., Awaitable[None]]:
    return front_of(here)._framework


def write_body(name: str, *samples: tuple[int, float], **labels: str) -> bytes:
    pairs = sorted({"__name__": name, **labels}.items())
    return bytes(cramjam.snappy.compress_raw(protobuf.series(pairs, samples)))


async def filled(here: WebWorld) -> None:
    for number in range(20):
        body = write_body("m", (NOW_S * 1000, number / 3), number=f"n{number}")
        assert (await Call("POST", "/api/v1/write", PROTO, body).to(front_of(here)))[0] == 204


# ruff: noqa: E501 # one case a line
CASES = {
    "no selector": ("GET", "/api/v1/query?query=vector(1)&time=5", {}, None),
    "scalar": ("GET", "/api/v1/query?query=1%2B1&time=5.25", {"origin": "http://a"}, None),
    "samples": ("GET", f"/api/v1/query?query=m&time={NOW_S}", {}, None),
    "compressed": ("GET", f"/api/v1/query?query=m&time={NOW_S}", {"accept-encoding": "br, gzip;q=1.0"}, None),
    "deflated": ("GET", f"/api/v1/query?query=m&time={NOW_S}", {"accept-encoding": "deflate", "origin": "null"}, None),
    "too short to compress": ("GET", "/api/v1/query?query=1&time=1", {"accept-encoding": "gzip"}, None),
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
async def test_the_front_answers_as_the_framework_does(case: str, tmp_path: Path) -> None:
    """Status, headers in their order and body are the same, and so is what the metrics count."""
    method, target, headers, body = CASES[case]
    async with web_world(tmp_path, ENABLED) as here:
        await filled(here)
        answers = []
        for app in (framework_of(here), front_of(here)):
            answers.append(await Call(method, target, headers, body).to(app))
            handler = target.partition("?")[0] if method != "PUT" or "write" in target else "not found"
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
    """Under a route prefix the front answers there and only there."""
    async with web_world(tmp_path, WebOptions(route_prefix="/p")) as here:
        assert (await Call("GET", "/p/api/v1/query?query=1").to(front_of(here)))[0] == 200
        assert (await Call("GET", "/api/v1/query?query=1").to(front_of(here)))[0] == 404


async def test_a_bug_is_a_500_with_a_report(tmp_path: Path) -> None:
    """A handler that fails answers 500 without details and leaves a crash report, as a framework's route does."""

    def broken() -> Any:
        raise ZeroDivisionError("secret")

    async with web_world(tmp_path, changes={"query_options": broken}) as here:
        for app in (front_of(here), framework_of(here)):
            before = here.context.tree().reports.total
            status, _, body = await Call("GET", "/api/v1/query?query=1").to(app)
            assert (status, b"ZeroDivisionError" in body, b"secret" in body) == (500, True, False)
            assert here.context.tree().reports.total == before + 1
            report = here.context.tree().reports.latest()[0]
            assert (report.path, report.in_hand) == ("web/api/v1/query", "GET")


async def test_too_long_a_body_is_the_frameworks(tmp_path: Path) -> None:
    """A body that says it is longer than any may be is refused before it is read."""
    async with web_world(tmp_path) as here:
        headers = {**FORM, "content-length": str(limits.REQUEST_BODY_BYTES_MAX + 1)}
        status, _, body = await Call("POST", "/api/v1/query", headers, b"").to(front_of(here))
        assert (status, body) == (413, b"413 request entity too large\n")


async def test_a_slow_body_is_a_timeout(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    """A client that announces a body and never sends it gets 408 after a minute."""
    async with web_world(tmp_path) as here:
        for app in (front_of(here), framework_of(here)):
            call = Call("POST", "/api/v1/query", {**FORM, "content-length": "5"}, None)
            sent: list[dict[str, Any]] = []

            async def receive() -> dict[str, Any]:
                await trio.sleep(math.inf)
                raise AssertionError

            async def send(message: dict[str, Any], sent: list[dict[str, Any]] = sent) -> None:
                sent.append(message)

            began_s = trio.current_time()
            await app(call.scope, receive, send)
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
            lambda: SlowSnapshot(here.world.storage.snapshot(), selecting),  # type: ignore[arg-type]
            ThreadOffload(2), here.context.clock, concurrency_max=2,
        )  # fmt: skip
        async with web_world(tmp_path / "other", changes={"queries": queries}) as other:
            with trio.fail_after(10):
                status, _, _ = await call.to(front_of(other))
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
            queries._gate.acquire_on_behalf_of_nowait(f"taken {place}")
        messages = [{"type": "http.request", "body": b"", "more_body": False}, message]
        sent: list[dict[str, Any]] = []

        async def receive() -> Any:
            await trio.sleep(0.01)
            return messages.pop(0) if messages else await trio.sleep_forever()

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        call: Any = Call("GET", "/api/v1/query?query=m")
        with trio.fail_after(5):
            await front_of(here)(call.scope, receive, send)  # type: ignore[arg-type]
        assert [part["status"] for part in sent[:1]] == ([499] if message is SENDS_NO_MORE else [])
        assert not here.context.tree().reports.total
        assert (queries.inspect()["waiting"], queries.active) == (0, {})


async def test_queries_that_read_nothing_wait_for_no_place(tmp_path: Path) -> None:
    """With every place taken, a query without selectors is answered, and one with a selector waits."""
    async with web_world(tmp_path) as here:
        queries = here.context.queries
        for place in range(queries.concurrency_max):
            queries._gate.acquire_on_behalf_of_nowait(f"taken {place}")
        with trio.fail_after(5):
            assert (await Call("GET", "/api/v1/query?query=vector(1)").to(front_of(here)))[0] == 200
        with trio.move_on_after(0.05) as waited:
            await Call("GET", "/api/v1/query?query=m").to(front_of(here))
        assert waited.cancelled_caught
        assert queries.inspect()["waiting"] == 0


async def test_vary_names_what_compression_depends_on(tmp_path: Path) -> None:
    """A compressed answer says that it varies with Accept-Encoding, and unpacks to the plain one."""
    async with web_world(tmp_path, ENABLED) as here:
        await filled(here)
        call = f"/api/v1/query?query=m&time={NOW_S}"
        _, plain_headers, plain = await Call("GET", call).to(front_of(here))
        _, headers, body = await Call("GET", call, {"accept-encoding": "gzip"}).to(front_of(here))
        assert dict(plain_headers)[b"vary"] == b"Origin"
        assert dict(headers)[b"vary"] == b"Origin, Accept-Encoding"
        assert gzip.decompress(body) == plain


@pytest.mark.parametrize("case", ["no selector", "samples", "form", "range", "write", "parse error"])
async def test_what_is_simple_never_reaches_the_framework(case: str, tmp_path: Path) -> None:
    """Plain GETs and POSTs of the busiest routes are answered by the front alone."""

    async def framework(*_: object) -> None:
        raise AssertionError("asked the framework")

    method, target, headers, body = CASES[case]
    async with web_world(tmp_path, ENABLED) as here:
        front_of(here)._framework = framework
        assert (await Call(method, target, headers, body).to(front_of(here)))[0] in {200, 204, 400}
