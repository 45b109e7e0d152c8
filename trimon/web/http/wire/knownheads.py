"""Heads of requests that have come before: what the protocol's library said of their headers holds for the next ones.

A client sends the same headers with each request, to the byte; only the first line differs, and the body. Taking a head apart
costs a third of what a tiny query does, so what came out of it is remembered by the bytes of the header block:

```text
GET /api/v1/query?query=up HTTP/1.1\\r\\n      the first line: matched each time
Host: localhost:9090\\r\\n                    ┐
Accept: application/json\\r\\n                ├ the block: judged once by `ServerProtocol`, then looked up
\\r\\n                                        ┘
(body)                                       as long as the block says, or the request is not a plain one
```

A plain request is a GET or POST of HTTP/1.1 that is whole, is followed by nothing, and has a target in ASCII and a header block
that the library takes and that asks for nothing of the connection: no transfer encoding, no upgrade, no close, no `Expect`.
Whatever is not plain goes through the library as before, which also says what is wrong with it.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

import h11

from trimon.web.http.wire.h11server import ServerProtocol

# A head that is longer is taken apart each time.
BLOCK_BYTES_MAX: Final = 2048
BLOCKS_MAX: Final = 256
_LINE: Final = re.compile(rb"(GET|POST) (/[\x21-\x7e]*) HTTP/1\.1\r\n")
_END: Final = b"\r\n\r\n"
_BAD_ESCAPE: Final = re.compile(rb"[^?]*?%(?![0-9a-fA-F]{2})")
_ASKS_MORE: Final = frozenset((b"transfer-encoding", b"upgrade", b"expect", b"http2-settings", b"trailer"))
_LENGTH_DIGITS_MAX: Final = 9


class PlainHead(NamedTuple):
    """A plain request: method, target, its headers with names in lower case, and the body."""

    method: str
    target: bytes
    headers: list[tuple[bytes, bytes]]
    """Those of all requests with this block: not to be changed."""
    body: bytes


class _Block(NamedTuple):
    headers: list[tuple[bytes, bytes]]
    body_bytes: int
    """-1: no length was said."""


_UNKNOWN: Final = _Block([], -1)


class KnownHeads:
    """The header blocks of plain requests. Only on one thread."""

    def __init__(self, blocks_max: int = BLOCKS_MAX) -> None:
        self._blocks: dict[bytes, _Block | None] = {}
        self._blocks_max = blocks_max

    def __len__(self) -> int:
        return len(self._blocks)

    def plain(self, data: bytes) -> PlainHead | None:
        """The plain request that these bytes are; None when they are anything else."""
        line = _LINE.match(data)
        if line is None:
            return None
        start = line.end()
        end = data.find(_END, start)
        if end < 0:
            return None
        end += len(_END)
        raw = data[start:end]
        known = self._blocks.pop(raw, _UNKNOWN)
        if known is _UNKNOWN:
            known = self._judge(raw)
        else:
            self._blocks[raw] = known  # the one that was asked for last goes last
        if known is None:
            return None
        method, target = line[1], line[2]
        body_bytes = len(data) - end
        if body_bytes != max(known.body_bytes, 0) or (method == b"GET" and known.body_bytes >= 0):
            return None
        if b"%" in target and _BAD_ESCAPE.match(target):
            return None
        return PlainHead(method.decode(), target, known.headers, data[end:])

    def _judge(self, raw: bytes) -> _Block | None:
        """What the library makes of a block; remembered unless it is long."""
        judged = _judged(raw)
        if len(raw) <= BLOCK_BYTES_MAX:
            if len(self._blocks) >= self._blocks_max:
                del self._blocks[next(iter(self._blocks))]
            self._blocks[raw] = judged
        return judged


def _judged(raw: bytes) -> _Block | None:
    """What the library makes of a block; None when a request with it is not a plain one."""
    protocol = ServerProtocol(h11.SERVER, len(raw) + 64)
    protocol.receive_data(b"POST / HTTP/1.1\r\n" + raw)
    try:
        event = protocol.next_event()
    except h11.RemoteProtocolError:
        return None
    if not isinstance(event, h11.Request) or protocol.trailing_data[0]:
        return None  # it takes a line feed alone for the end of a line, too: the head may have ended before
    headers = list(event.headers)
    body_bytes = -1
    for name, value in headers:
        if name in _ASKS_MORE or (name == b"connection" and value.strip().lower() != b"keep-alive"):
            return None
        if name == b"content-length":
            if not value.isdigit() or len(value) > _LENGTH_DIGITS_MAX:
                return None
            body_bytes = int(value)
    return _Block(headers, body_bytes)
