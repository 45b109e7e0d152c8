"""The specification of a child, for its supervisor: how to make it, what to do when it ends."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Protocol

from trimon.actors.kernel.mailbox import Mailbox
from trimon.actors.kernel.restarts import RestartPolicy


class Actor(Protocol):
    """Anything with these two methods; everything else is given to its constructor.

    Two more names mean something where they exist. `drain()`, synchronous: finish soon, called at most once
    when the child is to stop. `ready`, a `trio.Event`: set when the actor is of use to those started after
    it; without it an actor counts as ready when its `run` is entered.
    """

    async def run(self) -> None:
        """The actor's life: returning is a normal end, raising is a crash."""
        ...

    def inspect(self) -> Mapping[str, object]:
        """Fields for people: synchronous, cheap, no secrets."""
        ...


class Restart(Enum):
    """When a child that ended is started again."""

    ALWAYS = "always"
    ON_CRASH = "on-crash"
    NEVER = "never"


@dataclass(frozen=True, slots=True)
class ChildSpec:
    """One child. Specs are equal when everything but `factory` and `mailbox` is equal.

    `name` is the end of the child's path and may span several steps (`job/target`). A pool keeps the child
    of an equal spec running, so what a factory closes over and what matters to the child belongs in `version`
    (a config dataclass, a digest).
    """

    name: str
    factory: Callable[[], Actor] = field(compare=False)
    mailbox: Mailbox[Any] | None = field(default=None, compare=False)
    restart: Restart = Restart.ON_CRASH
    drain_s: float = 5.0
    policy: RestartPolicy = field(default_factory=RestartPolicy)
    version: Hashable = None

    def __post_init__(self) -> None:
        if not self.name.strip("/"):
            raise ValueError("a child needs a name: it is its place in the tree")
