"""OpenStack: the contract of discoveries, accounts, the catalog, lists in pages, and answers that are odd."""

from __future__ import annotations

import json
from typing import Any

import pytest
import trio

from tests.support.oddanswers import json_variants, survives
from trimon.config.discovery.managed import OpenStackSdConfig
from trimon.config.secret import Secret, SecretUrl
from trimon.discovery.asking.record import SourceError
from trimon.discovery.contract import DiscoveryContract
from trimon.discovery.doubles import PreparedFetch, context_of_doubles
from trimon.discovery.mechanisms.tokenclouds.keystone import Account
from trimon.discovery.mechanisms.tokenclouds.openstack import OpenStackDiscovery
from trimon.discovery.plugin import Context
from trimon.errors import UserError
from trimon.fetch.request import Response

LOGIN = "http://k/identity/v3/auth/tokens"
SERVERS = "http://k/compute/servers/detail"
PORTS = "http://k/network/v2.0/ports"
FLOATING = "http://k/network/v2.0/floatingips"
BALANCERS = "http://k/lb/v2.0/lbaas/loadbalancers"
LISTENERS = "http://k/lb/v2.0/lbaas/listeners"
HYPERVISORS = "http://k/compute/os-hypervisors/detail"


def login(**changes: Any) -> Response:
    catalog = [
        {"type": kind, "endpoints": [{"interface": "public", "region": "r", "url": f"http://k/{path}/"}]}
        for kind, path in (("compute", "compute"), ("network", "network"), ("load-balancer", "lb"))
    ]
    body = json.dumps({"token": {"catalog": catalog, **changes}}).encode()
    return Response(201, "Created", "application/json", body, len(body), {"x-subject-token": "token-of-test"})


def server(name: str, address: str) -> dict[str, Any]:
    return {
        "id": name, "name": name, "status": "ACTIVE", "tenant_id": "p", "user_id": "u", "metadata": {"a.b": "c"},
        "flavor": {"id": "f"}, "image": {"id": "i"}, "addresses": {"net": [{"addr": address}, {"addr": "203.0.113.1"}]},
    }  # fmt: skip


def answers() -> dict[str, str | Response]:
    return {
        LOGIN: login(),
        SERVERS: json.dumps({"servers": [server("s1", "10.0.0.1"), server("s2", "10.0.0.2")]}),
        PORTS: json.dumps({"ports": [{"id": "p1", "device_id": "s1"}]}),
        FLOATING: json.dumps(
            {
                "floatingips": [
                    {"port_id": "p1", "fixed_ip_address": "10.0.0.1", "floating_ip_address": "203.0.113.1"}
                ]
            }
        ),
        HYPERVISORS: json.dumps(
            {"hypervisors": [{"id": 1, "host_ip": "192.0.2.1", "hypervisor_hostname": "h"}]}
        ),
        BALANCERS: json.dumps(
            {"loadbalancers": [{"id": "l1", "vip_address": "10.0.0.9", "vip_port_id": "p1", "tags": ["a"]}]}
        ),
        LISTENERS: json.dumps(
            {"listeners": [{"protocol": "PROMETHEUS", "protocol_port": 9, "loadbalancers": [{"id": "l1"}]}]}
        ),
    }


def make(context: Context, role: str = "instance") -> OpenStackDiscovery:
    config = OpenStackSdConfig(
        identity_endpoint=SecretUrl("http://k/identity"), username="me", password=Secret("not-a-secret"),
        domain_name="Default", project_name="test", region="r", role=role,
    )  # fmt: skip
    return OpenStackDiscovery({"config": config}, context)


class TestOpenStack(DiscoveryContract):
    """OpenStack keeps the contract; floating addresses that cannot be listed take nothing away."""

    def make(self, context: Context) -> OpenStackDiscovery:
        return make(context)

    def prepare(self, fetch: PreparedFetch) -> None:
        fetch.answers |= answers()

    def change(self, fetch: PreparedFetch) -> None:
        fetch.answers[SERVERS] = json.dumps({"servers": [server("s1", "10.0.0.1")]})

    def break_source(self, fetch: PreparedFetch) -> None:
        fetch.answers[FLOATING] = Response(500, "x", "", b"{}", 2)


async def test_a_link_names_only_what_is_asked_of_the_same_service() -> None:
    """The token is not sent where a link leads; a list whose pages go in a circle is trouble."""
    links = [{"rel": "next", "href": "http://evil/compute/servers/detail?marker=s1"}]
    prepared = answers() | {
        SERVERS: json.dumps({"servers": [server("s1", "10.0.0.1")], "servers_links": links}),
        f"{SERVERS}?marker=s1": json.dumps({"servers": [server("s2", "10.0.0.2")]}),
    }
    fetch = PreparedFetch(prepared)
    (group,) = await make(context_of_doubles(fetch=fetch)).refresh()
    assert [target["__address__"] for target in group.targets] == ["10.0.0.1:80", "10.0.0.2:80"]
    assert group.targets[0]["__meta_openstack_public_ip"] == "203.0.113.1"
    assert not any("evil" in request.url for request in fetch.requests)
    fetch.answers[f"{SERVERS}?marker=s1"] = prepared[SERVERS]
    with pytest.raises(SourceError, match="never ends"):
        await make(context_of_doubles(fetch=fetch)).refresh()


async def test_a_session_serves_for_a_while(autojump_clock: object) -> None:
    """There is one login for ten minutes; a token that was refused is replaced at once, a fresh one is not."""
    fetch = PreparedFetch(answers())
    discovery = make(context_of_doubles(fetch=fetch))

    def logins() -> int:
        return sum(request.url == LOGIN for request in fetch.requests)

    for wanted, wait_s in ((1, 300), (1, 301), (2, 1)):
        await discovery.refresh()
        assert logins() == wanted
        await trio.sleep(wait_s)
    fetch.answers[SERVERS] = Response(401, "Unauthorized", "", b"", 0)
    with pytest.raises(SourceError, match="401"):
        await discovery.refresh()
    assert logins() == 3
    with pytest.raises(SourceError, match="401"):
        await discovery.refresh()
    assert logins() == 4
    fetch.answers |= answers()
    await discovery.refresh()
    assert logins() == 5


@pytest.mark.parametrize("role", ["instance", "hypervisor", "loadbalancer"])
async def test_odd_answers_are_trouble(role: str) -> None:
    """Whatever a service says, it is understood or it is trouble."""
    assert await survives(lambda context: make(context, role), answers(), json_variants) > 10


async def test_a_catalog_without_the_region_is_trouble() -> None:
    """What is known stays when the region vanishes."""
    with pytest.raises(SourceError, match="no public endpoint of compute in region 'r'"):
        await make(context_of_doubles(fetch=PreparedFetch(answers() | {LOGIN: login(catalog=[])}))).refresh()


@pytest.mark.parametrize(
    ("account", "auth"),
    [
        (
            Account("http://k", user_id="u", password="p", project_id="x"),
            '{"identity":{"methods":["password"],"password":{"user":{"id":"u","password":"p"}}},"scope":{"project":{"id":"x"}}}',
        ),
        (
            Account("http://k", credential_id="c", credential_secret="s"),
            '{"identity":{"application_credential":{"id":"c","secret":"s"},"methods":["application_credential"]}}',
        ),
        (
            Account("http://k", username="u", domain_id="d", credential_name="c", credential_secret="s"),
            (
                '{"identity":{"application_credential":{"name":"c","secret":"s","user":{"domain":{"id":"d"},"name":"u"}},'
                '"methods":["application_credential"]}}'
            ),
        ),
    ],
)
def test_what_a_login_says(account: Account, auth: str) -> None:
    """A password has a scope, an application credential has none."""
    assert account.request() == f'{{"auth":{auth}}}'.encode()


@pytest.mark.parametrize(
    ("account", "fault"),
    [
        (Account("http://k"), "password"),
        (Account("http://k", password="p"), "username"),
        (Account("http://k", username="u", password="p"), "domain"),
    ],
)
def test_accounts_that_lack_something(account: Account, fault: str) -> None:
    """What is missing is named."""
    with pytest.raises(UserError, match=fault):
        account.request()


def test_the_environment_may_say_all() -> None:
    """Without an identity endpoint the variables of OpenStack's clients count."""
    environment = {
        "OS_AUTH_URL": "http://e/v3",
        "OS_USERNAME": "u",
        "OS_PASSWORD": "not-a-secret",
        "OS_TENANT_ID": "t",
    }
    account = Account.of_environment(environment)
    assert account.url() == "http://e/v3/auth/tokens"
    assert (account.username, account.project_id) == ("u", "t")
    with pytest.raises(UserError, match="OS_AUTH_URL"):
        Account.of_environment({})
    with pytest.raises(UserError, match="version 2"):
        Account("http://e/v2.0").url()
