"""What is scraped goes through storage and its log to a receiver without network, in virtual time."""

from __future__ import annotations

import importlib
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import trio

from tests.support.oracle import ORACLE
from tests.support.store_world import World, world
from trimon.actors.discovery.discovered import Discovered
from trimon.actors.kernel.group import Group
from trimon.actors.kernel.pool import Pool
from trimon.actors.kernel.report import CrashReports
from trimon.actors.kernel.spec import ChildSpec, Restart
from trimon.actors.remotewrite.manager import KeptBounds, RemoteWriter
from trimon.config.configuration import Config
from trimon.config.load import load_text
from trimon.config.remote import RemoteWriteConfig
from trimon.fetch.request import Fetch, FetchError, FetchRequest, Response
from trimon.files import DiskFiles
from trimon.model.labels import labels_of
from trimon.offload import InlineOffload
from trimon.peers.options import client_options
from trimon.server.jobs import job_config
from trimon.server.parts.storage import limits_of

Reply = tuple[int, dict[str, str], bytes]
WRITTEN = "X-Prometheus-Remote-Write-{}-Written"


@cache
def codec() -> tuple[Any, Any]:
    """The codec of the recordings, which knows both messages, and what made them."""
    sys.path.insert(0, str(ORACLE / "remote"))
    try:
        return importlib.import_module("orclib"), importlib.import_module("gen_sender")
    finally:
        sys.path.remove(str(ORACLE / "remote"))


@dataclass
class Received:
    """One request: seconds since the first scrape, its headers in lower case, the status of the answer, and its body."""

    t: float
    path: str
    headers: dict[str, str]
    status: int
    body: bytes

    @property
    def attempt(self) -> int:
        return int(self.headers.get("retry-attempt", "0"))

    @property
    def message(self) -> dict[str, Any]:
        """The decoded message, each series with its labels."""
        if not self.body:
            return {}
        orclib, _ = codec()
        raw = orclib.snappy_decompress(self.body)
        if "v2.Request" in self.headers["content-type"]:
            resolved: dict[str, Any] = orclib.resolve_v2(orclib.decode("V2Request", raw))
            return resolved
        message: dict[str, Any] = orclib.decode("WriteRequest", raw)
        for series in message.get("timeseries", []):
            series["labels"] = {each["name"]: each.get("value", "") for each in series.get("labels", [])}
        return message


@dataclass
class Receiver:
    """Answers as it is told: `reply` gets the seconds since the first scrape; None is no answer at all."""

    reply: Callable[[float], Reply | None] = lambda _: (204, {}, b"")
    judge: Callable[[Received], Reply] | None = None
    """In place of `reply`: looks at the request."""
    sleep_s: float = 0.0
    counts_written: bool = True
    requests: list[Received] = field(default_factory=list)
    first_s: float | None = None

    begun: trio.Event = field(default_factory=trio.Event)
    """The first scrape has come."""

    def connect(self, config: RemoteWriteConfig) -> Fetch:
        own = client_options(config).credentials()
        return SimpleNamespace(send=lambda request: self._send(request, own), aclose=trio.lowlevel.checkpoint)

    async def _send(self, request: FetchRequest, own: tuple[tuple[str, str], ...]) -> Response:
        since_s = trio.current_time() - self.first_s if self.first_s is not None else 0.0
        headers = {name.lower(): value for name, value in (*request.headers, *own)}
        seen = Received(since_s, "/" + request.url.split("/", 3)[3], headers, 0, request.body)
        self.requests.append(seen)
        reply = self.reply(since_s) if self.judge is None else self.judge(seen)
        seen.status = 0 if reply is None else reply[0]
        with trio.move_on_after(request.timeout_s) as patience:
            await trio.sleep(self.sleep_s)
        if patience.cancelled_caught:
            raise FetchError("context deadline exceeded")
        if reply is None:
            raise FetchError("connect: connection refused")
        _, told, body = reply
        if self.counts_written and seen.status == 204 and "v2.Request" in headers["content-type"]:
            series = seen.message.get("timeseries", [])
            for kind in ("samples", "histograms", "exemplars"):
                count = sum(len(each.get(kind, [])) for each in series)
                told = {**told, WRITTEN.format(kind.capitalize()): str(count)}
        return Response(
            seen.status, "", "text/plain", body, len(body), {name.lower(): told[name] for name in told}
        )


@dataclass
class Target:
    """A target of the recordings: its body changes with each scrape."""

    kind: str
    receiver: Receiver
    now_s: Callable[[], float]
    scrapes: int = 0

    async def send(self, request: FetchRequest) -> Response:
        await trio.sleep(0.001)
        self.scrapes += 1
        if self.receiver.first_s is None:
            self.receiver.first_s = trio.current_time()
            self.receiver.begun.set()
        status, kind, body = self._answer(dict(request.headers), trio.current_time() - self.receiver.first_s)
        return Response(status, "", kind, body, len(body))

    def _answer(self, headers: dict[str, str], since_s: float) -> tuple[int, str, bytes]:
        _, made = codec()
        made.time = SimpleNamespace(time=self.now_s)
        n = self.scrapes
        if self.kind == "proto" and "vnd.google.protobuf" in headers.get("Accept", ""):
            form = "proto=io.prometheus.client.MetricFamily; encoding=delimited"
            return 200, f"application/vnd.google.protobuf; {form}", made.proto_body(n)
        if self.kind == "small":
            return 200, "text/plain; version=0.0.4", b"g %d\n" % n
        if self.kind == "vanish":
            text = b"g 1\n" + (b'v{a="b"} 5\n' if since_s < 2.5 else b"")
            return (500, "", b"") if since_s >= 5 else (200, "text/plain; version=0.0.4", text)
        text = (made.OM % {"n": n, "m": 2 * n, "ts": self.now_s(), "extra": ""}).encode()
        return 200, "application/openmetrics-text; version=1.0.0; charset=utf-8", text

    async def aclose(self) -> None:
        """Nothing to close."""


@dataclass
class SendingWorld:
    """What tests look at."""

    world: World
    writer: RemoteWriter
    receiver: Receiver
    root: Group


@asynccontextmanager
async def sending_world(
    directory: Path,
    config: Config,
    receiver: Receiver,
    features: tuple[str, ...] = (),
    kind: str = "small",
    *,
    start_ms: int = 1_700_000_000_000,
) -> AsyncIterator[SendingWorld]:
    """A running world that scrapes one target and sends what it stores; at the end it stops as a server does."""
    async with world(directory, start_ms=start_ms) as here, trio.open_nursery() as nursery:
        reports = CrashReports()
        pool: Pool[str] = Pool("remote-write-queues", reports=reports)
        writer = RemoteWriter(
            here.store,
            here.storage.replayed,
            pool,
            receiver.connect,
            DiskFiles(),
            here.clock,
            InlineOffload(),
            here.log,
            KeptBounds(),
        )
        here.store.configure(limits_of(config.storage, exemplars="exemplar-storage" in features))
        here.storage.on_append = writer.appended
        writer.configure(config.main.remote_write, labels_of(config.global_.external_labels))
        always = Restart.ALWAYS
        specs = [
            ChildSpec("remote-write", lambda: writer, restart=always),
            ChildSpec("remote-write-queues", lambda: pool, restart=always, drain_s=60.0),
        ]
        root = Group("sending", specs, reports=reports)
        nursery.start_soon(root.run)
        await root.ready.wait()
        await trio.sleep(0.5)
        jobs = [
            replace(
                job_config(job, features),
                fetch=lambda: Target(kind, receiver, lambda: here.clock.now_ms() / 1000),  # type: ignore[arg-type,return-value]  # it streams nothing
            )
            for job in config.scrape_configs
        ]
        here.manager.configure(jobs)
        for job in jobs:
            labels = {"__address__": "target:1", "instance": "target"}
            here.manager._mailbox.send_nowait(Discovered(job.options.job, (labels,)))
        yield SendingWorld(here, writer, receiver, root)
        here.manager.stopping = True
        await root.stop(within_s=60)
        assert reports.total == 0, reports.latest()


def sending_config(text: str) -> Config:
    """The configuration of a text."""
    return load_text(text, "p.yml")
