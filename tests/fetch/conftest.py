"""A peer that says whatever a test wants."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial

import pytest
import trio

from tests.support.raw_peer import Peer


@pytest.fixture
async def peer(nursery: trio.Nursery) -> AsyncIterator[Peer]:
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    peer = Peer(listeners[0].socket.getsockname()[1])
    nursery.start_soon(partial(trio.serve_listeners, peer.serve, listeners))
    yield peer
    nursery.cancel_scope.cancel()
