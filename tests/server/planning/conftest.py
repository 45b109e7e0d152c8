"""Something to scrape, and a server that scrapes it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import ThreadingHTTPServer

import pytest

from tests.support.planned_server import RULES, Exposition, await_up, configuration
from tests.support.process import Server


@pytest.fixture(scope="module")
def target() -> Iterator[str]:
    """The address of something to scrape."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Exposition) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{server.server_address[1]}"
        server.shutdown()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, target: str) -> Iterator[Server]:
    """A server that has scraped one target. Each test leaves it as it was, but for the last one."""
    folder = tmp_path_factory.mktemp("planned")
    (folder / "rules.yml").write_text(RULES)
    made = Server(folder / "data", configuration(target), "--web.enable-lifecycle").start()
    await_up(made)
    yield made
    made.stop()
