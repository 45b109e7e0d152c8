"""TLS of the listener over real sockets: versions, certificates of clients, files that change, peers that misbehave."""

from __future__ import annotations

import datetime as dt
import random
import shutil
import socket
import ssl
import subprocess
import warnings
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import trio
import trustme

from tests.support.collector import tls_connections, uncollected
from trimon import limits
from trimon.actors.kernel.report import CrashReports
from trimon.errors import UserError
from trimon.log import LogBuffer
from trimon.offload import InlineOffload
from trimon.web.auth import watch
from trimon.web.auth.handshake import TlsStream
from trimon.web.auth.security import CurrentSecurity, load_security, read_security
from trimon.web.auth.watch import WebConfigWatch
from trimon.web.http.wire import server as http_server
from trimon.web.http.wire.listening import bind
from trimon.web.http.wire.server import WebActor

CA = trustme.CA()
FOREIGN = trustme.CA()
CHANGED_HANDSHAKES = 200
GET = b"GET /a HTTP/1.1\r\nHost: localhost\r\n\r\n"


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Says by which scheme and which path it was asked; `/big` is long."""
    while True:
        message = await receive()
        if message["type"] != "http.request" or not message["more_body"]:
            break
    body = b"x" * 2_000_000 if scope["path"] == "/big" else f"{scope['scheme']} {scope['path']}".encode()
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})


async def until(condition: Callable[[], bool], within_s: float = 10) -> None:
    """Waits for what a real socket or a file brings about."""
    with trio.fail_after(within_s):
        while not condition():  # noqa: ASYNC110 # nothing tells of it
            await trio.sleep(0.01)


@dataclass
class Server:
    actor: WebActor
    security: CurrentSecurity
    port: int
    reports: CrashReports
    directory: Path
    log: LogBuffer = field(default_factory=LogBuffer)

    async def dial(self, context: ssl.SSLContext | None = None) -> trio.SSLStream[trio.SocketStream]:
        plain = await trio.open_tcp_stream("127.0.0.1", self.port)
        stream = trio.SSLStream(
            plain, context or client(), server_hostname="localhost", https_compatible=True
        )
        try:
            await stream.do_handshake()
        except trio.BrokenResourceError:
            await trio.aclose_forcefully(stream)
            raise
        return stream

    async def ask(self, context: ssl.SSLContext | None = None, request: bytes = GET) -> bytes:
        """What comes back until an answer is complete; empty when there is none."""
        got = b""
        with suppress(trio.BrokenResourceError):
            stream = await self.dial(context)
            try:
                await stream.send_all(request)
                while b"https /" not in got and (piece := await stream.receive_some()):
                    got += piece
            finally:
                await trio.aclose_forcefully(stream)
        return got

    async def settled(self, outcome: str, count: int = 1) -> None:
        """Waits until the server has counted."""
        await until(lambda: self.actor.handshakes.outcomes[outcome] >= count)


def client(certificate: trustme.LeafCert | None = None, **versions: ssl.TLSVersion) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    CA.configure_trust(context)
    if certificate is not None:
        certificate.configure_cert(context)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        for name, version in versions.items():
            setattr(context, name, version)
    return context


def write_certificate(directory: Path, name: str = "localhost") -> None:
    leaf = CA.issue_cert(name)
    (directory / "server.pem").write_bytes(
        leaf.private_key_pem.bytes() + b"".join(part.bytes() for part in leaf.cert_chain_pems)
    )


def write_config(directory: Path, more: str = "", rest: str = "") -> Path:
    if not (directory / "server.pem").exists():
        write_certificate(directory)
    CA.cert_pem.write_to_path(directory / "ca.pem")
    path = directory / "web.yml"
    path.write_text(f"tls_server_config: {{cert_file: server.pem, key_file: server.pem{more}}}\n{rest}")
    return path


@asynccontextmanager
async def serving(directory: Path, more: str = "", rest: str = "", **options: Any) -> AsyncIterator[Server]:
    path = write_config(directory, more, rest)
    security = read_security(path)
    (listener,) = bind([("127.0.0.1", 0)])
    reports = CrashReports()
    actor = WebActor(app, [listener], 32, reports, 4, security, **options)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(actor.run)
        yield Server(actor, security, listener.getsockname()[1], reports, directory)
        nursery.cancel_scope.cancel()
    assert reports.latest() == []
    assert actor.inspect()["failed"] == 0
    listener.close()


VERIFY = ", client_auth_type: RequireAndVerifyClientCert, client_ca_file: ca.pem"


async def test_a_request_is_answered_over_tls(tmp_path: Path) -> None:
    """The scheme is https, HTTP/1.1 is what is agreed upon when a client offers more, and the connection is kept."""
    async with serving(tmp_path) as server:
        context = client()
        context.set_alpn_protocols(["h2", "http/1.1"])
        stream = await server.dial(context)
        assert stream.selected_alpn_protocol() == "http/1.1"
        for path in (b"/a", b"/b"):
            await stream.send_all(GET.replace(b"/a", path))
            assert (await stream.receive_some()).endswith(b"https " + path)
        await trio.aclose_forcefully(stream)


async def test_pipelined_and_old_requests_are_answered_in_order(tmp_path: Path) -> None:
    """Three requests in one piece have three answers; one in HTTP/1.0 has its answer, and the end is told by TLS."""
    async with serving(tmp_path) as server:
        stream = await server.dial()
        await stream.send_all(GET + GET.replace(b"/a", b"/b") + GET.replace(b"/a", b"/c"))
        got = b""
        while b"https /c" not in got:
            got += await stream.receive_some()
        assert [line for line in got.replace(b"HTTP/1.1", b"\n").split(b"\n") if b"https" in line] == [
            b"https /a",
            b"https /b",
            b"https /c",
        ]
        await trio.aclose_forcefully(stream)
        plain = await trio.open_tcp_stream("127.0.0.1", server.port)
        # Not "compatible": an end without a word of TLS would be an error here.
        strict = trio.SSLStream(plain, client(), server_hostname="localhost")
        await strict.send_all(b"GET /old HTTP/1.0\r\n\r\n")
        got = b""
        while piece := await strict.receive_some():
            got += piece
        assert got.endswith(b"https /old")
        await trio.aclose_forcefully(strict)


@pytest.mark.parametrize(
    ("more", "version", "works"),
    [
        ("", ssl.TLSVersion.TLSv1_1, False),
        ("", ssl.TLSVersion.TLSv1_2, True),
        ("", ssl.TLSVersion.TLSv1_3, True),
        (", min_version: TLS13", ssl.TLSVersion.TLSv1_2, False),
        (", max_version: TLS12", ssl.TLSVersion.TLSv1_3, False),
        (", min_version: TLS10", ssl.TLSVersion.TLSv1_1, True),
        (", min_version: TLS13, max_version: TLS12", ssl.TLSVersion.TLSv1_3, False),
        (", cipher_suites: [TLS_AES_128_GCM_SHA256]", ssl.TLSVersion.TLSv1_2, False),
        (", cipher_suites: [TLS_AES_128_GCM_SHA256]", ssl.TLSVersion.TLSv1_3, True),
    ],
)
async def test_versions_are_those_of_the_file(
    tmp_path: Path, more: str, version: ssl.TLSVersion, works: bool
) -> None:
    """A client that speaks one version alone gets through when the file allows it, TLS 1.2 and 1.3 by default."""
    async with serving(tmp_path, more) as server:
        context = client()
        if version < ssl.TLSVersion.TLSv1_2:
            context.set_ciphers("DEFAULT:@SECLEVEL=0")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            context.maximum_version = context.minimum_version = version
        assert (await server.ask(context) != b"") is works
        await server.settled("ok" if works else "protocol")


async def test_cipher_suites_are_those_of_the_file(tmp_path: Path) -> None:
    """Of TLS 1.2 only the suites that are listed are agreed upon."""
    more = ", cipher_suites: [TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384]"
    async with serving(tmp_path, more) as server:
        context = client(maximum_version=ssl.TLSVersion.TLSv1_2)
        stream = await server.dial(context)
        name, _, _ = stream.cipher()
        assert name.endswith("AES256-GCM-SHA384")
        await trio.aclose_forcefully(stream)
        context.set_ciphers("ECDHE+AES128")
        assert await server.ask(context) == b""


def leaf(*names: str, ca: trustme.CA = CA, days: int = 30) -> trustme.LeafCert:
    now = dt.datetime.now(dt.UTC)
    before = now - dt.timedelta(days=60)
    return ca.issue_cert(*names, not_before=before, not_after=now + dt.timedelta(days=days))


async def test_certificates_of_clients_are_verified(tmp_path: Path) -> None:
    """Without one, with a foreign one, with one that has expired nobody gets through; with a good one he does."""
    async with serving(tmp_path, VERIFY) as server:
        assert b"https /a" in await server.ask(client(leaf("me.example")))
        for number, bad in enumerate(
            (None, leaf("me.example", ca=FOREIGN), leaf("me.example", days=-1)), start=1
        ):
            assert await server.ask(client(bad)) == b""
            await server.settled("client_certificate", number)
        assert b"https /a" in await server.ask(
            client(leaf("me.example"), maximum_version=ssl.TLSVersion.TLSv1_2)
        )
        assert not server.security.now.is_open


async def test_a_certificate_may_be_left_out_where_it_is_only_verified(tmp_path: Path) -> None:
    """With VerifyClientCertIfGiven who has none gets through, who has a foreign one does not."""
    more = ", client_auth_type: VerifyClientCertIfGiven, client_ca_file: ca.pem"
    async with serving(tmp_path, more) as server:
        assert b"https /a" in await server.ask()
        assert await server.ask(client(leaf("me.example", ca=FOREIGN))) == b""
        assert server.security.now.is_open


async def test_a_name_in_the_certificate_must_be_allowed(tmp_path: Path) -> None:
    """Of names, addresses, mail addresses and URIs of a certificate one must be listed; addresses in any form."""
    more = VERIFY + ", client_allowed_sans: [b.example, '::1', me@c.example]"
    async with serving(tmp_path, more) as server:
        for names in (("a.example", "b.example"), ("0:0:0:0:0:0:0:1",), ("me@c.example",)):
            assert b"https /a" in await server.ask(client(leaf(*names)))
        assert await server.ask(client(leaf("a.example"))) == b""
        await server.settled("client_name")


@pytest.mark.parametrize("kind", ["RequireAnyClientCert", "RequireClientCert"])
def test_certificates_that_nobody_verifies_are_refused(tmp_path: Path, kind: str) -> None:
    """A policy that takes any certificate cannot be held, so a server does not start with it; the check says so."""
    path = write_config(tmp_path, f", client_auth_type: {kind}")
    with pytest.raises(
        UserError, match=f"client_auth_type {kind} takes certificates that nobody has verified"
    ):
        load_security(path)
    write_config(tmp_path, ", client_auth_type: RequestClientCert")
    (caution,) = load_security(path).cautions
    assert "lets everybody in" in caution.message
    assert (caution.place.file, caution.place.line) == (str(path), 1)


@pytest.mark.parametrize("policy", ["", ", client_auth_type: NoClientCert", ", client_auth_type: Odd"])
def test_a_missing_file_of_authorities_is_told_first(tmp_path: Path, policy: str) -> None:
    """A `client_ca_file` that is not there is the fault, whatever `client_auth_type` says; one that is there is none."""
    more = f"client_ca_file: ca.pem{policy}"
    path = write_config(tmp_path, ", " + more)
    with pytest.raises(UserError, match=r"without a Client Auth Policy|invalid ClientAuth: Odd"):
        read_security(path)
    path = write_config(tmp_path, ", " + more.replace("ca.pem", "gone.pem"))
    with pytest.raises(UserError, match=r"open .*gone\.pem: no such file or directory"):
        read_security(path)


async def test_plain_http_is_told_of_its_mistake(tmp_path: Path) -> None:
    """Who speaks HTTP without TLS reads why he gets nothing."""
    async with serving(tmp_path) as server:
        stream = await trio.open_tcp_stream("127.0.0.1", server.port)
        await stream.send_all(GET)
        got = b""
        while piece := await stream.receive_some():
            got += piece
        assert got == b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n"
        await stream.aclose()
        assert server.actor.handshakes.outcomes["plain_http"] == 1


async def test_a_slow_handshake_has_an_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who does not finish a handshake in time is turned away, and others are served meanwhile."""
    monkeypatch.setattr(limits, "REQUEST_HEAD_S", 0.5)
    async with serving(tmp_path) as server:
        slow = await trio.open_tcp_stream("127.0.0.1", server.port)
        await slow.send_all(b"\x16\x03\x01\x02\x00\x01")
        assert b"https /a" in await server.ask()
        with trio.fail_after(10):
            with suppress(trio.BrokenResourceError):
                assert await slow.receive_some() == b""
        await slow.aclose()
        await server.settled("slow")


async def test_handshakes_give_way_when_all_places_are_taken(tmp_path: Path) -> None:
    """A crowd that begins handshakes and never ends them keeps nobody out."""
    async with serving(tmp_path) as server:
        crowd = [await trio.open_tcp_stream("127.0.0.1", server.port) for _ in range(40)]
        for one in crowd:
            with suppress(trio.BrokenResourceError):
                await one.send_all(b"\x16\x03\x01\x02\x00\x01")
        with trio.fail_after(10):
            assert b"https /a" in await server.ask()
        for one in crowd:
            await one.aclose()


async def test_nonsense_is_no_bug(tmp_path: Path) -> None:
    """Bytes that look like TLS and are none end the connection, are counted, and leave no report."""
    async with serving(tmp_path) as server:
        for number in range(2, 22):  # a first message of this type, which is no client's
            stream = await trio.open_tcp_stream("127.0.0.1", server.port)
            await stream.send_all(b"\x16\x03\x01\x00\x20" + bytes([number]) * 32)
            with suppress(trio.BrokenResourceError):
                while await stream.receive_some():
                    pass
            await stream.aclose()
        await server.settled("protocol", 20)
        assert b"https /a" in await server.ask()


async def test_changed_handshakes_are_no_bugs(tmp_path: Path) -> None:
    """A first message of a real client with bytes changed, cut or doubled ends the connection, and nothing else."""
    chance = random.Random(7)
    outgoing = ssl.MemoryBIO()
    hello = client().wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="localhost")
    with suppress(ssl.SSLWantReadError):
        hello.do_handshake()
    first = outgoing.read()
    async with serving(tmp_path) as server:
        for _ in range(CHANGED_HANDSHAKES):
            changed = bytearray(first[: chance.choice((len(first), chance.randrange(1, len(first))))])
            for _ in range(chance.randrange(4)):
                changed[chance.randrange(len(changed))] = chance.randrange(256)
            async with await trio.open_tcp_stream("127.0.0.1", server.port) as stream:
                with suppress(trio.BrokenResourceError):
                    await stream.send_all(bytes(changed) * chance.randrange(1, 3))
                    await stream.send_eof()
                    while await stream.receive_some():
                        pass
        assert b"https /a" in await server.ask()
        await until(lambda: len(server.actor.connections) == 0)
        outcomes = server.actor.handshakes.outcomes
        assert outcomes["ok"] == 1
        assert outcomes["protocol"] > 10
        assert outcomes["gone"] > 10


async def test_a_client_that_stops_reading_does_not_keep_the_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stop ends a connection whose client reads nothing of a long answer."""
    monkeypatch.setattr(http_server, "DRAIN_S", 0.3)
    async with serving(tmp_path) as server:
        stream = await server.dial()
        await stream.send_all(GET.replace(b"/a", b"/big"))
        await stream.receive_some(10)
        server.actor.drain()
        await until(lambda: not len(server.actor.connections))
        await trio.aclose_forcefully(stream)


async def test_a_client_that_says_no_more_is_answered(tmp_path: Path) -> None:
    """Who ends its side of TLS with its request still reads the answer, whatever it is, and nothing of it is a bug."""
    async with serving(tmp_path) as server:
        for request in (GET, b"BAD\r\n\r\n", GET.replace(b"1.1", b"1.0"), GET * 3) * 25:
            stream = await server.dial()
            await stream.send_all(request)
            with suppress(ssl.SSLError):
                stream._ssl_object.unwrap()
            await stream.transport_stream.send_all(stream._outgoing.read())
            got = b""
            with suppress(trio.BrokenResourceError):
                while piece := await stream.receive_some():
                    got += piece
            await trio.aclose_forcefully(stream)
            assert got.startswith((b"HTTP/1.1 ", b"HTTP/1.0 "))
        await until(lambda: len(server.actor.connections) == 0)


async def test_a_connection_that_is_closed_already_can_be_closed(tmp_path: Path) -> None:
    """A stream whose socket another task has closed meanwhile, or whose client has gone, ends without an error."""
    found = load_security(write_config(tmp_path)).tls
    assert found is not None
    for ours in (True, False):
        left, right = (
            trio.SocketStream(trio.socket.from_stdlib_socket(each)) for each in socket.socketpair()
        )
        stream = TlsStream(left, found.context)
        peer = trio.SSLStream(right, client(), server_hostname="localhost")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(stream.do_handshake)
            nursery.start_soon(peer.do_handshake)
        (left if ours else right).socket.close()
        await stream.aclose()
        assert left.socket.fileno() == -1
        right.socket.close()


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is missing")
async def test_renegotiation_is_refused(tmp_path: Path) -> None:
    """openssl's client asks for another handshake (R) and gets none."""
    async with serving(tmp_path) as server:
        command = ["openssl", "s_client", "-connect", f"127.0.0.1:{server.port}", "-tls1_2"]

        def renegotiated() -> str:
            process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
            )
            assert process.stdin is not None
            with process:
                process.stdin.write("R\n")
                process.stdin.flush()
                output, _ = process.communicate(timeout=20)
            return output

        output = await trio.to_thread.run_sync(renegotiated)
        assert "RENEGOTIATING" in output
        assert "no renegotiation" in output
        assert b"https /a" in await server.ask()


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is missing")
async def test_curl_reads_a_long_answer(tmp_path: Path) -> None:
    """curl verifies our certificate and reads two megabytes; one that trusts another authority does not."""
    async with serving(tmp_path) as server:
        FOREIGN.cert_pem.write_to_path(tmp_path / "foreign.pem")
        url = f"https://localhost:{server.port}/big"
        for authority, code in (("ca.pem", 0), ("foreign.pem", 60)):
            done = await trio.run_process(
                ["curl", "-s", "-o", str(tmp_path / "out"), "--cacert", str(tmp_path / authority), url],
                check=False,
            )
            assert done.returncode == code
        assert (tmp_path / "out").stat().st_size == 2_000_000


async def settled_reload(server: Server, *, ok: bool) -> None:
    await until(lambda: server.security.reload_ok is ok)


async def test_files_are_read_again_when_they_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A new certificate is used for the next connection; a bad one, or TLS switched off, changes nothing and is told."""
    monkeypatch.setattr(watch, "LOOK_EVERY_S", 0.05)
    async with serving(tmp_path) as server, trio.open_nursery() as nursery:
        nursery.start_soon(WebConfigWatch(server.security, InlineOffload(), server.log).run)
        before = server.security.now
        stream = await server.dial()
        await trio.sleep(0.2)
        assert server.security.now is before
        write_certificate(tmp_path)
        await until(lambda: server.security.now is not before)
        second = await server.dial()
        certificates = [each.getpeercert(binary_form=True) for each in (stream, second)]
        assert certificates[0] != certificates[1]
        held = server.security.now
        for bad in ("nothing", FOREIGN.cert_pem.bytes().decode()):
            (tmp_path / "server.pem").write_text(bad)
            await settled_reload(server, ok=False)
            assert server.security.now is held
            assert b"https /a" in await server.ask()
            write_certificate(tmp_path)
            await settled_reload(server, ok=True)
            held = server.security.now
        (tmp_path / "web.yml").write_text("")
        await settled_reload(server, ok=False)
        assert server.security.now is held
        events = [event for _, event, _ in server.log.entries]
        assert events.count("web config file cannot be taken, the one before goes on") == 3
        for each in (stream, second):
            await trio.aclose_forcefully(each)
        nursery.cancel_scope.cancel()


async def test_what_changed_before_the_first_look_is_taken(tmp_path: Path) -> None:
    """A file that changes between the start and the first look is read again at that look."""
    path = write_config(tmp_path)
    security = read_security(path)
    write_config(tmp_path, rest="http_server_config: {headers: {X-Frame-Options: deny}}\n")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(WebConfigWatch(security, InlineOffload(), LogBuffer()).run)
        await until(lambda: bool(security.now.headers))
        nursery.cancel_scope.cancel()
    assert security.now.headers == ((b"x-frame-options", b"deny"),)


@pytest.mark.parametrize("request_", [GET, b"nonsense\r\n\r\n"], ids=["request", "nonsense"])
async def test_nothing_of_a_connection_is_left_to_the_collector(tmp_path: Path, request_: bytes) -> None:
    """A connection with TLS, and one whose handshake fails, are freed by their last reference."""
    with uncollected():
        async with serving(tmp_path, ", min_version: TLS13") as server:
            assert tls_connections(server_side=True) == 0
            await server.ask(request=request_)
            await server.ask(client(maximum_version=ssl.TLSVersion.TLSv1_2))
            await server.settled("protocol")
            with trio.move_on_after(5):
                while tls_connections(server_side=True):  # noqa: ASYNC110 # nothing tells of it
                    await trio.sleep(0.01)
            assert (tls_connections(server_side=True), server.actor.handshakes.outcomes["ok"]) == (0, 1)
