"""Every cloud over prepared answers: the contract of discoveries, and answers that are not what they should be."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import trio
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from trio.testing import MockClock

from trimon.config import load_text
from trimon.discovery.asking.refresh import TROUBLE, RefreshDiscovery
from trimon.discovery.contract import DiscoveryContract
from trimon.discovery.doubles import PreparedFetch, context_of_doubles
from trimon.discovery.plugin import Context, Discovery
from trimon.discovery.registry import Registry
from trimon.discovery.sink import check_groups

Answers = dict[str, Any]
KEY = "00000000-0000-4000-8000-000000000000"
DROPLETS = "https://api.digitalocean.com/v2/droplets"
HETZNER = "https://api.hetzner.cloud/v1"
LINODE = "https://api.linode.com/v4"
SCALEWAY = "https://api.scaleway.com"
OVH = "https://eu.api.ovh.com/1.0"
OCI = "https://iaas.r.oraclecloud.com/20160918"
IDENTITY = "https://identity.r.oci.oraclecloud.com/20160918"
IONOS = "https://api.ionos.com/cloudapi/v6/datacenters/d/servers?depth=3&limit=1000&offset=0&pretty=true"


@dataclass(frozen=True, slots=True)
class Cloud:
    """A cloud: its configuration, and the answers where it has that many machines."""

    name: str
    config: Mapping[str, Any]
    answers: Callable[[int], Answers]


def droplets(count: int) -> Answers:
    networks = [{"type": "public", "ip_address": f"203.0.113.{at}"} for at in range(count)]
    return {
        DROPLETS: {"droplets": [{"id": at, "networks": {"v4": [each]}} for at, each in enumerate(networks)]}
    }


def databases(count: int) -> Answers:
    page = "https://api.digitalocean.com/v2/databases?page={}&per_page=100"
    found = [
        {"id": f"{at}", "num_nodes": 1, "connection": {"host": f"h{at}"}, "tags": ["a"]}
        for at in range(count)
    ]
    return {page.format(1): {"databases": found}, page.format(2): {"databases": []}}


def hcloud(count: int) -> Answers:
    server = {
        "server_type": {"memory": 1.5},
        "labels": {"a.b": "c"},
        "private_net": [{"network": 1, "ip": "10.0.0.1"}],
    }
    public = [{"ipv4": {"ip": f"203.0.113.{at}"}, "ipv6": {"ip": "2001:db8::/64"}} for at in range(count)]
    return {
        f"{HETZNER}/servers?page=1&per_page=50": {
            "servers": [{"id": at, "public_net": each, **server} for at, each in enumerate(public)]
        },
        f"{HETZNER}/networks?page=1&per_page=50": {"networks": [{"id": 1, "name": "n"}]},
    }


def robot(count: int) -> Answers:
    subnet = [{"ip": "2001:db8::", "mask": "64"}]
    found = [{"server_number": at, "server_ip": f"203.0.113.{at}", "subnet": subnet} for at in range(count)]
    return {"https://robot-ws.your-server.de/server": [{"server": each} for each in found]}


def linode(count: int) -> Answers:
    query = "page=1&page_size=500"
    found = [
        {"id": at, "ipv4": [f"203.0.113.{at}"], "ipv6": "2001:db8::1/64", "tags": ["a"]}
        for at in range(count)
    ]
    addresses = [{"address": f"203.0.113.{at}", "public": True, "rdns": "x.example"} for at in range(count)]
    return {
        f"{LINODE}/linode/instances?{query}": {"data": found, "pages": 1},
        f"{LINODE}/networking/ips?{query}": {"data": addresses, "pages": 1},
        f"{LINODE}/networking/ipv6/ranges?{query}": {
            "data": [{"range": "x", "prefix": 64, "route_target": "y"}]
        },
        f"{LINODE}/account/events?page=1&page_size=25": {"data": [{"id": 1}]},
    }


def vultr(count: int) -> Answers:
    found = [{"id": f"{at}", "main_ip": f"203.0.113.{at}", "tags": ["a"]} for at in range(count)]
    return {
        "https://api.vultr.com/v2/instances?per_page=100": {
            "instances": found,
            "meta": {"links": {"next": ""}},
        }
    }


def scaleway(count: int) -> Answers:
    found = [{"id": f"{at}", "zone": "fr-par-1", "private_nics": [{"id": f"n{at}"}]} for at in range(count)]
    owners = [{"address": f"10.0.0.{at}/24", "resource": {"id": f"n{at}"}} for at in range(count)]
    ids = "".join(f"&resource_ids=n{at}" for at in range(count))
    query = (
        f"order_by=created_at_desc&page=1{ids}&resource_type=unknown_type&resource_types=instance_private_nic"
    )
    servers = f"{SCALEWAY}/instance/v1/zones/fr-par-1/servers?order=creation_date_desc&page=1"
    return {
        servers: {"servers": found, "total_count": count},
        f"{SCALEWAY}/ipam/v1/regions/fr-par/ips?{query}": {"ips": owners, "total_count": count},
    }


def baremetal(count: int) -> Answers:
    path = f"{SCALEWAY}/baremetal/v1/zones/fr-par-1"
    ips = [[{"address": f"203.0.113.{at}", "version": "IPv4"}] for at in range(count)]
    found = [
        {"id": f"{at}", "ips": each, "offer_id": "o", "install": {"os_id": "s"}}
        for at, each in enumerate(ips)
    ]
    return {
        f"{path}/servers?order_by=created_at_asc&page=1": {"servers": found, "total_count": count},
        f"{path}/offers?page=1&subscription_period=unknown_subscription_period": {"offers": [{"id": "o"}]},
        f"{path}/os?page=1": {"os": [{"id": "s", "name": "Debian"}]},
    }


def ionos(count: int) -> Answers:
    nics = [{"items": [{"properties": {"name": "n", "ips": [f"203.0.113.{at}"]}}]} for at in range(count)]
    return {IONOS: {"id": "x", "items": [{"id": "y", "entities": {"nics": each}} for each in nics]}}


def ovh_vps(count: int) -> Answers:
    names = [f"v/{at}" for at in range(count)]
    answers: Answers = {f"{OVH}/auth/time": 1_700_000_000, f"{OVH}/vps": names}
    for at in range(count):
        answers[f"{OVH}/vps/v%2F{at}"] = {"name": f"v{at}", "model": {"datacenter": ["a", "b"]}}
        answers[f"{OVH}/vps/v%2F{at}/ips"] = [f"203.0.113.{at}", "2001:db8::1"]
    return answers


def ovh_dedicated(count: int) -> Answers:
    return {url.replace("/vps", "/dedicated/server"): answer for url, answer in ovh_vps(count).items()}


def stackit(count: int) -> Answers:
    nics = [[{"networkName": "n", "ipv4": f"10.0.0.{at}"}] for at in range(count)]
    url = "https://iaas.api.eu01.stackit.cloud/v1/projects/p/servers?details=true"
    return {url: {"items": [{"id": "x", "nics": each, "labels": {"a": "b", "n": 1}} for each in nics]}}


def outscale(count: int) -> Answers:
    found = [
        {"VmId": f"{at}", "PrivateIp": f"10.0.0.{at}", "Tags": [{"Key": "a", "Value": "b"}]}
        for at in range(count)
    ]
    return {"https://api.eu-west-2.outscale.com/api/v1/ReadVms": {"Vms": found}}


def oci(count: int) -> Answers:
    tree = f"{IDENTITY}/compartments?accessLevel=ACCESSIBLE&compartmentId=t&compartmentIdInSubtree=false&limit=100"
    tags = {"freeformTags": {"a b": "c"}, "definedTags": {"n": {"x": 1.5, "y": True, "z": {}}}}
    found = [{"id": f"i{at}", "compartmentId": "t", **tags} for at in range(count)]
    answers: Answers = {tree: [], f"{OCI}/instances?compartmentId=t&limit=100": found}
    for at in range(count):
        attachment = {"vnicId": f"v{at}", "lifecycleState": "ATTACHED"}
        answers[f"{OCI}/vnicAttachments?compartmentId=t&instanceId=i{at}&limit=100"] = [attachment]
        answers[f"{OCI}/vnics/v{at}"] = {"id": f"v{at}", "isPrimary": True, "privateIp": f"10.0.0.{at}"}
    return answers


PROJECT = {"project_id": KEY, "access_key": "SCWTESTTESTTESTTEST0", "secret_key": KEY}
OVH_KEYS = {"application_key": "a", "application_secret": "b", "consumer_key": "c"}
CLOUDS = {
    "droplets": Cloud("digitalocean", {}, droplets),
    "databases": Cloud("digitalocean", {"role": "databases"}, databases),
    "hcloud": Cloud("hetzner", {"role": "hcloud"}, hcloud),
    "robot": Cloud("hetzner", {"role": "robot"}, robot),
    "linode": Cloud("linode", {}, linode),
    "vultr": Cloud("vultr", {}, vultr),
    "scaleway": Cloud("scaleway", {"role": "instance", **PROJECT}, scaleway),
    "baremetal": Cloud("scaleway", {"role": "baremetal", **PROJECT}, baremetal),
    "ionos": Cloud("ionos", {"datacenter_id": "d"}, ionos),
    "vps": Cloud("ovhcloud", {"service": "vps", **OVH_KEYS}, ovh_vps),
    "dedicated": Cloud("ovhcloud", {"service": "dedicated_server", **OVH_KEYS}, ovh_dedicated),
    "stackit": Cloud("stackit", {"project": "p"}, stackit),
    "outscale": Cloud("outscale", {"access_key": "a", "secret_key": "b"}, outscale),
    "oci": Cloud("oci", {"tenancy": "t", "user": "u", "fingerprint": "f", "region": "r"}, oci),
}


@pytest.fixture(scope="module")
def key_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A key to sign with."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=1024)
    path = tmp_path_factory.mktemp("keys") / "oci.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return path


def made(cloud: Cloud, context: Context, key_file: Path) -> Discovery:
    config = {**cloud.config, "key_file": str(key_file)} if cloud.name == "oci" else dict(cloud.config)
    job = {"job_name": "j", f"{cloud.name}_sd_configs": [{"refresh_interval": "30s", **config}]}
    (source,) = getattr(
        load_text(json.dumps({"scrape_configs": [job]}), "p.yml").scrape_configs[0],
        f"{cloud.name}_sd_configs",
    )
    return Registry().factory(cloud.name)({"config": source}, context)


@pytest.mark.parametrize("name", CLOUDS)
class TestClouds:
    """Each keeps the contract."""

    def test_the_contract_is_kept(self, name: str, key_file: Path) -> None:
        """Each test of the suite passes, with two machines, then with one, and with a source that is down."""
        cloud = CLOUDS[name]

        class Suite(DiscoveryContract):
            def make(self, context: Context) -> Discovery:
                return made(cloud, context, key_file)

            def prepare(self, fetch: PreparedFetch) -> None:
                fetch.answers.update(encoded(cloud.answers(2)))

            def change(self, fetch: PreparedFetch) -> None:
                fetch.answers.clear()
                fetch.answers.update(encoded(cloud.answers(1)))

            def break_source(self, fetch: PreparedFetch) -> None:
                fetch.answers.clear()

        for test in (each for each in dir(Suite) if each.startswith("test_")):
            getattr(Suite(), test)()


def encoded(answers: Answers) -> dict[str, bytes]:
    return {url: json.dumps(answer).encode() for url, answer in answers.items()}


def refreshed(cloud: Cloud, answers: Mapping[str, bytes], key_file: Path) -> list[dict[str, str]] | None:
    """The targets of one refresh; nothing where the source is in trouble."""
    discovery = made(cloud, context_of_doubles(fetch=PreparedFetch(answers)), key_file)
    assert isinstance(discovery, RefreshDiscovery)

    async def scene() -> list[dict[str, str]] | None:
        try:
            checked = check_groups(await discovery.refresh())
        except TROUBLE:
            return None
        return [dict(target) for targets in checked.by_source.values() for target in targets]

    return trio.run(scene, clock=MockClock(autojump_threshold=0))


def spoiled(value: object, odd: object) -> Iterator[object]:
    """The value with each of its parts replaced by the odd one, one at a time."""
    yield odd
    if isinstance(value, dict):
        for key, inner in value.items():
            for each in spoiled(inner, odd):
                yield {**value, key: each}
    elif isinstance(value, list):
        for at, inner in enumerate(value):
            for each in spoiled(inner, odd):
                yield [*value[:at], each, *value[at + 1 :]]


ODD: list[object] = [None, True, -1, 10**400, 1e300, "", "\ud800", "ü", [], [None], {}, {"a": 1}, [[]]]


@pytest.mark.parametrize("name", CLOUDS)
def test_odd_answers_are_trouble_and_nothing_else(name: str, key_file: Path) -> None:
    """Each part of each answer replaced by something of another type, or by an extreme, is targets or trouble."""
    cloud = CLOUDS[name]
    answers = cloud.answers(1)
    good = encoded(answers)
    assert refreshed(cloud, good, key_file)
    troubles = 0
    for url, answer in answers.items():
        for odd in ODD:
            for each in spoiled(answer, odd):
                troubles += refreshed(cloud, {**good, url: json.dumps(each).encode()}, key_file) is None
        for body in (b"", b"{", b"\xff", b"[" * 100_000, b"NaN", b'{"a": 1e999}'):
            troubles += refreshed(cloud, {**good, url: body}, key_file) is None
    assert troubles
