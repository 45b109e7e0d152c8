"""Requests signed as AWS wants them (Signature Version 4), with keys of the configuration, the environment or a profile.

    request ─ prepare ─┬ no role ───────────────────────────────────────────── the keys themselves
                       └ role ── keys of the role that count for a minute more ─ those
                                └ none ─ AssumeRole at STS, signed by the keys themselves

Keys that a machine's or a container's own service hands out are not asked for.
"""

from __future__ import annotations

import configparser
import hashlib
import hmac
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from urllib.parse import SplitResult, parse_qsl, quote, urlencode, urlsplit

import trio

from trimon.clock import Clock, WallClock
from trimon.config.cloudauth import SigV4Config
from trimon.fetch.client import ClientOptions, HttpFetch
from trimon.fetch.request import FetchError, FetchRequest
from trimon.redaction import REDACTOR

Headers = tuple[tuple[str, str], ...]

SERVICE: Final = "aps"
"""Amazon's managed Prometheus, and what stands in for an Alertmanager there."""
FORM: Final = "application/x-www-form-urlencoded"
# Keys of a role that end sooner are not used any more.
EARLY_MS: Final = 60_000
ROLE_S: Final = 3600
STS_TIMEOUT_S: Final = 10.0
STS_ANSWER_BYTES_MAX: Final = 2**16
_ROLE_KEYS: Final = re.compile(r"<(AccessKeyId|SecretAccessKey|SessionToken)>([^<]*)</")


@dataclass(frozen=True, slots=True)
class AwsKeys:
    """What requests are signed with; `repr` does not show it."""

    access: str
    secret: str
    token: str = ""

    def __repr__(self) -> str:
        return f"AwsKeys({self.access!r})"


def signed(
    keys: AwsKeys,
    region: str,
    service: str,
    method: str,
    url: SplitResult,
    headers: Headers,
    body: bytes,
    at: datetime,
) -> str:
    """The header Authorization of a request with these headers, of which `host` and `x-amz-date` have to be."""
    stamp = at.strftime("%Y%m%dT%H%M%SZ")
    named = sorted((name.lower(), " ".join(value.split())) for name, value in headers)
    names = ";".join(name for name, _ in named)
    query = sorted(
        (quote(name, safe="-_.~"), quote(value, safe="-_.~"))
        for name, value in parse_qsl(url.query, keep_blank_values=True)
    )
    canonical = "\n".join(
        [
            method,
            quote(url.path or "/", safe="/-_.~"),
            "&".join(f"{name}={value}" for name, value in query),
            *(f"{name}:{value}" for name, value in named),
            "",
            names,
            hashlib.sha256(body).hexdigest(),
        ]
    )
    scope = f"{stamp[:8]}/{region}/{service}/aws4_request"
    text = "\n".join(["AWS4-HMAC-SHA256", stamp, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    key = f"AWS4{keys.secret}".encode()
    for part in (stamp[:8], region, service, "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    signature = hmac.digest(key, text.encode(), "sha256").hex()
    return f"AWS4-HMAC-SHA256 Credential={keys.access}/{scope}, SignedHeaders={names}, Signature={signature}"


class SigV4:
    """Signs the requests of one configuration."""

    def __init__(
        self,
        config: SigV4Config,
        clock: Clock | None = None,
        environment: Mapping[str, str] | None = None,
        service: str = SERVICE,
    ) -> None:
        self._config = config
        self._clock = clock or WallClock()
        self._environment = os.environ if environment is None else environment
        self._service = service
        self._role: AwsKeys | None = None
        self._role_until_ms = 0
        self._asking = trio.Lock()

    async def prepare(self) -> None:
        """Gets the keys of a role when those there are end soon. Raises FetchError."""
        if not self._config.role_arn:
            return
        async with self._asking:
            if self._clock.now_ms() >= self._role_until_ms - EARLY_MS:
                self._role = await self._assumed()
                self._role_until_ms = self._clock.now_ms() + ROLE_S * 1000

    def __call__(self, method: str, url: SplitResult, body: bytes) -> Headers:
        """The headers of a request besides its own. Raises FetchError without keys or region."""
        return self._headers(self._role or self._own_keys(), self._service, method, url, body)

    def _headers(self, keys: AwsKeys, service: str, method: str, url: SplitResult, body: bytes) -> Headers:
        at = datetime.fromtimestamp(self._clock.now_ms() / 1000, UTC)
        found = [
            ("X-Amz-Content-Sha256", hashlib.sha256(body).hexdigest()),
            ("X-Amz-Date", at.strftime("%Y%m%dT%H%M%SZ")),
        ]
        if keys.token:
            found.append(("X-Amz-Security-Token", keys.token))
        host = ("Host", url.netloc.rpartition("@")[2])
        authorization = signed(keys, self._region(), service, method, url, (host, *found), body, at)
        return (("Authorization", authorization), *found)

    def _profile(self, file: str, variable: str, prefix: str = "") -> Mapping[str, str]:
        """The section of the profile in one of the two files that AWS' own tools have."""
        name = self._config.profile or self._environment.get("AWS_PROFILE", "default")
        home = Path(self._environment.get("HOME", "/"))
        path = Path(self._environment.get(variable) or home / ".aws" / file)
        parser = configparser.RawConfigParser()
        try:
            parser.read(path, encoding="utf-8")
        except (configparser.Error, ValueError) as error:
            raise FetchError(f"cannot read {path}: {str(error).splitlines()[0]}") from None
        section = name if name == "default" else prefix + name
        return parser[section] if parser.has_section(section) else {}

    def _own_keys(self) -> AwsKeys:
        config, environment = self._config, self._environment
        if config.access_key:
            return AwsKeys(config.access_key, config.secret_key.reveal())
        access, secret = (
            environment.get(f"AWS_{name}", "") for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY")
        )
        if access and secret and not config.profile:
            return _known(AwsKeys(access, secret, environment.get("AWS_SESSION_TOKEN", "")))
        found = self._profile("credentials", "AWS_SHARED_CREDENTIALS_FILE")
        names = ("aws_access_key_id", "aws_secret_access_key", "aws_session_token")
        access, secret, token = (found.get(name, "") for name in names)
        if access and secret:
            return _known(AwsKeys(access, secret, token))
        raise FetchError(
            "could not get SigV4 credentials: neither sigv4 nor environment nor profile have keys"
        )

    def _region(self) -> str:
        environment = self._environment
        region = self._config.region or environment.get("AWS_REGION") or environment.get("AWS_DEFAULT_REGION")
        region = region or self._profile("config", "AWS_CONFIG_FILE", "profile ").get("region", "")
        if not region:
            raise FetchError("region not configured in sigv4 or in default credentials chain")
        return region

    async def _assumed(self) -> AwsKeys:
        config = self._config
        host = f"sts{'-fips' if config.use_fips_sts_endpoint else ''}.{self._region()}.amazonaws.com"
        endpoint = self._environment.get("AWS_ENDPOINT_URL_STS") or f"https://{host}/"
        form = {
            "Action": "AssumeRole",
            "Version": "2011-06-15",
            "RoleArn": config.role_arn,
            "RoleSessionName": f"trimon-{self._clock.now_ms()}",
            "DurationSeconds": str(ROLE_S),
        }
        if config.external_id:
            form["ExternalId"] = config.external_id
        body = urlencode(form).encode()
        headers = self._headers(self._own_keys(), "sts", "POST", urlsplit(endpoint), body)
        request = FetchRequest(
            endpoint,
            (("Content-Type", FORM), *headers),
            STS_TIMEOUT_S,
            STS_ANSWER_BYTES_MAX,
            method="POST",
            body=body,
        )
        fetch = HttpFetch(ClientOptions(follow_redirects=False))
        try:
            answer = await fetch.send(request)
        finally:
            await fetch.aclose()
        found = dict(_ROLE_KEYS.findall(answer.body.decode("utf-8", "replace")))
        if answer.status != 200 or len(found) < 3:
            raise FetchError(
                f"role {config.role_arn} cannot be assumed: {endpoint} answered {answer.status_line}"
            )
        return _known(AwsKeys(found["AccessKeyId"], found["SecretAccessKey"], found["SessionToken"]))


def _known(keys: AwsKeys) -> AwsKeys:
    """The same; no text shows what is secret of it from now on."""
    REDACTOR.add(keys.secret)
    REDACTOR.add(keys.token)
    return keys
