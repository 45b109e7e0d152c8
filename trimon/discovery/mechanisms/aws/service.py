"""What all discoveries at AWS have in common: keys, the region, clients of services."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Final, TypeAlias, TypeVar

from trimon.config.discovery.aws import (
    Ec2SdConfig,
    EcsSdConfig,
    ElasticacheSdConfig,
    LightsailSdConfig,
    MskSdConfig,
    RdsSdConfig,
)
from trimon.discovery.asking.api import Api
from trimon.discovery.asking.sidebyside import of_each
from trimon.discovery.mechanisms.aws.client import AwsClient
from trimon.discovery.mechanisms.clouds.paged import CloudDiscovery
from trimon.discovery.plugin import Context
from trimon.peers.aws.keychain import KeyChain, KeySettings

T = TypeVar("T")
R = TypeVar("R")
ServiceConfig: TypeAlias = (
    Ec2SdConfig | LightsailSdConfig | EcsSdConfig | MskSdConfig | ElasticacheSdConfig | RdsSdConfig
)

TIMEOUT_S: Final = 60.0
# More requests than this are never under way at once, whatever request_concurrency says.
CLIENTS_MAX: Final = 20


class AwsDiscovery(CloudDiscovery):
    """A discovery at AWS with the client of its service."""

    def __init__(self, config: ServiceConfig, context: Context, service: str) -> None:
        super().__init__(context, config.refresh_interval, config.port)
        self._service = service
        self._endpoint = config.endpoint.reveal()
        self.keys = KeyChain(KeySettings.of(config), context.clock, context.fetch.send)
        self.client = self.client_of(service, self._endpoint)

    def client_of(self, service: str, endpoint: str = "", api: Api | None = None) -> AwsClient:
        """A client of a service, for requests beside others where an API of their own is given."""
        return AwsClient(self.context, api or Api(self.context, TIMEOUT_S), self.keys, service, endpoint)

    async def of_each(
        self, items: Sequence[T], ask: Callable[[AwsClient, T], Awaitable[R]], at_once: int
    ) -> list[R]:
        """What is asked about each item, in their order, several at a time. The first error is raised."""

        async def asked(api: Api, item: T) -> R:
            return await ask(self.client_of(self._service, self._endpoint, api), item)

        return await of_each(self.context, items, asked, max(1, min(at_once, CLIENTS_MAX)), TIMEOUT_S)
