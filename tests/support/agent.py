"""The real server as an agent."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.process import Server


@contextmanager
def agent(data: Path, config: str, *flags: str) -> Iterator[Server]:
    """An agent that is gone afterwards."""
    server = Server(data, config, "--agent", *flags)
    server.command[3] = f"--storage.agent.path={data}"
    server.start()
    try:
        yield server
    finally:
        if server.process is not None and server.process.poll() is None:
            server.kill()
