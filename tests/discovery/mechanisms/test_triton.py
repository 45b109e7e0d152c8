"""Triton: the contract of discoveries, and answers that are odd."""

from __future__ import annotations

import json
from typing import Any

from tests.support.oddanswers import survives
from trimon.config.discovery.containers import TritonSdConfig
from trimon.config.http import TlsConfig
from trimon.config.secret import SecretUrl
from trimon.discovery.contract import DiscoveryContract
from trimon.discovery.doubles import PreparedFetch
from trimon.discovery.mechanisms.containers.triton import TritonDiscovery
from trimon.discovery.plugin import Context
from trimon.discovery.providers import Consumer, providers_of

URL = "https://e:9163/v1/discover?groups=a%2Cb"
NODES = "https://e:9163/v1/gz/discover"
MACHINE = {
    "vm_uuid": "u1",
    "vm_alias": "n",
    "vm_brand": "b",
    "vm_image_uuid": "i",
    "server_uuid": "s",
    "groups": ["a"],
}


def config(**options: Any) -> TritonSdConfig:
    return TritonSdConfig(account="acc", dns_suffix="t.example", endpoint=SecretUrl("e"), **options)


def make(context: Context) -> TritonDiscovery:
    return TritonDiscovery({"config": config(groups=("a", "b"))}, context)


def containers(*names: str) -> str:
    return json.dumps({"containers": [{**MACHINE, "vm_uuid": name} for name in names]})


class TestTriton(DiscoveryContract):
    """Triton keeps the contract; an error that is JSON is an error."""

    def make(self, context: Context) -> TritonDiscovery:
        return make(context)

    def prepare(self, fetch: PreparedFetch) -> None:
        fetch.answers[URL] = containers("u1", "u2")

    def change(self, fetch: PreparedFetch) -> None:
        fetch.answers[URL] = containers("u1")

    def break_source(self, fetch: PreparedFetch) -> None:
        fetch.answers[URL] = "["


async def test_odd_answers_are_trouble() -> None:
    """Whatever a server says, it is understood or it is trouble."""
    assert await survives(make, {URL: containers("u1")}) > 5
    nodes = json.dumps({"cns": [{"server_uuid": "s", "server_hostname": "h"}]})
    assert (
        await survives(
            lambda context: TritonDiscovery({"config": config(role="cn")}, context), {NODES: nodes}
        )
        > 2
    )


def test_its_client_has_the_tls_of_the_configuration() -> None:
    """A configuration that has nothing but TLS says how the source is reached."""
    configs = (config(tls_config=TlsConfig(server_name="other")), config())
    providers = providers_of([Consumer("job", configs)])
    assert [provider.client().server_name for provider in providers.values()] == ["other", ""]
