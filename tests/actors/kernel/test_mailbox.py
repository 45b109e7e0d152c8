"""Mailboxes: bounds, policies, statistics, and that nobody waits for ever."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, field

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from trio.testing import wait_all_tasks_blocked

from tests.actors.kernel.actors import run_virtual
from trimon.actors.kernel import (
    ActorGone,
    Mailbox,
    MailboxClosed,
    MailboxFull,
    MessageTooLarge,
    Overflow,
    Reply,
)


@dataclass(frozen=True, slots=True)
class Note:
    key: str
    text: str = ""
    reply: Reply[str] = field(default_factory=Reply, compare=False)


async def test_messages_come_out_in_the_order_they_went_in() -> None:
    """A mailbox is first in, first out and counts what was handled."""
    box: Mailbox[int] = Mailbox("m", max=10)
    for number in range(5):
        await box.send(number)
    assert [await box.receive() for _ in range(5)] == [0, 1, 2, 3, 4]
    assert box.stats().handled == 4
    assert box.stats().in_hand == "int"
    box.done()
    assert box.stats().handled == 5
    assert box.stats().in_hand == ""
    assert box.stats().peak == 5


async def test_wait_makes_the_sender_wait_until_there_is_room(nursery: trio.Nursery) -> None:
    """Under WAIT a sender is held back while the box is full, is seen as waiting, and is served in order."""
    box: Mailbox[int] = Mailbox("m", max=1)
    for number in range(4):
        nursery.start_soon(box.send, number)
        await wait_all_tasks_blocked()
    assert box.stats().used == 1
    assert box.stats().waiting == 3
    with pytest.raises(MailboxFull):
        box.send_nowait(9)
    got = [await box.receive() for _ in range(4)]
    assert got == [0, 1, 2, 3]


async def test_a_cancelled_sender_sent_nothing(nursery: trio.Nursery) -> None:
    """A sender that is cancelled while it waits leaves no message behind and lets the next one in."""
    box: Mailbox[str] = Mailbox("m", max=3, bytes_max=10, size_of=len)
    await box.send("12345678")
    scope = trio.CancelScope()

    async def big() -> None:
        with scope:
            await box.send("123456789")

    nursery.start_soon(big)
    await wait_all_tasks_blocked()
    nursery.start_soon(box.send, "ab")
    await wait_all_tasks_blocked()
    assert box.stats().waiting == 2
    scope.cancel()
    await wait_all_tasks_blocked()
    assert [await box.receive(), await box.receive()] == ["12345678", "ab"]
    assert len(box) == 0


async def test_bytes_are_a_bound_of_their_own() -> None:
    """A box that has room for messages but not for bytes is full; a message that can never fit is an error."""
    box: Mailbox[str] = Mailbox("m", max=100, bytes_max=10, size_of=len)
    box.send_nowait("1234567")
    with pytest.raises(MailboxFull):
        box.send_nowait("12345")
    with pytest.raises(MessageTooLarge):
        box.send_nowait("x" * 11)
    await box.receive()
    box.send_nowait("12345")
    assert (box.stats().used_bytes, box.stats().peak_bytes) == (5, 7)


async def test_drop_oldest_drops_and_counts() -> None:
    """Under DROP_OLDEST the newest messages stay, the dropped are counted and their askers told."""
    box: Mailbox[Note] = Mailbox("m", max=2, policy=Overflow.DROP_OLDEST)
    notes = [Note(str(number)) for number in range(5)]
    for note in notes:
        await box.send(note)
    assert [(await box.receive()).key, (await box.receive()).key] == ["3", "4"]
    assert box.stats().dropped == 3
    with pytest.raises(ActorGone):
        await notes[0].reply.wait()


async def test_refuse_says_when_to_come_again() -> None:
    """Under REFUSE a full box raises MailboxFull with retry_after_s and counts it."""
    box: Mailbox[int] = Mailbox("m", max=1, policy=Overflow.REFUSE, retry_after_s=7)
    await box.send(1)
    with pytest.raises(MailboxFull) as refused:
        await box.send(2)
    assert refused.value.retry_after_s == 7
    assert box.stats().refused == 1


async def test_coalesce_keeps_the_latest_by_key(nursery: trio.Nursery) -> None:
    """Under COALESCE a message replaces the waiting one of its key in place; a new key waits for room."""
    box: Mailbox[Note] = Mailbox("m", max=2, policy=Overflow.COALESCE, key_of=lambda note: note.key)
    for key, text in [("a", "1"), ("b", "1"), ("a", "2")]:
        await box.send(Note(key, text))
    nursery.start_soon(box.send, Note("c", "1"))
    await wait_all_tasks_blocked()
    nursery.start_soon(box.send, Note("c", "2"))
    await wait_all_tasks_blocked()
    assert box.stats().waiting == 2
    got = [await box.receive() for _ in range(3)]
    assert [(note.key, note.text) for note in got] == [("a", "2"), ("b", "1"), ("c", "2")]
    assert box.stats().coalesced == 2


async def test_closing_ends_senders_and_then_the_reader(nursery: trio.Nursery) -> None:
    """After close senders get ActorGone, the reader gets what is left and then MailboxClosed."""
    box: Mailbox[int] = Mailbox("m", max=1)
    await box.send(1)
    gone: list[int] = []

    async def late(number: int) -> None:
        try:
            await box.send(number)
        except ActorGone:
            gone.append(number)

    nursery.start_soon(late, 2)
    await wait_all_tasks_blocked()
    box.close()
    await late(3)
    await wait_all_tasks_blocked()
    assert gone in ([3, 2], [2, 3])
    assert await box.receive() == 1
    with pytest.raises(MailboxClosed):
        await box.receive()


async def test_close_wakes_a_waiting_reader(nursery: trio.Nursery) -> None:
    """A reader that waits at an empty box is told when it closes."""
    box: Mailbox[int] = Mailbox("m", max=1)
    ended = trio.Event()

    async def reader() -> None:
        async for _ in box:
            pass
        ended.set()

    nursery.start_soon(reader)
    await wait_all_tasks_blocked()
    box.close()
    with trio.fail_after(8):
        await ended.wait()


async def test_a_second_reader_is_an_error(nursery: trio.Nursery) -> None:
    """A mailbox has one reader; a second one at the same time is a bug and is told so."""
    box: Mailbox[int] = Mailbox("m", max=1)
    nursery.start_soon(box.receive)
    await wait_all_tasks_blocked()
    with pytest.raises(trio.BusyResourceError):
        await box.receive()
    nursery.cancel_scope.cancel()


async def test_a_busy_box_lets_others_run(nursery: trio.Nursery) -> None:
    """A reader whose box is never empty still lets other tasks run every few milliseconds."""
    box: Mailbox[int] = Mailbox("m", max=200_000)
    for number in range(100_000):
        box.send_nowait(number)
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            await trio.lowlevel.checkpoint()
            turns += 1

    nursery.start_soon(other)
    for _ in range(100_000):
        await box.receive()
    nursery.cancel_scope.cancel()
    assert turns >= 5


async def test_a_batch_takes_what_waits(nursery: trio.Nursery) -> None:
    """receive_batch gives all that waits up to its limit, shows as many in hand, and lets senders in."""
    box: Mailbox[int] = Mailbox("m", max=3)
    for number in range(5):
        nursery.start_soon(box.send, number)
    await wait_all_tasks_blocked()
    batch = await box.receive_batch(10)
    assert sorted(batch) == [0, 1, 2, 3, 4]
    assert box.stats().in_hand == "int x 5"
    box.abandon()
    assert box.stats().lost == 5


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(list(Overflow)),
    st.integers(1, 4),
    st.lists(st.one_of(st.tuples(st.just("send"), st.integers(0, 5)), st.just(("take", 0))), max_size=60),
)
def test_a_box_behaves_like_the_plain_model(
    policy: Overflow, limit: int, steps: list[tuple[str, int]]
) -> None:
    """For any order of nowait sends and takes each policy does what a naive list would do."""

    async def main() -> None:
        key_of = (lambda note: note.key) if policy is Overflow.COALESCE else None
        box: Mailbox[Note] = Mailbox("m", max=limit, policy=policy, key_of=key_of)
        model: deque[Note] = deque()
        taken = 0
        for number, (what, key) in enumerate(steps):
            note = Note(str(key), str(number))
            if what == "take":
                if model:
                    expected = model.popleft()
                    assert await box.receive() is expected
                    taken += 1
                continue
            same = [index for index, waiting in enumerate(model) if waiting.key == note.key]
            if policy is Overflow.COALESCE and same:
                model[same[0]] = note
            elif len(model) < limit:
                model.append(note)
            elif policy is Overflow.DROP_OLDEST:
                model.popleft()
                model.append(note)
            else:
                with pytest.raises(MailboxFull):
                    box.send_nowait(note)
                continue
            box.send_nowait(note)
            assert len(box) == len(model) <= limit
        box.done()
        assert box.stats().handled == taken

    run_virtual(main)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 5), st.lists(st.integers(0, 3), max_size=40), st.sets(st.integers(0, 39)))
def test_no_message_is_lost_or_doubled_by_waiting_senders(
    limit: int, pauses: list[int], cancelled: set[int]
) -> None:
    """Whatever senders wait, and whichever of them are cancelled, what was sent arrives once."""

    async def main() -> None:
        box: Mailbox[int] = Mailbox("m", max=limit)
        sent: list[int] = []
        got: list[int] = []

        async def sender(number: int) -> None:
            with trio.move_on_after(0.5 if number in cancelled else 1e6):
                await box.send(number)
                sent.append(number)

        async def reader() -> None:
            async for message in box:
                got.append(message)
                await trio.sleep(pauses[message])

        async with trio.open_nursery() as outer:
            outer.start_soon(reader)
            async with trio.open_nursery() as inner:
                for number in range(len(pauses)):
                    inner.start_soon(sender, number)
            box.close()
        assert sorted(got) == sorted(sent)

    run_virtual(main)


def test_a_message_is_cheap() -> None:
    """Sending and receiving costs microseconds, printed here and not asserted as a time."""

    async def main() -> float:
        box: Mailbox[int] = Mailbox("m", max=100)
        count = 50_000

        async def sender() -> None:
            for number in range(count):
                await box.send(number)

        async with trio.open_nursery() as nursery:
            started = time.perf_counter()
            nursery.start_soon(sender)
            for expected in range(count):
                assert await box.receive() == expected
            return (time.perf_counter() - started) / count

    print(f"one message: {trio.run(main) * 1e6:.2f} µs")


async def test_what_is_too_large_for_the_room_waits_in_front(nursery: trio.Nursery) -> None:
    """A waiting message that does not fit yet is not overtaken, and is not lost when the box closes."""
    box: Mailbox[str] = Mailbox("m", max=10, bytes_max=10, size_of=len)
    await box.send("aaaa")
    await box.send("bbbb")
    for text in ("cccccccc", "d"):
        nursery.start_soon(box.send, text)
        await wait_all_tasks_blocked()
    assert await box.receive() == "aaaa"
    await wait_all_tasks_blocked()
    assert (box.stats().used, box.stats().waiting) == (1, 2)
    with pytest.raises(MailboxFull):
        box.send_nowait("e")
    assert await box.receive() == "bbbb"
    await wait_all_tasks_blocked()
    assert (box.stats().used_bytes, box.stats().waiting) == (9, 0)
    for text in ("ffffffff", "g"):
        nursery.start_soon(box.send, text)
        await wait_all_tasks_blocked()
    assert await box.receive() == "cccccccc"
    assert await box.receive_batch(9) == ["d", "ffffffff", "g"]
    await box.send("hhhhhhhh")
    await box.send("ii")
    nursery.start_soon(box.send, "jjjj")
    await wait_all_tasks_blocked()
    assert await box.receive() == "hhhhhhhh"
    assert await box.receive() == "ii"
    box.close()
    assert await box.receive() == "jjjj"
    with pytest.raises(MailboxClosed):
        await box.receive()


async def test_a_reader_cancelled_at_the_door_loses_nothing(nursery: trio.Nursery) -> None:
    """A message sent between a reader's cancellation and its end waits for the next reader."""
    box: Mailbox[int] = Mailbox("m", max=2)
    scope = trio.CancelScope()

    async def reader() -> None:
        with scope:
            await box.receive()

    nursery.start_soon(reader)
    await wait_all_tasks_blocked()
    scope.cancel()
    box.send_nowait(1)
    await wait_all_tasks_blocked()
    assert await box.receive() == 1
    assert box.stats().lost == 0
