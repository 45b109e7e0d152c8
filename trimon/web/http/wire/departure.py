"""Whether the client of a request has gone: whoever works on an answer is told at once, without a task that waits for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, cast

from hypercorn.typing import ASGIReceiveEvent, HTTPDisconnectEvent, Scope

# What an application receives when its client sends no more, but may still listen: an answer can be sent.
SENDS_NO_MORE: Final[HTTPDisconnectEvent] = {"type": "http.disconnect"}
_DEPARTURE: Final = "trimon.departure"


class Departure:
    """What the connection of a request tells of its client. Only on the loop's thread."""

    __slots__ = ("_listeners", "_told", "_wanted", "answered", "gone")

    def __init__(self, wanted: Callable[[Departure], object] | None = None) -> None:
        """`wanted` is called once, when somebody would be told for the first time."""
        self.answered = False
        """Whether an answer has begun."""
        self.gone = False
        """Whether the client has been told of as gone: nothing is told after that."""
        self._told: list[ASGIReceiveEvent] = []
        self._listeners: list[Callable[[ASGIReceiveEvent], None]] = []
        self._wanted = wanted

    def tell(self, message: ASGIReceiveEvent) -> None:
        """The client has gone, or sends no more (SENDS_NO_MORE)."""
        if self.gone:
            return
        self.gone = message is not SENDS_NO_MORE
        self._told.append(message)
        for listener in tuple(self._listeners):
            listener(message)

    def listen(self, listener: Callable[[ASGIReceiveEvent], None]) -> None:
        """Call `listener` with what was told, and with what will be."""
        self._listeners.append(listener)
        wanted, self._wanted = self._wanted, None
        if wanted is not None:
            wanted(self)
        for message in self._told:
            listener(message)

    def ignore(self, listener: Callable[[ASGIReceiveEvent], None]) -> None:
        """Tell that listener nothing more."""
        self._listeners.remove(listener)


def set_departure(scope: Scope, departure: Departure) -> None:
    """Note whom the connection tells that the client of a request has gone."""
    cast("dict[str, Any]", scope)[_DEPARTURE] = departure


def departure_of(scope: Scope) -> Departure:
    """Whom the connection tells that the client of a request has gone."""
    departure = cast("dict[str, Any]", scope)[_DEPARTURE]
    assert isinstance(departure, Departure)
    return departure
