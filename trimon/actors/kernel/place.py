"""Which actor a task works for: a context variable that a child sets and that its tasks inherit."""

from __future__ import annotations

import sys
from contextvars import ContextVar
from types import FrameType
from typing import Final

import trio

PATH: Final[ContextVar[str]] = ContextVar("PATH", default="")

# Trio says whose turn it is only to the loop's own thread. To others a local variable of the function that is
# the loop says it; while the loop waits for something to happen that function is not on the stack.
_LOOP: Final = "unrolled_run"


def task_at_work(thread_id: int) -> tuple[FrameType, trio.lowlevel.Task] | None:
    """The innermost frame of a thread that runs trio's loop, and the task whose turn it is.

    For other threads. None while the loop waits, and when the thread runs no loop.
    """
    innermost = frame = sys._current_frames().get(thread_id)
    while frame is not None and frame.f_code.co_name != _LOOP:
        frame = frame.f_back
    task = frame.f_locals.get("task") if frame is not None and frame is not innermost else None
    if innermost is None or not isinstance(task, trio.lowlevel.Task):
        return None
    return innermost, task


def actor_of(task: trio.lowlevel.Task) -> str:
    """The path of the actor that a task belongs to; empty when it belongs to none."""
    path: str = task.context.get(PATH, "")
    return path
