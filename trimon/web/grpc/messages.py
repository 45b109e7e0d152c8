"""Messages of gRPC as they stand in the data of a stream, and how a call is answered. Source: gRPC's PROTOCOL-HTTP2."""

from __future__ import annotations

import base64
import struct
from collections.abc import Mapping
from enum import IntEnum
from typing import Final
from urllib.parse import quote

from trimon.records import dataclass
from trimon.wire import put_block, put_number

HEAD: Final = struct.Struct(">BI")
"""Whether it is compressed, and its length."""
_RETRY_INFO: Final = b"type.googleapis.com/google.rpc.RetryInfo"
# As gRPC has it: printable ASCII but for the percent sign stands for itself.
_PLAIN: Final = "".join(chr(code) for code in range(0x20, 0x7F) if chr(code) != "%")
_MESSAGE_CHARACTERS_MAX: Final = 4096


class Code(IntEnum):
    """What became of a call."""

    OK = 0
    CANCELLED = 1
    UNKNOWN = 2
    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14
    UNAUTHENTICATED = 16


_CODES: Final = {
    200: Code.OK,
    400: Code.INVALID_ARGUMENT,
    401: Code.UNAUTHENTICATED,
    403: Code.PERMISSION_DENIED,
    404: Code.UNIMPLEMENTED,
    408: Code.DEADLINE_EXCEEDED,
    413: Code.RESOURCE_EXHAUSTED,
    421: Code.PERMISSION_DENIED,
    429: Code.UNAVAILABLE,
    500: Code.INTERNAL,
    502: Code.UNAVAILABLE,
    503: Code.UNAVAILABLE,
    504: Code.UNAVAILABLE,
}


def code_of(status: int) -> Code:
    """Of a status of HTTP: what may be sent again is UNAVAILABLE, and nothing else is."""
    return _CODES.get(status, Code.UNKNOWN)


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer to a call."""

    code: Code
    message: bytes = b""
    """That of the call where it is OK."""
    reason: str = ""
    retry_after_s: int = 0
    """When it may come again; 0 where that is not said."""

    def data(self) -> bytes:
        """The message as it stands in the stream."""
        return HEAD.pack(0, len(self.message)) + self.message

    def trailers(self) -> list[tuple[str, str]]:
        """Code and reason, and when to come again."""
        found = [("grpc-status", str(int(self.code)))]
        if self.reason:
            found.append(("grpc-message", quote(self.reason[:_MESSAGE_CHARACTERS_MAX], safe=_PLAIN)))
        if self.retry_after_s:
            delay = put_block(1, put_number(1, self.retry_after_s))
            detail = put_block(1, _RETRY_INFO) + put_block(2, delay)
            status = put_number(1, int(self.code)) + put_block(2, self.reason.encode()) + put_block(3, detail)
            found.append(("grpc-status-details-bin", base64.b64encode(status).decode().rstrip("=")))
        return found


class CallError(Exception):
    """A call that is answered before anybody works on it."""

    def __init__(self, code: Code, reason: str, retry_after_s: int = 0) -> None:
        super().__init__(reason)
        self.reply = Reply(code, b"", reason, retry_after_s)


@dataclass(frozen=True, slots=True)
class Message:
    """The only message of a call."""

    data: bytes
    is_gzip: bool


def only_message(data: bytes, headers: Mapping[str, str]) -> Message:
    """The message that a client sent. Raises CallError."""
    if len(data) < HEAD.size:
        raise CallError(Code.INVALID_ARGUMENT, "the call has no message")
    compressed, size = HEAD.unpack_from(data)
    if compressed > 1 or len(data) != HEAD.size + size:
        raise CallError(Code.INVALID_ARGUMENT, "the call has not one whole message")
    encoding = headers.get("grpc-encoding", "identity")
    if compressed and encoding != "gzip":
        raise CallError(Code.UNIMPLEMENTED, f"messages compressed with {encoding!r} are not taken; gzip is")
    return Message(data[HEAD.size :], bool(compressed))
