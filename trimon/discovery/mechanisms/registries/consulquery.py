"""Blocking queries of Consul: where they go, what they ask for, and the index that an answer has."""

from __future__ import annotations

from typing import Final, TypeVar
from urllib.parse import quote, urlencode

from trimon.config.discovery.registries import ConsulSdConfig
from trimon.discovery.asking.api import Api, Headers
from trimon.discovery.asking.record import Record, SourceError
from trimon.errors import UserError
from trimon.fetch.request import Response
from trimon.records import dataclass

T = TypeVar("T")

WAIT_S: Final = 120.0
# An answer may come a sixteenth of the wait later than asked for, so that not all come at once.
ANSWER_S: Final = 15.0
INDEX_HEADER: Final = "x-consul-index"
_UNESCAPED: Final = "/$&+,:;=@"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a Consul is: the beginning of all its URLs, or a socket."""

    base: str
    unix_socket: str = ""

    @classmethod
    def of(cls, config: ConsulSdConfig) -> Place:
        """The place that a configuration names. A scheme in the address wins. Raises UserError."""
        address = config.server.reveal().strip()
        scheme, found, rest = address.partition("://")
        prefix = config.path_prefix.strip("/")
        path = f"/{prefix}" if prefix else ""
        if not found:
            return cls(f"{config.scheme}://{address.rstrip('/')}{path}")
        if scheme == "unix":
            return cls(f"http://localhost{path}", rest)
        if scheme not in ("http", "https"):
            raise UserError(f"server: unknown scheme {scheme!r}; it has to be http, https or unix")
        return cls(f"{scheme}://{rest.rstrip('/')}{path}")


class ConsulQueries:
    """Makes the requests of one configuration. The token is in the headers of each."""

    def __init__(self, config: ConsulSdConfig) -> None:
        self.config = config
        self._place = Place.of(config)

    async def agent(self, api: Api) -> str:
        """The datacenter of the agent. Raises SourceError, FetchError."""
        scope = _pairs(self.config, "namespace", "partition", "datacenter")
        answer = await api.ok(
            self._url("/v1/agent/self", scope), self._headers(), unix_socket=self._place.unix_socket
        )
        datacenter = Record.of_json(answer.body).record("Config").text("Datacenter")
        if not datacenter:
            raise SourceError("the agent does not say its Config.Datacenter")
        return datacenter

    async def catalog(self, api: Api, index: int) -> Response:
        """The names and tags of all services, once they differ from those of the index."""
        parameters = [*self._blocking(index, WAIT_S), *_filter(self.config.filter)]
        return await self._ask(api, "/v1/catalog/services", parameters)

    async def service(self, api: Api, name: str, index: int, wait_s: float) -> Response:
        """The instances of a service, once they differ from those of the index."""
        parameters = [*self._blocking(index, wait_s), *_filter(self.config.health_filter)]
        parameters += [("tag", tag) for tag in self.config.tags]
        return await self._ask(api, "/v1/health/service/" + quote(name, safe=_UNESCAPED), parameters)

    async def _ask(self, api: Api, path: str, parameters: list[tuple[str, str]]) -> Response:
        return await api.ok(self._url(path, parameters), self._headers(), unix_socket=self._place.unix_socket)

    def _blocking(self, index: int, wait_s: float) -> list[tuple[str, str]]:
        parameters = _pairs(self.config, "namespace", "partition", "datacenter")
        if self.config.allow_stale:
            parameters.append(("stale", ""))
        if index:
            parameters.append(("index", str(index)))
        parameters.append(("wait", f"{max(1, round(wait_s * 1000))}ms"))
        return parameters + [("node-meta", f"{key}:{value}") for key, value in self.config.node_meta]

    def _url(self, path: str, parameters: list[tuple[str, str]]) -> str:
        # Equal names keep their order.
        query = urlencode(sorted(parameters, key=lambda pair: pair[0]))
        return f"{self._place.base}{path}" + (f"?{query}" if query else "")

    def _headers(self) -> Headers:
        headers: Headers = (("Content-Type", "application/json; charset=utf-8"),)
        token = self.config.token.reveal()
        return (*headers, ("X-Consul-Token", token)) if token else headers


def index_of(answer: Response) -> int:
    """The index of an answer, at least 1. Raises SourceError."""
    text = answer.headers.get(INDEX_HEADER, "").strip()
    if not (text.isascii() and text.isdigit() and len(text) <= 20):
        raise SourceError(f"the header X-Consul-Index is {text[:40]!r}; it has to be a whole number")
    return int(text)


def next_index(known: int, said: int) -> int:
    """The index to wait on: one that went backwards means that the state is another, so all is asked anew."""
    return said if said >= known else 0


_PARAMETERS: Final = {"namespace": "ns", "partition": "partition", "datacenter": "dc"}


def _pairs(config: ConsulSdConfig, *names: str) -> list[tuple[str, str]]:
    return [(_PARAMETERS[name], getattr(config, name)) for name in names if getattr(config, name)]


def _filter(expression: str) -> list[tuple[str, str]]:
    return [("filter", expression)] if expression else []
