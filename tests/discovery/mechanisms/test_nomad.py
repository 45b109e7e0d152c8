"""Nomad: the contract of discoveries, and answers that are odd."""

from __future__ import annotations

import json
from typing import Any

from tests.support.oddanswers import survives
from trimon.config.discovery.registries import NomadSdConfig
from trimon.config.secret import SecretUrl
from trimon.discovery.contract import DiscoveryContract
from trimon.discovery.doubles import PreparedFetch
from trimon.discovery.mechanisms.registries.nomad import NomadDiscovery
from trimon.discovery.plugin import Context

BASE = "http://n:4646/v1"
QUERY = "?namespace=default&region=global&stale="


def instance(name: str, port: int) -> dict[str, Any]:
    return {
        "ID": f"id-{name}", "ServiceName": name, "Namespace": "default", "NodeID": "n1", "Datacenter": "dc",
        "Address": "192.0.2.1", "Port": port, "Tags": ["a", "b"],
    }  # fmt: skip


def services(*names: str) -> str:
    return json.dumps([{"Namespace": "default", "Services": [{"ServiceName": name} for name in names]}])


def make(context: Context) -> NomadDiscovery:
    return NomadDiscovery({"config": NomadSdConfig(server=SecretUrl("http://n:4646"))}, context)


class TestNomad(DiscoveryContract):
    """Nomad keeps the contract; one service of two that cannot be asked for takes nothing away."""

    def make(self, context: Context) -> NomadDiscovery:
        return make(context)

    def prepare(self, fetch: PreparedFetch) -> None:
        fetch.answers[f"{BASE}/services{QUERY}"] = services("web", "a b")
        fetch.answers[f"{BASE}/service/web{QUERY}"] = json.dumps([instance("web", 1)])
        fetch.answers[f"{BASE}/service/a%20b{QUERY}"] = json.dumps([instance("a b", 2)])

    def change(self, fetch: PreparedFetch) -> None:
        fetch.answers[f"{BASE}/services{QUERY}"] = services("web")

    def break_source(self, fetch: PreparedFetch) -> None:
        del fetch.answers[f"{BASE}/service/a%20b{QUERY}"]


async def test_odd_answers_are_trouble() -> None:
    """Whatever a server says, it is understood or it is trouble."""
    answers = {
        f"{BASE}/services": services("web"),
        f"{BASE}/service/web": json.dumps([instance("web", 1)]),
    }
    assert await survives(make, answers) > 10
