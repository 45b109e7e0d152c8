"""Clients that leave while their request is at work: one task hears it for all connections, by the socket alone.

The system says that the other side sends no more (EPOLLRDHUP) or has gone (EPOLLHUP) without anything being read. So nobody has
to read a connection while its request is at work, and a request that nobody would be told of costs nothing here.
"""

from __future__ import annotations

import select
from contextlib import suppress
from typing import Final

import trio
from hypercorn.typing import HTTPDisconnectEvent

from trimon.web.http.wire.departure import SENDS_NO_MORE, Departure

EVENTS: Final = select.EPOLLRDHUP | select.EPOLLET
GONE: Final = select.EPOLLHUP | select.EPOLLERR
LEFT: Final[HTTPDisconnectEvent] = {"type": "http.disconnect"}
# So long a client that sends no more waits for an answer to begin; most have gone.
ANSWER_S: Final = 10.0


class Hangups:
    """Tells departures of their clients' leaving. Only on the loop's thread."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._watched: dict[int, Departure] = {}
        self._half: dict[int, tuple[Departure, float]] = {}
        """Those that send no more, and when they are taken for gone."""

    def __len__(self) -> int:
        return len(self._watched)

    def watch(self, connection: trio.socket.SocketType, departure: Departure) -> None:
        """Tell this departure when the client leaves; what has happened before counts."""
        number = connection.fileno()
        if number < 0:
            departure.tell(LEFT)
            return
        self._half.pop(number, None)
        self._watched[number] = departure
        try:
            self._epoll.register(number, EVENTS)
        except FileExistsError:
            self._epoll.modify(number, EVENTS)

    def forget(self, connection: trio.socket.SocketType, departure: Departure) -> None:
        """Its request is answered. The number of a socket that was closed may be another's by now."""
        number = connection.fileno()
        if number < 0:
            for known in [known for known, watched in self._watched.items() if watched is departure]:
                del self._watched[known]
                self._half.pop(known, None)
            return
        if self._watched.get(number) is departure:
            del self._watched[number]
            self._half.pop(number, None)
            with suppress(OSError):  # the system forgot a socket that was closed
                self._epoll.unregister(number)

    async def run(self) -> None:
        """Until it is cancelled."""
        try:
            while True:
                late_s = min(
                    (late_s for _, late_s in self._half.values()), default=trio.current_time() + 3600
                )
                with trio.move_on_at(late_s):
                    await trio.lowlevel.wait_readable(self._epoll.fileno())
                for number, events in self._epoll.poll(0):
                    self._heard(number, events)
                self._give_up(trio.current_time())
        finally:
            self._epoll.close()

    def _heard(self, number: int, events: int) -> None:
        departure = self._watched.get(number)
        if departure is None:
            return
        if events & GONE:
            self._half.pop(number, None)
            departure.tell(LEFT)
        elif number not in self._half:
            self._half[number] = departure, trio.current_time() + ANSWER_S
            departure.tell(SENDS_NO_MORE)

    def _give_up(self, now_s: float) -> None:
        """Takes clients for gone that send no more and have no answer yet."""
        for number, (departure, late_s) in list(self._half.items()):
            if now_s >= late_s:
                del self._half[number]
                if not departure.answered:
                    departure.tell(LEFT)
