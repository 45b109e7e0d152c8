"""HTTP/1.1 as it goes over the wire: what clients may write that the protocol's library does not take or say."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from http import HTTPStatus
from typing import Final

import h11
from h11._readers import ChunkedReader, ContentLengthReader
from h11._receivebuffer import ReceiveBuffer
from h11._util import LocalProtocolError, Sentinel

from trimon.web.http.wire.refusal import LOOK_BYTES, Refused, check, detail_of

_HIGH: Final = re.compile(rb"[\x80-\xff]")
# Of a target as proxies are sent it.
_ABSOLUTE: Final = re.compile(rb"[a-z][a-z0-9+.-]*://[^/?#]*", re.IGNORECASE)
# As Go says them: Python's names of some differ between its versions.
_REASONS: Final = {status.value: status.phrase.encode() for status in HTTPStatus} | {
    413: b"Request Entity Too Large",
    422: b"Unprocessable Entity",
    499: b"status code 499",
}
_HEADS: Final = (h11.Response, h11.InformationalResponse)
# Of a chunk: sixteen digits are 64 bits. A line with its extensions is no longer than what is looked at.
_SIZE_TOO_LONG: Final = re.compile(rb"[0-9A-Fa-f]{17}")
_CHUNK_LINE_BYTES: Final = 4096
# Of "HTTP/1.1 200 ".
_STATUS_BYTES: Final = 13


@cache
def canonical(name: bytes) -> bytes:
    """The name of a header of ours, which is in lower case, as Go writes it: `Www-Authenticate`."""
    return b"-".join(part.capitalize() for part in name.split(b"-"))


def reason_of(status: int) -> bytes:
    """What stands behind a status, empty for one that nobody knows."""
    return _REASONS.get(status, b"")


class _StrictChunks(ChunkedReader):
    """As h11's, but without what others take for the end of a line, and without sizes that nothing has."""

    def __call__(self, buf: ReceiveBuffer) -> h11.Data | h11.EndOfMessage | None:
        """The next piece of a body, or its end."""
        if not (self._reading_trailer or self._bytes_in_chunk):
            # behind the end of the chunk before
            start = len(self._bytes_to_discard)
            held = buf._data[start : start + _CHUNK_LINE_BYTES]
            line, _, _ = held.partition(b"\r\n")
            if b"\n" in line or b"\r" in line[:-1] or _SIZE_TOO_LONG.match(line):
                raise LocalProtocolError("illegal chunk header")
        return super().__call__(buf)


class _Lines(ReceiveBuffer):
    """As h11's; what it took for the lines of a head is kept as it was sent."""

    def __init__(self) -> None:
        super().__init__()
        self.taken: list[bytearray] = []

    def maybe_extract_lines(self) -> list[bytearray] | None:
        """The lines of a head, when they are there."""
        lines = super().maybe_extract_lines()
        self.taken = lines or []
        return lines


class ServerProtocol(h11.Connection):
    """The server's side of one connection.

    A target may have bytes above ASCII, as some clients send them: they are read as if they were escaped. What
    comes behind a last request is not read; the HTTP server would answer it with 400 in place of the answer that
    is still being made. Upgrades are not offered: who asks for one, as for a web socket, is answered as ever, as
    servers may. A status has its reason. Of a target that is a whole URL, what follows the host counts, and its host. A
    length beside a transfer encoding is refused, and a list of lengths. HTTP/1.0 is answered with HTTP/1.0, and kept open for
    who asks for that. An answer says that the connection ends where no other can follow: before a body has come, or
    when `ends` says so.
    """

    def __init__(
        self,
        our_role: type[Sentinel],
        max_incomplete_event_size: int,
        ends: Callable[[], bool] = lambda: False,
    ) -> None:
        super().__init__(our_role, max_incomplete_event_size)
        self._ends = ends
        self._lines = self._receive_buffer = _Lines()
        self._high = False
        self._answers_old = False
        """The request at work is one of HTTP/1.0."""
        self.refusal_detail = ""
        """Why there will be no other request, where there is more to say than the status does."""

    def receive_data(self, data: bytes) -> None:
        """As h11's, but what comes behind a last request is not kept."""
        if self.their_state is h11.MUST_CLOSE and data:
            return
        if not data.isascii():
            self._high = True
        super().receive_data(data)

    def next_event(self) -> h11.Event | type[h11.NEED_DATA | h11.PAUSED]:
        """As h11's. Raises Refused for a request that cannot be served."""
        if self.their_state is h11.MUST_CLOSE:
            return h11.NEED_DATA
        if self.their_state is not h11.IDLE:
            return self._next_event()
        if self._high:
            self._escape_target()
        head = bytes(self._receive_buffer._data[:LOOK_BYTES])
        try:
            event = self._next_event()
        except h11.RemoteProtocolError as error:
            status = error.error_status_hint
            self.refusal_detail = detail_of(head) if status == HTTPStatus.BAD_REQUEST else ""
            raise Refused(status, self.refusal_detail) from error
        if not isinstance(event, h11.Request):
            return event
        try:
            return self._request(event)
        except Refused as error:
            self.refusal_detail = error.detail
            self._process_error(self.their_role)
            raise

    def _next_event(self) -> h11.Event | type[h11.NEED_DATA | h11.PAUSED]:
        """As h11's, whose error is raised by a method of its own: it and its frames would hold one another."""
        try:
            return super().next_event()
        except h11.RemoteProtocolError as error:
            error.__traceback__ = None
            raise

    def _request(self, event: h11.Request) -> h11.Request:
        """A request as the HTTP server is told it. Raises Refused."""
        check(event, self._lines.taken)
        if type(self._reader) is ChunkedReader:
            self._reader = _StrictChunks()
            if any(name == b"content-length" for name, _ in event.headers):
                # One reader goes by the length and another by the chunks: what one takes for a body is a request for the other.
                raise Refused(400)
        self._answers_old = event.http_version < b"1.1"
        if self._answers_old and self._stays_open(event):
            self._cstate.keep_alive = True
        absolute = _ABSOLUTE.match(event.target)
        if absolute is not None or self._cstate.pending_switch_proposals:
            target = event.target if absolute is None else event.target[absolute.end() :]
            headers = [header for header in event.headers if header[0] != b"upgrade"]
            if absolute is not None:  # the host of a whole URL goes before the one that a header names
                host = absolute[0].partition(b"://")[2]
                headers = [(b"host", host), *(header for header in headers if header[0] != b"host")]
            return h11.Request(
                method=event.method,
                target=target if target.startswith((b"/", b"*")) else b"/" + target,
                headers=headers,
                http_version=event.http_version,
            )
        return event

    def send(self, event: h11.Event) -> bytes | None:  # type: ignore[override] # only events go through it
        """As h11's, with the names of headers in capitals: some scripts look for them as Go writes them."""
        if isinstance(event, h11.EndOfMessage):
            self._take_rest()
        if isinstance(event, _HEADS):
            items = event.headers._full_items
            items[:] = [(canonical(name), name, value) for _, name, value in items]
            if isinstance(event, h11.Response) and self._is_last():
                items.append((b"Connection", b"connection", b"close"))
            elif self._answers_old and self._cstate.keep_alive:
                # h11 takes it back where the end of the body is the end of the connection
                items.append((b"Connection", b"connection", b"keep-alive"))
        data = super().send(event)
        if data is not None and isinstance(event, _HEADS):
            reason = reason_of(event.status_code)
            start = data[:_STATUS_BYTES]
            if self._answers_old:
                start = start.replace(b"HTTP/1.1", b"HTTP/1.0")
            return start + reason + data[_STATUS_BYTES:]
        return data

    def _is_last(self) -> bool:
        """Whether nothing can follow the answer that begins now."""
        if self.their_state is h11.SEND_BODY and not self._has_whole_body():
            return True
        return self.their_state is not h11.IDLE and self._ends()

    def _take_rest(self) -> None:
        """Takes out what has come of a body that nobody asked for: the answer did not say that the connection ends."""
        while self.their_state is h11.SEND_BODY and self._has_whole_body():
            self._next_event()

    def _has_whole_body(self) -> bool:
        """Whether what is missing of a body has come, but is not taken out yet."""
        reader = self._reader
        return isinstance(reader, ContentLengthReader) and reader._remaining <= len(self._receive_buffer)

    @staticmethod
    def _stays_open(event: h11.Request) -> bool:
        """Whether a client of HTTP/1.0 asks to keep the connection, and what follows cannot be taken for a body."""
        said: set[bytes] = set()
        coded = False
        for name, value in event.headers:
            if name == b"connection":
                said.update(token.strip() for token in value.lower().split(b","))
            coded = coded or name == b"transfer-encoding"
        return b"keep-alive" in said and b"close" not in said and not coded

    def _escape_target(self) -> None:
        """Escapes what is high in the first line of a request, or in the part of it that is there."""
        held = self._receive_buffer._data
        end = held.find(b"\n")
        line = held[: end if end >= 0 else len(held)]
        if not line.isascii():
            held[: len(line)] = _HIGH.sub(lambda match: b"%%%02X" % match[0][0], line)
        # a body, or the next request behind it, may have more
        self._high = not held.isascii()
