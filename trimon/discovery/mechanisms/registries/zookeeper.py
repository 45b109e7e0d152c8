"""Members of services in the tree of ZooKeeper: `serverset_sd_configs` (as Finagle writes them) and `nerve_sd_configs`.

Source: https://zookeeper.apache.org/doc/current/zookeeperProgrammers.html (watches);
https://twitter.github.io/finagle/docs/com/twitter/serverset (members); https://github.com/airbnb/nerve (reporters).
Labels: `__meta_serverset_` path, endpoint_host, endpoint_port, endpoint_host_<name>, endpoint_port_<name>, shard, status;
`__meta_nerve_` path, endpoint_host, endpoint_port, endpoint_name.

Every path below those that are configured is read once and watched from then on. A node whose data is no member is no target.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final

import trio

from trimon.config.discovery.source import config_option
from trimon.config.discovery.zookeeper import NerveSdConfig, ServersetSdConfig
from trimon.discovery.asking.naming import host_port, sanitized
from trimon.discovery.asking.record import Record, SourceError
from trimon.discovery.asking.refresh import TROUBLE, Retries, SourceStats, publish
from trimon.discovery.plugin import Context, Sink, TargetGroup
from trimon.discovery.sink import BadPublish, merge_group
from trimon.peers.zookeeper.client import ZooKeeper
from trimon.peers.zookeeper.jute import NoNode

# As in Prometheus: after trouble, and for a configured path that does not exist.
AGAIN_S: Final = 10.0
READS_AT_ONCE: Final = 32
NODES_MAX: Final = 200_000
PATH_CHARS_MAX: Final = 4096
MEMBER_BYTES_MAX: Final = 64 * 2**10
BYTES_MAX: Final = 256 * 2**20
PUBLISH_EVERY_S: Final = 0.1


class ZooKeeperDiscovery:
    """Reads the trees, and again what has changed.

    Owns a client. Sends a group for each node that is a member. Trouble publishes nothing; then all is read again.
    """

    def __init__(
        self,
        context: Context,
        config: ServersetSdConfig | NerveSdConfig,
        labels_of: Callable[[str, Record], dict[str, str]],
    ) -> None:
        self._context = context
        self._config = config
        self._labels_of = labels_of
        self.stats = SourceStats()
        self._roots = tuple(dict.fromkeys(_clean(path) for path in config.paths))
        self._zookeeper: ZooKeeper | None = None
        self._nodes: dict[str, bytes] = {}
        self._children: dict[str, tuple[str, ...]] = {}
        self._dirty: dict[str, None] = {}
        self._missing: set[str] = set()
        self._reads_all = True
        self._changed = trio.Event()
        self._published: set[str] = set()
        self._unpublished: set[str] = set()
        """Paths that are others than what was published of them, or may be."""
        self._bytes = 0

    async def run(self, sink: Sink) -> None:
        """Connect, read, publish, wait for changes; for ever."""
        self._zookeeper = ZooKeeper(
            self._config.servers,
            self._config.timeout / 1000,
            self._path_changed,
            self._all_lost,
            self._failed,
        )
        self._nodes, self._children, self._published, self._unpublished = {}, {}, set(), set()
        self._dirty, self._missing, self._reads_all = {}, set(), True
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._zookeeper.run)
            await self._follow(self._zookeeper, sink)

    def inspect(self) -> Mapping[str, object]:
        """The figures of reading, and the size of what is known."""
        zookeeper = self._zookeeper
        return {
            **self.stats.shown(),
            "nodes": len(self._nodes),
            "missing": sorted(self._missing),
            "watches": len(zookeeper.data_watches) + len(zookeeper.child_watches) if zookeeper else 0,
            "sessions": zookeeper.sessions if zookeeper else 0,
        }

    # ---- what the client tells

    def _path_changed(self, path: str) -> None:
        self._dirty[path] = None
        self._changed.set()

    def _all_lost(self) -> None:
        self._reads_all = True
        self._changed.set()

    def _failed(self, error: BaseException) -> None:
        self.stats.counts["zookeeper_failures"] += 1
        self.stats.failed(error, self._context.clock.now_ms())
        self._context.log.error("Lost connection to Zookeeper", err=self.stats.last_error)

    # ---- reading

    async def _follow(self, zookeeper: ZooKeeper, sink: Sink) -> None:
        retries, first = Retries(AGAIN_S), True
        while True:
            self._changed = trio.Event()
            self.stats.refreshes += 1
            try:
                await self._sync(zookeeper)
                if self._unpublished or first:
                    await self._publish(sink)
                    first = False
            except TROUBLE as error:
                self._failed(error)
                self._reads_all = True
                await trio.sleep(retries.delay_s(error))
                continue
            retries.succeeded()
            self.stats.succeeded(self._context.clock.now_ms())
            for path in self._missing:
                self._failed(SourceError(f"path {path} does not exist"))
            await trio.sleep(PUBLISH_EVERY_S)
            with trio.move_on_after(AGAIN_S) if self._missing else trio.CancelScope():
                await self._changed.wait()

    async def _sync(self, zookeeper: ZooKeeper) -> None:
        """Read what has changed, or all. Raises ZooKeeperError, SourceError; what is known stays then."""
        if not self._reads_all:
            wanted, self._dirty = {**dict.fromkeys(self._missing), **self._dirty}, {}
            await self._read_below(zookeeper, wanted)
        else:
            self._reads_all, self._dirty = False, {}
            before, unpublished = self._nodes, set(self._unpublished)
            self._nodes, self._children, self._bytes = {}, {}, 0
            try:
                await self._read_below(zookeeper, self._roots)
            except BaseException:
                self._nodes = before
                raise
            same = {path for path, data in before.items() if self._nodes.get(path) == data}
            gone = before.keys() - self._nodes.keys()
            self._unpublished = ((self._unpublished | gone) - same) | unpublished
        self._missing = {root for root in self._roots if root not in self._nodes}

    async def _read_below(self, zookeeper: ZooKeeper, wanted: Iterable[str]) -> None:
        """Read paths, and what is new below them, level by level. Raises ZooKeeperError, SourceError."""
        limit = trio.CapacityLimiter(READS_AT_ONCE)
        frontier = list(wanted)
        while frontier:
            if len(self._nodes) + len(frontier) > NODES_MAX:
                raise SourceError(f"more than {NODES_MAX} nodes, which is the limit")
            found: list[str] = []
            errors: list[Exception] = []
            async with trio.open_nursery() as nursery:
                for path in frontier:
                    await limit.acquire_on_behalf_of(path)
                    nursery.start_soon(self._read, zookeeper, path, found, errors, limit)
            if errors:
                raise errors[0]
            frontier = list(dict.fromkeys(found))

    async def _read(
        self,
        zookeeper: ZooKeeper,
        path: str,
        found: list[str],
        errors: list[Exception],
        limit: trio.CapacityLimiter,
    ) -> None:
        """Read one path; children that are new go to `found`."""
        try:
            self._take(path, await zookeeper.get(path))
            names = await zookeeper.children(path)
        except NoNode:
            self._forget(path)
        except TROUBLE as error:
            errors.append(error)
        else:
            below = tuple(_joined(path, name) for name in names)
            for gone in set(self._children.get(path, ())) - set(below):
                self._forget(gone)
            self._children[path] = below
            found += [each for each in below if each not in self._nodes]
        finally:
            limit.release_on_behalf_of(path)

    def _take(self, path: str, data: bytes) -> None:
        """The data of a path. Raises SourceError for more than is kept."""
        if len(path) > PATH_CHARS_MAX:
            raise SourceError(f"a path of {len(path)} characters; at most {PATH_CHARS_MAX} are read")
        if len(data) > MEMBER_BYTES_MAX:
            data = b""  # it is no member
        known = self._nodes.get(path)
        if known != data:
            self._bytes += len(data) - len(known or b"")
            if self._bytes > BYTES_MAX:
                raise SourceError(f"more than {BYTES_MAX} bytes in all nodes, which is the limit")
            self._nodes[path] = data
            self._unpublished.add(path)

    def _forget(self, path: str) -> None:
        """A path, and all below it, is gone."""
        stack = [path]
        while stack:
            each = stack.pop()
            known = self._nodes.pop(each, None)
            if known is not None:
                self._bytes -= len(known)
                self._unpublished.add(each)
            stack += self._children.pop(each, ())

    # ---- publishing

    async def _publish(self, sink: Sink) -> None:
        nodes = {path: self._nodes.get(path) for path in self._unpublished}
        groups = await self._context.offload.run(lambda: [self._group(*each) for each in nodes.items()])
        there = {group.source for group in groups if group.targets}
        await publish(
            sink,
            self._context,
            [group for group in groups if group.targets or group.source in self._published],
        )
        self._published = (self._published - nodes.keys()) | there
        self._unpublished -= nodes.keys()

    def _group(self, path: str, data: bytes | None) -> TargetGroup:
        if data is None:
            return TargetGroup(path)
        try:
            group = TargetGroup(path, (self._labels_of(path, Record.of_json(data)),))
            merge_group(group)
        except (SourceError, UnicodeDecodeError):
            return TargetGroup(path)
        except BadPublish as error:
            self._context.log.error("a member of a service was refused", err=str(error))
            return TargetGroup(path)
        return group


class ServersetDiscovery(ZooKeeperDiscovery):
    """Members as Finagle writes them."""

    def __init__(self, options: Mapping[str, object], context: Context) -> None:
        super().__init__(context, config_option(options, ServersetSdConfig), serverset_labels)


class NerveDiscovery(ZooKeeperDiscovery):
    """Members as AirBnB's Nerve writes them."""

    def __init__(self, options: Mapping[str, object], context: Context) -> None:
        super().__init__(context, config_option(options, NerveSdConfig), nerve_labels)


def serverset_labels(path: str, member: Record) -> dict[str, str]:
    """The labels of a member. Raises SourceError."""
    prefix = "__meta_serverset_"
    endpoint = member.record("serviceEndpoint")
    host, port = endpoint.text("host"), endpoint.whole("port")
    labels = {
        "__address__": host_port(host, port),
        f"{prefix}path": path,
        f"{prefix}endpoint_host": host,
        f"{prefix}endpoint_port": str(port),
        f"{prefix}status": member.text("status"),
        f"{prefix}shard": str(member.whole("shard")),
    }
    for name, each in member.record_map("additionalEndpoints").items():
        labels[f"{prefix}endpoint_host_{sanitized(name)}"] = each.text("host")
        labels[f"{prefix}endpoint_port_{sanitized(name)}"] = str(each.whole("port"))
    return labels


def nerve_labels(path: str, member: Record) -> dict[str, str]:
    """The labels of a member. Raises SourceError."""
    host, port = member.text("host"), member.whole("port")
    return {
        "__address__": host_port(host, port),
        "__meta_nerve_path": path,
        "__meta_nerve_endpoint_host": host,
        "__meta_nerve_endpoint_port": str(port),
        "__meta_nerve_endpoint_name": member.text("name"),
    }


def _clean(path: str) -> str:
    """A configured path as events name it: without a slash at its end."""
    return path.rstrip("/") or "/"


def _joined(path: str, name: str) -> str:
    return f"/{name}" if path == "/" else f"{path}/{name}"
