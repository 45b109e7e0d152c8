"""Requests that are none: what is answered to them before there is anything to route, as Go's server says it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from http import HTTPStatus
from typing import Final

import h11

# What is looked at to say why a head was refused; who sends a longer one is told less.
LOOK_BYTES: Final = 16 * 1024
_HEAD_END: Final = re.compile(rb"\r?\n\r?\n")
_LINE_END: Final = re.compile(rb"\r?\n")
_REQUEST_LINE: Final = re.compile(
    rb"[-!#$%&'*+.^_`|~0-9a-zA-Z]+ (?P<target>[\x21-\x7e]+) HTTP/(?P<version>\d\.\d)"
)
_NAME: Final = re.compile(rb"[-!#$%&'*+.^_`|~0-9a-zA-Z]+")
_NAME_WITH_SPACE: Final = re.compile(rb"[-!#$%&'*+.^_`|~0-9a-zA-Z ]+")
# Tabs are in order. Others than this server may take a control character for the end of something.
_CONTROL: Final = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_NO_HOST: Final = re.compile(rb"[^0-9A-Za-z!$%&()*+,\-.:;=\[\]'_~]")
_ABSOLUTE: Final = re.compile(rb"[A-Za-z][A-Za-z0-9+.-]*:/")
_BAD_ESCAPE: Final = re.compile(rb"%(?![0-9a-fA-F]{2})")
_LISTED_LENGTH: Final = re.compile(rb"content-length[ \t]*:.*,", re.IGNORECASE)
# As many as 63 bits can say.
LENGTH_MAX: Final = 2**63 - 1
MISSING_HOST: Final = "missing required Host header"
MALFORMED_HOST: Final = "malformed Host header"
BAD_NAME: Final = "invalid header name"
OTHER_VERSION: Final = "unsupported protocol version"


class Refused(h11.RemoteProtocolError):
    """A request that cannot be served; `detail` is said to its client behind the status."""

    def __init__(self, status: int, detail: str = "") -> None:
        super().__init__(detail or "bad request", error_status_hint=status)
        self.detail = detail


def check(request: h11.Request, lines: Iterable[bytes | bytearray]) -> None:
    """Refuses what the protocol's library takes and Go's server does not; `lines` are the head as it came. Raises Refused."""
    if not request.http_version.startswith(b"1."):
        raise Refused(505, OTHER_VERSION)
    target = request.target
    if not target.startswith(b"/"):
        if target == b"*":
            if request.method != b"OPTIONS":
                raise Refused(400)
        elif request.method != b"CONNECT" and not _ABSOLUTE.match(target):
            raise Refused(400)
    if b"%" in target and _BAD_ESCAPE.search(target.partition(b"?")[0]):
        raise Refused(400)
    for name, value in request.headers:
        if _CONTROL.search(value):
            raise Refused(400)
        if name == b"host" and _NO_HOST.search(value):
            raise Refused(400, MALFORMED_HOST)
        # The library makes one of `7, 7`, which others refuse or read as the first.
        if name == b"content-length" and (int(value) > LENGTH_MAX or any(map(_LISTED_LENGTH.match, lines))):
            raise Refused(400)
        if name == b"expect" and value.lower() != b"100-continue":
            raise Refused(417)


def detail_of(head: bytes) -> str:
    """Why a request with this head, which the protocol's library has refused with 400, is bad; empty where Go says no more."""
    end = _HEAD_END.search(head)
    first, *lines = _LINE_END.split(head[: end.start()] if end is not None else head)
    line = _REQUEST_LINE.fullmatch(first)
    if end is None or line is None or line["version"][:1] != b"1":
        return ""
    spaced, hosts = False, 0
    for header in lines:
        if header[:1] in (b" ", b"\t"):  # a folded value
            continue
        name, colon, _ = header.partition(b":")
        if not colon or not _NAME_WITH_SPACE.fullmatch(name):
            return ""
        spaced = spaced or not _NAME.fullmatch(name)
        hosts += name.lower() == b"host"
    if not hosts and line["version"] != b"1.0":
        return MISSING_HOST
    return BAD_NAME if spaced and hosts < 2 else ""


def refusal(status: int, detail: str = "") -> bytes:
    """An answer as it goes over the wire; the connection ends behind it."""
    said = f"{status} {HTTPStatus(status).phrase}" + (f": {detail}" if detail else "")
    text = "Unsupported transfer encoding" if status == HTTPStatus.NOT_IMPLEMENTED else said
    head = f"HTTP/1.1 {said}\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n"
    if status == HTTPStatus.EXPECTATION_FAILED:
        return f"HTTP/1.1 {said}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n".encode()
    return (head + text).encode()
