"""HTTP/1.1 as a client of one peer needs it: the bytes of one request, a reader for one answer. Pure, no I/O.

A general protocol engine validates and copies for every use there may be; a scrape asks the same question every
time and reads one answer. A test compares the two on generated answers. Source: RFC 9112.
"""

from __future__ import annotations

import re
import sys
import zlib
from collections.abc import AsyncIterator, Iterable, Iterator
from typing import Final

from trimon.fetch.headers import encoded_headers
from trimon.fetch.request import BodyError, BodyTooBig, FetchError, Response, StreamedResponse

# A response head beyond this is refused.
HEAD_BYTES_MAX: Final = 128 * 1024
CHUNK_LINE_BYTES_MAX: Final = 4096
# Answers that only announce the answer (100 Continue and the like); Go's client gives up after as many.
INFORMATIONAL_MAX: Final = 5
# Chunks that are read at a stretch: about a millisecond.
CHUNKS_AT_ONCE: Final = 1000
# Pieces of a body beyond this many are joined: each is an object of its own.
PIECES_MAX: Final = 256
# A body is inflated so much at a stretch: a few milliseconds.
INFLATED_BYTES_AT_ONCE: Final = 2**20
GZIP_HEAD_BYTES: Final = 10
_HEAD_END = re.compile(rb"\r?\n\r?\n")
_STATUS = re.compile(rb"HTTP/1\.([01]) ([1-9][0-9]{2})(?: ([^\r\n\x00]*))?")
_HEADER = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]++):[ \t]*+([^\r\n\x00]*+)")
_CHUNK = re.compile(rb"([0-9a-fA-F]{1,15})[ \t]*(?:;[^\r\n]*)?\r\n")
_FORBIDDEN = re.compile(r"[\x00\r\n]")


def request_bytes(method: str, target: str, headers: Iterable[tuple[str, str]], body: bytes = b"") -> bytes:
    """A whole request. Raises FetchError when a header would break out of its line."""
    if _FORBIDDEN.search(target) or " " in target:
        raise FetchError(f"bad request: malformed target {target!r}")
    try:
        lines = [f"{method} {target} HTTP/1.1".encode("latin-1")]
    except UnicodeEncodeError:
        raise FetchError("bad request: the target is not latin-1") from None
    lines += [b"%b: %b" % header for header in encoded_headers(headers)]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


class ResponseReader:
    """Collects one answer from pieces. `body_bytes_max` holds for the decompressed body; None is no bound. With
    `head_only` the answer is one to HEAD: it has no body, whatever its headers say.

    `feed` and `end` say whether the answer is complete; then `response()` gives it, and `reusable` whether the connection
    may be used again. `feed` does not read on for ever: while `unread` is true it is to be called again, with nothing.
    `inflate` does the costly part of `response` in steps. All raise FetchError for what is not HTTP, BodyTooBig for too
    much of it.
    """

    def __init__(self, body_bytes_max: int | None = None, *, head_only: bool = False) -> None:
        self.reusable = False
        self._head_only = head_only
        self._max = sys.maxsize if body_bytes_max is None else body_bytes_max
        self._buffer = b""
        self._status = 0
        self._reason = b""
        self._headers: dict[str, str] = {}
        self._informational = 0
        # where the end of the head is looked for: what is before was searched
        self._searched = 0
        self._length: int | None = None
        self._chunked = False
        self._chunk_left = 0
        self._chunk_ended = True
        self._pieces: list[bytes] = []
        self._joined = bytearray()
        self._received = 0
        self._wire_bytes = 0
        self._inflated = False
        self.unread = False
        """Whether `feed` left something of what it was given for its next call."""

    @property
    def started(self) -> bool:
        """Whether any byte of an answer came."""
        return bool(self._status or self._buffer)

    @property
    def begun(self) -> bool:
        """Whether the head of the answer is all there."""
        return bool(self._status)

    @property
    def compressed(self) -> bool:
        """Whether the body is to be gunzipped; the name of the coding is taken to the letter, as Prometheus does."""
        return self._headers.get("content-encoding") == "gzip"

    def take(self) -> bytes:
        """What came of the body since it was last taken, as it came over the connection."""
        taken = b"".join((self._joined, *self._pieces)) if self._joined else b"".join(self._pieces)
        self._pieces, self._joined = [], bytearray()
        return taken

    def begun_response(self, pieces: AsyncIterator[bytes]) -> StreamedResponse:
        """The head of the answer, and its body to come."""
        return StreamedResponse(self._status, self._reason.decode("latin-1"), self._headers, pieces)

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
        if self._status:
            raise BodyError("unexpected EOF")
        raise FetchError("unexpected EOF")

    def _take(self, data: bytes) -> None:
        self._received += len(data)
        if self._received > self._max:
            raise BodyTooBig("body size limit exceeded")
        if not data:
            return
        self._pieces.append(data)
        if len(self._pieces) >= PIECES_MAX:
            self._joined += b"".join(self._pieces)
            self._pieces = []

    def _head(self) -> bool:
        """Reads the head from the buffer, leaving what follows; False while it is not all there."""
        while True:
            end = _HEAD_END.search(self._buffer, self._searched)
            if end is None:
                self._searched = max(0, len(self._buffer) - 3)
                if len(self._buffer) > HEAD_BYTES_MAX or (
                    self._buffer and not self._buffer.startswith(b"HTTP/1."[: len(self._buffer)])
                ):
                    raise FetchError(f"malformed HTTP response {self._buffer[:40]!r}")
                return False
            lines = self._buffer[: end.start()].split(b"\n")
            self._buffer = self._buffer[end.end() :]
            self._searched = 0
            match = _STATUS.fullmatch(lines[0].rstrip(b"\r"))
            if match is None:
                raise FetchError(f"malformed HTTP response {lines[0][:40]!r}")
            status = int(match[2])
            headers = self._parse(lines[1:])
            if status >= 200:
                self._status, self._reason, self._headers = status, match[3] or b"", headers
                self._frame(minor=match[1])
                return True
            self._informational += 1
            if self._informational > INFORMATIONAL_MAX:
                raise FetchError(
                    f"too many 1xx informational responses, at most {INFORMATIONAL_MAX} are taken"
                )

    @staticmethod
    def _parse(lines: list[bytes]) -> dict[str, str]:
        headers: dict[str, str] = {}
        for line in lines:
            match = _HEADER.fullmatch(line.removesuffix(b"\r"))
            if match is None:
                raise FetchError(f"malformed HTTP header {line[:40]!r}")
            name, value = match[1].decode().lower(), match[2].rstrip(b" \t").decode("latin-1")
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
        if self._head_only or self._status in (204, 304):
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
        self.unread = False
        for _ in range(CHUNKS_AT_ONCE):
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
                    raise BodyError("malformed chunk: no line break at its end")
                position += 2
                self._chunk_ended = True
            size_line = _CHUNK.match(data, position)
            if size_line is None:
                rest = data[position:]
                if b"\r\n" in rest or len(rest) > CHUNK_LINE_BYTES_MAX:
                    raise BodyError(f"malformed chunk {rest[:40]!r}")
                self._buffer = rest
                return False
            self._chunk_left = int(size_line[1], 16)
            if self._chunk_left > self._max:
                raise BodyTooBig("body size limit exceeded")
            if self._chunk_left == 0:
                return self._trailer(data, position, size_line.end())
            position = size_line.end()
        self._buffer = data[position:]
        self.unread = True
        return False

    def _trailer(self, data: bytes, last_chunk: int, start: int) -> bool:
        """After the last chunk; while it is not all there, the last chunk's line is read again next time."""
        rest = data[start:]
        end = 2 if rest.startswith(b"\r\n") else 0
        if not end:
            found = _HEAD_END.search(rest)
            if found is None:
                if len(rest) > HEAD_BYTES_MAX:
                    raise BodyError("trailer is too long")
                self._buffer = data[last_chunk:]
                return False
            self._parse(rest[: found.start()].split(b"\n"))
            end = found.end()
        self.reusable = self.reusable and end == len(rest)
        return True

    def inflate(self) -> Iterator[None]:
        """Decompresses the body, if it is compressed, a step at a time. Raises BodyError, BodyTooBig."""
        self._inflated = True
        data = self.take()
        self._wire_bytes = len(data)
        self._pieces = [data]
        if not data or not self.compressed:
            return
        inflater = Inflater()
        pieces, size = [], 0
        while data:
            room = min(INFLATED_BYTES_AT_ONCE, self._max + 1 - size)
            piece = inflater.feed(data, room)
            pieces.append(piece)
            size += len(piece)
            if size > self._max:
                raise BodyTooBig("body size limit exceeded")
            data = inflater.rest
            if data:
                yield
        inflater.end()
        self._pieces = pieces

    def response(self) -> Response:
        """The answer with its body decompressed. Raises FetchError, BodyTooBig."""
        if not self._inflated:
            for _ in self.inflate():
                pass
        body = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
        return Response(
            status=self._status,
            reason=self._reason.decode("latin-1"),
            content_type=self._headers.get("content-type", ""),
            body=body,
            wire_bytes=self._wire_bytes,
            headers=self._headers,
        )


class Inflater:
    """Gunzips a body as it comes."""

    def __init__(self) -> None:
        self._decompressor = zlib.decompressobj(31)
        self._began = b""

    def feed(self, data: bytes, bytes_max: int) -> bytes:
        """What a piece inflates to, at most `bytes_max`; then `rest` is to be fed next. Raises BodyError."""
        self._began = (self._began + data[:GZIP_HEAD_BYTES])[:GZIP_HEAD_BYTES]
        try:
            return self._decompressor.decompress(data, bytes_max)
        except zlib.error:
            if len(self._began) < GZIP_HEAD_BYTES:
                raise BodyError("unexpected EOF") from None
            what = "header" if not self._began.startswith(b"\x1f\x8b\x08") else "data"
            raise BodyError(f"gzip: invalid {what}") from None

    @property
    def rest(self) -> bytes:
        """What `bytes_max` left of the piece that was fed last."""
        return self._decompressor.unconsumed_tail

    def end(self) -> None:
        """There is nothing more. Raises BodyError when that cannot be."""
        if not self._decompressor.eof:
            raise BodyError("unexpected EOF")
