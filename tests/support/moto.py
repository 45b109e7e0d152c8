"""AWS as moto plays it: a peer whose answers were written by others, and that boto3 can read."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from tests.support.ports import free_port

START_S = 30.0


@contextmanager
def moto() -> Iterator[str]:
    """The URL of one of its own."""
    port = free_port()
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as peer:
        try:
            _wait(port)
            yield f"http://127.0.0.1:{port}"
        finally:
            peer.terminate()


def _wait(port: int) -> None:
    until = time.monotonic() + START_S
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1.0).close()
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.1)
        else:
            return
