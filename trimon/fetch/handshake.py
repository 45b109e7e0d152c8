"""The handshake of a stream with TLS, whichever side does it, so that nothing of the stream outlives it."""

from __future__ import annotations

import trio


async def shake_hands(stream: trio.SSLStream[trio.SocketStream]) -> None:
    """Agrees upon all of it. Raises BrokenResourceError, ClosedResourceError; may be called once.

    Afterwards the stream and what would begin its handshake no longer hold one another: that circle, and all keys and
    buffers in it (tens of kilobytes), would wait for the collector of cycles, which looks at old objects once an hour.
    """
    try:
        await stream.do_handshake()
    finally:
        stream._handshook._afn = trio.sleep_forever  # type: ignore[assignment] # it has begun, nobody calls it
