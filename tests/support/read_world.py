"""Two servers without network, of which one reads from the other: `near` asks, `far` has the samples."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import cramjam

from tests.support import protobuf
from tests.support.asgi import Call, Client
from tests.support.web_world import WebWorld, web_world
from trimon.actors.metrics.remoteread import remote_read_metrics
from trimon.actors.querying.gate import Queries
from trimon.actors.remoteread.reader import RemoteReader
from trimon.config.remote import RemoteReadConfig
from trimon.config.secret import SecretUrl
from trimon.fetch.request import Fetch, FetchRequest, Response
from trimon.model.labels import Labels
from trimon.offload import InlineOffload
from trimon.selfmetrics import SelfMetrics
from trimon.web.app import create_app
from trimon.web.context import WebOptions

NOW_MS = 1_700_000_000_000
WRITE = {"content-type": "application/x-protobuf", "content-encoding": "snappy"}
OPTIONS = WebOptions(enable_remote_write=True)
# What asks for samples in place of chunks: the last field of a request lists the forms that are accepted.
_ACCEPTED = b"\x12\x02\x01\x00"


@dataclass
class Wire:
    """What stands between the two: it keeps requests, answers some of them itself, and may ask for samples alone."""

    far: WebWorld
    sampled: bool = False
    requests: list[tuple[str, bytes]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    answers: dict[str, Response | Exception] = field(default_factory=dict)
    """Of URLs that `far` is not asked for."""
    closed: int = 0

    def connect(self, config: RemoteReadConfig) -> Fetch:
        del config
        return _Through(self)  # type: ignore[return-value]  # it streams nothing


@dataclass
class _Through:
    wire: Wire

    async def send(self, request: FetchRequest) -> Response:
        wire = self.wire
        body = bytes(cramjam.snappy.decompress_raw(request.body))
        assert body.endswith(_ACCEPTED)
        wire.requests.append((request.url, body))
        headers = {name.lower(): value for name, value in request.headers}
        wire.headers.append(headers)
        given = wire.answers.get(request.url)
        if isinstance(given, Exception):
            raise given
        if given is not None:
            return given
        if wire.sampled:
            body = body.removesuffix(_ACCEPTED)
        packed = bytes(cramjam.snappy.compress_raw(body))
        call = Call("POST", "/api/v1/read", headers, packed)
        status, raw, content = await call.to(wire.far.client.app)
        told = {name.decode().lower(): value.decode() for name, value in raw}
        return Response(status, "", told.get("content-type", ""), content, len(content), told)

    async def aclose(self) -> None:
        self.wire.closed += 1


def endpoint(url: str = "http://far/read", **fields: Any) -> RemoteReadConfig:
    """A section of `remote_read`."""
    return RemoteReadConfig(url=SecretUrl(url), **{"read_recent": True, **fields})


@dataclass
class ReadWorld:
    """What tests look at."""

    near: WebWorld
    far: WebWorld
    wire: Wire
    reader: RemoteReader
    metrics: SelfMetrics

    async def write(self, where: WebWorld, *series: tuple[Labels, Iterable[tuple[int, float]]]) -> None:
        """Stores samples."""
        body = b"".join(protobuf.series(labels, samples) for labels, samples in series)
        packed = bytes(cramjam.snappy.compress_raw(body))
        status, _, text = await Call("POST", "/api/v1/write", WRITE, packed).to(where.client.app)
        assert status == 204, text

    async def ask(self, query: str, time_ms: int = NOW_MS, where: WebWorld | None = None) -> dict[str, Any]:
        """The answer to an instant query."""
        asked = {"query": query, "time": str(time_ms / 1000)}
        answer = await (where or self.near).client.get("/api/v1/query", query_string=asked)
        return dict(await answer.get_json())

    async def result(self, query: str, time_ms: int = NOW_MS) -> dict[str, Any]:
        """Value by series of an instant query that ends well without warnings."""
        answer = await self.ask(query, time_ms)
        assert answer["status"] == "success", answer
        assert "warnings" not in answer, answer
        return {str(sorted(one["metric"].items())): one["value"][1] for one in answer["data"]["result"]}


@asynccontextmanager
async def read_world(
    directory: Path,
    *configs: RemoteReadConfig,
    external: Labels = (),
    local_start_ms: int = NOW_MS,
    far_changes: dict[str, Any] | None = None,
) -> AsyncIterator[ReadWorld]:
    """Both servers, running; `near` reads from the endpoints of some sections."""
    async with (
        web_world(directory / "far", OPTIONS, far_changes) as far,
        web_world(directory / "near", OPTIONS) as near,
    ):
        wire, metrics = Wire(far), SelfMetrics()
        reader = RemoteReader(lambda: local_start_ms, wire.connect, near.world.clock)
        metrics.collect(remote_read_metrics(lambda: list(reader.endpoints.values())))
        reader.configure(configs, external)
        storage, clock = near.world.storage, near.world.clock
        queries = Queries(storage.snapshot, InlineOffload(), clock, concurrency_max=4, remote=reader)
        context = replace(near.context, metrics=metrics, queries=queries, remote_read=reader.states)
        yield ReadWorld(
            replace(near, context=context, client=Client(create_app(context))), far, wire, reader, metrics
        )


def wave(number: int, count: int = 400, end_ms: int = NOW_MS) -> list[tuple[int, float]]:
    """Samples a second apart up to a time."""
    return [(end_ms - 1_000 * step, math.sin(step) * number) for step in range(count - 1, -1, -1)]
