"""A question to an actor: a message that carries its reply, and the wait for it."""

from __future__ import annotations

from typing import Any, Protocol, TypeVar

import trio

from trimon.actors.kernel.mailbox import Mailbox
from trimon.actors.kernel.reply import Reply

T = TypeVar("T")


class AskTimeout(Exception):
    """No answer came within the time the asker gave."""


class Question(Protocol[T]):
    """A message that is answered."""

    @property
    def reply(self) -> Reply[T]:
        """Where the answer goes."""
        ...


async def ask(mailbox: Mailbox[Any], message: Question[T], timeout_s: float) -> T:
    """Send a message and wait for its answer, both within `timeout_s`.

    Raises ActorGone when the actor crashed with the message or is no more, AskTimeout when time is up,
    MailboxFull when the mailbox refuses, and whatever the actor put in the reply.
    """
    reply = message.reply
    try:
        with trio.move_on_after(timeout_s):
            await mailbox.send(message)
            return await reply.wait()
        raise AskTimeout(f"{mailbox.name}: no answer to {type(message).__name__} within {timeout_s:g} s")
    finally:
        reply.abandoned = not reply.done
