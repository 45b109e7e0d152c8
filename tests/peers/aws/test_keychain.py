"""Keys of AWS: every place that they come from, in order, against a small server that plays STS and the metadata services."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.pathserver import Asked, Server, serving
from trimon.config.secret import Secret
from trimon.fetch.client import ClientOptions, HttpFetch
from trimon.fetch.request import FetchError, FetchRequest, Response
from trimon.peers.aws.endpoints import endpoint_url
from trimon.peers.aws.keychain import KeyChain, KeySettings

ROLE = "arn:aws:iam::000000000001:role/x"
CREDENTIALS = "/latest/meta-data/iam/security-credentials/"


class SetClock:
    """A clock that stands until it is set."""

    def __init__(self) -> None:
        self.seconds = 1_700_000_000

    def now_ms(self) -> int:
        return self.seconds * 1000

    def monotonic_s(self) -> float:
        return float(self.seconds)


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    """A server on a port of its own."""
    async with serving() as made:
        yield made


async def send(request: FetchRequest) -> Response:
    fetch = HttpFetch(ClientOptions())
    try:
        return await fetch.send(request)
    finally:
        await fetch.aclose()


async def unused(request: FetchRequest) -> Response:
    raise AssertionError(f"nobody has to be asked, and {request.url} was")


def chain(
    environment: dict[str, str], settings: KeySettings | None = None, clock: SetClock | None = None
) -> KeyChain:
    home = {"HOME": "/nowhere", "AWS_EC2_METADATA_DISABLED": "true"}
    return KeyChain(settings or KeySettings(region="r"), clock or SetClock(), send, home | environment)


def sts(asked: Asked) -> str:
    """Keys that name the role that they are of."""
    name = asked.form["RoleArn"].rpartition("/")[2]
    return (
        f"<R><AccessKeyId>{name}</AccessKeyId><SecretAccessKey>s</SecretAccessKey>"
        f"<SessionToken>t</SessionToken></R>"
    )


async def test_keys_of_the_configuration_make_no_request() -> None:
    """They are there without anybody being asked, whatever else there is."""
    settings = KeySettings(region="r", access_key="a", secret_key=Secret("b"))
    environment = {
        "AWS_WEB_IDENTITY_TOKEN_FILE": "/nowhere",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://127.0.0.1:1/",
    }
    keys = KeyChain(settings, SetClock(), unused, environment)
    await keys.prepare()
    assert (keys.keys().access, await keys.region()) == ("a", "r")


async def test_a_machine_gives_keys_and_its_region(server: Server) -> None:
    """With a session token first, as IMDSv2 wants it; again when they are about to end, and not before."""
    clock = SetClock()
    numbers = iter(range(9))

    def keys_of_role(asked: Asked) -> str:
        assert asked.headers["x-aws-ec2-metadata-token"] == "session"
        return json.dumps(
            {
                "Code": "Success",
                "AccessKeyId": f"K{next(numbers)}",
                "SecretAccessKey": "s",
                "Token": "t",
                "Expiration": "2023-11-15T00:00:00Z",
            }
        )

    server.answers = {
        "PUT /latest/api/token": "session\n",
        f"GET {CREDENTIALS}": "the-role\n",
        f"GET {CREDENTIALS}the-role": keys_of_role,
        "GET /latest/dynamic/instance-identity/document": '{"region": "eu-test-9"}',
    }
    environment = {"AWS_EC2_METADATA_SERVICE_ENDPOINT": server.url, "AWS_EC2_METADATA_DISABLED": "false"}
    keys = chain(environment, KeySettings(), clock)
    for _ in range(3):
        await keys.prepare()
        assert (keys.keys().access, keys.keys().token) == ("K0", "t")
    assert await keys.region() == await keys.region() == "eu-test-9"
    assert server.asked[0].headers["x-aws-ec2-metadata-token-ttl-seconds"] == "21600"
    clock.seconds = 1_700_006_400 - 61
    await keys.prepare()
    assert keys.keys().access == "K0"
    clock.seconds += 2
    await keys.prepare()
    assert keys.keys().access == "K1"


async def test_metadata_that_is_disabled_is_not_asked(server: Server) -> None:
    """Then there are no keys and no region, and the errors say so."""
    keys = chain({"AWS_EC2_METADATA_SERVICE_ENDPOINT": server.url}, KeySettings())
    with pytest.raises(FetchError, match="could not get SigV4 credentials"):
        await keys.prepare()
    with pytest.raises(FetchError, match="region not configured"):
        await keys.region()
    assert not server.asked


@pytest.mark.parametrize("body", ["", "[]", "{", '{"Code": "Failed", "Message": "no"}', '{"AccessKeyId": 1}'])
async def test_odd_answers_of_a_container_are_errors(server: Server, body: str) -> None:
    """Whatever its service says, the error is one of operation."""
    server.answers = {"GET /creds": body}
    with pytest.raises(FetchError, match="/creds answered"):
        await chain({"AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{server.url}/creds"}).prepare()


async def test_a_container_gives_keys_to_whoever_has_its_token(server: Server, tmp_path: Path) -> None:
    """The token of the file goes to this machine; not to another one without TLS."""
    (tmp_path / "token").write_text("pod-token\n")
    server.answers = {"GET /creds": '{"AccessKeyId": "C", "SecretAccessKey": "s", "Token": "t"}'}
    environment = {
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{server.url}/creds",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": str(tmp_path / "token"),
    }
    keys = chain(environment)
    await keys.prepare()
    assert keys.keys().access == "C"
    assert server.asked[0].headers["authorization"] == "pod-token"
    away = chain({**environment, "AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://198.51.100.1/creds"})
    with pytest.raises(FetchError, match="keys are not asked for at"):
        await away.prepare()


async def test_a_web_identity_becomes_a_role_without_a_signature(server: Server, tmp_path: Path) -> None:
    """The token of the file, read anew each time, proves who asks; a role of the configuration comes on top."""
    (tmp_path / "token").write_text("first")
    server.answers = {"POST /": sts}
    environment = {
        "AWS_WEB_IDENTITY_TOKEN_FILE": str(tmp_path / "token"),
        "AWS_ROLE_ARN": "arn:role/web",
        "AWS_ROLE_SESSION_NAME": "me",
        "AWS_ENDPOINT_URL_STS": f"{server.url}/",
    }
    clock = SetClock()
    keys = chain(environment, KeySettings(region="r", role_arn=ROLE, external_id="e"), clock)
    await keys.prepare()
    assert keys.keys().access == "x"
    web, role = server.asked
    assert web.form["Action"] == "AssumeRoleWithWebIdentity"
    assert (web.form["WebIdentityToken"], web.form["RoleSessionName"]) == ("first", "me")
    assert "authorization" not in web.headers
    assert (role.form["Action"], role.form["ExternalId"]) == ("AssumeRole", "e")
    assert "Credential=web/" in role.headers["authorization"]
    (tmp_path / "token").write_text("second")
    clock.seconds += 841
    await keys.prepare()
    assert server.asked[2].form["WebIdentityToken"] == "second"
    keys.forget()
    await keys.prepare()
    assert len(server.asked) == 6


async def test_a_profile_may_have_a_role_of_another_profile(server: Server, tmp_path: Path) -> None:
    """The keys of the source profile ask for the role; what a profile has that is not supported is named."""
    server.answers = {"POST /": sts}
    (tmp_path / "config").write_text(
        "[profile a]\nrole_arn = arn:role/a\nsource_profile = b\nexternal_id = ex\n"
        "[profile b]\nrole_arn = arn:role/b\nsource_profile = c\n"
        "[profile c]\naws_access_key_id = C\naws_secret_access_key = s\n"
        "[profile loop]\nrole_arn = arn:role/l\nsource_profile = loop\n"
        "[profile sso]\nsso_session = x\n"
        "[profile run]\ncredential_process = /bin/true\n"
        "[profile bare]\nrole_arn = arn:role/z\n"
    )
    environment = {"AWS_CONFIG_FILE": str(tmp_path / "config"), "AWS_ENDPOINT_URL_STS": f"{server.url}/"}
    keys = chain(environment, KeySettings(region="r", profile="a"))
    await keys.prepare()
    assert keys.keys().access == "a"
    first, second = server.asked
    assert "Credential=C/" in first.headers["authorization"]
    assert "Credential=b/" in second.headers["authorization"]
    assert second.form["ExternalId"] == "ex"
    for profile, message in (
        ("loop", "'loop' has no keys"),
        ("sso", "sso_session, which is not supported"),
        ("run", "credential_process, which is not supported"),
        ("bare", "neither source_profile nor web_identity_token_file"),
    ):
        with pytest.raises(FetchError, match=message):
            await chain(environment, KeySettings(region="r", profile=profile)).prepare()


def test_endpoints_follow_the_region_and_the_environment() -> None:
    """Regions of China and the like have domains of their own; the environment names others, for one service or all."""
    assert endpoint_url("ec2", "eu-west-1", {}) == "https://ec2.eu-west-1.amazonaws.com/"
    assert endpoint_url("ec2", "cn-north-1", {}) == "https://ec2.cn-north-1.amazonaws.com.cn/"
    assert endpoint_url("sts", "us-east-1", {}, fips=True) == "https://sts-fips.us-east-1.amazonaws.com/"
    both = {"AWS_ENDPOINT_URL": "http://all/", "AWS_ENDPOINT_URL_EC2": "http://one/"}
    assert [endpoint_url(name, "r", both) for name in ("ec2", "rds")] == ["http://one/", "http://all/"]
