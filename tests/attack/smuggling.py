"""Shapes of requests that two readers may take for different ones: whether a request that is hidden in another is answered.

    python tests/attack/smuggling.py [--rounds 1] [--tls]

Every shape hides a request for `/version` where a proxy before the server would see a body, a header or nothing; none may be
answered. A shape has either an error, or the answer to the request that everybody sees, and then the connection ends or goes on
with what is told openly.
"""

# ruff: noqa: E501 # one shape a line

from __future__ import annotations

import re
import socket
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).parent.parent.parent))

from tests.attack.figures import arguments, figure
from tests.attack.overtls import context_of, tls_server
from tests.support.process import Server

HIDDEN: Final = b"GET /version HTTP/1.1\r\nHost: localhost\r\nX: "
# In the answer to a request that was hidden, and in no other.
FOUND: Final = b'"goVersion"'
ANSWER_S_MAX: Final = 2.0
_FORM: Final = b"Content-Type: application/x-www-form-urlencoded\r\n"
_STATUS: Final = re.compile(rb"HTTP/1\.[01] (\d{3})")


@dataclass(frozen=True)
class Shape:
    """One thing that is sent, and which statuses may come back, in their order."""

    name: str
    sent: bytes
    allowed: tuple[tuple[int, ...], ...]
    hides: bool = True
    """Whether `/version` is asked for secretly; else openly."""


def post(headers: bytes, body: bytes, version: bytes = b"HTTP/1.1") -> bytes:
    """A query as a form, with these headers and this body."""
    return b"POST /api/v1/query " + version + b"\r\nHost: localhost\r\n" + _FORM + headers + b"\r\n" + body


def get(headers: bytes = b"", path: bytes = b"/-/healthy", version: bytes = b"HTTP/1.1") -> bytes:
    """A request without a body."""
    return b"GET " + path + b" " + version + b"\r\nHost: localhost\r\n" + headers + b"\r\n"


BAD: Final = ((400,), (501,), (400, 400))
"""An error, and nothing else."""
EMPTY: Final = b"0\r\n\r\n"
FORM: Final = b"query=1"


def _length(text: bytes) -> Shape:
    return Shape(
        f"Content-Length: {text.decode('latin1')}",
        post(b"Content-Length: " + text + b"\r\n", FORM + HIDDEN),
        BAD,
    )


def _chunk(name: str, chunks: bytes) -> Shape:
    return Shape(f"chunk {name}", post(b"Transfer-Encoding: chunked\r\n", chunks + EMPTY + HIDDEN), BAD)


def _encoding(name: str, header: bytes) -> Shape:
    return Shape(f"transfer encoding {name}", post(header, b"7\r\n" + FORM + b"\r\n" + EMPTY + HIDDEN), BAD)


def shapes() -> list[Shape]:
    """All of them."""
    both = b"Content-Length: %d\r\nTransfer-Encoding: chunked\r\n"
    hidden_length = len(EMPTY) + len(HIDDEN)
    return [
        Shape("both lengths, chunked is shorter", post(both % hidden_length, EMPTY + HIDDEN), BAD),
        Shape("both lengths, the other order", post(b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", EMPTY + HIDDEN), BAD),
        Shape("both lengths of GET", get(both % hidden_length) + EMPTY + HIDDEN, BAD),
        Shape("two lengths", post(b"Content-Length: 7\r\nContent-Length: 8\r\n", FORM + HIDDEN), BAD),
        Shape("two lengths in one", post(b"Content-Length: 7, 8\r\n", FORM + HIDDEN), BAD),
        *map(_length, (b"-7", b"+7", b"0x7", b"7_0", b"7 0", b"1e1", b"\xb2", b"7;8", b"9" * 30, b"")),
        _encoding("twice", b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n"),
        _encoding("chunked twice", b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"),
        _encoding("in a list", b"Transfer-Encoding: chunked, identity\r\n"),
        _encoding("unknown", b"Transfer-Encoding: xchunked\r\n"),
        _encoding("behind another", b"Transfer-Encoding: gzip, chunked\r\n"),
        _encoding("with a vertical tab", b"Transfer-Encoding: \x0bchunked\r\n"),
        _encoding("with a zero", b"Transfer-Encoding: chunked\x00\r\n"),
        _encoding("space before the colon", b"Transfer-Encoding : chunked\r\n"),
        _encoding("a line before the name", b"X: 1\r\n\x0bTransfer-Encoding: chunked\r\n"),
        _encoding("in quotes", b'Transfer-Encoding: "chunked"\r\n'),
        Shape("transfer encoding of HTTP/1.0", post(b"Transfer-Encoding: chunked\r\n", EMPTY + HIDDEN, b"HTTP/1.0"), (*BAD, (200,), (400,))),
        _chunk("of a negative size", b"-1\r\n" + FORM + b"\r\n"),
        _chunk("of a size with a sign", b"+7\r\n" + FORM + b"\r\n"),
        _chunk("of a size with 0x", b"0x7\r\n" + FORM + b"\r\n"),
        _chunk("of a size with an underscore", b"0_7\r\n" + FORM + b"\r\n"),
        _chunk("of a size beyond 64 bits", b"1" + b"0" * 16 + b"7\r\n" + FORM + b"\r\n"),
        _chunk("longer than its size", b"3\r\n" + FORM + b"\r\n"),
        _chunk("that ends with a space", b"7\r\n" + FORM + b" \r\n"),
        _chunk("extension with a line feed", b"7;a=\nb\r\n" + FORM + b"\r\n"),
        _chunk("extension with a return", b"7;a=\rb\r\n" + FORM + b"\r\n"),
        _chunk("extension with a return in a later chunk", b"1\r\nq\r\n6;a=\rb\r\nuery=1\r\n"),
        _chunk("of an empty size", b"\r\n" + FORM + b"\r\n"),
        Shape("chunk extensions", post(b"Transfer-Encoding: chunked\r\n", b'7;a=b;c="d"\r\n' + FORM + b"\r\n" + EMPTY), ((200,),), hides=False),
        Shape("trailers that name a length", post(b"Transfer-Encoding: chunked\r\n", b"7\r\n" + FORM + b"\r\n0\r\nContent-Length: 60\r\n\r\n" + get()), ((200, 200),), hides=False),
        Shape("header behind a bare return", get(b"X: a\rContent-Length: 60\r\n") + HIDDEN, BAD),
        Shape("folded length", post(b"Content-Length:\r\n 7\r\n", FORM), ((200,), *BAD), hides=False),
        Shape("folded first line", b"GET /-/healthy HTTP/1.1\r\n X: 1\r\nHost: localhost\r\n\r\n", BAD),
        Shape("folded value", get(b"X: a\r\n b\r\n"), ((200,), *BAD), hides=False),
        Shape("header without a colon", get(b"Content-Length 60\r\n") + HIDDEN, BAD),
        Shape("header with a space in its name", get(b"Content- Length: 60\r\n") + HIDDEN, BAD),
        Shape("header with a zero", get(b"X: a\x00b\r\n"), BAD),
        Shape("two hosts", get(b"Host: other\r\n"), BAD),
        Shape("no host", b"GET /-/healthy HTTP/1.1\r\n\r\n", BAD),
        Shape("length of a GET", get(b"Content-Length: %d\r\n" % len(HIDDEN)) + HIDDEN, ((200,), *BAD)),
        Shape("bare line feeds", get().replace(b"\r\n", b"\n"), ((200,), *BAD), hides=False),
        Shape("HTTP/1.0", b"GET /-/healthy HTTP/1.0\r\n\r\n", ((200,),), hides=False),
        Shape("HTTP/1.0 closes", b"GET /-/healthy HTTP/1.0\r\n\r\n" + HIDDEN, ((200,),)),
        Shape("version without a number", get(version=b"HTTP/") + HIDDEN, BAD),
        Shape("version beyond", get(version=b"HTTP/3.1"), ((505,), *BAD), hides=False),
        Shape("pipelined", b"".join(get(path=b"/api/v1/query?query=%d" % n) for n in range(20)), ((200,) * 20,), hides=False),
        Shape("pipelined behind a form", post(b"Content-Length: 7\r\n", FORM) + get(), ((200, 200),), hides=False),
        Shape("empty lines before", b"\r\n" + get(), ((200,), *BAD), hides=False),
        Shape("a space before", b" " + get(), BAD, hides=False),
    ]  # fmt: skip


def ask(connect: Callable[[], socket.socket], sent: bytes) -> bytes:
    """All that comes back until the server ends the connection, or says nothing more."""
    got = b""
    try:
        with connect() as stream:
            stream.settimeout(ANSWER_S_MAX)
            stream.sendall(sent)
            # what is hidden may want one more line
            stream.sendall(b"\r\n\r\n")
            while part := stream.recv(65536):
                got += part
    except OSError:
        pass
    return got


def wrong(shape: Shape, got: bytes) -> str:
    """What is wrong with an answer; empty when nothing is."""
    statuses = tuple(int(status) for status in _STATUS.findall(got))
    # The empty lines that follow each shape may be told to be no request.
    seen = (
        statuses[:-1]
        if len(statuses) > 1 and statuses[-1] == 400 and statuses[:-1] in shape.allowed
        else statuses
    )
    if shape.hides and FOUND in got:
        return f"the hidden request was answered: {statuses}"
    return "" if seen in shape.allowed else f"{statuses}: {got[:200]!r}"


def run(folder: Path, rounds: int, *, tls: bool = False) -> tuple[dict[str, str], int, int]:
    """What went wrong by shape, how many were sent, and how many tracebacks the log has."""
    server = tls_server(folder) if tls else Server(folder / "data", "global: {}\n").start()

    def connect() -> socket.socket:
        plain = socket.create_connection(("127.0.0.1", server.port), 10)
        return context_of().wrap_socket(plain, server_hostname="localhost") if tls else plain

    found: dict[str, str] = {}
    sent = 0
    try:
        for _ in range(rounds):
            for shape in shapes():
                sent += 1
                if fault := wrong(shape, ask(connect, shape.sent)):
                    found[shape.name] = fault
        tracebacks = server.log.read_text(errors="replace").count("Traceback")
        assert server.stop() == 0
    finally:
        if server.process is not None and server.process.poll() is None:
            server.kill()
    return found, sent, tracebacks


def main() -> None:
    """Sends all shapes and prints what came of them."""
    parser = arguments(__doc__ or "", 1)
    parser.add_argument("--tls", action="store_true", help="over TLS")
    options = parser.parse_args()
    began_s = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        found, sent, tracebacks = run(Path(folder), options.rounds, tls=options.tls)
    for name, fault in found.items():
        figure(f"shape: {name}", "wrong", fault)
    took_s = time.monotonic() - began_s
    figure(
        f"{sent} shapes of hidden requests", f"{len(found)} wrong, {tracebacks} tracebacks", f"{took_s:.0f} s"
    )


if __name__ == "__main__":
    main()
