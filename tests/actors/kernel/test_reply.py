"""Replies: an asker gets an answer, an error, or a timeout, and never hangs."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
import trio
from trio.testing import MockClock

from tests.actors.kernel.actors import QUICK, Server
from trimon.actors.kernel import (
    ActorGone,
    AskTimeout,
    ChildSpec,
    Group,
    Mailbox,
    Reply,
    Restart,
    ask,
)


@dataclass(frozen=True, slots=True)
class Double:
    number: int
    reply: Reply[int] = field(default_factory=Reply)


def answer(message: Double) -> None:
    if message.number < 0:
        raise ValueError("negative")
    if message.number == 0:
        message.reply.fail(ZeroDivisionError("zero"))
    elif message.number < 100:
        message.reply.send(2 * message.number)


def server(box: Mailbox[Double], restart: Restart = Restart.ON_CRASH) -> Group:
    spec = ChildSpec("double", lambda: Server(box, answer), box, restart=restart, policy=QUICK)
    return Group("root", [spec])


async def test_an_answer_comes_back(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """Ask returns what the actor sent, raises what the actor failed with, and times out otherwise."""
    box: Mailbox[Double] = Mailbox("double", max=10)
    nursery.start_soon(server(box).run)
    assert await ask(box, Double(21), 1) == 42
    with pytest.raises(ZeroDivisionError):
        await ask(box, Double(0), 1)
    forgotten = Double(100)
    with pytest.raises(AskTimeout):
        await ask(box, forgotten, 1)
    assert forgotten.reply.abandoned
    nursery.cancel_scope.cancel()


async def test_a_crash_answers_the_asker(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """When the actor crashes with the message in hand the asker gets ActorGone at once; who waits is served."""
    box: Mailbox[Double] = Mailbox("double", max=10)
    nursery.start_soon(server(box).run)
    box.send_nowait(bad := Double(-1))
    box.send_nowait(good := Double(4))
    started = trio.current_time()
    with pytest.raises(ActorGone):
        await bad.reply.wait()
    assert trio.current_time() == started
    assert await good.reply.wait() == 8
    assert trio.current_time() > started
    nursery.cancel_scope.cancel()


async def test_an_answer_kept_for_later_dies_with_the_actor(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    """A message that the actor took earlier and did not answer yet gets ActorGone when the actor crashes."""
    box: Mailbox[Double] = Mailbox("double", max=10)
    nursery.start_soon(server(box).run)
    box.send_nowait(kept := Double(100))
    box.send_nowait(Double(-1))
    with pytest.raises(ActorGone):
        await kept.reply.wait()
    nursery.cancel_scope.cancel()


async def test_an_actor_gone_for_good_answers_all(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """When the child is not restarted, askers in the queue, waiting for room and coming later get ActorGone."""
    box: Mailbox[Double] = Mailbox("double", max=2)
    box.send_nowait(Double(-1))
    box.send_nowait(queued := Double(1))
    outcome: list[str] = []

    async def waiting() -> None:
        try:
            await ask(box, Double(2), 1e9)
        except ActorGone:
            outcome.append("gone")

    nursery.start_soon(waiting)
    await trio.testing.wait_all_tasks_blocked()
    nursery.start_soon(server(box, Restart.NEVER).run)
    with pytest.raises(ActorGone):
        await queued.reply.wait()
    with pytest.raises(ActorGone):
        await ask(box, Double(3), 1e9)
    await trio.testing.wait_all_tasks_blocked()
    assert outcome == ["gone"]
    nursery.cancel_scope.cancel()


async def test_the_first_answer_wins() -> None:
    """A reply is one-shot: later answers and errors change nothing."""
    reply: Reply[int] = Reply()
    reply.send(1)
    reply.send(2)
    reply.fail(ValueError())
    assert await reply.wait() == 1


async def test_a_cancelled_asker_is_seen(nursery: trio.Nursery) -> None:
    """An asker that is cancelled marks its reply as abandoned, so that the actor can skip the work."""
    box: Mailbox[Double] = Mailbox("double", max=1)
    message = Double(1)
    with trio.CancelScope() as scope:
        nursery.start_soon(ask, box, message, 1e9)
        await trio.testing.wait_all_tasks_blocked()
        scope.cancel()
    assert not message.reply.abandoned
    nursery.cancel_scope.cancel()
    with trio.CancelScope(shield=True):
        await trio.testing.wait_all_tasks_blocked()
    assert message.reply.abandoned


@pytest.mark.parametrize("late", [False, True])
async def test_who_waits_shielded_gets_the_answer_though_cancelled(
    nursery: trio.Nursery, *, late: bool
) -> None:
    """Neither a scope that is cancelled already nor one cancelled meanwhile ends the wait; errors come through, too."""
    got: list[object] = []
    replies: list[Reply[int]] = [Reply(), Reply()]

    async def wait(reply: Reply[int], scope: trio.CancelScope) -> None:
        with scope:
            try:
                got.append(await reply.wait_shielded())
            except KeyError as error:
                got.append(error)

    scopes = [trio.CancelScope() for _ in replies]
    if not late:
        for scope in scopes:
            scope.cancel()
    for reply, scope in zip(replies, scopes, strict=True):
        nursery.start_soon(wait, reply, scope)
    await trio.testing.wait_all_tasks_blocked()
    for scope in scopes:
        scope.cancel()
    await trio.testing.wait_all_tasks_blocked()
    assert not got
    failed = KeyError()
    replies[0].send(1)
    await trio.testing.wait_all_tasks_blocked()
    replies[1].fail(failed)
    await trio.testing.wait_all_tasks_blocked()
    assert got == [1, failed]
