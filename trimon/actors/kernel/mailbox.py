"""Bounded mailboxes: what waits for an actor, and what happens when it is too much.

A mailbox is a door and a stock. The door is a memory channel of trio without a buffer; the stock is a deque.

      senders                      the door                    the stock              the reader
    send(m) ──── there is room ─────────────────────────────▶ [m3 m2 m1] ─────────▶ receive()
       │                                                          ▲
       ├──────── the stock is full ──▶ channel ── when one leaves ┘
       │                              m6 m5 m4
       └──────── the reader waits ───▶ channel ───────────────────────────────────▶ receive()

Whoever has to wait waits at the channel: senders while the stock is full, the reader while it is empty. That
both get their turn in the order in which they came, that a cancelled sender sent nothing, and that closing wakes
everybody is therefore trio's work. A full stock looks at the door each time a message leaves it, and takes in
who waits there. With a bound on bytes the first at the door may be too large for what just became free; it is
then kept on the threshold, in front of all others, until it fits. Its sender goes on: the message will arrive.

The stock is ours, because a channel's buffer knows neither bytes nor keys. It carries the policies: COALESCE
changes a message in its place, DROP_OLDEST takes one out at the front, REFUSE never goes to the door.

A mailbox belongs to the spec of a child and not to the actor object: stock and door stay as they are while the
actor crashes and is made anew; only what it had in hand is lost. Sending and receiving do not give up the turn at
each message, which would be most of the cost: they do so after TURN_MESSAGES messages or TURN_S seconds.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable
from enum import Enum
from typing import Any, Final, Generic, TypeVar

import trio

from trimon.actors.kernel.reply import ActorGone, Reply
from trimon.actors.kernel.stats import MailboxStats

M = TypeVar("M")

# Whoever sends or receives without having to wait lets others run after this long, and after this many messages:
# under a virtual clock no time passes between two messages.
TURN_S: Final = 0.001
TURN_MESSAGES: Final = 500


class Overflow(Enum):
    """What a full mailbox does with one more message."""

    WAIT = "wait"
    """The sender waits, first come first served."""
    COALESCE = "coalesce"
    """A message replaces the waiting one with the same key; with a new key the sender waits."""
    DROP_OLDEST = "drop-oldest"
    """The oldest waiting message is dropped and counted; the sender never waits."""
    REFUSE = "refuse"
    """The sender gets MailboxFull with the time after which to try again."""


class MailboxFull(Exception):
    """There is no room for the message now; `retry_after_s` says when to try again."""

    def __init__(self, name: str, used: int, limit: int, retry_after_s: float) -> None:
        super().__init__(f"mailbox {name} is full: {used} of {limit} messages wait")
        self.retry_after_s = retry_after_s


class MessageTooLarge(Exception):
    """The message alone is larger than the mailbox may ever hold."""


class MailboxClosed(Exception):
    """The actor was told to stop and nothing is left in its mailbox."""


class _Entry(Generic[M]):
    """A message on its way. COALESCE replaces the message and its size in place."""

    __slots__ = ("key", "message", "size")

    def __init__(self, message: M, size: int, key: Hashable) -> None:
        self.message = message
        self.size = size
        self.key = key


class Mailbox(Generic[M]):
    """A bounded queue with one reader and any number of senders, all on the event loop's thread.

    `size_of` gives the bytes of a message (needed with `bytes_max`), `key_of` the key under which COALESCE
    keeps the latest. Order is first in, first out; a coalesced message keeps the place of the one it
    replaces.
    """

    def __init__(
        self,
        name: str,
        *,
        max: int,  # noqa: A002 - the word of the statistics and of every page that shows them
        policy: Overflow = Overflow.WAIT,
        bytes_max: int | None = None,
        size_of: Callable[[M], int] | None = None,
        key_of: Callable[[M], Hashable] | None = None,
        retry_after_s: float = 1.0,
    ) -> None:
        if max < 1:
            raise ValueError(f"mailbox {name}: max is {max}, it must be at least 1")
        if (bytes_max is None) != (size_of is None):
            raise ValueError(f"mailbox {name}: bytes_max and size_of need one another")
        if (policy is Overflow.COALESCE) != (key_of is not None):
            raise ValueError(f"mailbox {name}: key_of belongs to COALESCE")
        self.name = name
        self.policy = policy
        self.max = max
        self.bytes_max = bytes_max
        self.retry_after_s = retry_after_s
        self._size_of = size_of
        self._key_of = key_of
        self._stock: deque[_Entry[M]] = deque()
        self._by_key: dict[Hashable, _Entry[M]] = {}
        self._threshold: _Entry[M] | None = None
        self._waiting = 0
        self._reader_waits = False
        self._closed = False
        self._enter, self._leave = trio.open_memory_channel[_Entry[M]](0)
        self._open_replies: set[Reply[Any]] = set()
        self._in_hand = ""
        self._in_hand_count = 0
        self._in_hand_since = 0.0
        self._turn_ends = 0.0
        self._turn_left = TURN_MESSAGES
        self._bytes = self._peak = self._peak_bytes = 0
        self._dropped = self._coalesced = self._refused = self._lost = self._handled = 0

    def __len__(self) -> int:
        return len(self._stock)

    def send_nowait(self, message: M) -> None:
        """Put a message in without waiting.

        Raises MailboxFull where `send` would wait or is refused, ActorGone when the mailbox is closed.
        """
        if not self._accept(self._entry(message)):
            raise self._full()

    async def send(self, message: M) -> None:
        """Put a message in; waits for room under WAIT (and under COALESCE for a new key).

        Cancelled while waiting, the message was not sent. Raises MailboxFull under REFUSE, ActorGone when the
        mailbox is or becomes closed, MessageTooLarge when the message can never fit.
        """
        await trio.lowlevel.checkpoint_if_cancelled()
        entry = self._entry(message)
        if self._accept(entry):
            await self._share_turn()
        elif self.policy is Overflow.REFUSE:
            raise self._full()
        else:
            await self._wait_at_door(entry)

    def _entry(self, message: M) -> _Entry[M]:
        if self._closed:
            raise ActorGone(f"{self.name} takes no more messages")
        size = 0
        if self._size_of is not None and self.bytes_max is not None:
            size = self._size_of(message)
            if size > self.bytes_max:
                raise MessageTooLarge(
                    f"{type(message).__name__} of {size} bytes: mailbox {self.name} holds {self.bytes_max}"
                )
        return _Entry(message, size, self._key_of(message) if self._key_of is not None else None)

    def _full(self) -> MailboxFull:
        return MailboxFull(self.name, len(self._stock), self.max, self.retry_after_s)

    def _accept(self, entry: _Entry[M]) -> bool:
        """Take a message in if the policy finds a place for it; never waits."""
        if self._reader_waits and self._hand_over(entry):
            return True
        if self._key_of is not None and self._replace(entry):
            return True
        if not self._waiting and self._threshold is None and self._fits(entry.size):
            self._store(entry)
            return True
        if self.policy is Overflow.DROP_OLDEST:
            while not self._fits(entry.size):
                self._dropped += 1
                self._forget(self._take_out(), f"{self.name} dropped the message for newer ones")
            self._store(entry)
            return True
        if self.policy is Overflow.REFUSE:
            self._refused += 1
        return False

    def _hand_over(self, entry: _Entry[M]) -> bool:
        """Give a message to the reader that waits at the door; the stock is empty then."""
        try:
            self._enter.send_nowait(entry)
        except trio.WouldBlock:  # the reader was cancelled and has not run since
            return False
        self._reader_waits = False
        self._peak = self._peak or 1
        self._peak_bytes = max(self._peak_bytes, entry.size)
        return True

    def _fits(self, size: int) -> bool:
        return len(self._stock) < self.max and (
            self.bytes_max is None or self._bytes + size <= self.bytes_max
        )

    def _store(self, entry: _Entry[M]) -> None:
        self._stock.append(entry)
        if self._key_of is not None:
            self._by_key[entry.key] = entry
        self._bytes += entry.size
        self._peak = max(self._peak, len(self._stock))
        self._peak_bytes = max(self._peak_bytes, self._bytes)

    def _replace(self, entry: _Entry[M]) -> bool:
        """Put a message in the place of the one with its key; False when there is none, or no room for it."""
        there = self._by_key.get(entry.key)
        if there is None:
            return False
        grown = self._bytes + entry.size - there.size
        if self.bytes_max is not None and grown > self.bytes_max:
            return False
        self._coalesced += 1
        self._forget(there.message, f"{self.name} replaced the message by a newer one")
        there.message, there.size = entry.message, entry.size
        self._bytes = grown
        self._peak_bytes = max(self._peak_bytes, grown)
        return True

    async def _wait_at_door(self, entry: _Entry[M]) -> None:
        self._waiting += 1
        try:
            await self._enter.send(entry)
        except trio.ClosedResourceError:
            raise ActorGone(f"{self.name} takes no more messages") from None
        finally:
            self._waiting -= 1
            if self._waiting or self._threshold is not None:
                self._admit()  # a cancelled sender may have stood in front of one that fits

    def _admit(self) -> None:
        """Let waiting senders in, in their order, as far as there is room."""
        while len(self._stock) < self.max:
            entry = self._threshold
            if entry is None:
                try:
                    entry = self._leave.receive_nowait()
                except (trio.WouldBlock, trio.EndOfChannel):  # nobody waits, or the door is closed
                    return
            self._threshold = None
            if self._key_of is not None and self._replace(entry):
                continue
            if entry.key in self._by_key or not self._fits(entry.size):
                self._threshold = entry
                return
            self._store(entry)

    async def receive(self) -> M:
        """The next message; the one before counts as handled. Raises MailboxClosed at the end."""
        message = await self._next()
        self._hold(message)
        return message

    async def receive_batch(self, count_max: int) -> list[M]:
        """What waits now, at least one and at most `count_max` messages. Raises MailboxClosed at the end."""
        batch = [await self._next()]
        while self._stock and len(batch) < count_max:
            batch.append(self._take_out())
        self._hold(*batch)
        return batch

    def done(self) -> None:
        """Say that the message in hand is handled; otherwise the next receive says it."""
        self._handled += self._in_hand_count
        self._in_hand_count = 0

    def __aiter__(self) -> Mailbox[M]:
        return self

    async def __anext__(self) -> M:
        try:
            return await self.receive()
        except MailboxClosed:
            raise StopAsyncIteration from None

    async def _next(self) -> M:
        self.done()
        await trio.lowlevel.checkpoint_if_cancelled()
        if self._stock:
            await self._share_turn()
        if self._stock:
            return self._take_out()
        if self._reader_waits:
            raise trio.BusyResourceError(f"mailbox {self.name} has a reader already")
        self._reader_waits = True
        try:
            entry = await self._leave.receive()
        except trio.EndOfChannel:
            raise MailboxClosed(self.name) from None
        finally:
            self._reader_waits = False
        self._turn_left = TURN_MESSAGES
        self._turn_ends = trio.current_time() + TURN_S
        return entry.message

    def _take_out(self) -> M:
        entry = self._stock.popleft()
        self._bytes -= entry.size
        if self._key_of is not None:
            del self._by_key[entry.key]
        if self._waiting or self._threshold is not None:
            self._admit()
        return entry.message

    async def _share_turn(self) -> None:
        """Let others run when the turn was long enough."""
        self._turn_left -= 1
        if self._turn_left <= 0 or trio.current_time() > self._turn_ends:
            await trio.lowlevel.cancel_shielded_checkpoint()
            self._turn_left = TURN_MESSAGES
            self._turn_ends = trio.current_time() + TURN_S

    def _hold(self, *messages: M) -> None:
        for message in messages:
            reply = getattr(message, "reply", None)
            if isinstance(reply, Reply):
                reply.hold_in(self._open_replies)
        self._in_hand_count = len(messages)
        self._in_hand = type(messages[0]).__name__
        self._in_hand_since = trio.current_time()

    def _forget(self, message: M, why: str) -> None:
        reply = getattr(message, "reply", None)
        if isinstance(reply, Reply):
            reply.fail(ActorGone(why))

    @property
    def in_hand(self) -> str:
        """What the actor holds: the type's name, and the number of a batch; empty between messages."""
        if self._in_hand_count > 1:
            return f"{self._in_hand} x {self._in_hand_count}"
        return self._in_hand if self._in_hand_count else ""

    def abandon(self) -> None:
        """The reader has gone: what it held is lost, whoever waits for an answer from it gets ActorGone."""
        self._lost += self._in_hand_count
        self._in_hand_count = 0
        for reply in list(self._open_replies):
            reply.fail(ActorGone(f"{self.name} ended before it answered"))

    def open(self) -> None:
        """Take messages (again)."""
        if self._closed:
            self._closed = False
            self._enter, self._leave = trio.open_memory_channel[_Entry[M]](0)

    def close(self) -> None:
        """Take no more messages: senders get ActorGone, the reader gets what is left and then the end."""
        self._closed = True
        self._enter.close()
        if self._threshold is not None:  # its sender was told that it is sent
            self._store(self._threshold)
            self._threshold = None

    def clear(self) -> None:
        """Lose what waits: nobody will ever read it. Askers get ActorGone."""
        while self._stock:
            self._lost += 1
            self._forget(self._take_out(), f"{self.name} ended before it answered")

    def stats(self) -> MailboxStats:
        """The figures of this moment. Only inside a trio run."""
        in_hand = self.in_hand
        return MailboxStats(
            policy=self.policy.value,
            used=len(self._stock),
            max=self.max,
            peak=self._peak,
            used_bytes=self._bytes,
            max_bytes=self.bytes_max,
            peak_bytes=self._peak_bytes,
            waiting=self._enter.statistics().tasks_waiting_send + (self._threshold is not None),
            dropped=self._dropped,
            coalesced=self._coalesced,
            refused=self._refused,
            lost=self._lost,
            handled=self._handled,
            in_hand=in_hand,
            in_hand_s=trio.current_time() - self._in_hand_since if in_hand else 0.0,
            closed=self._closed,
        )
