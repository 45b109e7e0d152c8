"""Names with several addresses: the first that answers, or any of them for each connection."""

from __future__ import annotations

import socket
from collections import Counter
from functools import partial
from typing import Any

import pytest
import trio

from trimon.fetch.client import ClientOptions, HttpFetch
from trimon.fetch.request import FetchRequest

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"


async def test_each_connection_goes_to_any_address_by_chance(
    nursery: trio.Nursery, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With `any_address` all addresses of a name get connections; an address in the URL stays what it is."""
    seen: Counter[str] = Counter()

    async def serve(stream: trio.SocketStream) -> None:
        await stream.receive_some(65536)
        seen[stream.socket.getsockname()[0]] += 1
        await stream.send_all(ANSWER)
        await stream.aclose()

    (first,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = first.socket.getsockname()[1]
    (second,) = await trio.open_tcp_listeners(port, host="127.0.0.2")
    nursery.start_soon(partial(trio.serve_listeners, serve, [first, second]))

    async def resolved(host: str, *_: object, **__: object) -> list[Any]:
        assert host == "several.example"
        return [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))
            for address in ("127.0.0.1", "127.0.0.2")
        ]

    monkeypatch.setattr(trio.socket, "getaddrinfo", resolved)
    fetch = HttpFetch(ClientOptions(any_address=True))
    for _ in range(60):
        await fetch.send(FetchRequest(f"http://several.example:{port}/"))
    assert set(seen) == {"127.0.0.1", "127.0.0.2"}
    seen.clear()
    for _ in range(5):
        await fetch.send(FetchRequest(f"http://127.0.0.2:{port}/"))
    assert seen == {"127.0.0.2": 5}
    nursery.cancel_scope.cancel()
