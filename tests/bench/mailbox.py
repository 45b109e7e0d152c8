"""What a message costs: through a box with room, through a jammed one, to a reader that waits, and as a question."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import trio

from trimon.actors.kernel import Mailbox, Overflow, Reply, ask

COUNT = 50_000


@dataclass(frozen=True, slots=True)
class Note:
    key: int
    reply: Reply[int] = field(default_factory=Reply)


async def _through(box: Mailbox[int], senders: int) -> float:
    async def sender() -> None:
        for number in range(COUNT // senders):
            await box.send(number)

    async with trio.open_nursery() as nursery:
        began_s = time.perf_counter()
        for _ in range(senders):
            nursery.start_soon(sender)
        for _ in range(COUNT // senders * senders):
            await box.receive()
        return (time.perf_counter() - began_s) / COUNT


async def _to_a_waiting_reader() -> float:
    box: Mailbox[int] = Mailbox("b", max=100)

    async def reader() -> None:
        async for _ in box:
            pass

    async with trio.open_nursery() as nursery:
        nursery.start_soon(reader)
        await trio.lowlevel.checkpoint()
        began_s = time.perf_counter()
        for number in range(COUNT):
            box.send_nowait(number)
            await trio.lowlevel.checkpoint()
        took_s = time.perf_counter() - began_s
        box.close()
    return took_s / COUNT


async def _asked() -> float:
    box: Mailbox[Note] = Mailbox("b", max=100)

    async def reader() -> None:
        async for note in box:
            note.reply.send(note.key)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(reader)
        began_s = time.perf_counter()
        for number in range(COUNT // 5):
            await ask(box, Note(number), 1.0)
        took_s = time.perf_counter() - began_s
        box.close()
    return took_s / (COUNT // 5)


async def main() -> None:
    """Print microseconds a message."""
    keyed: Mailbox[int] = Mailbox("b", max=100, policy=Overflow.COALESCE, key_of=lambda number: number)
    sized: Mailbox[int] = Mailbox("b", max=100, bytes_max=10**9, size_of=lambda _: 100)
    figures = {
        "one sender, room for 100": await _through(Mailbox("b", max=100), 1),
        "one sender, room for 100, bytes counted": await _through(sized, 1),
        "one sender, room for 100, by key": await _through(keyed, 1),
        "50 senders, room for 1 (jammed)": await _through(Mailbox("b", max=1), 50),
        "to a reader that waits (with one checkpoint)": await _to_a_waiting_reader(),
        "a question and its answer": await _asked(),
    }
    for what, took_s in figures.items():
        print(f"{what:48} {took_s * 1e6:6.2f} µs")


if __name__ == "__main__":
    trio.run(main)
