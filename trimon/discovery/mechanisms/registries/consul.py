"""Instances of services that are registered in Consul (`consul_sd_configs`), by blocking queries.

    catalog ── names and tags ──▶ a watcher for each service that is wanted ── a group for each service ──▶ sink

Source: https://developer.hashicorp.com/consul/api-docs, "Blocking Queries", "Catalog" and "Health". Labels
`__meta_consul_`: `address`, `dc`, `health`, `metadata_*`, `namespace`, `node`, `partition`, `service`, `service_address`,
`service_id`, `service_metadata_*`, `service_port`, `tagged_address_*`, `tags`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import field
from typing import Final

import trio

from trimon.config.discovery.registries import ConsulSdConfig
from trimon.config.discovery.source import config_option
from trimon.discovery.asking.api import Api
from trimon.discovery.asking.record import Record, SourceError
from trimon.discovery.asking.refresh import TROUBLE, Retries, SourceStats, publish
from trimon.discovery.mechanisms.registries.consulpolls import Polls
from trimon.discovery.mechanisms.registries.consulquery import (
    ANSWER_S,
    WAIT_S,
    ConsulQueries,
    index_of,
    next_index,
)
from trimon.discovery.mechanisms.registries.consultargets import PREFIX, targets_of
from trimon.discovery.plugin import Context, Sink, TargetGroup
from trimon.records import dataclass

RETRY_S_MAX: Final = 15.0
SERVICES_MAX: Final = 20_000
# So many tasks are started at a stretch.
_SLICE: Final = 100


@dataclass(eq=False, slots=True)
class _Watched:
    """A service that is watched."""

    name: str
    index: int = 0
    scope: trio.CancelScope = field(default_factory=trio.CancelScope)


class ConsulDiscovery:
    """Follows the catalog, and each service in it that is wanted.

    Owns: a watcher for each service, and clients that watchers borrow; all runs together have a bounded number. Receives:
    answers to blocking queries. Sends: all services once each has answered, then those that changed, and an empty group for
    one that is gone. Crashes when: never because of Consul; it asks again. On restart: everything is asked anew before
    anything is said.
    """

    def __init__(self, options: Mapping[str, object], context: Context) -> None:
        self._config = config_option(options, ConsulSdConfig)
        self._context = context
        self._queries = ConsulQueries(self._config)
        self.stats = SourceStats()
        self._run: _Run | None = None

    async def run(self, sink: Sink) -> None:
        """Watch, for ever."""
        polls = Polls(self._context)
        try:
            async with trio.open_nursery() as nursery:
                self._run = _Run(self._queries, self._context, self.stats, polls, sink, nursery)
                await self._run.follow()
        finally:
            await polls.aclose()

    def inspect(self) -> Mapping[str, object]:
        """The figures of asking, and how many services are watched."""
        return {**self.stats.shown(), **(self._run.shown() if self._run is not None else {})}


class _Run:
    """What is known in one run, and the watchers that find it out."""

    def __init__(
        self,
        queries: ConsulQueries,
        context: Context,
        stats: SourceStats,
        polls: Polls,
        sink: Sink,
        nursery: trio.Nursery,
    ) -> None:
        self._queries, self._config, config = queries, queries.config, queries.config
        self._context, self._stats, self._polls = context, stats, polls
        self._sink, self._nursery = sink, nursery
        self._interval_s = config.refresh_interval / 1000
        self._datacenter = config.datacenter
        self._watched: dict[str, _Watched] = {}
        self._first: dict[str, TargetGroup] = {}
        self._catalog_index = 0
        self._listed = self._published = False
        self._failing: set[str] = set()
        # Big groups are looked at in a thread: who publishes meanwhile would come before, and be overwritten.
        self._publishing = trio.Lock()

    async def follow(self) -> None:
        """Watch what is wanted, for ever."""
        api = Api(self._context, WAIT_S + ANSWER_S)
        await self._learn_datacenter(api)
        if not self._config.services or self._config.tags or self._config.filter:
            await self._repeat("catalog", lambda: self._ask_catalog(api))
        await self._start(dict.fromkeys(self._config.services))
        self._listed = True
        await trio.sleep_forever()

    async def _learn_datacenter(self, api: Api) -> None:
        retries = Retries(RETRY_S_MAX)
        while not self._datacenter:
            try:
                self._datacenter = await self._queries.agent(api)
            except TROUBLE as error:
                self._failed("agent", error)
                await trio.sleep(retries.delay_s(error))
        self._failing.discard("agent")

    async def _repeat(self, what: str, once: Callable[[], Awaitable[None]]) -> None:
        """Do something for ever, never more often than the interval says, and after errors with delays."""
        retries = Retries(RETRY_S_MAX)
        while True:
            began_s = trio.current_time()
            self._stats.refreshes += 1
            try:
                await once()
            except TROUBLE as error:
                self._failed(what, error)
                await trio.sleep(retries.delay_s(error))
            else:
                retries.succeeded()
                self._failing.discard(what)
                if not self._failing:
                    self._stats.succeeded(self._context.clock.now_ms())
                await trio.sleep_until(max(began_s + self._interval_s, trio.current_time()))

    def _failed(self, what: str, error: BaseException) -> None:
        self._stats.counts["rpc_failures"] += 1
        self._stats.failed(error, self._context.clock.now_ms())
        self._failing.add(what)
        self._context.log.error("Error refreshing from Consul", of=what, err=self._stats.last_error)

    async def _ask_catalog(self, api: Api) -> None:
        """One query of the catalog, and what follows from its answer."""
        known = self._catalog_index
        answer = await self._queries.catalog(api, known)
        self._stats.counts["catalog_rpcs"] += 1
        index = index_of(answer)
        if known and index == known:
            return
        there, wanted = await api.read(answer, self._names)
        if len(wanted) > SERVICES_MAX:
            raise SourceError(f"{len(wanted)} services; at most {SERVICES_MAX} are watched")
        await self._start(name for name in wanted if name not in self._watched)
        async with self._publishing:
            self._listed = True
            await self._forget([name for name in self._watched if name not in there])
        self._catalog_index = next_index(known, index)

    def _names(self, body: bytes) -> tuple[set[str], list[str]]:
        """All services there are, and those that are wanted. A service that has lost a tag stays watched."""
        catalog = Record.of_json(body)
        names = {name for name in catalog.keys() if name}  # noqa: SIM118 # a record is no mapping
        services, tags = set(self._config.services), set(self._config.tags)
        wanted = sorted(names & services if services else names)
        return names, [name for name in wanted if tags <= set(catalog.texts(name))] if tags else wanted

    async def _forget(self, gone: list[str]) -> None:
        """Stop watching services, and say so."""
        for name in gone:
            self._watched.pop(name).scope.cancel()
            self._first.pop(name, None)
            self._failing.discard(_about(name))
        if not self._published:
            await self._publish_first()
        elif gone:
            await publish(self._sink, self._context, [TargetGroup(name) for name in gone])

    async def _start(self, names: Iterable[str]) -> None:
        for at, name in enumerate(list(names)):
            watched = self._watched[name] = _Watched(name)
            self._nursery.start_soon(self._watch, watched, name=f"consul service {name}")
            if at % _SLICE == _SLICE - 1:
                await trio.lowlevel.checkpoint()

    async def _watch(self, watched: _Watched) -> None:
        with watched.scope, self._polls.watching():
            await self._repeat(_about(watched.name), lambda: self._ask_service(watched))

    async def _ask_service(self, watched: _Watched) -> None:
        """One query of a service, and what follows from its answer."""
        separator = self._config.tag_separator
        async with self._polls.one(self._interval_s, waits=watched.index > 0) as (api, wait_s):
            answer = await self._queries.service(api, watched.name, watched.index, wait_s)
            self._stats.counts["service_rpcs"] += 1
            index = index_of(answer)
            if watched.index and index == watched.index:
                return
            targets = await api.read(answer, lambda body: targets_of(body, separator))
        labels = {PREFIX + "service": watched.name, PREFIX + "dc": self._datacenter}
        # A watcher that was ended meanwhile is cancelled here.
        async with self._publishing:
            group = TargetGroup(watched.name, targets, labels)
            if self._published:
                await publish(self._sink, self._context, [group])
            else:
                self._first[watched.name] = group
                await self._publish_first()
        watched.index = next_index(watched.index, index)

    async def _publish_first(self) -> None:
        """Publish all services, once the catalog and each of them have answered."""
        if self._listed and len(self._first) == len(self._watched):
            await publish(self._sink, self._context, list(self._first.values()))
            self._published, self._first = True, {}

    def shown(self) -> dict[str, object]:
        """What people may see."""
        return {
            "datacenter": self._datacenter,
            "services_watched": len(self._watched),
            "failing": sorted(self._failing)[:20],
            "complete": self._published,
        }


def _about(name: str) -> str:
    return f"service {name}"
