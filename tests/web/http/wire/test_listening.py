"""Listening: Unix sockets that are made, replaced and removed, sockets that systemd hands over, and what is open to others."""

from __future__ import annotations

import errno
import os
import socket
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import trio

from tests.support.web_world import web_world
from trimon.cli.server.serve import say_place
from trimon.cli.server.serveroptions import own_address
from trimon.errors import OperatingError
from trimon.web.context import WebOptions
from trimon.web.http.wire import listening
from trimon.web.http.wire.listening import (
    Address,
    BoundPaths,
    UnixPath,
    bind,
    is_open,
    shown_address,
    systemd_sockets,
)
from trimon.web.http.wire.server import WebActor


def test_a_unix_socket_is_for_owner_and_group(tmp_path: Path) -> None:
    """It has mode 0660 whatever the umask, is shown with its path, is nobody else's, and is removed at the end."""
    path = tmp_path / "s"
    (listener,) = bind([UnixPath(str(path))])
    with listener:
        assert stat.S_IMODE(path.stat().st_mode) == 0o660
        assert shown_address(listener) == f"unix:{path}"
        assert not is_open(listener)
        BoundPaths([UnixPath(str(path))]).remove()
    assert not path.exists()


def test_a_stale_socket_is_replaced_and_a_live_one_is_not(tmp_path: Path) -> None:
    """What a killed server left behind makes room; a socket that somebody listens on, and a file, are errors."""
    path = tmp_path / "s"
    address = UnixPath(str(path))
    (first,) = bind([address])
    first.close()
    (second,) = bind([address])
    with second:
        with pytest.raises(OperatingError, match=rf"^listen unix {path}: bind: address already in use$"):
            bind([address])
        paths = BoundPaths([address])
        path.unlink()
        (third,) = bind([address])
        with third:
            paths.remove()  # the first of them is not its own any more
            assert path.exists()
    path.unlink()
    path.write_text("precious")
    with pytest.raises(OperatingError, match="address already in use"):
        bind([address])
    assert path.read_text() == "precious"


def test_what_was_bound_is_given_back_when_another_fails(tmp_path: Path) -> None:
    """Of two addresses of which the second cannot be bound, the first is free again."""
    (taken,) = bind([("127.0.0.1", 0)])
    path = UnixPath(str(tmp_path / "s"))
    with taken:
        port = taken.getsockname()[1]
        with pytest.raises(
            OperatingError, match=rf"^listen tcp 127\.0\.0\.1:{port}: bind: address already in use$"
        ):
            bind([path, ("127.0.0.1", port)])
    for listener in bind([path]):
        listener.close()


def test_addresses_are_shown_as_people_write_them() -> None:
    """IPv6 in brackets; whatever is not loopback is open."""
    for host, shown, opened in (
        ("127.0.0.1", "127.0.0.1", False),
        ("0.0.0.0", "0.0.0.0", True),
        ("::1", "[::1]", False),
    ):
        (listener,) = bind([(host, 0)])
        with listener:
            assert shown_address(listener) == f"{shown}:{listener.getsockname()[1]}"
            assert is_open(listener) is opened


def test_a_port_alone_is_every_address_of_both_families() -> None:
    """`:9090` is reached by IPv4 and IPv6, each by its own kind of address, as in Go."""
    first, second = bind([("", 0)])
    with first, second:
        port = first.getsockname()[1]
        assert [shown_address(first), shown_address(second)] == [f"[::]:{port}", f"0.0.0.0:{port}"]
        for host, listener in (("::1", first), ("127.0.0.1", second)):
            with socket.create_connection((host, port)):
                listener.setblocking(True)
                accepted, address = listener.accept()
                accepted.close()
                assert address[0] == host


def test_a_machine_without_ipv6_listens_by_ipv4(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the other family is missing `:9090` is 0.0.0.0 alone."""
    bound = listening._bound

    def without(host: str, port: int, *, only_ipv6: bool = False) -> socket.socket:
        if ":" in host:
            raise OSError(errno.EAFNOSUPPORT, "Address family not supported by protocol")
        return bound(host, port, only_ipv6=only_ipv6)

    monkeypatch.setattr(listening, "_bound", without)
    (only,) = bind([("", 0)])
    with only:
        assert shown_address(only).startswith("0.0.0.0:")


async def test_requests_come_over_a_unix_socket(tmp_path: Path) -> None:
    """They are answered as ever; their client has no address."""
    seen = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope["client"])
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok", "more_body": False})

    path = tmp_path / "s"
    (listener,) = bind([UnixPath(str(path))])
    actor = WebActor(app, [listener], 8)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(actor.run)
        async with await trio.open_unix_socket(str(path)) as stream:
            await stream.send_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            got = b""
            with trio.fail_after(5):
                while not got.endswith(b"ok"):
                    got += await stream.receive_some()
        assert actor.inspect()["addresses"] == [f"unix:{path}"]
        nursery.cancel_scope.cancel()
    listener.close()
    assert seen == [None]


@pytest.mark.parametrize(("kind", "status"), [("unix", b"200"), ("tcp", b"421")])
async def test_a_unix_socket_is_asked_for_any_host(kind: str, status: bytes, tmp_path: Path) -> None:
    """A proxy in front of it passes on the name that it is called by; over TCP a foreign name is refused."""
    address: Address = UnixPath(str(tmp_path / "s")) if kind == "unix" else ("127.0.0.1", 0)
    (listener,) = bind([address])
    async with web_world(tmp_path, WebOptions(allowed_hosts=())) as here, trio.open_nursery() as nursery:
        actor = WebActor(here.client.app, [listener], 8)
        nursery.start_soon(actor.run)
        stream = trio.SocketStream(trio.socket.socket(listener.family))
        async with stream:
            await stream.socket.connect(listener.getsockname())
            await stream.send_all(b"GET /api/v1/labels HTTP/1.1\r\nHost: graphs.example.org\r\n\r\n")
            with trio.fail_after(5):
                assert (await stream.receive_some()).split()[1] == status
        nursery.cancel_scope.cancel()
    listener.close()


@pytest.mark.parametrize(
    ("addresses", "place"),
    [
        ([UnixPath("/run/s")], "unix:/run/s"),
        ([UnixPath("/run/s"), UnixPath("/run/t")], "unix:/run/s,unix:/run/t"),
        ([UnixPath("/run/s"), ("127.0.0.1", 9090)], "http://127.0.0.1:9090/p/"),
    ],
)
def test_people_are_told_where_the_server_is(
    addresses: list[Address], place: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of Unix sockets alone the paths are named, with how to ask; else a URL."""
    assert say_place(addresses, "http", own_address(addresses), "/p") == place
    said = capsys.readouterr().out
    assert said.startswith(f"trimon listens on {place} ")
    assert ("curl --unix-socket /run/s http://localhost/p/api/v1/targets" in said) == place.startswith("unix")


def test_systemd_hands_over_sockets() -> None:
    """A process takes the descriptors from 3 on that are meant for it, and refuses one that does not listen."""
    script = (
        "import os, sys, socket\n"
        "from trimon.errors import OperatingError\n"
        "from trimon.web.http.wire.listening import shown_address, systemd_sockets\n"
        "environment = {'LISTEN_PID': str(os.getpid()), 'LISTEN_FDS': '1'}\n"
        "try:\n"
        "    (found,) = systemd_sockets(environment)\n"
        "    print(shown_address(found), os.get_inheritable(found.fileno()))\n"
        "except OperatingError as error:\n"
        "    print(error)\n"
    )

    def child(descriptor: int) -> str:
        command = f'exec 3<&{descriptor}; exec {sys.executable} -c "$0"'
        done = subprocess.run(
            ["/bin/bash", "-c", command, script],
            pass_fds=[descriptor],
            capture_output=True,
            text=True,
            check=True,
            cwd=Path(__file__).parents[4],
        )
        return done.stdout.strip()

    (listener,) = bind([("127.0.0.1", 0)])
    with listener, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams:
        assert child(listener.fileno()) == f"127.0.0.1:{listener.getsockname()[1]} False"
        assert "is not one that accepts connections" in child(datagrams.fileno())


@pytest.mark.parametrize(
    "environment", [{}, {"LISTEN_FDS": "1"}, {"LISTEN_FDS": "1", "LISTEN_PID": "1"}, {"LISTEN_FDS": "x"}]
)
def test_without_systemd_there_is_nothing_to_take(environment: dict[str, str]) -> None:
    """Without its variables, or with those of another process, a start fails with one line."""
    assert os.getpid() != 1
    with pytest.raises(OperatingError, match="no socket file descriptors found"):
        systemd_sockets(environment)
