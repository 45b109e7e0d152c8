"""A small server on trio that answers by method and path, and remembers what it was asked."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import parse_qsl

import trio


@dataclass
class Asked:
    """A request that came in."""

    method: str
    path: str
    headers: dict[str, str]
    form: dict[str, str]


@dataclass
class Server:
    """Answers by method and path; what it has no answer to is 404."""

    port: int
    answers: dict[str, str | Callable[[Asked], str]] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def serve(self, stream: trio.SocketStream) -> None:
        data = b""
        while b"\r\n\r\n" not in data:
            data += await stream.receive_some(65536)
        head, _, body = data.partition(b"\r\n\r\n")
        first, *lines = head.decode().split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        while len(body) < int(headers.get("content-length", "0")):
            body += await stream.receive_some(65536)
        method, path, _ = first.split(" ")
        asked = Asked(method, path, headers, dict(parse_qsl(body.decode())))
        self.asked.append(asked)
        found = self.answers.get(f"{method} {path}")
        text = found(asked) if callable(found) else found
        status = "404 Not Found" if text is None else "200 OK"
        answer = (text or "").encode()
        await stream.send_all(
            f"HTTP/1.1 {status}\r\nContent-Length: {len(answer)}\r\nConnection: close\r\n\r\n".encode()
            + answer
        )
        await stream.aclose()


@asynccontextmanager
async def serving() -> AsyncIterator[Server]:
    """A server on a port of its own."""
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    made = Server(listeners[0].socket.getsockname()[1])
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.serve_listeners, made.serve, listeners)
        yield made
        nursery.cancel_scope.cancel()
