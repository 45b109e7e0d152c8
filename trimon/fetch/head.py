"""The head of an answer: its status line, its fields, and how its body ends. Pure, no I/O. Source: RFC 9112.

What Go's client takes is taken (folded lines, blanks in names, other versions), and what is refused is told in its words.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from trimon.fetch.request import FetchError
from trimon.gotext.strings import go_quote, go_quote_bytes

# Heads beyond this are refused, as Go's client does.
HEAD_BYTES_MAX: Final = 10 * 2**20
# Each field costs some hundred bytes of memory, however short it is.
HEADERS_MAX: Final = 65_536
# Lines of a head that are read at a stretch: about a millisecond.
LINES_AT_ONCE: Final = 1000
# Answers that only announce the answer (100 Continue and the like).
INFORMATIONAL_MAX: Final = 5
# What is quoted of something that is no HTTP.
_QUOTED_BYTES_MAX: Final = 200
_HEAD_END = re.compile(rb"\r?\n\r?\n")
_VERSION = re.compile(rb"HTTP/([0-9])\.([0-9])")
_HEADER = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]++):[ \t]*+([\t\x20-\x7e\x80-\xff]*+)")
# A blank in a name makes it another name: `Content-Type ` is not `Content-Type`.
_BLANK_NAME = re.compile(rb"([ !#$%&'*+.^_`|~0-9A-Za-z-]++):[ \t]*+([\t\x20-\x7e\x80-\xff]*+)")
# A line that begins with a blank goes on from the one before. The look back keeps long runs of blanks linear.
_FOLD = re.compile(rb"(?<![ \t])[ \t]*+\r?\n[ \t]++")
_LENGTH = re.compile(r"[0-9]+")
_LENGTH_MAX: Final = 2**63
_PLAIN_STATUS: Final = b"HTTP/1.1 200 OK\r\n"
_PLAIN_HEAD_BYTES_MAX: Final = 4096
# Peers say most lines of their heads again and again: some are kept as they were read.
_LINES_KEPT_MAX: Final = 512
_LINE_KEPT_BYTES_MAX: Final = 200
# Those that differ from answer to answer are not kept.
_DIFFERENT: Final = frozenset(("content-length", "date", "age", "etag", "last-modified", "traceparent"))
_known_lines: Final[dict[bytes, tuple[str, str]]] = {}


class ResponseHead(NamedTuple):
    """What an answer says of itself before its body."""

    status: int
    reason: str
    headers: dict[str, str]
    """Names in lower case; values of one name are joined with commas."""
    keeps: bool
    """Whether the peer keeps the connection open afterwards."""
    chunked: bool
    length: int | None
    """Of the body; None when it ends with the connection, or is chunked."""


def not_http(text: str) -> FetchError:
    """The error of a connection that does not talk HTTP."""
    return FetchError(f"net/http: HTTP/1.x transport connection broken: {text}")


def quoted(raw: bytes) -> str:
    """Bytes from a peer as they are shown in a message."""
    more = "…" if len(raw) > _QUOTED_BYTES_MAX else ""
    return go_quote_bytes(raw[:_QUOTED_BYTES_MAX]) + more


class Fields:
    """Reads the fields of a head or a trailer, some at a time. Raises FetchError for what is none."""

    def __init__(self, block: bytes) -> None:
        if b"\n " in block or b"\n\t" in block:
            block = _FOLD.sub(b" ", block)
        if block[:1] in (b" ", b"\t"):
            line = block.partition(b"\n")[0].removesuffix(b"\r")
            raise not_http(f"malformed MIME header initial line: {quoted(line)}")
        self._lines = block.split(b"\n") if block else []
        self._at = 0
        self._values: dict[str, str] = {}
        # all values of the names that came more than once
        self._repeated: dict[str, list[str]] = {}

    def read(self) -> bool:
        """Reads on; whether that was all."""
        values = self._values
        until = self._at + LINES_AT_ONCE
        for raw in self._lines[self._at : until]:
            line = raw.removesuffix(b"\r")
            match = _HEADER.fullmatch(line)
            if match is None:
                self._odd(line)
                continue
            name = match[1].decode("ascii").lower()
            value = match[2].rstrip(b" \t").decode("latin-1")
            if name in values:
                self._add(name, value)
            else:
                values[name] = value
        self._at = until
        return until >= len(self._lines)

    def _add(self, name: str, value: str) -> None:
        if name not in self._values:
            self._values[name] = value
        elif name in self._repeated:
            self._repeated[name].append(value)
        else:
            self._repeated[name] = [self._values[name], value]

    def _odd(self, line: bytes) -> None:
        """A line whose name has a blank, or that is no field."""
        match = _BLANK_NAME.fullmatch(line)
        if match is not None and match[1].strip(b" "):
            self._add(match[1].decode("ascii").lower(), match[2].rstrip(b" \t").decode("latin-1"))
        elif b":" in line:
            raise not_http(f"malformed MIME header line: {quoted(line)}")
        else:
            raise not_http(f"malformed MIME header: missing colon: {quoted(line)}")

    def values(self, name: str) -> list[str]:
        """All values of one name, in lower case."""
        if name in self._repeated:
            return self._repeated[name]
        return [self._values[name]] if name in self._values else []

    def joined(self) -> dict[str, str]:
        """Each name with its values. To be called once."""
        for name, values in self._repeated.items():
            self._values[name] = ", ".join(values)
        return self._values


def plain_head(data: bytes) -> tuple[ResponseHead, bytes] | None:
    """The head of an answer and what follows it, where it is all there and nothing about it is unusual; None for any other.

    Unusual is what is not 200, a field that is there twice, and one over several lines. Raises FetchError as the reader would.
    """
    end = data.find(b"\r\n\r\n", 0, _PLAIN_HEAD_BYTES_MAX)
    if end < 0 or not data.startswith(_PLAIN_STATUS):
        return None
    headers: dict[str, str] = {}
    lines = data[len(_PLAIN_STATUS) : end].split(b"\r\n")
    for line in lines:
        field = _known_lines.get(line) or _field(line)
        if field is None:
            return None
        headers[field[0]] = field[1]
    if len(headers) != len(lines):
        return None
    codings = [headers["transfer-encoding"]] if "transfer-encoding" in headers else []
    lengths = [headers["content-length"]] if "content-length" in headers else []
    chunked, length = _is_chunked(codings), _length(lengths)
    keeps = (chunked or length is not None) and _is_kept(headers)
    head = ResponseHead(200, "OK", headers, keeps, chunked, None if chunked else length)
    return head, data[end + 4 :]


def _field(line: bytes) -> tuple[str, str] | None:
    """Name and value of a plain line of a head; kept for the next time, mostly."""
    match = _HEADER.fullmatch(line)
    if match is None:
        return None
    name = match[1].decode("ascii").lower()
    field = (name, match[2].rstrip(b" \t").decode("latin-1"))
    if len(line) <= _LINE_KEPT_BYTES_MAX and name not in _DIFFERENT:
        if len(_known_lines) >= _LINES_KEPT_MAX:
            _known_lines.clear()
        _known_lines[line] = field
    return field


class HeadReader:
    """Reads the head of one answer from pieces, passing over those that only announce it.

    While `unread` is true it is to be fed again, with nothing.
    """

    def __init__(self, *, head_only: bool = False) -> None:
        self.unread = False
        self.rest = b""
        """What came after the head."""
        self._head_only = head_only
        self._buffer: bytes | bytearray = b""
        # where the end is looked for: what is before was searched
        self._searched = 0
        self._status: tuple[int, int, int, str] | None = None
        self._fields: Fields | None = None
        self._informational = 0

    @property
    def started(self) -> bool:
        """Whether any byte came."""
        return bool(self._buffer) or self._status is not None

    def feed(self, data: bytes) -> ResponseHead | None:
        """Takes the next piece; the head when it is all there. Raises FetchError."""
        if not self._buffer:
            if self._status is None and not self._head_only and (plain := plain_head(data)) is not None:
                self.rest = plain[1]
                return plain[0]
            self._buffer = data
        elif data:
            if isinstance(self._buffer, bytes):
                self._buffer = bytearray(self._buffer)
            self._buffer += data
        self.unread = False
        while self._fields is not None or self._found():
            fields, status = self._fields, self._status
            assert fields is not None
            assert status is not None
            if not fields.read():
                self.unread = True
                return None
            self._fields = None
            head = _head(status, fields, head_only=self._head_only)
            if not 100 <= head.status < 200 or head.status == 101:
                self.rest, self._buffer = bytes(self._buffer), b""
                return head
            self._informational += 1
            if self._informational > INFORMATIONAL_MAX:
                raise FetchError(
                    f"too many 1xx informational responses, at most {INFORMATIONAL_MAX} are taken"
                )
        return None

    def cut(self) -> FetchError:
        """The error of a peer that closed before the head was all there."""
        try:
            self._check_begin(bytes(self._buffer))
        except FetchError as error:
            return error
        return not_http("unexpected EOF")

    def _found(self) -> bool:
        """Whether the buffer has a whole head; takes it out then."""
        buffer = self._buffer
        end = _HEAD_END.search(buffer, self._searched)
        size = len(buffer) if end is None else end.start()
        if size > HEAD_BYTES_MAX:
            raise not_http(f"net/http: server response headers exceeded {HEAD_BYTES_MAX} bytes; aborted")
        if end is None:
            if not self._searched:
                self._check_begin(bytes(buffer))
            self._searched = max(0, len(buffer) - 3)
            return False
        count = buffer.count(b"\n", 0, size)
        if count > HEADERS_MAX:
            raise not_http(f"the answer has {count} lines of headers, at most {HEADERS_MAX} are taken")
        line, _, fields = bytes(buffer[:size]).partition(b"\n")
        self._buffer = buffer[end.end() :]
        self._searched = 0
        self._status = _status(line.removesuffix(b"\r"))
        self._fields = Fields(fields)
        return True

    @staticmethod
    def _check_begin(buffer: bytes) -> None:
        """What does not begin like HTTP is refused before its end is waited for."""
        line, newline, _ = buffer.partition(b"\n")
        if newline:
            _status(line.removesuffix(b"\r"))
        elif not _may_begin_http(line):
            raise _status_fault(line)


def _may_begin_http(line: bytes) -> bool:
    return line.startswith(b"HTTP/"[: len(line)])


def _status(line: bytes) -> tuple[int, int, int, str]:
    """Major and minor version, status and reason of a status line. Raises FetchError."""
    protocol, _, rest = line.partition(b" ")
    code, _, reason = rest.lstrip(b" ").partition(b" ")
    version = _VERSION.fullmatch(protocol)
    if version is None or len(code) != 3 or not code.isdigit():
        raise _status_fault(line)
    return int(version[1]), int(version[2]), int(code), reason.decode("utf-8", "replace")


def _status_fault(line: bytes) -> FetchError:
    protocol, blank, rest = line.partition(b" ")
    code = rest.lstrip(b" ").partition(b" ")[0]
    if not blank:
        return not_http(f"malformed HTTP response {quoted(line)}")
    if len(code) != 3 or not code.isdigit():
        return not_http(f"malformed HTTP status code {quoted(code)}")
    return not_http(f"malformed HTTP version {quoted(protocol)}")


def _head(line: tuple[int, int, int, str], fields: Fields, *, head_only: bool) -> ResponseHead:
    major, minor, status, reason = line
    newer = (major, minor) >= (1, 1)
    # answers in HTTP/1.0 have no transfer encodings, whatever they say
    chunked = newer and _is_chunked(fields.values("transfer-encoding"))
    length = _length(fields.values("content-length"))
    headers = fields.joined()
    if head_only or status in (204, 304) or 100 <= status < 200:
        chunked, length = False, 0
    elif chunked:
        length = None
    keeps = newer and status != 101 and (chunked or length is not None)
    keeps = keeps and _is_kept(headers)
    return ResponseHead(status, reason, headers, keeps, chunked, length)


def _is_kept(headers: dict[str, str]) -> bool:
    """Whether nothing is said of closing the connection."""
    connection = headers.get("connection", "")
    return not connection or all(word.strip(" \t").lower() != "close" for word in connection.split(","))


def _is_chunked(codings: list[str]) -> bool:
    if len(codings) > 1:
        raise not_http(f"too many transfer encodings: {_list(codings)}")
    if codings and codings[0].lower() != "chunked":
        raise not_http(f"unsupported transfer encoding: {go_quote(codings[0])}")
    return bool(codings)


def _length(lengths: list[str]) -> int | None:
    if not lengths:
        return None
    text = lengths[0]
    if any(other != text for other in lengths):
        raise not_http(f"http: message cannot contain multiple Content-Length headers; got {_list(lengths)}")
    if not text:
        raise not_http('invalid empty Content-Length ""')
    # thousands of digits are no number that is worth reading
    digits = text.lstrip("0") or "0"
    if _LENGTH.fullmatch(text) is None or len(digits) > 19 or int(digits) >= _LENGTH_MAX:
        raise not_http(f"bad Content-Length {quoted(text.encode('latin-1'))}")
    return int(digits)


def _list(texts: list[str]) -> str:
    return "[" + " ".join(quoted(text.encode("latin-1")) for text in texts[:3]) + "]"
