"""Requests of the HTTP client signed for AWS, with the keys of a section `sigv4` or of what else there is.

The body's hash is a header of such requests, too: whoever stands in for an Alertmanager at AWS looks for it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final
from urllib.parse import SplitResult

from trimon.clock import Clock, WallClock
from trimon.config.cloudauth import SigV4Config
from trimon.fetch.client import ClientOptions, HttpFetch
from trimon.fetch.request import FetchError, FetchRequest, Response
from trimon.peers.aws.keychain import KeyChain, KeySettings
from trimon.peers.aws.signature import Headers, signed_headers

SERVICE: Final = "aps"
"""Amazon's managed Prometheus, and what stands in for an Alertmanager there."""
ROLE_S: Final = 3600


class SigV4:
    """Signs the requests of one configuration."""

    def __init__(
        self,
        config: SigV4Config,
        clock: Clock | None = None,
        environment: Mapping[str, str] | None = None,
        service: str = SERVICE,
    ) -> None:
        settings = KeySettings.of(
            config, region_profile=config.profile, fips=config.use_fips_sts_endpoint, role_s=ROLE_S
        )
        self._clock = clock or WallClock()
        self._service = service
        self._chain = KeyChain(settings, self._clock, _sent, environment)
        self._region = ""

    async def prepare(self) -> None:
        """Gets keys and the region where somebody has to be asked for them. Raises FetchError."""
        await self._chain.prepare()
        self._region = await self._chain.region()

    def __call__(self, method: str, url: SplitResult, body: bytes) -> Headers:
        """The headers of a request besides its own. Raises FetchError without keys or region."""
        keys, region = self._chain.keys(), self._region or self._chain.known_region()
        if not region:
            raise FetchError("region not configured in sigv4 or in default credentials chain")
        at = datetime.fromtimestamp(self._clock.now_ms() / 1000, UTC)
        hashed = (("X-Amz-Content-Sha256", hashlib.sha256(body).hexdigest()),)
        return signed_headers(keys, region, self._service, method, url, hashed, body, at)


async def _sent(request: FetchRequest) -> Response:
    """The answer of STS to a request."""
    fetch = HttpFetch(ClientOptions(follow_redirects=False))
    try:
        return await fetch.send(request)
    finally:
        await fetch.aclose()
