"""The key of a service account of STACKIT: signed claims, a token, and the errors of keys that are none."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.support.pathserver import Asked, serving
from trimon.clock import WallClock
from trimon.config import load_text
from trimon.discovery.asking.record import SourceError
from trimon.discovery.doubles import PreparedFetch, context_of_doubles
from trimon.discovery.mechanisms.clouds import stackit
from trimon.discovery.mechanisms.clouds.stackit import StackitDiscovery
from trimon.fetch.request import FetchError

URL = "https://iaas.api.eu01.stackit.cloud/v1/projects/p/servers?details=true"
SERVERS = json.dumps({"items": [{"id": "s", "nics": [{"networkName": "n", "ipv4": "10.0.0.1"}]}]})
PRIVATE = rsa.generate_private_key(public_exponent=65537, key_size=2048)
PEM = PRIVATE.private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
).decode()
ACCOUNT = {"kid": "key-1", "iss": "x@sa.example", "sub": "subject", "aud": "https://audience.example"}


def discovery(fetch: PreparedFetch, **options: str) -> StackitDiscovery:
    job = {"job_name": "j", "stackit_sd_configs": [{"project": "p", **options}]}
    (config,) = load_text(json.dumps({"scrape_configs": [job]}), "p.yml").scrape_configs[0].discovery()
    return StackitDiscovery({"config": config}, context_of_doubles(fetch=fetch, clock=WallClock()))


def inline(_: Path) -> dict[str, str]:
    return {"service_account_key": json.dumps({"credentials": {**ACCOUNT, "privateKey": PEM}})}


def apart(folder: Path) -> dict[str, str]:
    (folder / "account.json").write_text(json.dumps({"credentials": ACCOUNT}))
    (folder / "key.pem").write_text(PEM)
    return {
        "service_account_key_path": str(folder / "account.json"),
        "private_key_path": str(folder / "key.pem"),
    }


def in_credentials(folder: Path) -> dict[str, str]:
    options = apart(folder)
    (folder / "credentials.json").write_text(
        json.dumps({"STACKIT_PRIVATE_KEY_PATH": options.pop("private_key_path")})
    )
    return {**options, "credentials_file_path": str(folder / "credentials.json")}


@pytest.mark.parametrize("given", [inline, apart, in_credentials])
async def test_claims_signed_with_the_key_become_a_token(
    given: Callable[[Path], dict[str, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The claims are those of the account, the token goes with each request and is got once while it counts."""
    claims = []

    def token(asked: Asked) -> str:
        assert jwt.get_unverified_header(asked.form["assertion"])["kid"] == "key-1"
        claims.append(
            jwt.decode(
                asked.form["assertion"], PRIVATE.public_key(), algorithms=["RS512"], audience=ACCOUNT["aud"]
            )
        )
        assert asked.form["grant_type"] == "urn:ietf:params:oauth:grant-type:jwt-bearer"
        return json.dumps({"access_token": "tok", "expires_in": 3600})

    async with serving() as server:
        server.answers["POST /token"] = token
        monkeypatch.setattr(stackit, "_TOKEN_URL", f"{server.url}/token")
        fetch = PreparedFetch({URL: SERVERS})
        found = discovery(fetch, **given(tmp_path))
        for _ in range(2):
            (group,) = await found.refresh()
        assert len(group.targets) == 1
    assert [(each["iss"], each["sub"]) for each in claims] == [(ACCOUNT["iss"], ACCOUNT["sub"])]
    assert [dict(request.headers)["Authorization"] for request in fetch.requests] == ["Bearer tok"] * 2


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("[]", "has to be dict"),
        ("{}", "has no .*iss.*privateKey"),
        (json.dumps({"credentials": {**ACCOUNT, "kid": 1}}), "field credentials.kid"),
        (json.dumps({"credentials": ACCOUNT}), 'has no \\["privateKey"\\]'),
    ],
)
async def test_what_is_no_key_is_an_error(key: str, message: str) -> None:
    """It says what is missing, and nothing of the key."""
    with pytest.raises(SourceError, match=message):
        await discovery(PreparedFetch({URL: SERVERS}), service_account_key=key).refresh()


async def test_a_private_key_that_cannot_sign_is_an_error() -> None:
    """Nobody is asked then."""
    key = json.dumps({"credentials": {**ACCOUNT, "privateKey": "nonsense"}})
    with pytest.raises(FetchError, match="cannot sign with the client certificate key"):
        await discovery(PreparedFetch({URL: SERVERS}), service_account_key=key).refresh()
