"""Docker and Docker Swarm: the contract of discoveries, the version of the API, shared networks, and odd answers."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.oddanswers import survives
from trimon.config.discovery.containers import DockerFilter, DockerSdConfig, DockerSwarmSdConfig
from trimon.config.secret import SecretUrl
from trimon.discovery.asking.record import SourceError
from trimon.discovery.contract import DiscoveryContract
from trimon.discovery.doubles import Answer, PreparedFetch, context_of_doubles
from trimon.discovery.mechanisms.containers.docker import DockerDiscovery
from trimon.discovery.mechanisms.containers.dockerswarm import DockerSwarmDiscovery
from trimon.discovery.plugin import Context
from trimon.errors import UserError
from trimon.fetch.request import FetchError, Response

BASE = "http://d:2375"
API = f"{BASE}/v1.51"
NETWORKS = json.dumps(
    [{"Id": "n1", "Name": "net", "Scope": "local", "Internal": False, "Labels": {"a": "b"}}]
)


def ping(version: str) -> Response:
    return Response(200, "OK", "", b"", 0, {"api-version": version})


def container(name: str, mode: str = "bridge", networks: dict[str, Any] | None = None) -> dict[str, Any]:
    attached = {"net": {"NetworkID": "n1", "IPAddress": "172.18.0.2"}} if networks is None else networks
    return {
        "Id": name, "Names": [f"/{name}"], "Image": "i", "ImageID": "sha", "Labels": {"x.y": "z"},
        "HostConfig": {"NetworkMode": mode}, "NetworkSettings": {"Networks": attached},
        "Ports": [{"Type": "tcp", "PrivatePort": 80, "PublicPort": 8080, "IP": "0.0.0.0"}],
    }  # fmt: skip


SERVICE = {
    "ID": "s1",
    "Spec": {
        "Name": "web", "Labels": {"a": "b"}, "Mode": {"Replicated": {"Replicas": 1}},
        "TaskTemplate": {"ContainerSpec": {"Image": "i", "Hostname": "h"}},
    },
    "Endpoint": {
        "Ports": [{"Protocol": "tcp", "PublishedPort": 80, "PublishMode": "ingress", "Name": "http"}],
        "VirtualIPs": [{"NetworkID": "n1", "Addr": "10.0.0.2/24"}],
    },
    "UpdateStatus": {"State": "completed"},
}  # fmt: skip
TASK = {
    "ID": "t1", "ServiceID": "s1", "NodeID": "m1", "Slot": 1, "DesiredState": "running",
    "Spec": {"ContainerSpec": {"Labels": {"c": "d"}}},
    "Status": {
        "State": "running", "ContainerStatus": {"ContainerID": "c"},
        "PortStatus": {"Ports": [{"Protocol": "tcp", "PublishedPort": 9, "PublishMode": "host"}]},
    },
    "NetworksAttachments": [{"Network": {"ID": "n1"}, "Addresses": ["10.0.0.3/24"]}],
}  # fmt: skip
NODE = {
    "ID": "m1",
    "Spec": {"Role": "manager", "Availability": "active", "Labels": {"e": "f"}},
    "Description": {"Hostname": "h", "Platform": {"Architecture": "x", "OS": "linux"}, "Engine": {"EngineVersion": "28"}},
    "Status": {"State": "ready", "Addr": "192.0.2.1"},
    "ManagerStatus": {"Leader": True, "Reachability": "reachable", "Addr": "192.0.2.1:2377"},
}  # fmt: skip


def docker(context: Context, **options: Any) -> DockerDiscovery:
    return DockerDiscovery({"config": DockerSdConfig(host=SecretUrl("tcp://d:2375"), **options)}, context)


def swarm(context: Context, role: str) -> DockerSwarmDiscovery:
    config = DockerSwarmSdConfig(host=SecretUrl("tcp://d:2375"), role=role)
    return DockerSwarmDiscovery({"config": config}, context)


def swarm_answers() -> dict[str, str | Response]:
    return {
        f"{BASE}/_ping": ping("1.51"),
        f"{API}/services": json.dumps([SERVICE]),
        f"{API}/tasks": json.dumps([TASK]),
        f"{API}/nodes": json.dumps([NODE]),
        f"{API}/networks": NETWORKS,
    }


class TestDocker(DiscoveryContract):
    """Docker keeps the contract; networks that cannot be listed take nothing away."""

    def make(self, context: Context) -> DockerDiscovery:
        return docker(context)

    def prepare(self, fetch: PreparedFetch) -> None:
        fetch.answers |= {f"{BASE}/_ping": ping("1.51"), f"{API}/networks": NETWORKS}
        fetch.answers[f"{API}/containers/json"] = json.dumps([container("a"), container("b")])

    def change(self, fetch: PreparedFetch) -> None:
        fetch.answers[f"{API}/containers/json"] = json.dumps([container("a")])

    def break_source(self, fetch: PreparedFetch) -> None:
        del fetch.answers[f"{API}/networks"]


class TestSwarm(DiscoveryContract):
    """Tasks of a swarm keep the contract; nodes that cannot be listed take nothing away."""

    def make(self, context: Context) -> DockerSwarmDiscovery:
        return swarm(context, "tasks")

    def prepare(self, fetch: PreparedFetch) -> None:
        fetch.answers |= swarm_answers()

    def change(self, fetch: PreparedFetch) -> None:
        fetch.answers[f"{API}/tasks"] = "[]"

    def break_source(self, fetch: PreparedFetch) -> None:
        fetch.answers[f"{API}/nodes"] = Response(500, "x", "", b"", 0)


@pytest.mark.parametrize(
    ("said", "path"),
    [("1.43", "/v1.43"), ("1.99", "/v1.52"), ("", ""), ("x/../", ""), ("1.51\r\n", "/v1.51")],
)
async def test_the_version_is_the_engines_or_the_newest_that_is_known(said: str, path: str) -> None:
    """An engine is asked in its own version; in none where it does not say one."""
    answers: dict[str, Answer] = {
        f"{BASE}/_ping": ping(said),
        f"{BASE}{path}/containers/json": json.dumps([container("a")]),
        f"{BASE}{path}/networks": NETWORKS,
    }
    (group,) = await docker(context_of_doubles(fetch=PreparedFetch(answers))).refresh()
    assert [target["__address__"] for target in group.targets] == ["172.18.0.2:80"]


async def test_an_engine_that_was_replaced_is_asked_for_its_version() -> None:
    """After an answer that the version is not supported it is asked for again."""
    fetch = PreparedFetch(
        {f"{BASE}/_ping": ping("1.51"), f"{API}/containers/json": "[]", f"{API}/networks": NETWORKS}
    )
    discovery = docker(context_of_doubles(fetch=fetch))
    await discovery.refresh()
    fetch.answers = {
        f"{BASE}/_ping": ping("1.44"),
        f"{API}/containers/json": Response(400, "Bad Request", "", b"client version 1.51 is too new", 30),
        f"{BASE}/v1.44/containers/json": "[]",
        f"{BASE}/v1.44/networks": NETWORKS,
    }
    with pytest.raises(SourceError, match="too new"):
        await discovery.refresh()
    await discovery.refresh()
    assert fetch.requests[-1].url == f"{BASE}/v1.44/networks"


async def test_containers_that_share_networks_in_a_circle_have_none() -> None:
    """Two containers that name each other's networks end in no target, and in no endless loop."""
    pair = [container("a", "container:b", {}), container("b", "container:a", {})]
    answers: dict[str, Answer] = {
        f"{BASE}/_ping": ping("1.51"),
        f"{API}/containers/json": json.dumps(pair),
        f"{API}/networks": NETWORKS,
    }
    (group,) = await docker(context_of_doubles(fetch=PreparedFetch(answers))).refresh()
    assert not group.targets


async def test_filters_are_sorted_sets() -> None:
    """Values of filters with one name are asked for together."""
    fetch = PreparedFetch({f"{BASE}/_ping": ping("1.51")})
    filters = (DockerFilter(name="label", values=("b", "a")), DockerFilter(name="label", values=("c",)))
    with pytest.raises(FetchError, match="refused"):
        await docker(context_of_doubles(fetch=fetch), filters=filters).refresh()
    wanted = "%7B%22label%22%3A%7B%22a%22%3Atrue%2C%22b%22%3Atrue%2C%22c%22%3Atrue%7D%7D"
    assert fetch.requests[-1].url == f"{API}/containers/json?filters={wanted}"


async def test_a_socket_is_asked_over_itself() -> None:
    """With `unix://` requests go to the socket."""
    fetch = PreparedFetch({"http://localhost/_ping": ping("1.51")})
    config = DockerSdConfig(host=SecretUrl("unix:///run/d.sock"))
    with pytest.raises(FetchError, match="refused"):
        await DockerDiscovery({"config": config}, context_of_doubles(fetch=fetch)).refresh()
    assert {request.unix_socket for request in fetch.requests} == {"/run/d.sock"}


def test_a_host_that_cannot_be_reached_that_way_is_refused() -> None:
    """A scheme that is none of Docker's is a fault of the configuration."""
    with pytest.raises(UserError, match="npipe"):
        DockerDiscovery(
            {"config": DockerSdConfig(host=SecretUrl("npipe:////./pipe/d"))}, context_of_doubles()
        )


async def test_odd_answers_are_trouble() -> None:
    """Whatever an engine says, it is understood or it is trouble."""
    answers = {
        f"{API}/containers/json": json.dumps([container("a"), container("b", "container:a", {})]),
        f"{API}/networks": NETWORKS,
    }
    ping_answer = {f"{BASE}/_ping": ping("1.51")}

    def make(context: Context) -> DockerDiscovery:
        assert isinstance(context.fetch, PreparedFetch)
        context.fetch.answers |= ping_answer
        return docker(context)

    assert await survives(make, answers) > 10


@pytest.mark.parametrize("role", ["services", "tasks", "nodes"])
async def test_odd_answers_of_a_swarm_are_trouble(role: str) -> None:
    """Whatever a swarm says, it is understood or it is trouble."""
    answers = swarm_answers()
    ping_answer = {url: answers.pop(url) for url in list(answers) if url.endswith("_ping")}

    def make(context: Context) -> DockerSwarmDiscovery:
        assert isinstance(context.fetch, PreparedFetch)
        context.fetch.answers |= ping_answer
        return swarm(context, role)

    assert await survives(make, answers) > 10
