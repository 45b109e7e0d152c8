"""One answer to one message: a one-shot future that never leaves its asker hanging."""

from __future__ import annotations

from typing import Any, Generic, TypeVar, cast

import trio

T = TypeVar("T")

_NOTHING = object()


class ActorGone(Exception):
    """The actor ended before it answered, or takes no more messages."""


class Reply(Generic[T]):
    """A one-shot answer. One task waits; the first of `send` and `fail` wins, later ones do nothing.

    Only on the thread of the event loop. Compared and hashed by identity, so it fits in a frozen message.
    """

    __slots__ = ("_error", "_event", "_open", "_task", "_value", "abandoned")

    def __init__(self) -> None:
        self._value: object = _NOTHING
        self._error: BaseException | None = None
        self._event: trio.Event | None = None
        self._task: trio.lowlevel.Task | None = None
        self._open: set[Reply[Any]] | None = None
        self.abandoned = False
        """The asker has gone (timeout or cancelled): nobody reads the answer."""

    @property
    def done(self) -> bool:
        """Whether an answer or an error is there."""
        return self._value is not _NOTHING or self._error is not None

    def send(self, value: T) -> None:
        """Answer."""
        if not self.done:
            self._value = value
            self._settle()

    def fail(self, error: Exception) -> None:
        """Answer with an error, which is raised in the asker."""
        if not self.done:
            self._error = error
            self._settle()

    def hold_in(self, open_replies: set[Reply[Any]]) -> None:
        """Stand in `open_replies` until answered: whoever owns the set can fail what is left over."""
        if not self.done:
            self._open = open_replies
            open_replies.add(self)

    def _settle(self) -> None:
        if self._open is not None:
            self._open.discard(self)
            self._open = None
        if self._event is not None:
            self._event.set()
        if self._task is not None:
            trio.lowlevel.reschedule(self._task)
            self._task = None

    async def wait(self) -> T:
        """The answer; raises what `fail` was given. A checkpoint."""
        if self.done:
            await trio.lowlevel.checkpoint()
        else:
            if self._event is None:
                self._event = trio.Event()
            await self._event.wait()
        return self._got()

    async def wait_shielded(self) -> T:
        """As `wait`, whoever cancels: what a shielded scope around it would do, for a third of its cost."""
        if self.done:
            await trio.lowlevel.cancel_shielded_checkpoint()
        else:
            self._task = trio.lowlevel.current_task()
            await trio.lowlevel.wait_task_rescheduled(_not_aborted)
        return self._got()

    def _got(self) -> T:
        if self._error is not None:
            raise self._error
        return cast("T", self._value)


def _not_aborted(_: object) -> trio.lowlevel.Abort:
    return trio.lowlevel.Abort.FAILED
