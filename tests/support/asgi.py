"""Requests to an ASGI application without a network."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, urlencode

import orjson
import trio

from trimon.web.http.wire.departure import Departure, departure_of

App = Callable[..., Awaitable[None]]


@dataclass
class Call:
    """One request to an ASGI application, and what it sent."""

    method: str
    target: str
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | None = None
    sent: list[dict[str, Any]] = field(default_factory=list)
    gone: trio.Event = field(default_factory=trio.Event)

    @property
    def scope(self) -> dict[str, Any]:
        path, _, query = self.target.partition("?")
        headers = {"host": "x", **self.headers}
        if self.body is not None and "transfer-encoding" not in headers:
            headers.setdefault("content-length", str(len(self.body)))
        return {
            "type": "http", "method": self.method, "path": unquote(path), "raw_path": path.encode(), "root_path": "",
            "query_string": query.encode(), "scheme": "http", "http_version": "1.1", "extensions": {},
            "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
            "client": ("10.0.0.9", 1234), "server": ("127.0.0.1", 9090), "asgi": {"version": "3.0"},
            "trimon.departure": Departure(),
        }  # fmt: skip

    async def to(self, app: Callable[..., Awaitable[None]]) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
        """Status, headers and body of the answer; nothing of it (0) when the application sent none."""
        messages = [self.body[at : at + 7] for at in range(0, len(self.body), 7)] if self.body else [b""]

        async def receive() -> dict[str, Any]:
            if messages:
                part = messages.pop(0)
                return {"type": "http.request", "body": part, "more_body": bool(messages)}
            await self.gone.wait()
            return {"type": "http.disconnect"}

        async def send(message: dict[str, Any]) -> None:
            self.sent.append(message)

        async with trio.open_nursery() as nursery:
            scope: Any = self.scope

            async def tell() -> None:
                await self.gone.wait()
                departure_of(scope).tell({"type": "http.disconnect"})

            nursery.start_soon(tell)
            await app(scope, receive, send)
            nursery.cancel_scope.cancel()
        if not self.sent:
            return 0, [], b""
        body = b"".join(message.get("body", b"") for message in self.sent[1:])
        return self.sent[0]["status"], self.sent[0]["headers"], body


@dataclass
class Answered:
    """An answer to a client, read in the ways tests like."""

    status_code: int
    headers: Mapping[str, str]
    body: bytes

    async def get_json(self) -> Any:
        return orjson.loads(self.body) if self.body else None

    async def get_data(self, as_text: bool = True) -> Any:
        return self.body.decode() if as_text else self.body


class Client:
    """Asks an application as a client would."""

    def __init__(self, app: App) -> None:
        self.app = app

    async def get(
        self,
        target: str,
        *,
        query_string: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answered:
        if query_string is not None:
            target += "?" + urlencode(query_string, doseq=True)
        return await self._ask("GET", target, dict(headers or {}), None)

    async def post(
        self,
        target: str,
        *,
        form: Mapping[str, Any] | None = None,
        data: bytes | str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answered:
        sent = dict(headers or {})
        if form is not None:
            data = urlencode(form, doseq=True).encode()
            sent["content-type"] = "application/x-www-form-urlencoded"
        return await self._ask("POST", target, sent, data.encode() if isinstance(data, str) else data or b"")

    async def _ask(self, method: str, target: str, headers: dict[str, str], body: bytes | None) -> Answered:
        named = {name.lower(): value for name, value in headers.items()}
        status, sent, content = await Call(method, target, named, body).to(self.app)
        shown = {name.decode().title(): value.decode() for name, value in sent}
        return Answered(status, shown, content)
