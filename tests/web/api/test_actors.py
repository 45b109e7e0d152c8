"""The actors as rows, and how they change."""

from __future__ import annotations

import json
from pathlib import Path

import trio
from trio.testing import wait_all_tasks_blocked

from tests.support.asgi import Call
from tests.support.web_world import web_world
from trimon.actors.kernel import ChildSpec, Group, Pool
from trimon.actors.kernel.mailbox import Mailbox
from trimon.web.actorchanges import COLUMNS, ActorChanges
from trimon.web.context import WebOptions


class Slow:
    """Holds the first message for ever."""

    def __init__(self, mailbox: Mailbox[str]) -> None:
        self.mailbox = mailbox

    async def run(self) -> None:
        async for _ in self.mailbox:
            await trio.sleep_forever()

    def inspect(self) -> dict[str, object]:
        return {}


class Idle:
    async def run(self) -> None:
        await trio.sleep_forever()

    def inspect(self) -> dict[str, object]:
        return {}


def as_dicts(rows: list[tuple[object, ...]]) -> dict[str, dict[str, object]]:
    return {str(row[0]): dict(zip(COLUMNS, row, strict=True)) for row in rows}


async def test_only_what_differs_is_told_again(
    nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    """All rows first; then those of actors that did something, and the paths of those that went."""
    pool: Pool[int] = Pool("pool")
    pool.reconcile({number: ChildSpec(f"w{number}", Idle) for number in range(3)})
    mailbox: Mailbox[str] = Mailbox("slow", max=2)
    group = Group(
        "root", [ChildSpec("pool", lambda: pool), ChildSpec("slow", lambda: Slow(mailbox), mailbox=mailbox)]
    )
    nursery.start_soon(group.run)
    await wait_all_tasks_blocked()
    changes = ActorChanges(lambda: group)
    first = as_dicts(list(changes.next()))
    assert len(first) == 6
    assert first["root/slow"]["state"] == "running"
    assert (list(changes.next()), changes.gone) == ([], [])
    for text in ("a", "b", "c"):
        mailbox.send_nowait(text)
        await wait_all_tasks_blocked()
    await trio.sleep(7)
    second = as_dicts(list(changes.next()))
    assert set(second) == {"root/slow"}
    assert (second["root/slow"]["used"], second["root/slow"]["max"]) == (2, 2)
    assert (second["root/slow"]["in_hand"], second["root/slow"]["in_hand_s"]) == ("str", 7.0)
    pool.reconcile({0: ChildSpec("w0", Idle)})
    await wait_all_tasks_blocked()
    list(changes.next())
    assert sorted(changes.gone) == ["root/pool/w1", "root/pool/w2"]
    nursery.cancel_scope.cancel()


async def test_watchers_are_few_and_end_with_the_server(tmp_path: Path, nursery: trio.Nursery) -> None:
    """Beyond eight streams there is 204; at the end of the server every stream ends; who left makes room."""
    group = Group("root", [ChildSpec("one", Idle)])
    nursery.start_soon(group.run)
    await wait_all_tasks_blocked()
    options = WebOptions(allow_remote_debug=True)
    async with web_world(tmp_path, options, {"tree": lambda: group}) as here:
        answers: list[tuple[int, bytes]] = []

        async def watch(call: Call) -> None:
            status, _, body = await call.to(here.client.app)
            answers.append((status, body))

        calls = [Call("GET", "/api/v1/trimon/actors/live") for _ in range(8)]
        for call in calls:
            nursery.start_soon(watch, call)
        await wait_all_tasks_blocked()
        status, _, _ = await Call("GET", "/api/v1/trimon/actors/live").to(here.client.app)
        assert status == 204
        here.context.notifications.close()
        await wait_all_tasks_blocked()
        assert len(answers) == 8
        assert all(status == 200 for status, _ in answers)
        event = json.loads(answers[0][1].split(b"\n\n")[0].removeprefix(b"data: "))
        assert [row[0] for row in event["rows"]] == ["root", "root/one"]
        status, _, body = await Call("GET", "/api/v1/trimon/actors").to(here.client.app)
        assert status == 200
        assert json.loads(body)["data"]["columns"] == list(COLUMNS)
    nursery.cancel_scope.cancel()
