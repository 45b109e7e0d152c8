"""What a service manager such as systemd is told: that the server is ready, and that it stops."""

from __future__ import annotations

import socket
from contextlib import suppress
from typing import Final

import trio

# While the log is replayed the manager is asked for more time, so often, and for so long.
PATIENCE_EVERY_S: Final = 20.0
PATIENCE: Final = "EXTEND_TIMEOUT_USEC=60000000"


class ServiceManager:
    """Tells a service manager over its socket; without one nothing is told."""

    def __init__(self, address: str) -> None:
        # A name that begins with @ is not in the file system.
        self._address = "\0" + address[1:] if address.startswith("@") else address

    def tell(self, state: str) -> None:
        """Send a state; a manager that does not listen is nobody's loss."""
        if not self._address:
            return
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.setblocking(False)
            sender.sendto(state.encode(), self._address)

    async def tell_ready(self, ready: trio.Event) -> None:
        """Tell that the server is ready as soon as it is."""
        while not ready.is_set():
            with trio.move_on_after(PATIENCE_EVERY_S):
                await ready.wait()
                break
            self.tell(PATIENCE)
        self.tell("READY=1")
