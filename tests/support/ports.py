"""Ports that nobody listens on, for servers of tests."""

from __future__ import annotations

import random
import socket
from typing import Final

# Below the ports that Linux gives to outgoing connections: none of these takes a port between the look and the listener.
FIRST: Final = 10_000
LAST: Final = 32_000
_CHOICE: Final = random.SystemRandom()


def free_port() -> int:
    """A port that nobody has now, for TCP or UDP, by chance: tests in other processes choose at the same time."""
    while True:
        port = _CHOICE.randint(FIRST, LAST)
        with socket.socket() as stream, socket.socket(type=socket.SOCK_DGRAM) as datagrams:
            try:
                stream.bind(("", port))
                datagrams.bind(("", port))
            except OSError:
                continue
        return port
