"""`trimon demo` as a child process: a server whose every page shows something."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.process import Server


@contextmanager
def demo(directory: Path, *flags: str, port: int = 0, prefix: str = "") -> Iterator[Server]:
    """A demo that is gone afterwards, and with it all that it made; `data` is where it says that its files are."""
    directory.mkdir(exist_ok=True)
    server = Server(directory / "demo", port=port)
    server.command = [
        sys.executable, "-m", "trimon", "demo", f"--web.listen-address=127.0.0.1:{server.port}", *flags,
    ]  # fmt: skip
    plain, server.url = server.url, f"{server.url}{prefix}"
    server.start()
    server.url = plain
    try:
        found = re.search(r"configuration: (\S+/trimon-demo-[^/]+)/demo\.yml", server.log.read_text())
        assert found, server.tail()
        server.data = Path(found[1]) / "data"
        yield server
    finally:
        # Its server is a process of its own, which a SIGKILL would leave behind.
        if server.process is not None and server.process.poll() is None:
            server.stop()
