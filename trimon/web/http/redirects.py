"""Where something like a path is: the two steps by which Prometheus' routers find it.

The first step is taken for every path, before anything else is looked at: double slashes and dots go. The second is taken
where a path has no endpoint for a method: a slash at its end is added or taken away, and letters count in any case.
"""

from __future__ import annotations

import html
import posixpath
import re
from typing import Final
from urllib.parse import quote

from trimon.web.http.answer import Answer
from trimon.web.http.endpoint import API_PREFIX, Endpoint, EndpointTable

HTML: Final = "text/html; charset=utf-8"
# What Go leaves as it is in a path, beside letters, digits, and `-_.~`.
_PATH_SAFE: Final = "/$&+,:;=@"
_UNCLEAN: Final = re.compile(r"//|/\.\.?(/|$)")
_REASONS: Final = {301: "Moved Permanently", 302: "Found", 307: "Temporary Redirect"}


def redirect(status: int, where: str, method: str) -> Answer:
    """A redirect to an escaped path and query, with a page for a person who does not follow it."""
    answer = Answer(b"", status, "")
    if method in ("GET", "HEAD"):
        answer = Answer(
            f'<a href="{html.escape(where)}">{_REASONS[status]}</a>.\n\n'.encode("latin-1"), status, HTML
        )
    answer.headers["Location"] = where
    return answer


def cleaned(path: str) -> str:
    """A path without double slashes and dots; a slash at its end stays."""
    if (
        "//" not in path and "/." not in path
    ):  # nearly all are clean, and looking for text is quicker than for a pattern
        return path
    if not _UNCLEAN.search(path):
        return path
    clean = posixpath.normpath("/" + path.lstrip("/"))
    return f"{clean}/" if path.endswith("/") and clean != "/" else clean


class Redirects:
    """The redirects among the endpoints of a table. Pure: it only looks paths up."""

    def __init__(self, table: EndpointTable) -> None:
        self._prefix = table.prefix
        self._api = f"{table.prefix}{API_PREFIX}"
        self._plain: dict[str, list[tuple[str, Endpoint]]] = {}
        self._patterns: list[tuple[re.Pattern[str], Endpoint]] = []
        for endpoint in table.endpoints:
            pattern = endpoint.pattern()
            if pattern is None:
                path = table.prefix + endpoint.path
                self._plain.setdefault(path.lower(), []).append((path, endpoint))
            else:
                folded = re.compile(re.escape(table.prefix) + pattern.pattern, re.DOTALL | re.IGNORECASE)
                self._patterns.append((folded, endpoint))

    def canonical(self, raw_path: str) -> str:
        """The escaped path as the first step leaves it."""
        clean = cleaned(raw_path)
        return f"{clean}/" if clean == self._api else clean

    def similar(self, path: str, method: str) -> str | None:
        """A decoded path that has an endpoint for a method and differs by a slash at the end, or by the case of letters."""
        inside = path.startswith(f"{self._api}/")
        stem = path.rstrip("/")
        for spelled in (path, stem, f"{stem}/"):
            found = self._spelled(spelled, method)
            # the API has a router of its own, which is found by its exact path
            if found is not None and found != path and found.startswith(f"{self._api}/") == inside:
                return found
        return None

    def _spelled(self, path: str, method: str) -> str | None:
        """A path in the case of letters that its endpoint has."""
        for right, endpoint in self._plain.get(path.lower(), ()):
            if method in endpoint.methods:
                return right
        for pattern, endpoint in self._patterns:
            match = pattern.fullmatch(path) if method in endpoint.methods else None
            if match is not None:
                return self._prefix + endpoint.filled(match.groupdict())
        return None


def escaped(path: str, query: bytes) -> str:
    """A decoded path and a query as they stand in a URL."""
    return quote(path, safe=_PATH_SAFE) + (f"?{query.decode('latin-1')}" if query else "")
