"""A small server without network: real store in a directory, storage actor, manager, virtual time."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import trio

from trimon.actors.discovery.discovered import discovered_mailbox
from trimon.actors.kernel.group import Group
from trimon.actors.kernel.pool import Pool
from trimon.actors.kernel.report import CrashReports
from trimon.actors.kernel.spec import ChildSpec, Restart
from trimon.actors.scraping.manager import ScrapeManager
from trimon.actors.scraping.scrapepool import JobConfig
from trimon.actors.storage.actor import StorageActor
from trimon.actors.storage.messages import storage_mailbox
from trimon.actors.storage.writer import Writer
from trimon.fetch.request import FetchError, FetchRequest, Response, StreamedResponse
from trimon.files import DiskFiles
from trimon.log import LogBuffer
from trimon.model.labels import METRIC_NAME
from trimon.model.matcher import Matcher, MatchType
from trimon.model.sample import is_stale
from trimon.offload import InlineOffload
from trimon.scrape.options import PoolOptions
from trimon.storage.options import StoreOptions
from trimon.storage.store import Store
from trimon.virtualclock import VirtualClock


@dataclass
class FakeTargets:
    """The network: bodies by URL; an exception is raised, a missing URL is refused. Counts requests."""

    bodies: dict[str, bytes | Exception] = field(default_factory=dict)
    requests: list[tuple[str, int]] = field(default_factory=list)
    took_s: float = 0.01
    clock: VirtualClock | None = None

    def client(self) -> FakeFetch:
        """A client of one target."""
        return FakeFetch(self)


class FakeFetch:
    """The double of the Fetch seam."""

    def __init__(self, targets: FakeTargets) -> None:
        self._targets = targets

    async def send(self, request: FetchRequest) -> Response:
        """The prepared answer after `took_s`."""
        targets = self._targets
        now_ms = targets.clock.now_ms() if targets.clock is not None else 0
        targets.requests.append((request.url, now_ms))
        await trio.sleep(targets.took_s)
        body = targets.bodies.get(request.url, FetchError(f'Get "{request.url}": connection refused'))
        if isinstance(body, Exception):
            raise body
        return Response(200, "OK", "text/plain; version=0.0.4", body, len(body))

    def stream(self, request: FetchRequest) -> AbstractAsyncContextManager[StreamedResponse]:
        """Not asked for."""
        raise NotImplementedError

    async def aclose(self) -> None:
        """Nothing to close."""


@dataclass
class World:
    """What tests look at."""

    store: Store
    writer: Writer
    storage: StorageActor
    manager: ScrapeManager
    targets: FakeTargets
    clock: VirtualClock
    root: Group
    reports: CrashReports
    log: LogBuffer

    def job(self, name: str = "j", version: str = "1", **options: Any) -> JobConfig:
        """A job whose targets are fake."""
        settings = PoolOptions(name, **{"interval_ms": 10_000, "timeout_ms": 5_000, **options})
        return JobConfig(settings, version, self.targets.client)

    def samples(self, name: str) -> list[tuple[dict[str, str], list[tuple[int, float | None]]]]:
        """All samples of a metric; None is a staleness marker."""
        matcher = Matcher(METRIC_NAME, MatchType.EQUAL, name)
        selection = self.storage.snapshot().select([matcher], 0, 2**50)
        frame = selection.frame(0, 2**50)
        out = []
        for row in range(frame.rows):
            values = frame.values[frame.offsets[row] : frame.offsets[row + 1]]
            array = frame.time_of_row[row]
            times = frame.times[frame.time_offsets[array] : frame.time_offsets[array + 1]]
            stale = is_stale(values)
            points = [
                (time, None if gone else value)
                for time, value, gone in zip(times.tolist(), values.tolist(), stale.tolist(), strict=True)
            ]
            out.append((dict(selection.labels.labels(row)), points))
        return out


@asynccontextmanager
async def world(directory: Path, *, start_ms: int = 1_700_000_000_000) -> AsyncIterator[World]:
    """A running world; it is stopped in order at the end."""
    clock = VirtualClock(start_ms)
    clock.now_ms()
    log, reports = LogBuffer(), CrashReports()
    store = Store.open(StoreOptions(directory), DiskFiles(), clock)
    mailbox, discovered = storage_mailbox(), discovered_mailbox("scrape-manager")
    writer, offload = Writer(mailbox), InlineOffload()
    storage = StorageActor(store, mailbox, offload, log)
    pools: Pool[str] = Pool("scrape", reports=reports)
    manager = ScrapeManager(pools, discovered, writer, clock, offload, log, seed=1, reports=reports)
    targets = FakeTargets(clock=clock)
    root = Group(
        "world",
        [
            ChildSpec("storage", lambda: storage, mailbox, Restart.NEVER),
            ChildSpec("scrape-manager", lambda: manager, discovered, Restart.ALWAYS),
            ChildSpec("scrape", lambda: pools, restart=Restart.ALWAYS),
        ],
        reports=reports,
    )
    async with trio.open_nursery() as nursery:
        nursery.start_soon(root.run)
        await root.ready.wait()
        yield World(store, writer, storage, manager, targets, clock, root, reports, log)
        manager.stopping = True
        await root.stop(within_s=60)


async def until(condition: Callable[[], bool], within_s: float = 600) -> None:
    """Waits in virtual time until something is so."""
    with trio.fail_after(within_s):
        while not condition():  # noqa: ASYNC110 # virtual time: polling costs nothing and needs no hook
            await trio.sleep(0.05)
