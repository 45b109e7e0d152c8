"""How long the parts of a request took, and how far its answer came: where a slow target is slow, and a bad one bad."""

from __future__ import annotations

import time


class ExchangeTimes:
    """The parts of one request and its answer, in seconds; 0 for a part that there was not.

    A kept connection is neither looked up nor opened. Of an answer that was led elsewhere the parts of all requests count
    together. Through a proxy no part is known, only the whole.
    """

    __slots__ = (
        "_since_s",
        "body_s",
        "connect_s",
        "content_type",
        "first_byte_s",
        "received_bytes",
        "resolve_s",
        "status",
        "tls_s",
    )

    def __init__(self) -> None:
        self.resolve_s = 0.0
        """Looking the host's name up."""
        self.connect_s = 0.0
        self.tls_s = 0.0
        self.first_byte_s = 0.0
        """From the request to the first byte of its answer."""
        self.body_s = 0.0
        """From there to the last one, decompressed."""
        self.status = 0
        """Of the last answer that began, also of one whose body is no good; 0 without one."""
        self.content_type = ""
        self.received_bytes = 0
        """How much of its body came."""
        self._since_s = 0.0

    def _lap_s(self) -> float:
        now_s = time.perf_counter()
        lap_s, self._since_s = now_s - self._since_s, now_s
        return lap_s

    def begin(self) -> None:
        """A part begins now."""
        self._since_s = time.perf_counter()

    def resolved(self) -> None:
        """The name was looked up since the last part."""
        self.resolve_s += self._lap_s()

    def connected(self) -> None:
        """The connection was opened since then."""
        self.connect_s += self._lap_s()

    def secured(self) -> None:
        """TLS was agreed on since then."""
        self.tls_s += self._lap_s()

    def answered(self) -> None:
        """The first byte of the answer came."""
        self.first_byte_s += self._lap_s()

    def done(self) -> None:
        """The answer is complete."""
        self.body_s += self._lap_s()
