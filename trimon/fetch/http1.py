"""HTTP/1.1 as a client of one peer needs it: the bytes of one request, a reader for one answer. Pure, no I/O.

A general protocol engine validates and copies for every use there may be; a scrape asks the same question every
time and reads one answer. A test compares the two on generated answers. Source: RFC 9112.
"""

from __future__ import annotations

import re
import sys
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from typing import Final

from trimon.fetch.head import Fields, HeadReader, ResponseHead
from trimon.fetch.headers import encoded_headers
from trimon.fetch.inflater import gunzipped, inflated
from trimon.fetch.request import BodyError, BodyTooBig, FetchError, Response, StreamedResponse
from trimon.fetch.times import ExchangeTimes
from trimon.gotext.strings import go_quote

REDIRECTS: Final = frozenset((301, 302, 303, 307, 308))
CHUNK_LINE_BYTES_MAX: Final = 4096
TRAILER_BYTES_MAX: Final = 64 * 1024
# Chunks that are read at a stretch: about a millisecond.
CHUNKS_AT_ONCE: Final = 1000
# Pieces of a body beyond this many are joined: each is an object of its own.
PIECES_MAX: Final = 256
# So much of a body that nobody wants is read, so that its connection can be used again.
UNWANTED_BODY_BYTES_MAX: Final = 2048
_HEAD_END = re.compile(rb"\r?\n\r?\n")
_CHUNK = re.compile(rb"([0-9a-fA-F]{1,16})[ \t]*(?:;[^\r\n]*)?\r\n")
_FORBIDDEN = re.compile(r"[\x00-\x20\x7f]")


def request_bytes(method: str, target: str, headers: Iterable[tuple[str, str]], body: bytes = b"") -> bytes:
    """A whole request. Raises FetchError when a header would break out of its line."""
    if _FORBIDDEN.search(target):
        raise FetchError(f"bad request: malformed target {go_quote(target)}")
    try:
        lines = [f"{method} {target} HTTP/1.1".encode("latin-1")]
    except UnicodeEncodeError:
        raise FetchError("bad request: the target is not latin-1") from None
    lines += [b"%b: %b" % header for header in encoded_headers(headers)]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def is_unwanted(status: int, headers: Mapping[str, str], *, follows: bool, only_ok: bool) -> bool:
    """Whether nobody wants the body of an answer, by its head."""
    return (follows and status in REDIRECTS and bool(headers.get("location"))) or (only_ok and status != 200)


class ResponseReader:
    """Collects one answer from pieces. `body_bytes_max` holds for the decompressed body; None is no bound. With
    `head_only` the answer is one to HEAD: it has no body, whatever its headers say. With `follows` the body of a redirect
    is not wanted, with `only_ok` that of any answer but 200: it is read only as far as it is short.

    `feed` and `end` say whether the answer is complete; then `response()` gives it, and `reusable` whether the connection
    may be used again. `feed` does not read on for ever: while `unread` is true it is to be called again, with nothing.
    `inflate` does the costly part of `response` in steps. All raise FetchError for what is not HTTP, BodyTooBig for too
    much of it.
    """

    def __init__(
        self,
        body_bytes_max: int | None = None,
        *,
        head_only: bool = False,
        follows: bool = False,
        only_ok: bool = False,
    ) -> None:
        self.reusable = False
        self.unwanted = False
        """Whether the head has come, and says that nobody wants the body."""
        self._follows = follows
        self._only_ok = only_ok
        self._head_only = head_only
        self._max = sys.maxsize if body_bytes_max is None else body_bytes_max
        self._head_reader = HeadReader(head_only=head_only)
        self._head: ResponseHead | None = None
        self._buffer = b""
        self._chunk_left = 0
        self._chunk_ended = True
        self._trailer_fields: Fields | None = None
        self._pieces: list[bytes] = []
        self._joined = bytearray()
        self._received = 0
        self._wire_body = b""
        self._inflated = False
        self._inflated_bytes = 0
        self.unread = False
        """Whether `feed` left something of what it was given for its next call."""

    @property
    def started(self) -> bool:
        """Whether any byte of an answer came."""
        return self._head is not None or self._head_reader.started

    @property
    def begun(self) -> bool:
        """Whether the head of the answer is all there."""
        return self._head is not None

    @property
    def held_bytes(self) -> int:
        """What is there of the body: as it came, and decompressed."""
        return self._received + self._inflated_bytes

    @property
    def compressed(self) -> bool:
        """Whether the body is to be gunzipped; the name of the coding is taken to the letter, as Prometheus does."""
        return self._begun.headers.get("content-encoding") == "gzip"

    @property
    def _begun(self) -> ResponseHead:
        assert self._head is not None, "the head of the answer has not come"
        return self._head

    def tell(self, times: ExchangeTimes) -> None:
        """Says how far the answer came."""
        if self._head is not None:
            times.status = self._head.status
            times.content_type = self._head.headers.get("content-type", "")
            times.received_bytes = self._received

    def take(self) -> bytes:
        """What came of the body since it was last taken, as it came over the connection."""
        taken = b"".join((self._joined, *self._pieces)) if self._joined else b"".join(self._pieces)
        self._pieces, self._joined = [], bytearray()
        return taken

    def begun_response(self, pieces: AsyncIterator[bytes]) -> StreamedResponse:
        """The head of the answer, and its body to come."""
        head = self._begun
        return StreamedResponse(head.status, head.reason, head.headers, pieces)

    def feed(self, data: bytes) -> bool:
        """Takes the next piece; True when the answer is complete."""
        if self._head is None:
            head = self._head_reader.feed(data)
            if head is None:
                self.unread = self._head_reader.unread
                return False
            data = self._head_reader.rest
            self._begin(head)
        head = self._begun
        try:
            complete = self._chunks(data) if head.chunked else self._counted(data, head.length)
        except BodyError:
            if not self.unwanted:
                raise
            self.reusable = False
            return True
        if self.unwanted and not complete:
            # the rest is not waited for when it is known to be long, or turns out to be
            size = max(self._received, self._chunk_left, head.length or 0)
            complete = size > UNWANTED_BODY_BYTES_MAX
            self.reusable = self.reusable and not complete
        return complete

    def _begin(self, head: ResponseHead) -> None:
        self._head = head
        self.reusable = head.keeps
        self.unread = False
        self.unwanted = is_unwanted(head.status, head.headers, follows=self._follows, only_ok=self._only_ok)
        if self.unwanted:
            self._max = sys.maxsize
        elif head.length is not None and head.length > self._max:
            raise BodyTooBig(self._max)

    def end(self) -> None:
        """The peer closed. Raises FetchError unless that is how this answer ends."""
        self.reusable = False
        if self._head is None:
            raise self._head_reader.cut()
        if not self.unwanted and (self._head.chunked or self._head.length is not None):
            raise BodyError("unexpected EOF")

    def _counted(self, data: bytes, length: int | None) -> bool:
        """Takes a piece of a body that has a length, or ends with the connection."""
        if length is not None and self._received + len(data) > length:
            # The answer counts; what follows it was not asked for, and must not become the next one.
            data = data[: length - self._received]
            self.reusable = False
        self._take(data)
        return self._received == length

    def _take(self, data: bytes) -> None:
        self._received += len(data)
        if self._received > self._max:
            raise BodyTooBig(self._max)
        if not data or self.unwanted:
            return
        self._pieces.append(data)
        if len(self._pieces) >= PIECES_MAX:
            self._joined += b"".join(self._pieces)
            self._pieces = []

    def _chunks(self, data: bytes) -> bool:
        if self._trailer_fields is not None:
            return self._read_trailer(self._trailer_fields)
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
                    raise BodyError("malformed chunked encoding")
                position += 2
                self._chunk_ended = True
            size_line = _CHUNK.match(data, position)
            if size_line is None:
                _check_chunk_line(data[position : position + CHUNK_LINE_BYTES_MAX + 1])
                self._buffer = data[position:]
                return False
            self._chunk_left = int(size_line[1], 16)
            if self._chunk_left > self._max:
                raise BodyTooBig(self._max)
            if self._chunk_left == 0:
                return self._trailer(data, position, size_line.end())
            position = size_line.end()
        self._buffer = data[position:]
        self.unread = True
        return False

    def _trailer(self, data: bytes, last_chunk: int, start: int) -> bool:
        """After the last chunk; while it is not all there, the last chunk's line is read again next time."""
        rest = data[start:]
        if rest.startswith(b"\r\n"):
            self.reusable = self.reusable and len(rest) == 2
            return True
        found = _HEAD_END.search(rest)
        if len(rest) > TRAILER_BYTES_MAX and (found is None or found.start() > TRAILER_BYTES_MAX):
            raise BodyError(f"trailer of more than {TRAILER_BYTES_MAX} bytes, which is the limit")
        if found is None:
            self._buffer = data[last_chunk:]
            return False
        self.reusable = self.reusable and found.end() == len(rest)
        self._trailer_fields = Fields(rest[: found.start()])
        return self._read_trailer(self._trailer_fields)

    def _read_trailer(self, fields: Fields) -> bool:
        """Nobody wants what it says, but it has to be one."""
        try:
            complete = fields.read()
        except FetchError as error:
            raise BodyError(str(error)) from None
        self.unread = not complete
        return complete

    def inflate_at_once(self) -> bool:
        """Decompresses a complete body where that is one short piece of work, or none; whether it is done."""
        if self._joined or len(self._pieces) != 1 or self.unwanted:
            return False
        data = self._pieces[0]
        if self.compressed:
            body = gunzipped(data, self._max)
            if body is None:
                return False
            self._pieces = [body]
            self._inflated_bytes = len(body)
        self._inflated, self._wire_body = True, data
        return True

    def inflate(self) -> Iterator[None]:
        """Decompresses the body, if it is compressed, a step at a time. Raises BodyError, BodyTooBig."""
        self._inflated = True
        data = self.take()
        self._wire_body = data
        self._pieces = [data]
        if self.unwanted or not self.compressed or not (data or self._has_body):
            return
        self._pieces = []
        for piece in inflated(data, self._max):
            if self._pieces:
                yield
            self._inflated_bytes += len(piece)
            self._pieces.append(piece)

    @property
    def _has_body(self) -> bool:
        """Whether there is a body, even if an empty one."""
        return self._begun.status == 200 and not self._head_only

    def response_so_far(self) -> Response:
        """The answer with what came of its body, without any where that is compressed; the connection cannot be used again."""
        self.reusable = False
        body = b"" if self.compressed else self.take()[: self._max]
        self._inflated, self._pieces, self._wire_body = True, [body], body
        return self.response()

    def response(self, times: ExchangeTimes | None = None) -> Response:
        """The answer with its body decompressed, and how long it took. Raises FetchError, BodyTooBig."""
        if not self._inflated:
            for _ in self.inflate():
                pass
        head = self._begun
        return Response(
            status=head.status,
            reason=head.reason,
            content_type=head.headers.get("content-type", ""),
            body=self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces),
            wire_bytes=len(self._wire_body),
            headers=head.headers,
            wire_body=self._wire_body,
            is_compressed=self.compressed,
            times=times,
        )


def _check_chunk_line(line: bytes) -> None:
    """Raises BodyError for what cannot be the beginning of a chunk."""
    text, newline, _ = line.partition(b"\n")
    if not newline:
        if len(line) > CHUNK_LINE_BYTES_MAX:
            raise BodyError(f"line of a chunk of more than {CHUNK_LINE_BYTES_MAX} bytes, which is the limit")
        return
    if not text.endswith(b"\r"):
        raise BodyError("chunked line ends with bare LF")
    size = text.removesuffix(b"\r").partition(b";")[0].rstrip(b" \t")
    if not size:
        raise BodyError("empty hex number for chunk length")
    if re.fullmatch(rb"[0-9a-fA-F]+", size):
        raise BodyError("http chunk length too large")
    raise BodyError("invalid byte in chunk length")
