"""Google's cloud: the contract of discoveries, where tokens come from, pages, and answers that are odd."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import jwt
import pytest
import trio
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.types import Options

from tests.support.oddanswers import Rude, json_variants, survives
from trimon.config.discovery.clouds import GceSdConfig
from trimon.discovery.asking.record import SourceError
from trimon.discovery.contract import DiscoveryContract
from trimon.discovery.doubles import PreparedFetch, context_of_doubles
from trimon.discovery.mechanisms.tokenclouds import metadata
from trimon.discovery.mechanisms.tokenclouds.gce import SCOPE, GceDiscovery
from trimon.discovery.mechanisms.tokenclouds.googletoken import GoogleTokens
from trimon.discovery.plugin import Context
from trimon.discovery.providers import Consumer, providers_of
from trimon.fetch.request import Response

TOKENS = "https://t/token"
LIST = "https://compute.googleapis.com/compute/v1/projects/p/zones/z/instances"
URL = f"{LIST}?alt=json&prettyPrint=false"
GOOD_TOKEN = json.dumps({"access_token": "token-of-test", "expires_in": 3600})
KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
PEM = KEY.private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
).decode()


def instance(number: int) -> dict[str, Any]:
    return {
        "id": str(number), "name": f"vm-{number}", "zone": "z", "status": "RUNNING", "machineType": "m",
        "networkInterfaces": [
            {"name": "nic0", "network": "n", "subnetwork": "s", "networkIP": f"10.0.0.{number}",
             "accessConfigs": [{"type": "ONE_TO_ONE_NAT", "natIP": "203.0.113.1"}]},
        ],
        "tags": {"items": ["a"]}, "metadata": {"items": [{"key": "k", "value": "v"}, {"key": "x"}]}, "labels": {"l": "v"},
    }  # fmt: skip


def instances(*numbers: int, following: str = "") -> str:
    return json.dumps({"items": [instance(number) for number in numbers], "nextPageToken": following or None})


@pytest.fixture(autouse=True)
def credentials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file with the key of a service account, which the environment names."""
    path = tmp_path / "key.json"
    account = {"type": "service_account", "client_email": "me@p", "private_key": PEM, "private_key_id": "k1"}
    path.write_text(json.dumps({**account, "token_uri": TOKENS}))
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(path))
    return path


def write(path: Path, text: str) -> None:
    path.write_text(text)


def make(context: Context) -> GceDiscovery:
    return GceDiscovery({"config": GceSdConfig(project="p", zone="z")}, context)


class TestGce(DiscoveryContract):
    """It keeps the contract; a second page that is missing takes nothing away."""

    def make(self, context: Context) -> GceDiscovery:
        return make(context)

    def prepare(self, fetch: PreparedFetch) -> None:
        fetch.answers |= {TOKENS: GOOD_TOKEN, URL: instances(1, 2)}

    def change(self, fetch: PreparedFetch) -> None:
        fetch.answers[URL] = instances(1)

    def break_source(self, fetch: PreparedFetch) -> None:
        fetch.answers[URL] = instances(1, following="p2")


async def test_a_service_account_signs_who_it_is() -> None:
    """The claim is that of RFC 7523 with the scope in it, signed with the key."""
    fetch = PreparedFetch({TOKENS: GOOD_TOKEN})
    context = context_of_doubles(fetch=fetch)
    token = await GoogleTokens(SCOPE, context).ask()
    assert (token.secret, token.lasts_s) == ("token-of-test", 3600)
    form = parse_qs(fetch.requests[0].body.decode())
    assert form["grant_type"] == ["urn:ietf:params:oauth:grant-type:jwt-bearer"]
    options: Options = {"verify_exp": False, "verify_iat": False}
    claims = jwt.decode(form["assertion"][0], KEY.public_key(), ["RS256"], options, audience=TOKENS)
    now_s = context.clock.now_ms() // 1000
    assert claims == {"iss": "me@p", "scope": SCOPE, "aud": TOKENS, "iat": now_s, "exp": now_s + 3600}
    assert jwt.get_unverified_header(form["assertion"][0])["kid"] == "k1"
    assert not fetch.requests[0].follow_redirects


async def test_a_person_has_a_refresh_token(credentials: Path) -> None:
    """What gcloud writes for a person is used as well."""
    said = {
        "type": "authorized_user",
        "client_id": "c",
        "client_secret": "not-a-secret",
        "refresh_token": "r-of-test",
    }
    write(credentials, json.dumps(said))
    fetch = PreparedFetch({"https://oauth2.googleapis.com/token": GOOD_TOKEN})
    await GoogleTokens(SCOPE, context_of_doubles(fetch=fetch)).ask()
    assert parse_qs(fetch.requests[0].body.decode()) == {
        "grant_type": ["refresh_token"], "client_id": ["c"], "client_secret": ["not-a-secret"],
        "refresh_token": ["r-of-test"],
    }  # fmt: skip


async def test_without_a_file_the_machine_is_asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The metadata service gives a token, over a client that takes no proxy."""
    url = "http://meta/computeMetadata/v1/instance/service-accounts/default/token?scopes="
    own = PreparedFetch({url + "https%3A%2F%2Fwww.googleapis.com%2Fauth%2Fcompute.readonly": GOOD_TOKEN})
    monkeypatch.setattr(metadata, "direct_fetch", lambda: own)
    environment = {"HOME": str(tmp_path), "GCE_METADATA_HOST": "meta"}
    fetch = PreparedFetch()
    token = await GoogleTokens(SCOPE, context_of_doubles(fetch=fetch), environment).ask()
    assert token.secret == "token-of-test"
    assert own.requests[0].headers == (("Metadata-Flavor", "Google"),)
    assert not fetch.requests


@pytest.mark.parametrize(
    ("said", "fault"),
    [
        ("{}", "type '' is not supported"),
        ('{"type": "external_account"}', "type 'external_account' is not supported"),
        ('{"type": "service_account", "private_key": "x"}', "no RSA key"),
        ('{"type": "service_account", "private_key": 5}', "private_key"),
        ("[", "not JSON"),
    ],
)
async def test_credentials_that_cannot_be_used(said: str, fault: str, credentials: Path) -> None:
    """What is wrong with a file is named, with the file."""
    write(credentials, said)
    with pytest.raises(SourceError, match=fault) as raised:
        await make(context_of_doubles()).refresh()
    assert str(credentials) in str(raised.value)


async def test_a_token_is_used_until_shortly_before_it_ends(autojump_clock: object) -> None:
    """One token serves for an hour, but for two minutes; a refused one is not used again."""
    fetch = PreparedFetch({TOKENS: GOOD_TOKEN, URL: instances(1)})
    discovery = make(context_of_doubles(fetch=fetch))

    def asked() -> int:
        return sum(request.url == TOKENS for request in fetch.requests)

    await discovery.refresh()
    await trio.sleep(3400)
    await discovery.refresh()
    assert asked() == 1
    await trio.sleep(100)
    await discovery.refresh()
    assert asked() == 2
    fetch.answers[URL] = Response(401, "Unauthorized", "", b"", 0)
    with pytest.raises(SourceError, match="401"):
        await discovery.refresh()
    fetch.answers[URL] = instances(1)
    await discovery.refresh()
    assert asked() == 3


async def test_pages_that_never_end_are_trouble() -> None:
    """A page that names itself, or one after the other for ever, ends in an error."""
    fetch = Rude({TOKENS: GOOD_TOKEN, LIST: instances(1, following="same")})
    with pytest.raises(SourceError, match="never ends"):
        await make(context_of_doubles(fetch=fetch)).refresh()


async def test_odd_answers_are_trouble(credentials: Path) -> None:
    """Whatever a server says, it is understood or it is trouble."""
    write(credentials, json.dumps({"type": "authorized_user", "refresh_token": "r", "token_uri": TOKENS}))
    assert await survives(make, {TOKENS: GOOD_TOKEN, LIST: instances(1, 2)}, json_variants) > 10


def test_its_client_takes_the_proxy_of_the_environment() -> None:
    """There are no HTTP options, so the environment says."""
    (provider,) = providers_of([Consumer("job", (GceSdConfig(project="p", zone="z"),))]).values()
    assert provider.client().proxy.from_environment
