"""Tokens of Azure AD and Google IAM: what identity services are asked, when, and what becomes of their answers."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

import jwt
import pytest
import trio
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.x509.oid import NameOID
from jwt.types import Options
from trio.testing import MockClock

from trimon.clock import StoppedClock
from trimon.config import load_text
from trimon.config.remote import RemoteWriteConfig
from trimon.fetch.request import Fetch, FetchError, FetchRequest, Response
from trimon.peers.tokens.azuread import AzureAdTokens
from trimon.peers.tokens.bearer import BearerTokens, Token
from trimon.peers.tokens.googleiam import SCOPE, GoogleIamTokens

CLOCK = StoppedClock(1_700_000_000_000)
TENANT, CLIENT = "my-tenant", "00000000-0000-0000-0000-000000000001"


@dataclass
class Identity:
    """An identity service that gives tokens, or what else it is told to answer."""

    answer: Response = field(
        default_factory=lambda: Response(
            200, "OK", "application/json", b'{"access_token":"t1","expires_in":"600"}', 1
        )
    )
    asked: list[FetchRequest] = field(default_factory=list)

    def client(self) -> Fetch:
        return self  # type: ignore[return-value]  # it streams nothing

    async def send(self, request: FetchRequest) -> Response:
        self.asked.append(request)
        return self.answer

    async def aclose(self) -> None:
        """Nothing to close."""

    @property
    def form(self) -> dict[str, str]:
        return dict(parse_qsl(self.asked[-1].body.decode()))


def self_signed() -> tuple[bytes, bytes]:
    """A certificate and its key, in PEM."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "app")])
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), 1)
        .not_valid_before(datetime(2020, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2040, 1, 1, tzinfo=UTC))
        .sign(key, hashes.SHA256())
    )
    return made.public_bytes(serialization.Encoding.PEM), key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def section(**fields: Any) -> RemoteWriteConfig:
    text = json.dumps({"remote_write": [{"url": "http://x/w", **fields}]})
    return load_text(text, "/p.yml").main.remote_write[0]


def azure(identity: Identity, environment: dict[str, str] | None = None, **fields: Any) -> AzureAdTokens:
    config = section(azuread=fields).azuread
    assert config is not None
    return AzureAdTokens(config, environment or {}, CLOCK, identity.client, identity.client)


@pytest.mark.parametrize(
    ("cloud", "login", "audience"),
    [
        ("AzurePublic", "login.microsoftonline.com", "https://monitor.azure.com/"),
        ("AzureChina", "login.chinacloudapi.cn", "https://monitor.azure.cn/"),
        ("AzureGovernment", "login.microsoftonline.us", "https://monitor.azure.us/"),
    ],
)
async def test_an_application_with_a_secret(cloud: str, login: str, audience: str) -> None:
    """The secret goes in the form to the tenant's place in the login of the cloud, for Azure Monitor there."""
    identity = Identity()
    oauth = {"client_id": CLIENT, "client_secret": "s&c", "tenant_id": TENANT}
    token = await azure(identity, cloud=cloud, oauth=oauth).ask()
    assert token == Token("t1", 600.0)
    assert identity.asked[0].url == f"https://{login}/{TENANT}/oauth2/v2.0/token"
    assert not identity.asked[0].follow_redirects
    assert identity.form == {
        "grant_type": "client_credentials",
        "client_id": CLIENT,
        "client_secret": "s&c",
        "scope": f"{audience}/.default",
    }


async def test_a_machine_and_an_app_service() -> None:
    """A machine asks its metadata service, an App Service what its environment names; a scope of one's own is taken."""
    identity = Identity()
    await azure(identity, managed_identity={"client_id": CLIENT}, scope="https://a.example/.default").ask()
    await azure(
        identity, {"IDENTITY_ENDPOINT": "http://h/i", "IDENTITY_HEADER": "h"}, managed_identity={}
    ).ask()
    first, second = (urlsplit(request.url) for request in identity.asked)
    assert (first.netloc, parse_qs(first.query)) == (
        "169.254.169.254",
        {"api-version": ["2018-02-01"], "client_id": [CLIENT], "resource": ["https://a.example"]},
    )
    assert parse_qs(second.query) == {
        "api-version": ["2019-08-01"],
        "resource": ["https://monitor.azure.com/"],
    }
    assert [request.headers for request in identity.asked] == [
        (("Metadata", "true"),),
        (("X-IDENTITY-HEADER", "h"),),
    ]


async def test_a_workload_and_a_certificate(tmp_path: Path) -> None:
    """A workload proves itself with the text of a file, an application with a claim that its certificate's key signs."""
    identity = Identity()
    (tmp_path / "token").write_text("proof\n")
    named = {"client_id": CLIENT, "tenant_id": TENANT}
    await azure(identity, workload_identity={**named, "token_file_path": str(tmp_path / "token")}).ask()
    assert identity.form["client_assertion"] == "proof"
    certificate, key = self_signed()
    (tmp_path / "pem").write_bytes(key + certificate)
    await azure(identity, certificate={**named, "certificate_path": str(tmp_path / "pem")}).ask()
    claim = identity.form["client_assertion"]
    assert jwt.get_unverified_header(claim)["alg"] == "PS256"
    assert jwt.get_unverified_header(claim)["x5t#S256"]
    public = serialization.load_pem_private_key(key, None).public_key()
    assert isinstance(public, RSAPublicKey)
    options: Options = {"verify_exp": False, "verify_iat": False}
    told = jwt.decode(claim, public, ["PS256"], options, audience=identity.asked[-1].url)
    assert (told["iss"], told["sub"], told["exp"] - told["nbf"]) == (CLIENT, CLIENT, 600)
    (tmp_path / "pem").write_bytes(b"nothing")
    with pytest.raises(FetchError, match="no certificate and RSA key"):
        await azure(identity, certificate={**named, "certificate_path": str(tmp_path / "pem")}).ask()


async def test_the_environment_says_who_asks(tmp_path: Path) -> None:
    """`sdk` takes a secret, a certificate, a workload's file or the machine, whichever comes first in the environment."""
    identity = Identity()
    said = {"AZURE_TENANT_ID": "t", "AZURE_CLIENT_ID": "c"}
    await azure(identity, {**said, "AZURE_CLIENT_SECRET": "s"}, sdk={"tenant_id": TENANT}).ask()
    assert identity.form["client_secret"] == "s"
    assert f"/{TENANT}/" in identity.asked[-1].url
    (tmp_path / "token").write_text("proof")
    await azure(identity, {**said, "AZURE_FEDERATED_TOKEN_FILE": str(tmp_path / "token")}, sdk={}).ask()
    assert identity.form["client_assertion"] == "proof"
    await azure(identity, said, sdk={}).ask()
    assert identity.asked[-1].url.startswith("http://169.254.169.254/")
    with pytest.raises(FetchError, match="neither the section nor the environment"):
        await azure(identity, {"AZURE_CLIENT_SECRET": "s"}, sdk={}).ask()


def google(identity: Identity, environment: dict[str, str], **fields: Any) -> GoogleIamTokens:
    config = section(google_iam=fields).google_iam
    assert config is not None
    return GoogleIamTokens(config, environment, CLOCK, identity.client, identity.client)


async def test_google_credentials(tmp_path: Path) -> None:
    """A service account signs a claim, a user has a refresh token, a machine its metadata service; other files are refused."""
    identity, path = Identity(), tmp_path / "c.json"
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    account = {
        "type": "service_account",
        "client_email": "a@b",
        "private_key": pem,
        "token_uri": "http://g/t",
    }
    path.write_text(json.dumps(account))
    await google(identity, {}, credentials_file=str(path)).ask()
    claim = jwt.decode(
        identity.form["assertion"], key.public_key(), ["RS256"], audience="http://g/t",
        options={"verify_exp": False, "verify_iat": False},
    )  # fmt: skip
    assert (identity.asked[-1].url, claim["iss"], claim["scope"]) == ("http://g/t", "a@b", SCOPE)
    path.write_text(json.dumps({"type": "authorized_user", "client_id": "i", "refresh_token": "r"}))
    await google(identity, {"GOOGLE_APPLICATION_CREDENTIALS": str(path)}).ask()
    assert identity.form["refresh_token"] == "r"
    await google(identity, {"HOME": str(tmp_path), "GCE_METADATA_HOST": "m"}).ask()
    assert identity.asked[-1].url.startswith(
        "http://m/computeMetadata/v1/instance/service-accounts/default/token"
    )
    for text, told in (
        ("[]", "no JSON object"),
        ("{", "no JSON object"),
        ('{"type": "external_account"}', "is not supported"),
        ('{"type": "service_account", "private_key": "x"}', "no RSA key"),
    ):
        path.write_text(text)
        with pytest.raises(FetchError, match=told):
            await google(identity, {}, credentials_file=str(path)).ask()


async def test_answers_that_are_none() -> None:
    """Refusals, answers without a token, and tokens that no header can hold are errors that name who said it."""
    identity = Identity()
    for status, body, told in (
        (401, b'{"error": "no"}', "the identity service answers 401"),
        (200, b"<html>", "has no access_token"),
        (200, b"[1]", "has no access_token"),
        (200, b'{"access_token": "a\\nb"}', "cannot be sent in a header"),
        (200, b'{"access_token": ""}', "cannot be sent in a header"),
    ):
        identity.answer = Response(status, "", "application/json", body, 1)
        with pytest.raises(FetchError, match=told):
            await google(identity, {"GCE_METADATA_HOST": "m"}).ask()


async def test_a_token_is_shared_until_half_of_its_time(autojump_clock: MockClock) -> None:
    """Requests side by side wait for one token; when half of its time is over the next request gets another."""
    asked = 0

    async def ask() -> Token:
        nonlocal asked
        asked += 1
        await trio.sleep(1)
        return Token(f"t{asked}", 100.0)

    tokens = BearerTokens(ask)
    async with trio.open_nursery() as nursery:
        for _ in range(5):
            nursery.start_soon(tokens.prepare)
    assert (asked, tokens()) == (1, (("Authorization", "Bearer t1"),))
    await trio.sleep(40)
    await tokens.prepare()
    assert asked == 1
    await trio.sleep(20)
    await tokens.prepare()
    assert tokens() == (("Authorization", "Bearer t2"),)
