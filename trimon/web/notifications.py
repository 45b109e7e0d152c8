"""What the server has to tell everybody who looks at it: that it starts, that a reload failed, that it stops."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

import trio

from trimon.clock import Clock
from trimon.gotext.times import json_time
from trimon.records import dataclass
from trimon.selfmetrics import MetricFamily

STARTING: Final = "Prometheus is starting and replaying the write-ahead log (WAL)."
RELOAD_FAILED: Final = "Configuration reload has failed."
UNSUPPORTED: Final = "Nothing acts on these settings of the configuration in this version of trimon:"
STOPPING: Final = "Prometheus is shutting down and gracefully stopping all operations."
SUBSCRIBERS_MAX: Final = 16
# A subscriber that has not read so many changes is dropped: when it comes back it hears how things are.
UNREAD_MAX: Final = 32


@dataclass(frozen=True, slots=True)
class Notification:
    """One of them, since when it holds, and whether it still does."""

    text: str
    since_ms: int
    active: bool = True

    def as_data(self) -> dict[str, object]:
        """As the API shows it."""
        return {"text": self.text, "date": json_time(self.since_ms), "active": self.active}


class Subscription:
    """One who wants to hear of every change; those that hold come first."""

    def __init__(self, owner: Notifications, current: list[Notification]) -> None:
        self._owner = owner
        self._send, self._receive = trio.open_memory_channel[Notification](UNREAD_MAX)
        for each in current:
            self._send.send_nowait(each)

    def tell(self, change: Notification) -> bool:
        """Takes a change in; False when too many are unread."""
        try:
            self._send.send_nowait(change)
        except trio.WouldBlock:
            return False
        return True

    def close(self) -> None:
        """No change follows those that are unread."""
        self._send.close()

    def leave(self) -> None:
        """Nobody reads any more."""
        self._owner.forget(self)
        self._receive.close()

    async def next(self) -> Notification | None:
        """The next change; None when there will be none."""
        try:
            return await self._receive.receive()
        except trio.EndOfChannel:
            return None


class Notifications:
    """The notifications that hold, and who hears of changes. Only on the loop's thread."""

    def __init__(self, clock: Clock, subscribers_max: int = SUBSCRIBERS_MAX) -> None:
        self._clock = clock
        self._subscribers_max = subscribers_max
        self._current: dict[str, Notification] = {}
        self._subscriptions: dict[int, Subscription] = {}
        self.closed = trio.Event()
        """The server stops: whoever streams something to a client ends."""
        self._sent = 0
        self._dropped = 0

    @property
    def current(self) -> list[Notification]:
        """Those that hold, the oldest first."""
        return list(self._current.values())

    def add(self, text: str) -> None:
        """Something holds from now on; nothing new where it did already."""
        if text not in self._current:
            self._current[text] = Notification(text, self._clock.now_ms())
            self._tell(self._current[text])

    def remove(self, text: str) -> None:
        """Something holds no more."""
        gone = self._current.pop(text, None)
        if gone is not None:
            self._tell(replace(gone, active=False))

    def _tell(self, change: Notification) -> None:
        for subscription in list(self._subscriptions.values()):
            if subscription.tell(change):
                self._sent += 1
            else:
                self._dropped += 1
                subscription.close()
                self.forget(subscription)

    def subscribe(self) -> Subscription | None:
        """A subscription, which has to be left; None when there are as many as may be."""
        if self.closed.is_set() or len(self._subscriptions) >= self._subscribers_max:
            return None
        made = Subscription(self, self.current)
        self._sent += len(self._current)
        self._subscriptions[id(made)] = made
        return made

    def forget(self, subscription: Subscription) -> None:
        """It counts no more, if it did."""
        self._subscriptions.pop(id(subscription), None)

    def close(self) -> None:
        """The server stops: every stream ends after what is unread."""
        self.closed.set()
        for subscription in self._subscriptions.values():
            subscription.close()
        self._subscriptions.clear()

    def metrics(self) -> Iterator[MetricFamily]:
        """prometheus_api_notification_*."""
        yield MetricFamily(
            "prometheus_api_notification_active_subscribers",
            "The current number of subscribers of live notifications.",
            "gauge",
            [((), float(len(self._subscriptions)))],
        )
        for what, text, count in (
            (
                "sent",
                "Total number of changes that were told to subscribers of live notifications.",
                self._sent,
            ),
            (
                "dropped",
                "Total number of changes that a subscriber was too slow for, which ended it.",
                self._dropped,
            ),
        ):
            name = f"prometheus_api_notification_updates_{what}_total"
            yield MetricFamily(name, text, "counter", [((), float(count))])
