"""Keys that the surroundings hand out: the service of a container, or that of a machine (IMDSv2), which knows the region, too.

Source: https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-data-retrieval.html,
https://docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html. Neither is asked through a proxy.
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Final
from urllib.parse import urlsplit

from trimon.fetch.request import FetchError
from trimon.peers.aws.profiles import known
from trimon.peers.aws.signature import AwsKeys, Headers
from trimon.peers.direct import DirectClient
from trimon.peers.files import read_header

# Keys that do not say when they end are asked for again after this long.
UNDATED_MS: Final = 15 * 60_000
_TOKEN_TTL_S: Final = 21_600
_METADATA: Final = "http://169.254.169.254"
_CONTAINERS: Final = "http://169.254.170.2"
# Where a token may be sent without TLS, besides to this machine.
_CONTAINER_HOSTS: Final = frozenset(("169.254.170.2", "169.254.170.23", "fd00:ec2::23"))
Timed = tuple[AwsKeys, int]


class MachineKeys:
    """The two services; how they are found is in the environment."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment

    @property
    def in_container(self) -> bool:
        """Whether a container's service is named."""
        names = ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI")
        return any(self._environment.get(name) for name in names)

    @property
    def has_metadata(self) -> bool:
        """Whether the machine's service may be asked."""
        return self._environment.get("AWS_EC2_METADATA_DISABLED", "").lower() != "true"

    async def of_container(self, now_ms: int) -> Timed:
        """The keys of the container, and until when. Raises FetchError."""
        environment = self._environment
        url = environment.get("AWS_CONTAINER_CREDENTIALS_FULL_URI", "")
        if not url:
            url = f"{_CONTAINERS}{environment['AWS_CONTAINER_CREDENTIALS_RELATIVE_URI']}"
        elif not _may_have_tokens(url):
            raise FetchError(f"keys are not asked for at {url}: it is neither https nor this machine's")
        file = environment.get("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "")
        token = read_header(file) if file else environment.get("AWS_CONTAINER_AUTHORIZATION_TOKEN", "")
        headers = (("Authorization", token),) if token else ()
        async with DirectClient() as direct:
            return _timed(await direct.text("GET", url, headers), url, now_ms)

    async def of_machine(self, now_ms: int) -> Timed:
        """The keys of the role of this machine, and until when. Raises FetchError."""
        base = f"{self._metadata()}/latest/meta-data/iam/security-credentials/"
        async with DirectClient() as direct:
            token = await self._token(direct)
            role = (await direct.text("GET", base, token)).splitlines()
            if not role or not role[0].strip():
                raise FetchError("this machine has no role that keys could be got of")
            url = base + role[0].strip()
            return _timed(await direct.text("GET", url, token), url, now_ms)

    async def region(self) -> str:
        """The region of this machine. Raises FetchError."""
        url = f"{self._metadata()}/latest/dynamic/instance-identity/document"
        async with DirectClient() as direct:
            fields = _fields(await direct.text("GET", url, await self._token(direct)), url)
        region = fields.get("region")
        if not isinstance(region, str) or not region:
            raise FetchError(f"{url} says no region")
        return region

    def _metadata(self) -> str:
        if not self.has_metadata:
            raise FetchError("instance metadata is disabled (AWS_EC2_METADATA_DISABLED)")
        return (self._environment.get("AWS_EC2_METADATA_SERVICE_ENDPOINT") or _METADATA).rstrip("/")

    async def _token(self, direct: DirectClient) -> Headers:
        url = f"{self._metadata()}/latest/api/token"
        lasts = (("X-aws-ec2-metadata-token-ttl-seconds", str(_TOKEN_TTL_S)),)
        return (("X-aws-ec2-metadata-token", (await direct.text("PUT", url, lasts)).strip()),)


def _may_have_tokens(url: str) -> bool:
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        return False
    if parts.scheme == "https" or host in _CONTAINER_HOSTS or host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _fields(text: str, url: str) -> dict[str, object]:
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError):
        fields = None
    if not isinstance(fields, dict):
        raise FetchError(f"{url} answered what is no JSON object")
    return fields


def _timed(text: str, url: str, now_ms: int) -> Timed:
    fields = _fields(text, url)
    values = [fields.get(name) for name in ("AccessKeyId", "SecretAccessKey", "Token")]
    access, secret, token = (value if isinstance(value, str) else "" for value in values)
    if not access or not secret:
        raise FetchError(
            f"{url} answered without keys: {str(fields.get('Message') or fields.get('Code'))[:200]}"
        )
    return known(AwsKeys(access, secret, token)), until_ms(fields.get("Expiration"), now_ms + UNDATED_MS)


def until_ms(expiration: object, otherwise_ms: int) -> int:
    """A time such as `2026-01-02T03:04:05Z` in milliseconds; the other value where it is none."""
    try:
        return int(datetime.fromisoformat(str(expiration)).timestamp() * 1000)
    except (ValueError, OverflowError):
        return otherwise_ms
