"""Azure: the contract of discoveries, ways to get a token, interfaces that are kept, links, and answers that are odd."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
import trio

from tests.support.oddanswers import json_variants, survives
from trimon.config.discovery.clouds import AzureSdConfig
from trimon.config.secret import Secret
from trimon.discovery.asking.record import SourceError
from trimon.discovery.contract import DiscoveryContract
from trimon.discovery.doubles import PreparedFetch, context_of_doubles
from trimon.discovery.mechanisms.tokenclouds import azuretoken, metadata
from trimon.discovery.mechanisms.tokenclouds.azure import AzureDiscovery
from trimon.discovery.mechanisms.tokenclouds.azuremachines import ResourceId
from trimon.discovery.mechanisms.tokenclouds.azuretoken import AzureTokens, cloud_of
from trimon.discovery.plugin import Context
from trimon.errors import UserError
from trimon.fetch.request import Response

SUBSCRIPTION = "https://management.azure.com/subscriptions/sub"
COMPUTE = "/providers/Microsoft.Compute"
MACHINES = f"{SUBSCRIPTION}{COMPUTE}/virtualMachines?api-version=2024-03-01"
SETS = f"{SUBSCRIPTION}{COMPUTE}/virtualMachineScaleSets?api-version=2024-03-01"
IN_SET = f"{SUBSCRIPTION}/resourceGroups/rg{COMPUTE}/virtualMachineScaleSets/set/virtualMachines?api-version=2024-03-01"
EXPANDED = "?%24expand=IPConfigurations%2FPublicIPAddress&api-version="
LOGIN = "https://login.microsoftonline.com/tenant/oauth2/v2.0/token"
GOOD_TOKEN = json.dumps({"access_token": "token-of-test", "expires_in": 3599})


def resource(kind: str, name: str) -> str:
    return f"/subscriptions/sub/resourceGroups/rg/providers/{kind}/{name}"


def machine(name: str, **more: Any) -> dict[str, Any]:
    interface = resource("Microsoft.Network/networkInterfaces", f"nic-{name}")
    return {
        "id": resource("Microsoft.Compute/virtualMachines", name), "name": name, "location": "west", "tags": {"a.b": "c"},
        "properties": {
            "hardwareProfile": {"vmSize": "B2"}, "osProfile": {"computerName": "h"},
            "storageProfile": {"osDisk": {"osType": "Linux"}},
            "networkProfile": {"networkInterfaces": [{"id": interface}]},
        },
        **more,
    }  # fmt: skip


def interface_url(name: str) -> str:
    return f"{SUBSCRIPTION}/resourceGroups/rg/providers/Microsoft.Network/networkInterfaces/nic-{name}{EXPANDED}2023-05-01"


def interface(address: str) -> str:
    public = {"properties": {"ipAddress": "203.0.113.1"}}
    configuration = {"properties": {"privateIPAddress": address, "publicIPAddress": public}}
    return json.dumps({"properties": {"primary": True, "ipConfigurations": [configuration]}})


def listed(*items: dict[str, Any], following: str | None = None) -> str:
    return json.dumps({"value": items, "nextLink": following})


def answers() -> dict[str, str | Response]:
    set_interface = (
        f"{SUBSCRIPTION}/resourceGroups/rg/providers/microsoft.Compute/virtualMachineScaleSets/set/virtualMachines/7"
        f"/networkInterfaces/nic-b{EXPANDED}2018-10-01"
    )
    return {
        MACHINES: listed(machine("a")),
        SETS: listed({"id": resource("Microsoft.Compute/virtualMachineScaleSets", "set"), "name": "set"}),
        IN_SET: listed(machine("b", instanceId="7")),
        interface_url("a"): interface("10.0.0.1"),
        set_interface: interface("10.0.0.2"),
    }


@pytest.fixture(autouse=True)
def login(monkeypatch: pytest.MonkeyPatch) -> PreparedFetch:
    """The service that logs in, and the metadata service."""
    fetch = PreparedFetch({LOGIN: GOOD_TOKEN})
    monkeypatch.setattr(azuretoken, "login_fetch", lambda: fetch)
    monkeypatch.setattr(metadata, "direct_fetch", lambda: fetch)
    return fetch


def config(**options: Any) -> AzureSdConfig:
    secret = Secret("not-a-secret")
    given = {"tenant_id": "tenant", "client_id": "client", "client_secret": secret, **options}
    return AzureSdConfig(subscription_id="sub", **given)


def make(context: Context) -> AzureDiscovery:
    return AzureDiscovery({"config": config(refresh_interval=60_000)}, context)


class TestAzure(DiscoveryContract):
    """Azure keeps the contract; scale sets that cannot be listed take nothing away."""

    def make(self, context: Context) -> AzureDiscovery:
        return make(context)

    def prepare(self, fetch: PreparedFetch) -> None:
        fetch.answers |= answers()

    def change(self, fetch: PreparedFetch) -> None:
        fetch.answers[SETS] = listed()

    def break_source(self, fetch: PreparedFetch) -> None:
        del fetch.answers[SETS]


async def test_interfaces_are_kept_for_a_while(autojump_clock: object) -> None:
    """A changed address shows after ten to thirteen refreshes; an interface that no machine has is forgotten."""
    fetch = PreparedFetch(answers())
    discovery = make(context_of_doubles(fetch=fetch))

    async def addresses() -> list[str]:
        (group,) = await discovery.refresh()
        return [target["__address__"] for target in group.targets]

    assert await addresses() == ["10.0.0.1:80", "10.0.0.2:80"]
    fetch.answers[interface_url("a")] = interface("10.0.0.9")
    await trio.sleep(9 * 60)
    assert await addresses() == ["10.0.0.1:80", "10.0.0.2:80"]
    assert discovery.stats.counts["cache_hits"] == 2
    await trio.sleep(5 * 60)
    assert await addresses() == ["10.0.0.9:80", "10.0.0.2:80"]
    fetch.answers[MACHINES] = listed()
    assert await addresses() == ["10.0.0.2:80"]
    fetch.answers |= {MACHINES: listed(machine("a")), interface_url("a"): interface("10.0.0.8")}
    assert await addresses() == ["10.0.0.8:80", "10.0.0.2:80"]


@pytest.mark.parametrize(
    ("said", "found"),
    [
        (Response(404, "Not Found", "", b"", 0), 0),
        ('{"properties": {"ipConfigurations": []}}', 0),
        ('{"properties": {"primary": false}}', 0),
        ("{}", 0),
        (interface("10.0.0.1"), 1),
    ],
)
async def test_machines_without_an_address_are_none(said: str | Response, found: int) -> None:
    """A missing interface, and one of a machine that is not allocated, cost only that machine."""
    fetch = PreparedFetch(answers() | {interface_url("a"): said, SETS: listed()})
    (group,) = await make(context_of_doubles(fetch=fetch)).refresh()
    assert len(group.targets) == found


async def test_an_interface_that_fails_fails_all() -> None:
    """Anything else about an interface takes nothing away, as does one without a private address."""
    nothing = json.dumps({"properties": {"primary": True, "ipConfigurations": [{"properties": {}}]}})
    for said in (Response(500, "x", "", b"", 0), nothing):
        discovery = make(context_of_doubles(fetch=PreparedFetch(answers() | {interface_url("a"): said})))
        with pytest.raises(SourceError):
            await discovery.refresh()


@pytest.mark.parametrize(
    "following", ["https://evil.example/x", "https://management.azure.com.evil.example/x", MACHINES]
)
async def test_a_link_has_to_lead_to_the_same_service(following: str) -> None:
    """The token is not sent elsewhere, and a list that goes in a circle is trouble."""
    fetch = PreparedFetch(answers() | {MACHINES: listed(machine("a"), following=following)})
    with pytest.raises(SourceError):
        await make(context_of_doubles(fetch=fetch)).refresh()
    assert not any("evil" in request.url for request in fetch.requests)


async def test_a_refused_token_is_not_used_again(login: PreparedFetch) -> None:
    """After 401 the next refresh logs in anew."""
    fetch = PreparedFetch(answers() | {MACHINES: Response(401, "Unauthorized", "", b"", 0)})
    discovery = make(context_of_doubles(fetch=fetch))
    with pytest.raises(SourceError, match="401"):
        await discovery.refresh()
    fetch.answers |= answers()
    await discovery.refresh()
    await discovery.refresh()
    assert len(login.requests) == 2


async def asked(environment: dict[str, str], **options: Any) -> None:
    token = await AzureTokens(config(**options), context_of_doubles(), environment).ask()
    assert token.secret == "token-of-test"


async def test_a_client_secret(login: PreparedFetch) -> None:
    """The secret goes in the form, and follows no redirect."""
    await asked({})
    assert parse_qs(login.requests[0].body.decode()) == {
        "client_id": ["client"], "client_secret": ["not-a-secret"], "grant_type": ["client_credentials"],
        "scope": ["https://management.core.windows.net//.default"],
    }  # fmt: skip
    assert not login.requests[0].follow_redirects


async def test_a_workload_identity(login: PreparedFetch, tmp_path: Path) -> None:
    """What the cluster signed is read from the file that the environment names."""
    (tmp_path / "token").write_text("signed-by-cluster")
    environment = {
        "AZURE_CLIENT_ID": "other", "AZURE_TENANT_ID": "tenant", "AZURE_FEDERATED_TOKEN_FILE": str(tmp_path / "token"),
        "AZURE_AUTHORITY_HOST": "https://login.microsoftonline.com/",
    }  # fmt: skip
    for method in ("WorkloadIdentity", "SDK"):
        await asked(environment, authentication_method=method)
        form = parse_qs(login.requests[-1].body.decode())
        assert (form["client_assertion"], form["client_id"]) == (["signed-by-cluster"], ["other"])
    with pytest.raises(SourceError, match="AZURE_FEDERATED_TOKEN_FILE"):
        await asked({}, authentication_method="WorkloadIdentity")


async def test_a_managed_identity(login: PreparedFetch) -> None:
    """A machine asks its metadata service; in App Service the environment names another."""
    resource_of = "resource=https%3A%2F%2Fmanagement.core.windows.net%2F"
    machine_url = f"http://169.254.169.254/metadata/identity/oauth2/token?api-version=2018-02-01&client_id=client&{resource_of}"
    service_url = f"http://app/token?api-version=2019-08-01&client_id=client&{resource_of}"
    login.answers |= {machine_url: GOOD_TOKEN.replace("3599", '"3599"'), service_url: GOOD_TOKEN}
    await asked({}, authentication_method="ManagedIdentity")
    assert login.requests[-1].headers == (("Metadata", "true"),)
    await asked({}, authentication_method="SDK")
    environment = {"IDENTITY_ENDPOINT": "http://app/token", "IDENTITY_HEADER": "secret-of-app"}
    await asked(environment, authentication_method="ManagedIdentity")
    assert login.requests[-1].headers == (("X-IDENTITY-HEADER", "secret-of-app"),)
    with pytest.raises(SourceError, match="Azure Arc"):
        await asked({"IDENTITY_ENDPOINT": "http://arc"}, authentication_method="ManagedIdentity")


async def test_the_sdk_takes_a_secret_of_the_environment(login: PreparedFetch) -> None:
    """It comes before all others."""
    environment = {"AZURE_CLIENT_SECRET": "of-environment", "AZURE_CLIENT_ID": "e", "AZURE_TENANT_ID": "x"}
    await asked(environment, authentication_method="SDK")
    form = parse_qs(login.requests[-1].body.decode())
    assert (form["client_secret"], form["client_id"]) == (["of-environment"], ["e"])


def test_clouds_have_names() -> None:
    """In any case; another name is a fault of the configuration."""
    assert cloud_of("AzureUSGovernment").resources == "https://management.usgovcloudapi.net"
    assert cloud_of("azurecloud") is cloud_of("AzurePublicCloud")
    with pytest.raises(UserError, match="AzureGermanCloud"):
        AzureDiscovery({"config": config(environment="AzureGermanCloud")}, context_of_doubles())


@pytest.mark.parametrize("text", ["", "/", "x", "/subscriptions/a", "/subscriptions/a/b", "/a/b/c/d/e/f"])
def test_what_is_no_identity(text: str) -> None:
    """Identities have pairs of names after the subscription."""
    with pytest.raises(SourceError, match="no identity"):
        ResourceId.of(text)


async def test_odd_answers_are_trouble(login: PreparedFetch) -> None:
    """Whatever a service says, it is understood or it is trouble."""
    assert await survives(make, answers(), json_variants) > 10
    for odd in json_variants(GOOD_TOKEN):
        login.answers[LOGIN] = odd
        await survives(
            make,
            {MACHINES: listed()},
            lambda body: iter((body if isinstance(body, bytes) else body.encode(),)),
        )
