"""Notifications and their live stream."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import trio
from trio.testing import wait_all_tasks_blocked

from tests.support.asgi import Call
from tests.support.web_world import WebWorld, web_world
from trimon.virtualclock import VirtualClock
from trimon.web.notifications import RELOAD_FAILED, STOPPING, UNREAD_MAX, Notifications

API = "/api/v1/notifications"


@dataclass
class Listener:
    """A client of the live stream."""

    call: Call = field(default_factory=lambda: Call("GET", f"{API}/live"))

    @property
    def status(self) -> int:
        return int(self.call.sent[0]["status"])

    @property
    def events(self) -> list[dict[str, Any]]:
        body = b"".join(message.get("body", b"") for message in self.call.sent[1:])
        return [json.loads(line.removeprefix(b"data: ")) for line in body.split(b"\n\n") if line]

    @property
    def ended(self) -> bool:
        return bool(self.call.sent) and not self.call.sent[-1].get("more_body", True)


def told(most: int = 16) -> dict[str, Any]:
    return {"notifications": Notifications(VirtualClock(), most)}


async def listening(here: WebWorld, nursery: trio.Nursery, count: int = 1) -> list[Listener]:
    listeners = [Listener() for _ in range(count)]
    for listener in listeners:
        nursery.start_soon(listener.call.to, here.client.app)
    await wait_all_tasks_blocked()
    return listeners


async def test_changes_are_told_while_they_come(tmp_path: Path) -> None:
    """A listener has the head at once, then what holds, then each change; the end of the server ends the stream."""
    async with web_world(tmp_path, None, told()) as here, trio.open_nursery() as nursery:
        notifications = here.context.notifications
        (early,) = await listening(here, nursery)
        assert (early.status, early.events, early.ended) == (200, [], False)
        headers = dict(early.call.sent[0]["headers"])
        assert headers[b"content-type"] == b"text/event-stream"
        assert headers[b"cache-control"] == b"no-cache"
        notifications.add(RELOAD_FAILED)
        notifications.add(RELOAD_FAILED)
        (late,) = await listening(here, nursery)
        assert [event["active"] for event in early.events] == [True]
        assert late.events == early.events
        data = (await (await here.client.get(API)).get_json())["data"]
        assert data == early.events
        notifications.remove(RELOAD_FAILED)
        notifications.remove(RELOAD_FAILED)
        notifications.add(STOPPING)
        notifications.close()
        await wait_all_tasks_blocked()
        for listener in (early, late):
            assert [(event["text"], event["active"]) for event in listener.events] == [
                (RELOAD_FAILED, True),
                (RELOAD_FAILED, False),
                (STOPPING, True),
            ]
            assert listener.events[0]["date"] == listener.events[1]["date"]
            assert listener.ended


async def test_there_are_not_more_subscribers_than_may_be(tmp_path: Path) -> None:
    """One too many gets 204; a place is free again when its client has gone."""
    async with web_world(tmp_path, None, told(2)) as here, trio.open_nursery() as nursery:
        first, second, third = await listening(here, nursery, 3)
        assert sorted(each.status for each in (first, second, third)) == [200, 200, 204]
        gone = next(each for each in (first, second, third) if each.status == 200)
        gone.call.gone.set()
        await wait_all_tasks_blocked()
        (fourth,) = await listening(here, nursery)
        assert fourth.status == 200
        assert here.metrics.value("prometheus_api_notification_active_subscribers") == 2
        nursery.cancel_scope.cancel()


async def test_who_does_not_read_is_dropped() -> None:
    """A subscriber with too many unread changes counts no more and hears the end; others hear on."""
    notifications = Notifications(VirtualClock(), 2)
    slow, quick = notifications.subscribe(), notifications.subscribe()
    assert slow is not None
    assert quick is not None
    heard = 0
    for _ in range(UNREAD_MAX):
        notifications.add("x")
        notifications.remove("x")
        await quick.next()
        await quick.next()
        heard += 2
    unread = 0
    while await slow.next() is not None:
        unread += 1
    assert (unread, heard) == (UNREAD_MAX, 2 * UNREAD_MAX)
    assert notifications.subscribe() is not None
    figures = {family.name: family.samples[0][1] for family in notifications.metrics()}
    assert figures["prometheus_api_notification_updates_dropped_total"] == 1


async def test_none_may_be_let_in(tmp_path: Path) -> None:
    """With no subscribers allowed, and after the end, nobody gets a stream."""
    async with web_world(tmp_path, None, told(0)) as here:
        assert (await here.client.get(f"{API}/live")).status_code == 204
    ended = Notifications(VirtualClock())
    ended.close()
    assert ended.subscribe() is None
