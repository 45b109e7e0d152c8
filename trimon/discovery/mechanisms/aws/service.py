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
from trimon.discovery.api import Api
from trimon.discovery.mechanisms.aws.client import AwsClient, side_by_side
from trimon.discovery.mechanisms.clouds.paged import CloudDiscovery
from trimon.discovery.plugin import Context
from trimon.fetch.request import Fetch
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

    def client_of(self, service: str, endpoint: str = "", fetch: Fetch | None = None) -> AwsClient:
        """A client of a service, over a connection of its own where one is given."""
        api = Api(self.context, TIMEOUT_S, fetch)
        return AwsClient(self.context, api, self.keys, service, endpoint)

    async def of_each(
        self, items: Sequence[T], ask: Callable[[AwsClient, T], Awaitable[R]], at_once: int
    ) -> list[R]:
        """What is asked about each item, in their order, several at a time. The first error is raised."""
        found: dict[int, R] = {}

        def call(at: int, item: T) -> Callable[[AwsClient], Awaitable[None]]:
            async def asked(client: AwsClient) -> None:
                found[at] = await ask(client, item)

            return asked

        fetches = [self.context.further_fetch() for _ in items[1 : min(at_once, CLIENTS_MAX)]]
        clients = [self.client, *(self.client_of(self._service, self._endpoint, fetch) for fetch in fetches)]
        try:
            await side_by_side([call(at, item) for at, item in enumerate(items)], clients)
        finally:
            for fetch in fetches:
                if fetch is not self.context.fetch:
                    await fetch.aclose()
        return [found[at] for at in range(len(items))]
