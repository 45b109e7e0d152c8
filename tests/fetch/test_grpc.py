"""The gRPC client against gRPC's own server, and against servers that are none."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from concurrent import futures
from contextlib import contextmanager
from typing import Any

import grpc
import pytest
import trustme

from tests.support.ports import free_port
from trimon.fetch.grpc import GrpcClient, GrpcError
from trimon.fetch.request import FetchError, FetchTimeout

PATH = "/test.Service/Call"


class _Service(grpc.GenericRpcHandler):  # type: ignore[misc] # it has no types
    def __init__(self, answer: Callable[[bytes, Any], bytes]) -> None:
        self._answer = answer

    def service(self, details: Any) -> Any:
        return grpc.unary_unary_rpc_method_handler(self._answer) if details.method == PATH else None


@contextmanager
def serving(answer: Callable[[bytes, Any], bytes], authority: trustme.CA | None = None) -> Iterator[int]:
    """A server on a port of this machine."""
    server = grpc.server(futures.ThreadPoolExecutor(2), handlers=[_Service(answer)])
    if authority is None:
        port = server.add_insecure_port("127.0.0.1:0")
    else:
        own = authority.issue_cert("localhost")
        pair = (own.private_key_pem.bytes(), own.cert_chain_pems[0].bytes())
        port = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([pair]))
    server.start()
    try:
        yield port
    finally:
        server.stop(None).wait()


@pytest.mark.parametrize("compresses", [False, True])
@pytest.mark.parametrize("size", [0, 10, 300_000])
async def test_a_message_goes_and_one_comes(size: int, compresses: bool) -> None:
    """Messages larger than a window of HTTP/2 arrive whole, compressed or not, with the headers."""
    got: list[tuple[bytes, dict[str, str]]] = []

    def answer(message: bytes, context: Any) -> bytes:
        got.append((message, dict(context.invocation_metadata())))
        return message[:1000] + b"!"

    message = bytes(range(256)) * (size // 256 + 1)
    with serving(answer) as port:
        client = GrpcClient("127.0.0.1", port, None, headers=(("X-Scope", "a"),), compresses=compresses)
        assert await client.call(PATH, message[:size], 5) == message[:size][:1000] + b"!"
    assert got[0][0] == message[:size]
    assert got[0][1]["x-scope"] == "a"


async def test_tls_is_agreed_on_and_checked() -> None:
    """With the authority known the call succeeds, without it it fails with the reason."""
    authority = trustme.CA()
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    with serving(lambda message, _: message, authority) as port:
        client = GrpcClient("127.0.0.1", port, lambda: trusting, server_name="localhost")
        assert await client.call(PATH, b"x", 5) == b"x"
        stranger = GrpcClient("127.0.0.1", port, ssl.create_default_context, server_name="localhost")
        with pytest.raises(FetchError, match="failed to verify certificate"):
            await stranger.call(PATH, b"x", 5)


@pytest.mark.parametrize(
    ("code", "retryable"), [(grpc.StatusCode.UNAVAILABLE, True), (grpc.StatusCode.INVALID_ARGUMENT, False)]
)
async def test_a_refusal_says_whether_to_try_again(code: Any, retryable: bool) -> None:
    """The status and the text of the peer are the error's."""

    def answer(_: bytes, context: Any) -> bytes:
        context.abort(code, "not ü now")
        return b""

    with serving(answer) as port, pytest.raises(GrpcError, match="not ü now") as caught:
        await GrpcClient("127.0.0.1", port, None).call(PATH, b"", 5)
    assert caught.value.retryable == retryable


async def test_a_method_that_is_not_there_is_an_error() -> None:
    """An unknown method is refused for good."""
    with serving(lambda message, _: message) as port, pytest.raises(GrpcError, match="code = 12"):
        await GrpcClient("127.0.0.1", port, None).call("/no.Such/Method", b"", 5)


@pytest.mark.parametrize(
    "says",
    [
        b"",
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"\x00\x00\x00\x04\x00\x00\x00\x00\x00" + b"\xff" * 50,
        b"\x00" * 100,
    ],
)
async def test_who_speaks_something_else_is_an_error(says: bytes) -> None:
    """No answer of a server that is none is anything but a FetchError."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(says)

        thread = threading.Thread(target=serve)
        thread.start()
        with pytest.raises(FetchError):
            await GrpcClient("127.0.0.1", listening.getsockname()[1], None).call(PATH, b"x", 5)
        thread.join()


async def test_a_peer_that_is_silent_or_not_there_is_given_up() -> None:
    """The time is bounded, and a refused connection is told as one."""
    with socket.create_server(("127.0.0.1", 0)) as listening, pytest.raises(FetchTimeout):
        await GrpcClient("127.0.0.1", listening.getsockname()[1], None).call(PATH, b"x", 0.3)
    with pytest.raises(FetchError, match="refused"):
        await GrpcClient("127.0.0.1", free_port(), None).call(PATH, b"x", 5)
