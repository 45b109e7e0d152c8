"""From those who want targets to the sources that are asked: equal sources are asked once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from trimon.config.discovery import SdConfig
from trimon.config.discovery.table import mechanism_of
from trimon.config.dump import fingerprint
from trimon.config.http import HttpClient, TlsConfig
from trimon.config.scrape import ScrapeConfig
from trimon.fetch.client import ClientOptions
from trimon.fetch.proxychoice import ProxyOptions
from trimon.peers.options import client_options, tls_options
from trimon.records import dataclass


@dataclass(frozen=True, slots=True)
class Consumer:
    """Who wants targets, by name, and where they come from: a scrape job, a set of Alertmanagers."""

    name: str
    sources: tuple[SdConfig, ...]


def consumer_of(job: ScrapeConfig) -> Consumer:
    """A scrape job as a consumer."""
    return Consumer(job.job_name, job.discovery())


@dataclass(frozen=True, slots=True)
class Provider:
    """One source of targets; consumers with equal configurations share it.

    `key` begins with the name of the discovery and is equal for equal configurations in one process. Static groups
    of a consumer are one provider.
    """

    key: str
    mechanism: str
    configs: tuple[SdConfig, ...]
    consumers: tuple[str, ...]
    index: int = 0
    """Its place among the sources of its mechanism, of the first consumer."""

    @property
    def name(self) -> str:
        """What it is called over restarts and reloads: `<first consumer>/<mechanism>/<index>`."""
        return f"{self.consumers[0]}/{self.mechanism}/{self.index}"

    def address(self) -> str:
        """What tells it from its siblings, for people; empty for targets that stand in the configuration itself."""
        return "" if len(self.configs) > 1 else self.configs[0].address()

    def request(self) -> tuple[str, Mapping[str, object]]:
        """The name of the discovery that is wanted, and its options."""
        return mechanism_of(self.configs[0]).request(self.configs)

    def client(self) -> ClientOptions:
        """How the source is reached over HTTP: credentials, TLS, headers and proxy of its configuration."""
        first = self.configs[0]
        if isinstance(first, HttpClient):
            return client_options(first)
        if first.proxy_of_environment:
            return ClientOptions(proxy=ProxyOptions(from_environment=True))
        tls = getattr(first, "tls_config", None)
        return tls_options(tls) if isinstance(tls, TlsConfig) else ClientOptions()


def providers_of(consumers: Iterable[Consumer]) -> dict[str, Provider]:
    """The providers that consumers need, by key."""
    configs: dict[str, tuple[str, tuple[SdConfig, ...], int]] = {}
    users: dict[str, list[str]] = {}
    for consumer in consumers:
        siblings = Counter[str]()
        for mechanism, group in _grouped(consumer.sources):
            name, _ = mechanism_of(group[0]).request(group)
            key = f"{name}-{fingerprint(mechanism, group)}"
            configs.setdefault(key, (mechanism, group, siblings[mechanism]))
            siblings[mechanism] += 1
            wanted = users.setdefault(key, [])
            if consumer.name not in wanted:
                wanted.append(consumer.name)
    return {
        key: Provider(key, mechanism, group, tuple(users[key]), index)
        for key, (mechanism, group, index) in configs.items()
    }


def _grouped(sources: tuple[SdConfig, ...]) -> Iterable[tuple[str, tuple[SdConfig, ...]]]:
    """Each source by itself, but for those whose mechanism takes all of a consumer together."""
    groups: dict[tuple[str, int], list[SdConfig]] = {}
    for index, source in enumerate(sources):
        mechanism = mechanism_of(source)
        groups.setdefault((mechanism.name, 0 if mechanism.together else index), []).append(source)
    for (name, _), group in groups.items():
        yield name, tuple(group)
