"""What a service manager is told."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import trio
from trio.testing import MockClock

from trimon.server.servicemanager import PATIENCE, PATIENCE_EVERY_S, ServiceManager


@contextmanager
def manager(address: str) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(address)
        listener.setblocking(False)
        yield listener


def told(listener: socket.socket) -> list[str]:
    out = []
    while True:
        try:
            out.append(listener.recv(1000).decode())
        except BlockingIOError:
            return out


async def test_ready_is_told_when_it_is_true(tmp_path: Path, autojump_clock: MockClock) -> None:
    """While the log is replayed more time is asked for; then the server is ready."""
    path = str(tmp_path / "notify")
    with manager(path) as listener:
        ready = trio.Event()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ServiceManager(path).tell_ready, ready)
            await trio.sleep(2.5 * PATIENCE_EVERY_S)
            assert told(listener) == [PATIENCE] * 2
            ready.set()
        assert told(listener) == ["READY=1"]


def test_names_outside_the_file_system(tmp_path: Path) -> None:
    """A name that begins with @ is an abstract one."""
    with manager("\0trimon-test-" + tmp_path.name) as listener:
        ServiceManager("@trimon-test-" + tmp_path.name).tell("STOPPING=1")
        assert told(listener) == ["STOPPING=1"]


def test_a_manager_that_is_gone_is_no_error(tmp_path: Path) -> None:
    """Nobody listens, or nobody asked: nothing happens."""
    for address in ("", str(tmp_path / "nobody")):
        ServiceManager(address).tell("READY=1")
