"""Uyuni: the contract of discoveries, sessions, and answers that are odd."""

from __future__ import annotations

import xmlrpc.client
from typing import Any, cast

import pytest
import trio

from trimon.config.discovery.managed import UyuniSdConfig
from trimon.config.secret import Secret, SecretUrl
from trimon.discovery.asking.record import SourceError
from trimon.discovery.asking.refresh import TROUBLE
from trimon.discovery.contract import DiscoveryContract
from trimon.discovery.doubles import PreparedFetch, context_of_doubles
from trimon.discovery.mechanisms.uyuni import UyuniDiscovery
from trimon.discovery.plugin import Context
from trimon.discovery.sink import check_groups
from trimon.fetch.request import FetchRequest, Response

GROUPS = "system.listSystemGroupsForSystemsWithEntitlement"
ENDPOINTS = "system.monitoring.listEndpoints"
NETWORKS = "system.getNetworkForSystems"


class Server(PreparedFetch):
    """Answers calls by the name of their method."""

    def __init__(self) -> None:
        super().__init__()
        self.said: dict[str, Any] = {
            "auth.login": "session-1",
            GROUPS: [{"id": 1, "system_groups": [{"id": 5, "name": "web"}, {"id": 6, "name": "db"}]}],
            ENDPOINTS: [
                {"system_id": 1, "endpoint_name": "e", "port": 9100, "path": "/m", "module": "", "exporter_name": "x",
                 "tls_enabled": True},
            ],
            NETWORKS: [{"system_id": 1, "hostname": "h", "primary_fqdn": "h.x", "ip": "192.0.2.1"}],
        }  # fmt: skip
        self.calls: list[tuple[str, tuple[Any, ...]]] = []

    async def send(self, request: FetchRequest) -> Response:
        await trio.lowlevel.checkpoint()
        assert not request.follow_redirects, "a password does not follow a redirect"
        params, method = xmlrpc.client.loads(request.body)
        self.calls.append((cast("str", method), params))
        said = self.said[cast("str", method)]
        if isinstance(said, Exception) and not isinstance(said, xmlrpc.client.Fault):
            raise said
        value = said if isinstance(said, xmlrpc.client.Fault) else (said,)
        body = xmlrpc.client.dumps(value, methodresponse=True, allow_none=True).encode()
        return Response(200, "OK", "text/xml", body, len(body))


def make(context: Context) -> UyuniDiscovery:
    config = UyuniSdConfig(server=SecretUrl("http://u"), username="me", password=Secret("not-a-secret"))
    return UyuniDiscovery({"config": config}, context)


class TestUyuni(DiscoveryContract):
    """Uyuni keeps the contract; its answers are prepared for the URL, so one list stands for all."""

    def make(self, context: Context) -> UyuniDiscovery:
        server = Server()
        server.said |= context.fetch.said  # type: ignore[attr-defined] # set by the other hooks
        self.server = server
        return make(context_of_doubles(fetch=server, clock=context.clock))

    def prepare(self, fetch: PreparedFetch) -> None:
        fetch.said = {}  # type: ignore[attr-defined] # read by make

    def change(self, fetch: PreparedFetch) -> None:
        self.server.said[ENDPOINTS] = []

    def break_source(self, fetch: PreparedFetch) -> None:
        broken = {NETWORKS: xmlrpc.client.Fault(1, "broken")}
        fetch.said |= broken  # type: ignore[attr-defined] # read by make
        if hasattr(self, "server"):
            self.server.said |= broken


async def test_a_session_is_used_for_half_of_its_time(autojump_clock: object) -> None:
    """There is one login for several refreshes, and another after five minutes."""
    server = Server()
    discovery = make(context_of_doubles(fetch=server))
    for _ in range(3):
        (group,) = await discovery.refresh()
    assert group.targets[0]["__meta_uyuni_groups"] == "web,db"
    assert server.calls[0] == ("auth.login", ("me", "not-a-secret", 600))
    assert sum(method == "auth.login" for method, _ in server.calls) == 1
    assert server.calls[-1] == (NETWORKS, ("session-1", [1]))
    await trio.sleep(301)
    await discovery.refresh()
    assert sum(method == "auth.login" for method, _ in server.calls) == 2


async def test_a_lost_session_is_one_failed_refresh(autojump_clock: object) -> None:
    """After a call that fails the next refresh logs in."""
    server = Server()
    discovery = make(context_of_doubles(fetch=server))
    await discovery.refresh()
    good, server.said[GROUPS] = server.said[GROUPS], xmlrpc.client.Fault(-20, "session is not valid")
    with pytest.raises(SourceError, match="session is not valid"):
        await discovery.refresh()
    server.said |= {GROUPS: good, "auth.login": "session-2"}
    await discovery.refresh()
    assert server.calls[-1][1][0] == "session-2"


ODD: list[Any] = [
    None,
    True,
    0,
    -1,
    1.5,
    "",
    "x",
    [],
    [None],
    [[]],
    [{}],
    {},
    [{"system_id": "x"}],
    [{"id": []}],
]


@pytest.mark.parametrize("method", ["auth.login", GROUPS, ENDPOINTS, NETWORKS])
async def test_odd_answers_are_trouble(method: str) -> None:
    """Whatever a server says, it is understood or it is trouble."""
    template = Server().said[method]
    inner = [
        [{**each, key: odd}] for each in template if isinstance(each, dict) for key in each for odd in ODD
    ]
    for odd in [*ODD, *inner]:
        server = Server()
        server.said[method] = odd
        try:
            check_groups(await make(context_of_doubles(fetch=server)).refresh())
        except TROUBLE:
            continue
