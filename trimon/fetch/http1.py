"""HTTP/1.1 as a scraper needs it: the bytes of one GET, and a reader for one answer. Pure, no I/O.

A general protocol engine validates and copies for every use there may be; a scrape asks the same question every
time and reads one answer. A test compares the two on generated answers. Source: RFC 9112.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable
from typing import Final

from trimon.fetch.request import BodyTooBig, FetchError, Response

# A response head beyond this is refused.
HEAD_BYTES_MAX: Final = 128 * 1024
CHUNK_LINE_BYTES_MAX: Final = 4096
_HEAD_END = re.compile(rb"\r?\n\r?\n")
_STATUS = re.compile(rb"HTTP/1\.([01]) ([1-9][0-9]{2})(?: ([^\r\n\x00]*))?")
_HEADER = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\r\n\x00]*?)[ \t]*")
_CHUNK = re.compile(rb"([0-9a-fA-F]{1,15})[ \t]*(?:;[^\r\n]*)?\r\n")
_FORBIDDEN = re.compile(r"[\x00\r\n]")


def request_bytes(target: str, headers: Iterable[tuple[str, str]]) -> bytes:
    """A whole GET. Raises FetchError when a header would break out of its line."""
    lines = [f"GET {target} HTTP/1.1"]
    for name, value in headers:
        if _FORBIDDEN.search(name + value):
            raise FetchError(f"bad request: header {name!r} has a line break")
        lines.append(f"{name}: {value}")
    if _FORBIDDEN.search(target) or " " in target:
        raise FetchError(f"bad request: malformed target {target!r}")
    try:
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
    except UnicodeEncodeError:
        raise FetchError("bad request: a header is not latin-1") from None


class ResponseReader:
    """Collects one answer from pieces. `body_bytes_max` holds for the decompressed body.

    `feed` and `end` say whether the answer is complete; then `response()` gives it, and `reusable` whether the
    connection may be used again. All raise FetchError for what is not HTTP, BodyTooBig for too much of it.
    """

    def __init__(self, body_bytes_max: int) -> None:
        self.reusable = False
        self._max = body_bytes_max
        self._buffer = b""
        self._status = 0
        self._reason = b""
        self._headers: dict[str, str] = {}
        self._length: int | None = None
        self._chunked = False
        self._chunk_left = 0
        self._chunk_ended = True
        self._pieces: list[bytes] = []
        self._received = 0

    @property
    def started(self) -> bool:
        """Whether any byte of an answer came."""
        return bool(self._status or self._buffer)

    def feed(self, data: bytes) -> bool:
        """Takes the next piece; True when the answer is complete."""
        if not self._status:
            self._buffer += data
            if not self._head():
                return False
            data, self._buffer = self._buffer, b""
        if self._chunked:
            return self._chunks(data)
        self._take(data)
        if self._length is None:
            return False
        if self._received > self._length:
            self.reusable = False  # more than one answer came: nobody asked for the rest
            raise FetchError("malformed HTTP response: more bytes than Content-Length")
        return self._received == self._length

    def end(self) -> None:
        """The peer closed. Raises FetchError unless that is how this answer ends."""
        if self._status and self._length is None and not self._chunked:
            self.reusable = False
            return
        raise FetchError("unexpected EOF")

    def _take(self, data: bytes) -> None:
        self._received += len(data)
        if self._received > self._max:
            raise BodyTooBig("body size limit exceeded")
        if data:
            self._pieces.append(data)

    def _head(self) -> bool:
        """Reads the head from the buffer, leaving what follows; False while it is not all there."""
        while True:
            end = _HEAD_END.search(self._buffer)
            if end is None:
                if len(self._buffer) > HEAD_BYTES_MAX or (
                    self._buffer and not self._buffer.startswith(b"HTTP/1."[: len(self._buffer)])
                ):
                    raise FetchError(f"malformed HTTP response {self._buffer[:40]!r}")
                return False
            lines = self._buffer[: end.start()].split(b"\n")
            self._buffer = self._buffer[end.end() :]
            match = _STATUS.fullmatch(lines[0].rstrip(b"\r"))
            if match is None:
                raise FetchError(f"malformed HTTP response {lines[0][:40]!r}")
            status = int(match[2])
            headers = self._parse(lines[1:])
            if status >= 200:
                self._status, self._reason, self._headers = status, match[3] or b"", headers
                self._frame(minor=match[1])
                return True

    @staticmethod
    def _parse(lines: list[bytes]) -> dict[str, str]:
        headers: dict[str, str] = {}
        for line in lines:
            match = _HEADER.fullmatch(line.removesuffix(b"\r"))
            if match is None:
                raise FetchError(f"malformed HTTP header {line[:40]!r}")
            name, value = match[1].decode().lower(), match[2].decode("latin-1")
            if name in headers:
                if name == "content-length" and headers[name] != value:
                    raise FetchError("malformed HTTP response: two values of Content-Length")
                if name != "content-length":
                    value = f"{headers[name]}, {value}"
            headers[name] = value
        return headers

    def _frame(self, minor: bytes) -> None:
        headers = self._headers
        connection = headers.get("connection", "").lower()
        self.reusable = minor == b"1" and "close" not in connection
        coding = headers.get("transfer-encoding")
        if self._status in (204, 304):
            self._length = 0
        elif coding is not None:
            if coding.strip().lower() != "chunked":
                raise FetchError(f"unsupported transfer encoding {coding!r}")
            self._chunked = True
        elif "content-length" in headers:
            text = headers["content-length"]
            if not text.isascii() or not text.isdigit() or len(text) > 15:
                raise FetchError(f"bad Content-Length {text!r}")
            self._length = int(text)
            if self._length > self._max:
                raise BodyTooBig("body size limit exceeded")
        else:
            self.reusable = False

    def _chunks(self, data: bytes) -> bool:
        if self._buffer:
            data, self._buffer = self._buffer + data, b""
        position = 0
        while True:
            if self._chunk_left:
                piece = data[position : position + self._chunk_left]
                self._take(piece)
                position += len(piece)
                self._chunk_left -= len(piece)
                if self._chunk_left:
                    return False
                self._chunk_ended = False
            if not self._chunk_ended:
                if len(data) - position < 2:
                    self._buffer = data[position:]
                    return False
                if data[position : position + 2] != b"\r\n":
                    raise FetchError("malformed chunk: no line break at its end")
                position += 2
                self._chunk_ended = True
            size_line = _CHUNK.match(data, position)
            if size_line is None:
                rest = data[position:]
                if b"\r\n" in rest or len(rest) > CHUNK_LINE_BYTES_MAX:
                    raise FetchError(f"malformed chunk {rest[:40]!r}")
                self._buffer = rest
                return False
            self._chunk_left = int(size_line[1], 16)
            if self._chunk_left > self._max:
                raise BodyTooBig("body size limit exceeded")
            if self._chunk_left == 0:
                return self._trailer(data, position, size_line.end())
            position = size_line.end()

    def _trailer(self, data: bytes, last_chunk: int, start: int) -> bool:
        """After the last chunk; while it is not all there, the last chunk's line is read again next time."""
        rest = data[start:]
        end = 2 if rest.startswith(b"\r\n") else 0
        if not end:
            found = _HEAD_END.search(rest)
            if found is None:
                if len(rest) > HEAD_BYTES_MAX:
                    raise FetchError("trailer is too long")
                self._buffer = data[last_chunk:]
                return False
            self._parse(rest[: found.start()].split(b"\n"))
            end = found.end()
        self.reusable = self.reusable and end == len(rest)
        return True

    def response(self) -> Response:
        """The answer with its body decompressed. Raises FetchError, BodyTooBig."""
        body = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
        wire_bytes = len(body)
        if body and self._headers.get("content-encoding", "").lower() == "gzip":
            body = inflate(body, self._max)
        return Response(
            status=self._status,
            reason=self._reason.decode("latin-1"),
            content_type=self._headers.get("content-type", ""),
            body=body,
            wire_bytes=wire_bytes,
            headers=self._headers,
        )


def inflate(data: bytes, body_bytes_max: int) -> bytes:
    """Gunzips a whole body and stops at the cap, however small it is. Raises FetchError, BodyTooBig."""
    decompressor = zlib.decompressobj(31)
    try:
        body = decompressor.decompress(data, body_bytes_max + 1)
    except zlib.error as error:
        raise FetchError(f"gzip: invalid data: {error}") from None
    if len(body) > body_bytes_max:
        raise BodyTooBig("body size limit exceeded")
    if not decompressor.eof:
        raise FetchError("gzip: unexpected EOF")
    return body
