"""The open connections: how many there may be, and which end when there are too many.

A connection is idle, sends a head, sends a body, or has a request at work. One with a request at work is never ended for
another. When all places are taken a new connection ends one that waits: a head that is not whole after a second, a body that
comes too slowly, whoever is idle for longest; then those that have only just come, unless there is something of theirs to be
read: that may be a whole request. Where none waits, some places more are kept, for probes (`/-/healthy`) and for this machine;
the guard answers everybody else there with 503.
"""

from __future__ import annotations

import ipaddress
import math
from collections import Counter
from collections.abc import Callable, Iterator
from enum import IntEnum
from functools import lru_cache
from itertools import islice
from typing import Final

import trio

from trimon import limits
from trimon.selfmetrics import MetricFamily
from trimon.web.http.hosts import is_loopback

# Of bodies that are still coming, so many of the oldest are compared.
COMPARED_MAX: Final = 64
# Whoever waits for less may have asked already, and we have not read it yet.
NEW_S: Final = 1.0
# How often it is looked for slow readers while nobody else can be accepted.
ROOM_S: Final = 1.0
_NETWORK_BITS: Final = 64
# Of so many addresses it is remembered; taking one apart is a tenth of what a short connection costs.
_KEYS_MAX: Final = 1024


class Phase(IntEnum):
    """What a connection does; the first three wait for the client."""

    IDLE = 0
    HEAD = 1
    BODY = 2
    BUSY = 3


# Members of an enumeration are found slowly, and these are asked for with every request.
IDLE: Final = Phase.IDLE
BUSY: Final = Phase.BUSY

CLOSED_BECAUSE: Final = {
    "idle": "Nothing was asked for so long.",
    "slow_head": "A request's head did not come in time.",
    "slow_body": "A request's body came too slowly.",
    "slow_reader": "A client did not read its answer.",
    "pressure": "All places were taken and another came.",
    "client": "One client had too many.",
    "files": "The process may open no more files.",
}


@lru_cache(_KEYS_MAX)
def client_key(address: str) -> str:
    """What counts as one client: an IPv4 address, a network of 64 bits of IPv6; empty for this machine."""
    if is_loopback(address):
        return ""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv4Address):
        return address
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.ip_network((int(parsed), _NETWORK_BITS), strict=False))


class Place:
    """One connection among the others."""

    __slots__ = (
        "_connections",
        "body_bytes",
        "client",
        "close",
        "has_sent",
        "phase",
        "since_s",
        "writes_since_s",
    )

    def __init__(
        self, connections: Connections, client: str, close: Callable[[], object], has_sent: Callable[[], bool]
    ) -> None:
        self._connections = connections
        self.client = client
        self.close = close
        self.has_sent = has_sent
        """Whether something came that nobody has read."""
        self.phase = Phase.IDLE
        self.since_s = trio.current_time()
        """When it began to wait, or, of a body that is still coming, when that began."""
        self.body_bytes = 0
        """What came of the body that is still coming."""
        self.writes_since_s = math.inf
        """Since when a piece of an answer is written; infinite while none is."""

    def enter(self, phase: Phase, now_s: float) -> None:
        """The connection does something else from now on; the time counts for what waits."""
        if phase is not self.phase:
            self._connections.move(self, phase, now_s)

    def is_fed(self) -> bool:
        """Whether it sends a body at a good pace."""
        pace = limits.REQUEST_BODY_BYTES_PER_S_MIN * (trio.current_time() - self.since_s)
        return self.phase is Phase.BODY and self.body_bytes > pace

    def count(self, reason: str) -> None:
        """The connection is ended by the server for this reason."""
        self._connections.closed[reason] += 1


class Connections:
    """All open connections. Only on the loop's thread; nothing here waits but `room`."""

    def __init__(self, most: int, kept: int = limits.CONNECTIONS_KEPT) -> None:
        self.most = most
        self.kept = kept
        self.per_client_max = max(1, int(most * limits.CONNECTIONS_PER_CLIENT_SHARE))
        self.closed: Counter[str] = Counter(dict.fromkeys(CLOSED_BECAUSE, 0))
        self.served = 0
        self._waiting: tuple[dict[Place, None], ...] = ({}, {}, {})
        self._open: dict[Place, None] = {}
        self._of_client: Counter[str] = Counter()
        self._stirred: trio.Event | None = None

    def __len__(self) -> int:
        return len(self._open)

    @property
    def full(self) -> bool:
        """Whether no other connection may be accepted: all places are taken, and none waits for its client."""
        return len(self._open) >= self.most + self.kept and not any(self._waiting)

    async def room(self) -> None:
        """Waits until another connection may be accepted."""
        while self.full:
            if self.end_slow_readers(limits.ANSWER_PIECE_CROWDED_S):
                return
            self._stirred = trio.Event()
            with trio.move_on_after(ROOM_S):
                await self._stirred.wait()

    def take(
        self, address: str, close: Callable[[], object], has_sent: Callable[[], bool] = lambda: False
    ) -> Place | None:
        """A place for a new connection, for which another may end; None when its client has too many at work."""
        client = client_key(address)
        if client and self._of_client[client] >= self.per_client_max and not self._end_one("client", client):
            self.closed["client"] += 1
            return None
        if len(self._open) >= self.most and not self._end_one("pressure"):
            self.end_slow_readers(limits.ANSWER_PIECE_CROWDED_S)
        place = Place(self, client, close, has_sent)
        self._open[place] = None
        self._of_client[client] += 1
        self._waiting[Phase.IDLE][place] = None
        self.served += 1
        return place

    def leave(self, place: Place) -> None:
        """A connection has ended; once more does nothing."""
        if place not in self._open:
            return
        del self._open[place]
        if place.phase is not Phase.BUSY:
            del self._waiting[place.phase][place]
        self._of_client[place.client] -= 1
        if not self._of_client[place.client]:
            del self._of_client[place.client]
        self._stir()

    def move(self, place: Place, phase: Phase, now_s: float) -> None:
        """A connection does something else."""
        if place in self._open:
            if place.phase is not BUSY:
                del self._waiting[place.phase][place]
            if phase is not BUSY:
                self._waiting[phase][place] = None
                if phase is IDLE:
                    place.body_bytes = 0
                if not place.body_bytes:
                    place.since_s = now_s
                if self._stirred is not None:
                    self._stir()
        place.phase = phase

    def end_oldest(self, reason: str) -> bool:
        """Ends the connection that waited longest; False when every one has a request at work."""
        return self._end_one(reason)

    def end_slow_readers(self, within_s: float) -> int:
        """Ends connections whose client took longer than this for a piece of its answer; how many there were."""
        before_s = trio.current_time() - within_s
        slow = [place for place in self._open if place.writes_since_s < before_s]
        for place in slow:
            self._end(place, "slow_reader")
        return len(slow)

    def close_all(self) -> None:
        """Ends every connection, whatever it does."""
        for place in list(self._open):
            place.close()

    def _stir(self) -> None:
        if self._stirred is not None:
            self._stirred.set()
            self._stirred = None

    def _end_one(self, reason: str, client: str | None = None) -> bool:
        victim = self._oldest(client)
        if victim is None:
            return False
        self._end(victim, reason)
        return True

    def _end(self, place: Place, reason: str) -> None:
        self.closed[reason] += 1
        self.leave(place)
        place.close()

    def _oldest(self, client: str | None) -> Place | None:
        idle, head = (next(self._of(phase, client), None) for phase in (Phase.IDLE, Phase.HEAD))
        bodies = islice(self._of(Phase.BODY, client), COMPARED_MAX)
        body = min(bodies, key=lambda place: place.body_bytes, default=None)
        before_s = trio.current_time() - NEW_S
        for place in (head, body, idle):
            if place is not None and place.since_s < before_s and not place.is_fed():
                return place
        if head or body or idle is None:
            return head or body
        # Where all others are at work for a moment, the only idle one may be a probe whose request is not read yet.
        silent = (
            place for place in islice(self._of(Phase.IDLE, client), COMPARED_MAX) if not place.has_sent()
        )
        return next(silent, idle if len(self._open) >= self.most + self.kept else None)

    def _of(self, phase: Phase, client: str | None) -> Iterator[Place]:
        return (place for place in self._waiting[phase] if client is None or place.client == client)

    def metrics(self) -> Iterator[MetricFamily]:
        """trimon_web_connections*."""
        figures = (
            ("trimon_web_connections", "Open connections of clients.", len(self._open)),
            ("trimon_web_connections_max", "Most connections of clients at once.", self.most),
            ("trimon_web_connections_idle", "Connections that wait for a request.", len(self._waiting[0])),
        )
        for name, text, value in figures:
            yield MetricFamily(name, text, "gauge", [((), float(value))])
        yield MetricFamily(
            "trimon_web_connections_closed_total",
            "Connections that the server ended before the client did, by reason.",
            "counter",
            [((reason,), float(count)) for reason, count in self.closed.items()],
            ("reason",),
        )
