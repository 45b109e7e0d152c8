"""A client for the services of the machine itself, which are never asked through a proxy or where a redirect leads."""

from __future__ import annotations

from typing import Final, Self

from trimon.fetch.client import ClientOptions, HttpFetch
from trimon.fetch.request import FetchError, FetchRequest

TIMEOUT_S: Final = 5.0
ANSWER_BYTES_MAX: Final = 2**16
Headers = tuple[tuple[str, str], ...]


class DirectClient:
    """For a few requests, to be closed after them."""

    def __init__(self) -> None:
        self._fetch = HttpFetch(ClientOptions(follow_redirects=False))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._fetch.aclose()

    async def text(self, method: str, url: str, headers: Headers = ()) -> str:
        """The body of an answer with the status 200. Raises FetchError."""
        request = FetchRequest(url, headers, TIMEOUT_S, ANSWER_BYTES_MAX, method=method)
        answer = await self._fetch.send(request)
        if answer.status != 200:
            raise FetchError(f"{url} answered {answer.status_line}")
        return answer.body.decode("utf-8", "replace")
