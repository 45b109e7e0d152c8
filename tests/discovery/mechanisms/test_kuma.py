"""Kuma: the contract of discoveries, versions of what is known, and answers that are odd."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import trio

from tests.support.oddanswers import json_variants
from trimon.config.discovery.registries import KumaSdConfig
from trimon.config.secret import SecretUrl
from trimon.discovery.contract import DiscoveryContract
from trimon.discovery.doubles import Found, PreparedFetch, context_of_doubles
from trimon.discovery.mechanisms.registries.kuma import TYPE, KumaDiscovery
from trimon.discovery.plugin import Context
from trimon.fetch.request import FetchError, FetchRequest, Response

URL = "http://k/v3/discovery:monitoringassignments?fetch-timeout=2m"


def assignments(version: str, *names: str, kind: str = TYPE) -> str:
    targets = [
        {
            "name": name,
            "scheme": "http",
            "address": f"{name}:1",
            "metrics_path": "/m",
            "labels": {"a": "t", "b": "t"},
        }
        for name in names
    ]
    one = {"@type": kind, "mesh": "default", "service": "s", "labels": {"a": "x"}, "targets": targets}
    return json.dumps({"version_info": version, "nonce": f"n{version}", "type_url": kind, "resources": [one]})


def make(context: Context, **options: Any) -> KumaDiscovery:
    config = KumaSdConfig(server=SecretUrl("http://k"), client_id="me", **options)
    return KumaDiscovery({"config": config}, context)


class TestKuma(DiscoveryContract):
    """Kuma keeps the contract."""

    def make(self, context: Context) -> KumaDiscovery:
        return make(context)

    def prepare(self, fetch: PreparedFetch) -> None:
        fetch.answers[URL] = assignments("1", "a", "b")

    def change(self, fetch: PreparedFetch) -> None:
        fetch.answers[URL] = assignments("2", "a")

    def break_source(self, fetch: PreparedFetch) -> None:
        fetch.answers[URL] = assignments("2", "a", kind="type.googleapis.com/other.Thing")


class Mesh(PreparedFetch):
    """Answers 304 to who has the version already, after the time it may take."""

    def __init__(self) -> None:
        super().__init__()
        self.body = assignments("1", "a")
        self.asked: list[dict[str, Any]] = []

    async def send(self, request: FetchRequest) -> Response:
        self.asked.append(json.loads(request.body))
        if '"version_info": "' + self.asked[-1].get("version_info", "-") + '"' in self.body:
            await trio.sleep(120)
            return Response(304, "Not Modified", "", b"", 0)
        await trio.sleep(0.001)
        return Response(200, "OK", "application/json", self.body.encode(), 1)


async def watched(mesh: Mesh, scene: Callable[[Found, KumaDiscovery], Any]) -> None:
    found, discovery = Found(), make(context_of_doubles(fetch=mesh))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(discovery.run, found.sink)
        await scene(found, discovery)
        nursery.cancel_scope.cancel()


async def test_only_what_was_used_counts_as_known(autojump_clock: object) -> None:
    """The version goes along once its answer was used; an answer of another type is asked for again, and nothing is lost."""
    mesh = Mesh()

    async def scene(found: Found, discovery: KumaDiscovery) -> None:
        await trio.sleep(300)
        assert mesh.asked[0] == {"node": {"id": "me"}, "type_url": TYPE}
        assert mesh.asked[1]["version_info"] == "1"
        assert mesh.asked[1]["response_nonce"] == "n1"
        assert discovery.stats.counts["fetch_skipped_updates"] >= 2
        mesh.body = assignments("2", "b", kind="other")
        await trio.sleep(300)
        assert mesh.asked[-1]["version_info"] == "1"
        assert discovery.stats.counts["fetch_failures"] > 2
        assert [labels["instance"] for labels in found.targets] == ["a"]
        mesh.body = assignments("3", "b", "c")
        await trio.sleep(60)
        assert [labels["instance"] for labels in found.targets] == ["b", "c"]
        # The labels of the assignment win over those of a target.
        assert (found.targets[0]["__meta_kuma_label_a"], found.targets[0]["__meta_kuma_label_b"]) == (
            "x",
            "t",
        )

    await watched(mesh, scene)


async def test_a_server_in_trouble_is_asked_less_and_less(autojump_clock: object) -> None:
    """Delays grow up to the interval."""

    class Down(Mesh):
        async def send(self, request: FetchRequest) -> Response:
            self.asked.append({})
            raise FetchError("down")

    mesh = Down()

    async def scene(found: Found, discovery: KumaDiscovery) -> None:
        await trio.sleep(600)
        assert 600 / 15 < len(mesh.asked) < 600 / 10
        assert not found.published

    await watched(mesh, scene)


async def test_odd_answers_are_trouble(autojump_clock: object) -> None:
    """Whatever a server says, the discovery goes on asking."""
    variants = json_variants(assignments("1", "a"))

    class Odd(Mesh):
        async def send(self, request: FetchRequest) -> Response:
            await trio.sleep(0.001)
            return Response(200, "OK", "application/json", next(variants, b"end"), 1)

    async def scene(found: Found, discovery: KumaDiscovery) -> None:
        await trio.sleep(50_000)
        assert next(variants, None) is None
        assert discovery.stats.failures > 10
        assert discovery.stats.refreshes > discovery.stats.failures

    await watched(Odd(), scene)
