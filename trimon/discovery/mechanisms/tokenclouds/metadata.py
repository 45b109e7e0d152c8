"""The metadata service that clouds have for each of their machines: what tells it tokens is asked on no other way."""

from __future__ import annotations

from trimon.discovery.asking.api import Api
from trimon.discovery.plugin import Context
from trimon.fetch.client import HttpFetch
from trimon.fetch.request import Fetch

# It is on the same host.
TIMEOUT_S = 5.0


def direct_fetch() -> Fetch:
    """A client that takes no proxy: another machine would give away its own token, or get ours."""
    return HttpFetch()


class MetadataApi:
    """Requests to the metadata service, each over a connection of its own."""

    def __init__(self, context: Context) -> None:
        self._context = context

    async def ok(self, url: str, headers: tuple[tuple[str, str], ...]) -> bytes:
        """The body of an answer with status 200. Raises SourceError, FetchError."""
        fetch = direct_fetch()
        try:
            answer = await Api(self._context, TIMEOUT_S, fetch, follow_redirects=False).ok(url, headers)
        finally:
            await fetch.aclose()
        return answer.body
