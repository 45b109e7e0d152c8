"""Kubernetes: the contract, and a server with bad habits, after which the targets are always those of the server."""

from __future__ import annotations

import json
import random
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from trio.testing import MockClock

from tests.support.fake_cluster import FakeCluster, Habits, node, pod
from trimon.config import load_text
from trimon.discovery.contract import DiscoveryContract
from trimon.discovery.doubles import Found, PreparedFetch, context_of_doubles
from trimon.discovery.mechanisms.kubernetes.discovery import KubernetesDiscovery
from trimon.discovery.plugin import Context, Discovery
from trimon.fetch.request import FetchError, FetchRequest, Response, StreamedResponse

API = "http://api"


def discovery(cluster: FakeCluster, context: Context | None = None, **fields: Any) -> KubernetesDiscovery:
    """The discovery of a configuration, against a cluster."""
    section = {"api_server": API, "role": "pod", **fields}
    job = {"job_name": "k", "kubernetes_sd_configs": [section]}
    config = load_text(json.dumps({"scrape_configs": [job]}), "p.yml").scrape_configs[0]
    context = replace(context or context_of_doubles(), fetch=cluster)
    return KubernetesDiscovery({"config": config.kubernetes_sd_configs[0]}, context)


class TestKubernetes(DiscoveryContract):
    """The built-in `kubernetes` keeps the contract."""

    cluster: FakeCluster

    def prepare(self, fetch: PreparedFetch) -> None:
        self.cluster = FakeCluster()
        self.cluster.put("pods", pod("a", "10.0.0.1"))
        self.cluster.put("pods", pod("b", "10.0.0.2"))

    def make(self, context: Context) -> Discovery:
        return discovery(self.cluster, context)

    def change(self, fetch: PreparedFetch) -> None:
        self.cluster.delete("pods", "shop/b")

    def break_source(self, fetch: PreparedFetch) -> None:
        self.cluster.down = lambda: FetchError("connection refused")
        self.cluster.delete("pods", "shop/b")
        self.cluster.events.pop()  # nobody is told of it


def test_the_contract_is_also_kept_with_lists() -> None:
    """A server without watch-lists, whose lists have one object a page, is found out and listed."""
    cluster = FakeCluster(habits=Habits(watch_lists=False, page=1))
    for index in range(4):
        cluster.put("pods", pod(f"p{index}", f"10.0.0.{index}"))

    async def look(found: Found) -> None:
        assert len(found.targets) == 4
        cluster.put("pods", pod("p9", "10.0.0.9"))
        await trio.sleep(5)
        assert len(found.targets) == 5

    observe(discovery(cluster), look)
    assert sum("sendInitialEvents" in url for url in cluster.requests) == 1
    assert sum("continue=" in url for url in cluster.requests) == 3


def observe(found_by: KubernetesDiscovery, look: Callable[[Found], Any]) -> Found:
    """Run a discovery in virtual time, look after its first publish, and end it."""
    found = Found()

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(found_by.run, found.sink)
            with trio.fail_after(600):
                await found.wait_published()
            await look(found)
            nursery.cancel_scope.cancel()

    trio.run(main, clock=MockClock(autojump_threshold=0))
    return found


class Watcher(Found):
    """Found, that takes note of stable targets that are missing."""

    def __init__(self) -> None:
        super().__init__()
        self.missing: list[str] = []

    def _changed(self) -> None:
        super()._changed()
        if self.published:
            there = {labels["__meta_kubernetes_pod_name"] for labels in self.targets}
            self.missing += [name for name in ("stable-0", "stable-1", "stable-2") if name not in there]


OPERATIONS = st.lists(
    st.tuples(
        st.sampled_from(("put", "put", "delete", "node", "forget", "wait")),
        st.integers(0, 7),
        st.integers(0, 2),
    ),
    min_size=5,
    max_size=40,
)
RATE = st.sampled_from((0.0, 0.05, 0.3))
HABITS = st.builds(
    Habits,
    refuse=RATE,
    cut=RATE,
    gone=RATE,
    replay=RATE,
    bookmark=RATE,
    watch_lists=st.booleans(),
    page=st.sampled_from((0, 1, 3)),
)


async def _operate(cluster: FakeCluster, operations: list[tuple[str, int, int]]) -> None:
    for what, which, value in operations:
        if what == "put":
            cluster.put("pods", pod(f"p{which}", f"10.0.1.{value}", node=f"n{value}", l=str(value)))
        elif what == "delete":
            cluster.delete("pods", f"shop/p{which}")
        elif what == "node":
            cluster.put("nodes", node(f"n{which % 3}", v=str(value)))
        elif what == "forget":
            cluster.forget()
        else:
            await trio.sleep(2 * value)
        await trio.sleep(cluster.chance.choice((0, 0, 0.3, 1.5)))


@settings(max_examples=150, deadline=None)
@given(OPERATIONS, HABITS, st.integers(0, 2**32), st.booleans())
def test_whatever_the_server_does_the_targets_become_those_of_the_server(
    operations: list[tuple[str, int, int]], habits: Habits, seed: int, waits: bool
) -> None:
    """Through cuts, 410, replays and odd bookmarks no stable target is missed, and in the end all are the server's."""
    cluster = FakeCluster(random.Random(seed), habits)
    for index in range(3):
        cluster.put("pods", pod(f"stable-{index}", f"10.0.2.{index}"))
        cluster.put("nodes", node(f"n{index}"))
    found = Watcher()
    attach = {"node": True, "namespace": True}

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(discovery(cluster, attach_metadata=attach).run, found.sink)
            if waits:
                await found.wait_published()
            await _operate(cluster, operations)
            cluster.habits = Habits(watch_lists=habits.watch_lists)
            await trio.sleep(400)
            nursery.cancel_scope.cancel()

    trio.run(main, clock=MockClock(autojump_threshold=0))
    expected = {
        (each["metadata"]["name"], each["status"]["podIP"] + ":80", each["metadata"]["labels"].get("l", ""))
        for each in cluster.objects["pods"].values()
    }
    got = {
        (
            labels["__meta_kubernetes_pod_name"],
            labels["__address__"],
            labels.get("__meta_kubernetes_pod_label_l", ""),
        )
        for labels in found.targets
    }
    assert got == expected
    assert not found.missing
    for labels in found.targets:
        of_node = cluster.objects["nodes"]["/" + labels["__meta_kubernetes_pod_node_name"]]
        assert labels.get("__meta_kubernetes_node_label_v", "") == of_node["metadata"]["labels"].get("v", "")


@pytest.mark.parametrize(
    "line",
    [
        b"nonsense\n",
        b"[]\n",
        b'{"type": "ADDED"}\n',
        b'{"type": "ADDED", "object": {"metadata": {"name": 3}}}\n',
        b'{"type": "ADDED", "object": {"metadata": {"name": "x", "labels": {"a": 1}}}}\n',
        b'{"type": "ADDED", "object": {"metadata": {"name": "x"}, "spec": {"containers": [[]]}}}\n',
        b'{"type": "ERROR", "object": {"code": "x"}}\n',
        b'{"type": "ERROR", "object": {"code": 500, "message": "m"}}\n',
        b'{"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": 1}}}\n',
        b'{"type": 1}\n',
        b"\xff\xfe\n",
        b"[" * 100_000 + b"\n",
        b'{"type": "ADDED", "object": {"metadata": {"na',
        b"x" * (9 * 2**20),
    ],
)
def test_an_event_that_makes_no_sense_is_an_error_of_the_watch(line: bytes) -> None:
    """Nothing that a server says raises anything but what is the source's trouble; what is known stays."""
    cluster = FakeCluster()
    cluster.put("pods", pod("a", "10.0.0.1"))
    told: list[bytes] = []
    watch = cluster._watch

    async def odd(resource: str, query: Mapping[str, str], *, initial: bool) -> Any:
        async with aclosing(watch(resource, dict(query), initial=initial)) as pieces:
            async for piece in pieces:
                yield piece
                if len(told) < 3:
                    told.append(line)
                    yield line

    cluster._watch = odd  # type: ignore[method-assign]  # what a server says lies behind it

    async def look(found: Found) -> None:
        await trio.sleep(60)
        assert len(found.targets) == 1
        cluster.put("pods", pod("b", "10.0.0.2"))
        await trio.sleep(60)
        assert len(found.targets) == 2

    made = discovery(cluster)
    observe(made, look)
    assert len(told) > 1


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b'{"items": {}}',
        b'{"items": [1], "metadata": {}}',
        b'{"items": [{"metadata": {}}]}',
        b'{"metadata": [], "items": []}',
        b'{"metadata": {"continue": 1}, "items": []}',
        b'{"items": [{"metadata": {"name": "x"}}',
        b'{"items": [] "x": 1}',
        b"\xff",
        b'{"items": ' + b"[" * 100_000,
    ],
)
def test_a_list_that_makes_no_sense_publishes_nothing(body: bytes) -> None:
    """The same for lists."""
    cluster = FakeCluster(habits=Habits(watch_lists=False))
    send = cluster.send

    async def odd(request: FetchRequest) -> Response:
        await send(request)
        return Response(200, "OK", "application/json", body, len(body))

    cluster.send = odd  # type: ignore[method-assign]  # the server answers nonsense
    made, found = discovery(cluster), Found()

    async def main() -> None:
        with trio.move_on_after(100):
            await made.run(found.sink)

    trio.run(main, clock=MockClock(autojump_threshold=0))
    assert not found.published
    assert made.stats.failures > 3
    assert made.stats.last_error


def test_a_pod_that_no_target_can_have_holds_no_other_up() -> None:
    """One object with more labels than a target may have is left out and told of; the others come and go."""
    cluster = FakeCluster()
    cluster.put("pods", pod("good", "10.0.0.1"))
    cluster.put("pods", pod("bad", "10.0.0.2", **{f"l{index}": "x" for index in range(5000)}))
    made = discovery(cluster)

    async def look(found: Found) -> None:
        assert [labels["__address__"] for labels in found.targets] == ["10.0.0.1:80"]
        cluster.put("pods", pod("third", "10.0.0.3"))
        await trio.sleep(1)
        assert len(found.targets) == 2

    observe(made, look)
    assert made.stats.counts["refused_groups"] == 1
    assert made.stats.counts["events_pod_add"] == 3


def test_a_flood_of_events_is_published_ten_times_a_second() -> None:
    """A thousand changes in a second are at most a dozen publishes."""
    cluster = FakeCluster()
    cluster.put("pods", pod("p0", "10.0.0.0"))

    async def look(found: Found) -> None:
        before = found.sink.stats.publishes
        for index in range(1000):
            cluster.put("pods", pod(f"p{index}", f"10.0.{index // 250}.{index % 250}"))
            await trio.sleep(0.001)
        await trio.sleep(1)
        assert len(found.targets) == 1000
        assert found.sink.stats.publishes - before <= 13

    observe(discovery(cluster), look)


@pytest.mark.parametrize(
    "items", ["", '{"metadata": {"name": "p", "namespace": "n", "resourceVersion": "1"}}']
)
def test_an_endless_list_ends(items: str) -> None:
    """A server whose list has always one more page is left after so many pages, or after one that is empty."""
    from trimon.discovery.mechanisms.kubernetes import informer

    cluster = FakeCluster(habits=Habits(watch_lists=False))

    async def endless(request: FetchRequest) -> Response:
        await trio.lowlevel.checkpoint()
        body = b'{"metadata": {"continue": "more", "resourceVersion": "1"}, "items": [%b]}' % items.encode()
        return Response(200, "OK", "application/json", body, len(body))

    cluster.send = endless  # type: ignore[method-assign]  # the server has always more
    made, found = discovery(cluster), Found()

    async def main() -> None:
        with trio.move_on_after(0.5):
            await made.run(found.sink)

    trio.run(main, clock=MockClock(autojump_threshold=0))
    assert (f"{informer.PAGES_MAX} pages" if items else "never ends") in made.stats.last_error


def test_a_namespace_that_is_denied_keeps_no_other_waiting() -> None:
    """Targets of the others come after a few denials, those of the denied one as soon as it is let in."""
    cluster = FakeCluster(denied="/namespaces/secret/services")
    for namespace in ("shop", "secret"):
        meta = {"name": "s", "namespace": namespace}
        address = {"addresses": [{"ip": "10.0.0.1"}], "ports": [{"port": 80}]}
        cluster.put("endpoints", {"metadata": meta, "subsets": [address]})
    made = discovery(cluster, role="endpoints", namespaces={"names": ["shop", "secret"]})

    async def look(found: Found) -> None:
        assert trio.current_time() > 1
        assert [labels["__meta_kubernetes_namespace"] for labels in found.targets] == ["shop"]
        cluster.denied = ""
        await trio.sleep(60)
        assert len(found.targets) == 2

    observe(made, look)


def test_a_single_namespace_that_is_denied_publishes_nothing() -> None:
    """Being denied everything is not the same as there being nothing."""
    cluster = FakeCluster(denied="/pods")
    made, found = discovery(cluster), Found()

    async def main() -> None:
        with trio.move_on_after(300):
            await made.run(found.sink)

    trio.run(main, clock=MockClock(autojump_threshold=0))
    assert not found.published
    assert "403" in made.stats.last_error


def test_a_server_from_before_watch_lists_is_asked_for_lists() -> None:
    """It takes a watch-list for a watch, and never says that all was told: after ten silent seconds it is listed."""
    cluster = FakeCluster(habits=Habits(knows_watch_lists=False))
    cluster.put("pods", pod("a", "10.0.0.1"))

    async def look(found: Found) -> None:
        assert trio.current_time() < 12
        cluster.put("pods", pod("b", "10.0.0.2"))
        await trio.sleep(1)
        assert len(found.targets) == 2
        cluster.habits.gone = 1.0
        cluster.put("pods", pod("c", "10.0.0.3"))
        await trio.sleep(2)
        cluster.habits.gone = 0.0
        await trio.sleep(9)
        assert len(found.targets) == 3

    observe(discovery(cluster), look)
    assert sum("sendInitialEvents" in url for url in cluster.requests) == 1


def test_a_server_that_asks_for_patience_is_left_alone() -> None:
    """429 with Retry-After: nothing is asked before, not even for a list."""
    cluster = FakeCluster()
    cluster.put("pods", pod("a", "10.0.0.1"))
    stream, asked_at_s = cluster.stream, []

    @asynccontextmanager
    async def busy(request: FetchRequest) -> AsyncIterator[StreamedResponse]:
        asked_at_s.append(trio.current_time())
        if len(asked_at_s) == 1:
            async with aclosing(_nothing()) as pieces:
                yield StreamedResponse(429, "Too Many Requests", {"retry-after": "20"}, pieces)
            return
        async with stream(request) as answer:
            yield answer

    cluster.stream = busy  # type: ignore[method-assign]  # the server refuses once

    async def look(found: Found) -> None:
        assert asked_at_s[1] - asked_at_s[0] >= 20
        assert len(cluster.requests) == 1

    observe(discovery(cluster), look)


async def _nothing() -> AsyncGenerator[bytes, None]:
    for piece in tuple[bytes, ...]():
        yield piece


def test_a_node_that_only_says_that_it_is_well_rebuilds_nothing() -> None:
    """Groups of its pods are built anew when its labels change."""
    cluster = FakeCluster()
    cluster.put("pods", pod("a", "10.0.0.1"))
    cluster.put("nodes", node("n1", v="1"))
    made = discovery(cluster, attach_metadata={"node": True})
    built: list[str] = []
    build = made._built

    def noted(keys: Any) -> Any:
        built.extend(keys)
        return build(keys)

    made._built = noted  # type: ignore[method-assign]  # it is listened to

    async def look(found: Found) -> None:
        built.clear()
        cluster.put("nodes", {**node("n1", v="1"), "status": {"conditions": [{"type": "Ready"}]}})
        await trio.sleep(5)
        assert built == []
        cluster.put("nodes", node("n1", v="2"))
        await trio.sleep(5)
        assert built == ["shop/a"]

    observe(made, look)
