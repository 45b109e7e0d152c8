"""Bounded mailboxes: what waits for an actor, and what happens when it is too much.

A mailbox belongs to the spec of a child and not to the actor object: what waits in it survives a restart.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Hashable
from enum import Enum
from typing import Any, Final, Generic, TypeVar

import trio

from trimon.actors.kernel.reply import ActorGone, Reply
from trimon.actors.kernel.stats import MailboxStats

M = TypeVar("M")

# A mailbox that is never empty lets its reader run this long before others get a turn.
TURN_S: Final = 0.001


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


class _Parked(Generic[M]):
    """A sender that waits, with its message."""

    __slots__ = ("key", "message", "refused", "size", "task")

    def __init__(self, message: M, size: int, key: Hashable, task: trio.lowlevel.Task) -> None:
        self.message = message
        self.size = size
        self.key = key
        self.task = task
        self.refused = False


class Mailbox(Generic[M]):
    """A bounded queue with one reader and any number of senders, all on the event loop's thread.

    `size_of` gives the bytes of a message (needed with `bytes_max`), `key_of` the key under which COALESCE
    keeps the latest. Order is first in, first out; a coalesced message keeps the place of the one it
    replaces. Sending and receiving let others run at least every millisecond, not at every message.
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
        # Each entry is [message, size, key]; a list, because COALESCE replaces the message in place.
        self._queue: deque[list[Any]] = deque()
        self._by_key: dict[Hashable, list[Any]] = {}
        self._parked: deque[_Parked[M]] = deque()
        self._reader: trio.lowlevel.Task | None = None
        self._open_replies: set[Reply[Any]] = set()
        self._in_hand: str = ""
        self._in_hand_count = 0
        self._in_hand_since = 0.0
        self._turn_ends = 0.0
        self._bytes = self._peak = self._peak_bytes = 0
        self._dropped = self._coalesced = self._refused = self._lost = self._handled = 0
        self._closed = False

    def __len__(self) -> int:
        return len(self._queue)

    # ---- sending

    def send_nowait(self, message: M) -> None:
        """Put a message in without waiting.

        Raises MailboxFull where `send` would wait or is refused, ActorGone when the mailbox is closed.
        """
        size, key = self._measure(message)
        if not self._put(message, size, key):
            raise MailboxFull(self.name, len(self._queue), self.max, self.retry_after_s)

    async def send(self, message: M) -> None:
        """Put a message in; waits for room under WAIT (and under COALESCE for a new key).

        Cancelled while waiting, the message was not sent. Raises MailboxFull under REFUSE, ActorGone when the
        mailbox is or becomes closed, MessageTooLarge when the message can never fit.
        """
        await trio.lowlevel.checkpoint_if_cancelled()
        size, key = self._measure(message)
        if self._put(message, size, key):
            if time.perf_counter() > self._turn_ends:
                await self._give_turn()
            return
        if self.policy is Overflow.REFUSE:
            raise MailboxFull(self.name, len(self._queue), self.max, self.retry_after_s)
        await self._wait_for_room(_Parked(message, size, key, trio.lowlevel.current_task()))

    def _measure(self, message: M) -> tuple[int, Hashable]:
        if self._closed:
            raise ActorGone(f"{self.name} takes no more messages")
        size = 0
        if self._size_of is not None and self.bytes_max is not None:
            size = self._size_of(message)
            if size > self.bytes_max:
                raise MessageTooLarge(
                    f"{type(message).__name__} of {size} bytes: mailbox {self.name} holds {self.bytes_max}"
                )
        return size, self._key_of(message) if self._key_of is not None else None

    def _fits(self, size: int) -> bool:
        return len(self._queue) < self.max and (
            self.bytes_max is None or self._bytes + size <= self.bytes_max
        )

    def _put(self, message: M, size: int, key: Hashable) -> bool:
        """Take the message in if the policy finds a place for it; never waits."""
        if self._key_of is not None and self._coalesce(message, size, key):
            self._supersede_parked(key)
            return True
        if not self._parked and self._fits(size):
            self._append(message, size, key)
            return True
        if self.policy is Overflow.DROP_OLDEST:
            while not self._fits(size):
                self._dropped += 1
                self._forget(self._pop(), f"{self.name} dropped the message for newer ones")
            self._append(message, size, key)
            return True
        if self.policy is Overflow.REFUSE:
            self._refused += 1
        return False

    def _coalesce(self, message: M, size: int, key: Hashable) -> bool:
        entry = self._by_key.get(key)
        if entry is None or (self.bytes_max is not None and self._bytes + size - entry[1] > self.bytes_max):
            return False
        self._bytes += size - entry[1]
        self._peak_bytes = max(self._peak_bytes, self._bytes)
        self._coalesced += 1
        self._forget(entry[0], f"{self.name} replaced the message by a newer one")
        entry[0], entry[1] = message, size
        return True

    def _supersede_parked(self, key: Hashable) -> None:
        """Let senders go whose waiting message has the key of a newer one."""
        for earlier in [parked for parked in self._parked if parked.key == key]:
            self._parked.remove(earlier)
            self._coalesced += 1
            self._forget(earlier.message, f"{self.name} replaced the message by a newer one")
            trio.lowlevel.reschedule(earlier.task)

    def _append(self, message: M, size: int, key: Hashable) -> None:
        entry = [message, size, key]
        self._queue.append(entry)
        if self._key_of is not None:
            self._by_key[key] = entry
        self._bytes += size
        used = len(self._queue)
        self._peak = max(self._peak, used)
        self._peak_bytes = max(self._peak_bytes, self._bytes)
        if self._reader is not None:
            trio.lowlevel.reschedule(self._reader)
            self._reader = None

    async def _wait_for_room(self, parked: _Parked[M]) -> None:
        if self._key_of is not None:
            self._supersede_parked(parked.key)
        self._parked.append(parked)

        def abort(_: object) -> trio.lowlevel.Abort:
            self._parked.remove(parked)
            self._admit()
            return trio.lowlevel.Abort.SUCCEEDED

        await trio.lowlevel.wait_task_rescheduled(abort)
        if parked.refused:
            raise ActorGone(f"{self.name} takes no more messages")

    def _admit(self) -> None:
        """Let waiting senders in, in their order, as far as there is room."""
        parked = self._parked
        while parked:
            first = parked[0]
            if self._key_of is not None and self._coalesce(first.message, first.size, first.key):
                pass
            elif self._fits(first.size) and first.key not in self._by_key:
                self._append(first.message, first.size, first.key)
            else:
                return
            parked.popleft()
            trio.lowlevel.reschedule(first.task)

    # ---- receiving

    async def receive(self) -> M:
        """The next message; the one before counts as handled. Raises MailboxClosed at the end."""
        await self._wait_for_message()
        message: M = self._pop()
        self._take(message)
        if self._parked:
            self._admit()
        return message

    async def receive_batch(self, count_max: int) -> list[M]:
        """What waits now, at least one and at most `count_max` messages. Raises MailboxClosed at the end."""
        await self._wait_for_message()
        batch: list[M] = []
        while self._queue and len(batch) < count_max:
            message: M = self._pop()
            batch.append(message)
            if self._parked:
                self._admit()
        self._take(*batch)
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

    async def _wait_for_message(self) -> None:
        self.done()
        await trio.lowlevel.checkpoint_if_cancelled()
        if self._queue:
            if time.perf_counter() > self._turn_ends:
                await self._give_turn()
            return
        while not self._queue:
            if self._closed:
                raise MailboxClosed(self.name)
            if self._reader is not None:
                raise trio.BusyResourceError(f"mailbox {self.name} has a reader already")
            self._reader = trio.lowlevel.current_task()

            def abort(_: object) -> trio.lowlevel.Abort:
                self._reader = None
                return trio.lowlevel.Abort.SUCCEEDED

            await trio.lowlevel.wait_task_rescheduled(abort)
        self._turn_ends = time.perf_counter() + TURN_S

    async def _give_turn(self) -> None:
        await trio.lowlevel.cancel_shielded_checkpoint()
        self._turn_ends = time.perf_counter() + TURN_S

    def _pop(self) -> M:
        entry = self._queue.popleft()
        self._bytes -= entry[1]
        if self._key_of is not None:
            del self._by_key[entry[2]]
        message: M = entry[0]
        return message

    def _take(self, *messages: M) -> None:
        for message in messages:
            reply = getattr(message, "reply", None)
            if isinstance(reply, Reply):
                reply.hold_in(self._open_replies)
        self._in_hand_count = len(messages)
        self._in_hand = type(messages[0]).__name__
        self._in_hand_since = time.monotonic()

    def _forget(self, message: M, why: str) -> None:
        reply = getattr(message, "reply", None)
        if isinstance(reply, Reply):
            reply.fail(ActorGone(why))

    # ---- the supervisor's side

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
        self._closed = False

    def close(self) -> None:
        """Take no more messages: senders get ActorGone, the reader gets what is left and then the end."""
        self._closed = True
        while self._parked:
            parked = self._parked.popleft()
            parked.refused = True
            trio.lowlevel.reschedule(parked.task)
        if self._reader is not None and not self._queue:
            trio.lowlevel.reschedule(self._reader)
            self._reader = None

    def clear(self) -> None:
        """Lose what waits: nobody will ever read it. Askers get ActorGone."""
        while self._queue:
            self._lost += 1
            self._forget(self._pop(), f"{self.name} ended before it answered")

    def stats(self) -> MailboxStats:
        """The figures of this moment."""
        in_hand = self.in_hand
        return MailboxStats(
            policy=self.policy.value,
            used=len(self._queue),
            max=self.max,
            peak=self._peak,
            used_bytes=self._bytes,
            max_bytes=self.bytes_max,
            peak_bytes=self._peak_bytes,
            waiting=len(self._parked),
            dropped=self._dropped,
            coalesced=self._coalesced,
            refused=self._refused,
            lost=self._lost,
            handled=self._handled,
            in_hand=in_hand,
            in_hand_s=time.monotonic() - self._in_hand_since if in_hand else 0.0,
            closed=self._closed,
        )
