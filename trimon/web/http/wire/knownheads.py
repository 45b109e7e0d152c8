"""Heads of requests that have come before: what the protocol's library said of their headers holds for the next ones.

A client sends the same headers with each request, to the byte; only the first line differs, and the body. Taking a head apart
costs a third of what a tiny query does, so what came out of it is remembered by the bytes of the header block:

```text
GET /api/v1/query?query=up HTTP/1.1\\r\\n      the first line: matched each time
Host: localhost:9090\\r\\n                    ┐
Content-Length: 42\\r\\n                      │ the block: judged once by `ServerProtocol`, then looked up; the digits
Accept: application/json\\r\\n                │ of a length, which differ from one POST to the next, are left out of it
\\r\\n                                        ┘
(body)                                       no longer than the block says, or the request is not a plain one
```

A plain request is a GET or POST of HTTP/1.1 whose head is whole, that is followed by nothing, and has a target in ASCII and a
header block that the library takes and that asks for nothing of the connection, or for its end: no transfer encoding, no
upgrade, no `Expect`. Of the body of a POST a part may have to come yet. Whatever is not plain goes through the library as
before, which also says what is wrong with it.
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
# A length as clients write it. What is written otherwise, or said twice, is part of the block as it is.
_LENGTH: Final = re.compile(rb"(?:\A|\r\n)content-length: ([0-9]{1,9})(?=\r\n)", re.IGNORECASE)
_LENGTH_NAME: Final = b"content-length"
_LENGTH_DIGITS_MAX: Final = 9
# Of a block with a length what is before and behind its digits, which no other block can be taken for.
_Key = bytes | tuple[bytes, bytes]


class PlainHead(NamedTuple):
    """A plain request: method, target, its headers with names in lower case, and of the body what has come."""

    method: str
    target: bytes
    headers: list[tuple[bytes, bytes]]
    """Maybe those of all requests with this block: not to be changed."""
    body: bytes
    missing_bytes: int = 0
    """How much of the body has to come yet."""
    closes: bool = False
    """No other is to follow on the connection."""


class _Block(NamedTuple):
    headers: list[tuple[bytes, bytes]]
    length_at: int
    """Which of the headers is the length of the body; -1: none is."""
    closes: bool


_UNKNOWN: Final = _Block([], -1, False)


class KnownHeads:
    """The header blocks of plain requests. Only on one thread."""

    def __init__(self, blocks_max: int = BLOCKS_MAX) -> None:
        self._blocks: dict[_Key, _Block | None] = {}
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
        key, digits = _taken_apart(raw)
        known = self._blocks.pop(key, _UNKNOWN)
        if known is _UNKNOWN:
            known = self._judge(raw, key)
        else:
            self._blocks[key] = known  # the one that was asked for last goes last
        if known is None:
            return None
        method, target, headers = line[1], line[2], known.headers
        if b"%" in target and _BAD_ESCAPE.match(target):
            return None
        missing_bytes = end - len(data)
        if known.length_at >= 0:
            if digits:
                headers = headers.copy()
                headers[known.length_at] = (_LENGTH_NAME, digits)
            missing_bytes += int(headers[known.length_at][1])
        if missing_bytes < 0 or (method == b"GET" and known.length_at >= 0):
            return None
        return PlainHead(method.decode(), target, headers, data[end:], missing_bytes, known.closes)

    def _judge(self, raw: bytes, key: _Key) -> _Block | None:
        """What the library makes of a block; remembered unless it is long."""
        judged = _judged(raw)
        if len(raw) <= BLOCK_BYTES_MAX:
            if len(self._blocks) >= self._blocks_max:
                del self._blocks[next(iter(self._blocks))]
            self._blocks[key] = judged
        return judged


def _taken_apart(raw: bytes) -> tuple[_Key, bytes]:
    """By what a block is known, and the digits of its length; none where it has no length, or an odd one."""
    found = _LENGTH.search(raw)
    # Said twice, the other one would stay in the block that is known: it says something of this length alone.
    if found is None or raw.lower().count(_LENGTH_NAME) > 1:
        return raw, b""
    return (raw[: found.start(1)], raw[found.end(1) :]), found[1]


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
    length_at, closes = -1, False
    for at, (name, value) in enumerate(headers):
        if name in _ASKS_MORE:
            return None
        if name == b"connection":
            said = value.strip().lower()
            if said not in (b"keep-alive", b"close"):
                return None
            closes = closes or said == b"close"
        if name == _LENGTH_NAME:
            if not value.isdigit() or len(value) > _LENGTH_DIGITS_MAX:
                return None
            length_at = at
    return _Block(headers, length_at, closes)
