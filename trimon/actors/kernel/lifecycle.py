"""The states of a supervised child and the legal ways between them, as data."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from types import MappingProxyType
from typing import Final


class State(Enum):
    """Where a child is in its life; the value is what people read."""

    PLANNED = "planned"
    STARTING = "starting"
    RUNNING = "running"
    BACKOFF = "backoff"
    STOPPING = "stopping"
    STOPPED = "stopped"
    DONE = "done"
    FAILED = "failed"
    QUARANTINED = "quarantined"


MEANING: Final[Mapping[State, str]] = MappingProxyType(
    {
        State.PLANNED: "known, waits for its turn to start",
        State.STARTING: "run() is entered, not ready yet",
        State.RUNNING: "at work",
        State.BACKOFF: "ended, waits for its restart",
        State.STOPPING: "told to stop, finishes within its drain time",
        State.STOPPED: "gone because it was told so",
        State.DONE: "run() returned and the spec asks for no restart",
        State.FAILED: "crashed and will not be restarted; in a group this may escalate",
        State.QUARANTINED: "its restart budget is used up; a changed spec releases it, or a late try",
    }
)

_ENDINGS = (State.BACKOFF, State.STOPPING, State.DONE, State.FAILED, State.QUARANTINED)

TRANSITIONS: Final[Mapping[State, tuple[State, ...]]] = MappingProxyType(
    {
        State.PLANNED: (State.STARTING, State.STOPPED),
        State.STARTING: (State.RUNNING, *_ENDINGS),
        State.RUNNING: _ENDINGS,
        State.BACKOFF: (State.STARTING, State.STOPPED),
        State.STOPPING: (State.STOPPED,),
        State.STOPPED: (),
        State.DONE: (),
        State.FAILED: (),
        State.QUARANTINED: (State.STARTING,),
    }
)

ACTIVE: Final = frozenset({State.STARTING, State.RUNNING, State.STOPPING})
# Where a child may end. One in quarantine may be tried again, if its policy says so.
FINAL: Final = frozenset({State.STOPPED, State.DONE, State.FAILED, State.QUARANTINED})


def lifecycle_table() -> str:
    """The whole lifecycle as an aligned text table: state, what it means, where it may go."""
    rows = [("state", "meaning", "may become")]
    rows += [
        (state.value, MEANING[state], ", ".join(following.value for following in TRANSITIONS[state]) or "-")
        for state in State
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
    lines.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join(line.rstrip() for line in lines)


class Lifecycle:
    """The state of one child; an illegal move is a bug of the kernel and raises AssertionError."""

    __slots__ = ("since_s", "state")

    def __init__(self, now_s: float) -> None:
        self.state = State.PLANNED
        self.since_s = now_s

    def move(self, state: State, now_s: float) -> None:
        """Go to `state` at wall time `now_s`."""
        if state not in TRANSITIONS[self.state]:
            raise AssertionError(f"no way from {self.state.value} to {state.value}")
        self.state = state
        self.since_s = now_s
