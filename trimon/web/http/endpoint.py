"""The table of endpoints: what a row is, and which row a request's path belongs to.

Every route of the server is one row. The router, the framework's routes, request metrics and the guards read the table;
a route that is not in it does not exist.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from enum import Enum
from typing import Final, NamedTuple

from trimon.records import dataclass
from trimon.web.http.answer import Answer
from trimon.web.http.request import Request
from trimon.web.http.role import Role

__all__ = [
    "API_PREFIX",
    "Access",
    "Endpoint",
    "EndpointTable",
    "Handler",
    "Kind",
    "Match",
    "Parameter",
    "Role",
]

API_PREFIX: Final = "/api/v1"
_PARAMETER: Final = re.compile(r"<(path:)?(\w+)>")
_NO_VALUES: Final[Mapping[str, str]] = {}

Handler = Callable[[Request], Awaitable[Answer]]


class Access(Enum):
    """Who may ask."""

    ANYBODY = "anybody"
    LOOPBACK = "loopback"
    """This machine alone, unless a flag opens it to others; and not too often."""


class Kind(Enum):
    """What the text of a parameter is."""

    TEXT = "text"
    TIMESTAMP = "timestamp"
    """Seconds since 1970, or RFC 3339."""
    DURATION = "duration"
    """Seconds, or as in PromQL."""
    INTEGER = "integer"
    BOOLEAN = "boolean"
    EXPRESSION = "expression"
    """PromQL."""
    SELECTOR = "selector"
    """A series selector of PromQL."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of a URL's query, or of a form where the route takes POST."""

    name: str
    summary: str
    kind: Kind = Kind.TEXT
    required: bool = False
    repeated: bool = False
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One route: a path without the route prefix, its methods, and the handler from a request to an answer.

    A path may have parameters: `<name>` is one segment, `<path:name>` everything up to the end. Every route has
    OPTIONS; HEAD only those that name it.
    """

    path: str
    methods: tuple[str, ...]
    handler: Handler
    access: Access = Access.ANYBODY
    role: Role = Role.READ
    changes: bool = False
    """Whether what is asked changes the server or what it keeps: pages of other origins may not."""
    probe: bool = False
    """Whether it says nothing but that the server lives: whoever comes gets it, also while all places are taken."""
    own: bool = False
    """Whether Prometheus has no such route: a parameter that the row does not name is refused, and not ignored."""
    watches_client: bool = False
    """The handler sees to it itself that it ends when its client leaves, where it waits at all; else the router does."""
    live: bool = False
    """Whether its answers have no end: they are over when the client sends no more, as nobody would hear that it has gone."""
    summary: str = ""
    """What it does, in a sentence without a subject, for the description of the API."""
    parameters: tuple[Parameter, ...] = ()
    """Those of the query or form; those of the path stand in `path`."""

    @property
    def parameter_names(self) -> frozenset[str] | None:
        """The only ones that may be asked with; None where any may, as in Prometheus."""
        return frozenset(each.name for each in self.parameters) if self.own else None

    @property
    def exemptible(self) -> bool:
        """Whether a web config file may let everybody ask: never for what changes or reveals more than reading does."""
        return self.role in (Role.NONE, Role.READ)

    @property
    def allowed(self) -> str:
        """The value of an `Allow` header."""
        return ", ".join(sorted({*self.methods, "OPTIONS"}))

    @property
    def label(self) -> str:
        """The route as request metrics name it: parameters after a colon, whole paths after a star."""
        return _PARAMETER.sub(lambda found: ("*" if found[1] else ":") + found[2], self.path)

    async def answer(self, request: Request) -> Answer:
        """The answer of the handler. Raises what it raises, ApiError for parameters in the URL that are not the row's."""
        if self.own:
            request.query()
        return await self.handler(request)

    def filled(self, values: Mapping[str, str]) -> str:
        """The path with values for its parameters."""
        return _PARAMETER.sub(lambda found: values[found[2]], self.path)

    def pattern(self) -> re.Pattern[str] | None:
        """What a path with parameters looks like; None when the path has none."""
        if "<" not in self.path:
            return None
        parts, at = [], 0
        for found in _PARAMETER.finditer(self.path):
            parts += [
                re.escape(self.path[at : found.start()]),
                f"(?P<{found[2]}>{'.+' if found[1] else '[^/]+'})",
            ]
            at = found.end()
        return re.compile("".join([*parts, re.escape(self.path[at:])]), re.DOTALL)


class Match(NamedTuple):
    """The row of the table that a request's path belongs to, and the values of the path's parameters."""

    endpoint: Endpoint
    values: Mapping[str, str]


class EndpointTable:
    """All endpoints under one route prefix. Pure: it only looks paths up."""

    def __init__(self, prefix: str, endpoints: Iterable[Endpoint]) -> None:
        self.prefix = prefix
        self._api = f"{prefix}{API_PREFIX}/"
        self.endpoints = tuple(endpoints)
        self._plain: dict[str, Match] = {}
        self._patterns: list[tuple[re.Pattern[str], Endpoint]] = []
        for endpoint in self.endpoints:
            pattern = endpoint.pattern()
            if pattern is not None:
                self._patterns.append((pattern, endpoint))
                continue
            assert prefix + endpoint.path not in self._plain, f"{endpoint.path} is there twice"
            self._plain[prefix + endpoint.path] = Match(endpoint, _NO_VALUES)

    @property
    def exemptible(self) -> frozenset[str]:
        """The paths, without the prefix, that a web config file may let everybody read."""
        return frozenset(each.path for each in self.endpoints if each.exemptible)

    def is_api(self, path: str) -> bool:
        """Whether a path is one of the API's, existing or not: pages of other origins may read those."""
        return path.startswith(self._api)

    def find_raw(self, raw_path: bytes, path: str) -> Match | None:
        """The endpoint of a path as it was sent, and decoded; None when there is none.

        The API's paths are there under their prefix as it is written alone: a proxy that lets no one see `/api/` goes by that.
        """
        if b"%" in raw_path and path.startswith(self._api) and not raw_path.startswith(self._api.encode()):
            return None
        return self.find(path)

    def find(self, path: str) -> Match | None:
        """The endpoint of a decoded path; None when there is none."""
        found = self._plain.get(path)
        if found is not None or not path.startswith(self.prefix):
            return found
        inside = path[len(self.prefix) :]
        for pattern, endpoint in self._patterns:
            match = pattern.fullmatch(inside)
            if match is not None:
                return Match(endpoint, match.groupdict())
        return None
