"""Requests signed as AWS wants them."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.peers.test_oauth2 import Asked, Server, server  # noqa: F401 # the fixture
from trimon.config import load_text
from trimon.config.cloudauth import SigV4Config
from trimon.config.secret import Secret
from trimon.fetch.client import ClientOptions, HttpFetch
from trimon.fetch.request import FetchError, FetchRequest
from trimon.notify.alertmanagers import AlertmanagerSet
from trimon.peers.aws.signature import AwsKeys, signed
from trimon.peers.sigv4 import SigV4
from trimon.server.parts.notify import _connect

KEYS = SigV4Config(
    access_key="AKIDEXAMPLE",
    secret_key=Secret("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"),
    region="us-east-1",
)


class SetClock:
    """A clock that stands until it is set."""

    def __init__(self) -> None:
        self.seconds = 0

    def now_ms(self) -> int:
        return self.seconds * 1000

    def monotonic_s(self) -> float:
        return float(self.seconds)


ALERTS = urlsplit("https://am.example:9093/api/v2/alerts")


def headers(config: SigV4Config, environment: dict[str, str]) -> dict[str, str]:
    return dict(SigV4(config, SetClock(), environment)("POST", ALERTS, b"[]"))


def test_the_signature_is_that_of_the_documented_example() -> None:
    """The request that AWS' documentation signs step by step."""
    authorization = signed(
        AwsKeys("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"),
        "us-east-1",
        "iam",
        "GET",
        urlsplit("https://iam.amazonaws.com/?Action=ListUsers&Version=2010-05-08"),
        (
            ("Content-Type", "application/x-www-form-urlencoded; charset=utf-8"),
            ("Host", "iam.amazonaws.com"),
            ("X-Amz-Date", "20150830T123600Z"),
        ),
        b"",
        datetime(2015, 8, 30, 12, 36, tzinfo=UTC),
    )
    assert authorization == (
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/iam/aws4_request, "
        "SignedHeaders=content-type;host;x-amz-date, "
        "Signature=5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7"
    )


def test_keys_come_from_the_file_the_environment_or_a_profile(tmp_path: Path) -> None:
    """In this order; a profile that is named wins over the environment. Without any, or without a region, a request fails."""
    environment = {
        "AWS_ACCESS_KEY_ID": "ENV",
        "AWS_SECRET_ACCESS_KEY": "s",
        "AWS_SESSION_TOKEN": "t",
        "AWS_REGION": "r",
    }
    found = headers(KEYS, environment)
    assert "Credential=AKIDEXAMPLE/" in found["Authorization"]
    assert "/us-east-1/aps/aws4_request" in found["Authorization"]
    assert "X-Amz-Security-Token" not in found
    found = headers(SigV4Config(), environment)
    assert "Credential=ENV/" in found["Authorization"]
    assert "/r/aps/" in found["Authorization"]
    assert found["X-Amz-Security-Token"] == "t"
    assert "x-amz-security-token" in found["Authorization"]
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws" / "credentials").write_text(
        "[default]\naws_access_key_id = DEF\naws_secret_access_key = s\n"
        "[other]\naws_access_key_id = OTH\naws_secret_access_key = s%\n"
    )
    (tmp_path / ".aws" / "config").write_text("[default]\nregion = north\n[profile other]\nregion = south\n")
    home = {"HOME": str(tmp_path)}
    assert "Credential=DEF/19700101/north/" in headers(SigV4Config(), home)["Authorization"]
    other = SigV4Config(profile="other")
    assert (
        "Credential=OTH/19700101/south/"
        in headers(other, {**environment, **home, "AWS_REGION": ""})["Authorization"]
    )
    with pytest.raises(FetchError, match="neither configuration nor environment nor profile"):
        headers(SigV4Config(region="x"), {"HOME": str(tmp_path / "nowhere")})
    with pytest.raises(FetchError, match="region not configured"):
        headers(
            SigV4Config(),
            {"HOME": str(tmp_path / "nowhere"), "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"},
        )
    (tmp_path / ".aws" / "credentials").write_text("no section\n")
    with pytest.raises(FetchError, match="cannot read"):
        headers(SigV4Config(region="x"), home)


def test_keys_are_not_printed() -> None:
    """Neither the secret nor the token is in what is printed of them."""
    assert repr(AwsKeys("a", "hunter2", "hunter3")) == "AwsKeys('a')"


async def test_keys_of_a_role_are_got_once_an_hour(server: Server) -> None:  # noqa: F811 # the fixture
    """STS is asked with the configured keys, and what it gives signs requests until a minute before it ends."""

    def answer(asked: Asked) -> tuple[int, str, str]:
        number = len(server.tokens_asked)
        access, token = f"<AccessKeyId>ROLE{number}</AccessKeyId>", f"<SessionToken>t{number}</SessionToken>"
        keys = f"{access}<SecretAccessKey>s</SecretAccessKey>{token}"
        return 200, "text/xml", f"<R>{keys}</R>"

    server.answer = answer
    clock = SetClock()
    config = SigV4Config(
        access_key="A", secret_key=Secret("b"), region="r", role_arn="arn:x", external_id="e"
    )
    signer = SigV4(config, clock, {"AWS_ENDPOINT_URL_STS": server.url("/token")})
    await signer.prepare()
    await signer.prepare()
    (asked,) = server.tokens_asked
    assert asked.form["Action"] == "AssumeRole"
    assert (asked.form["RoleArn"], asked.form["ExternalId"]) == ("arn:x", "e")
    assert "Credential=A/19700101/r/sts/aws4_request" in asked.headers["authorization"]
    found = dict(signer("POST", ALERTS, b"[]"))
    assert "Credential=ROLE1/19700101/r/aps/" in found["Authorization"]
    assert found["X-Amz-Security-Token"] == "t1"
    clock.seconds += 3541
    await signer.prepare()
    assert dict(signer("POST", ALERTS, b"[]"))["X-Amz-Security-Token"] == "t2"
    server.answer = lambda _: (403, "text/xml", "<Error/>")
    clock.seconds += 3541
    with pytest.raises(FetchError, match=r"role arn:x cannot be assumed: .* answered 403"):
        await signer.prepare()


async def test_a_stranger_gets_no_signature(server: Server) -> None:  # noqa: F811 # the fixture
    """A request is signed for its own host, and not where a redirect to another leads."""
    server.answer = lambda _: (302, f"text/plain\r\nLocation: http://localhost:{server.port}/elsewhere", "")
    fetch = HttpFetch(ClientOptions(sign=SigV4(KEYS, SetClock(), {})))
    await fetch.send(FetchRequest(server.url("/token"), method="POST", body=b"[]", timeout_s=5))
    await fetch.aclose()
    first, second = server.asked
    assert first.headers["authorization"].startswith("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/")
    assert second.path == "/elsewhere"
    assert not {"authorization", "x-amz-date"} & second.headers.keys()


async def test_requests_to_alertmanagers_are_signed(server: Server) -> None:  # noqa: F811 # the fixture
    """The section of a set of Alertmanagers signs what its senders send."""
    text = "alerting: {alertmanagers: [{sigv4: {region: r, access_key: KEY, secret_key: s}}]}"
    (managers,) = load_text(text, "p.yml").main.alerting.alertmanagers
    fetch = _connect(AlertmanagerSet(managers))
    await fetch.send(FetchRequest(server.url("/api/v2/alerts"), method="POST", body=b"[]", timeout_s=5))
    await fetch.aclose()
    (asked,) = server.asked
    assert "Credential=KEY/" in asked.headers["authorization"]
    assert "/r/aps/aws4_request, SignedHeaders=host;" in asked.headers["authorization"]
