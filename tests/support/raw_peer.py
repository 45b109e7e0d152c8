"""A server on loopback that sends raw bytes: what is no HTTP, and HTTP that misbehaves."""

from __future__ import annotations

import contextlib
import re

import trio


class Peer:
    """Serves raw bytes: `answers[path]` is sent for a request; `later[path]` follows a moment later; `closing` paths close
    afterwards.
    """

    def __init__(self, port: int) -> None:
        self.port = port
        self.answers: dict[str, bytes] = {}
        self.closing: set[str] = set()
        self.silent: set[str] = set()
        self.later: dict[str, bytes] = {}
        self.connections = 0
        self.requests: list[bytes] = []

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    async def serve(self, stream: trio.abc.Stream) -> None:
        self.connections += 1
        with trio.move_on_after(5), contextlib.suppress(trio.BrokenResourceError):
            await self._answer(stream)

    async def _answer(self, stream: trio.abc.Stream) -> None:
        data = b""
        while chunk := await stream.receive_some(65536):
            data += chunk
            while b"\r\n\r\n" in data:
                head, _, data = data.partition(b"\r\n\r\n")
                length = re.search(rb"Content-Length: ([0-9]+)", head)
                while length is not None and len(data) < int(length[1]):
                    data += await stream.receive_some(65536)
                data = data[int(length[1]) if length is not None else 0 :]
                self.requests.append(head)
                path = head.split(b" ")[1].decode()
                if path in self.silent:
                    await trio.sleep(5)
                await stream.send_all(self.answers.get(path, ok(b"")))
                if path in self.later:
                    await trio.sleep(0.05)
                    await stream.send_all(self.later[path])
                if path in self.closing:
                    await stream.aclose()
                    return


def ok(body: bytes, headers: str = "") -> bytes:
    return f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n{headers}\r\n".encode() + body
