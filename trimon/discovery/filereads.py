"""Calls that ask the disk of somebody else's files, which may hang, as on a share that is gone: each has a limit of time."""

from __future__ import annotations

import errno
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import field
from queue import SimpleQueue
from typing import Final, TypeVar, cast

from trimon import limits
from trimon.records import dataclass

T = TypeVar("T")

# So many threads may be left behind: nobody can end one. Further calls are refused at once.
HANGING_MAX: Final = 20


@dataclass(eq=False, slots=True)
class _Call:
    """One call at work."""

    work: Callable[[], object]
    began_s: float = field(default_factory=time.monotonic)
    done: threading.Event = field(default_factory=threading.Event)
    result: object = None
    error: BaseException | None = None

    def run(self) -> None:
        """In the thread of the calls."""
        try:
            self.result = self.work()
        except BaseException as error:  # noqa: BLE001 # whoever waits gets it
            self.error = error
        finally:
            self.done.set()


class FileReads:
    """Makes calls about files one after the other in a thread of their own, which is left behind when one hangs.

    What hangs is not tried again until it has come back. One thread at a time may use it; `hanging` is for any.
    """

    def __init__(self, patience_s: float | None = None) -> None:
        self._patience_s = limits.DISCOVERY_READ_S if patience_s is None else patience_s
        self._hanging: dict[str, _Call] = {}
        self._queue: SimpleQueue[_Call | None] | None = None

    @contextmanager
    def session(self) -> Iterator[None]:
        """The time of several calls; their thread ends with it."""
        try:
            yield
        finally:
            self._let_go()

    def call(self, name: str, work: Callable[[], T]) -> T:
        """The result of `work()`, what it raises, or OSError when it hangs; `name` says what of."""
        before = self._hanging.get(name)
        if before is not None:
            if not before.done.is_set():
                for_s = time.monotonic() - before.began_s
                raise OSError(errno.ETIMEDOUT, f"a read of it has not come back for {for_s:.0f} s", name)
            del self._hanging[name]
        if len(self._hanging) >= HANGING_MAX:
            first = next(iter(self._hanging))
            raise OSError(
                errno.ETIMEDOUT, f"{HANGING_MAX} reads hang, which are the most, the first of {first}", name
            )
        if self._queue is None:
            self._queue = SimpleQueue()
            # A daemon: it must not hold up the end of the process.
            threading.Thread(target=_work, args=(self._queue,), name="file reads", daemon=True).start()
        call = _Call(work)
        self._queue.put(call)
        if not call.done.wait(self._patience_s):
            self._hanging[name] = call
            self._let_go()
            raise OSError(
                errno.ETIMEDOUT, f"a read of it has not come back within {self._patience_s:g} s", name
            )
        if call.error is not None:
            try:
                raise call.error
            finally:
                del call
        return cast("T", call.result)

    def hanging(self) -> Mapping[str, float]:
        """What hangs, and for how many seconds."""
        now_s = time.monotonic()
        return {
            name: round(now_s - call.began_s, 1)
            for name, call in list(self._hanging.items())
            if not call.done.is_set()
        }

    def _let_go(self) -> None:
        if self._queue is not None:
            self._queue.put(None)
            self._queue = None


def _work(queue: SimpleQueue[_Call | None]) -> None:
    while (call := queue.get()) is not None:
        call.run()
        del call
