"""Asks for health over and over, in a process of its own, which no crowd of clients beside it holds up.

    python tests/attack/probing.py PORT SECONDS [AUTHORITY]

Five times a second, each time over a new connection. Prints the seconds that each answer took as JSON, -1 where none came.
With the file of an authority it asks over TLS.
"""

from __future__ import annotations

import json
import socket
import ssl
import sys
import time
from typing import Final

PROBE: Final = b"GET /-/healthy HTTP/1.1\r\nHost: localhost\r\n\r\n"
PROBE_S_MAX: Final = 5.0
PERIOD_S: Final = 0.2


def probe(port: int, context: ssl.SSLContext | None = None) -> float:
    """Seconds until an answer that is good; -1 without one."""
    began_s = time.monotonic()
    try:
        with socket.create_connection(("127.0.0.1", port), PROBE_S_MAX) as plain:
            client = context.wrap_socket(plain, server_hostname="localhost") if context is not None else plain
            client.sendall(PROBE)
            client.settimeout(max(0.01, began_s + PROBE_S_MAX - time.monotonic()))
            good = client.recv(4096).startswith(b"HTTP/1.1 200 ")
    except OSError:
        good = False
    return time.monotonic() - began_s if good else -1.0


def main() -> None:
    """Probes and prints."""
    port, seconds = int(sys.argv[1]), float(sys.argv[2])
    context = ssl.create_default_context(cafile=sys.argv[3]) if len(sys.argv) > 3 else None
    waits_s = []
    for _ in range(round(seconds / PERIOD_S)):
        began_s = time.monotonic()
        waits_s.append(probe(port, context))
        time.sleep(max(0.0, began_s + PERIOD_S - time.monotonic()))
    sys.stdout.write(json.dumps(waits_s))


if __name__ == "__main__":
    main()
