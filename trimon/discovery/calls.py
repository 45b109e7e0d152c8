"""Calls of plug-ins' code outside `run`, imports and constructors, which may hang: each has a thread and a limit of its own."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import field
from typing import Final, TypeVar, cast

from trimon.errors import UserError
from trimon.records import dataclass

T = TypeVar("T")

# So long a call may take; a reload waits for it.
CALL_S: Final = 10.0
# So many calls of one plug-in may hang; further ones are refused at once, since nobody can end a thread.
HANGING_MAX: Final = 3


@dataclass(eq=False, slots=True)
class _Call:
    """One call at work."""

    plugin: str
    what: str
    began_s: float = field(default_factory=time.monotonic)
    done: threading.Event = field(default_factory=threading.Event)
    result: object = None
    error: BaseException | None = None

    def run(self, work: Callable[[], object]) -> None:
        """The body of the thread."""
        try:
            self.result = work()
        except BaseException as error:  # noqa: BLE001 # whoever waits gets it
            self.error = error
        finally:
            self.done.set()


class PluginCalls:
    """Runs imports and constructors of plug-ins with a limit of time. May be used in any thread; it blocks."""

    def __init__(self, patience_s: float = CALL_S) -> None:
        self._patience_s = patience_s
        self._lock = threading.Lock()
        self._left: list[_Call] = []

    def call(self, plugin: str, what: str, work: Callable[[], T]) -> T:
        """The result of `work()`, what it raises, or UserError when it takes too long: its thread is left behind."""
        hanging = self._hanging(plugin)
        if len(hanging) >= HANGING_MAX:
            raise UserError(
                f'discovery "{plugin}": {len(hanging)} calls of it hang, the first for {hanging[0]["for_s"]} s '
                f"({hanging[0]['what']}); it is not called again before one of them ends, or the server is restarted"
            )
        call = _Call(plugin, what)
        # A daemon: it must not hold up the end of the process.
        threading.Thread(target=call.run, args=(work,), name=f"plug-in {plugin}", daemon=True).start()
        if not call.done.wait(self._patience_s):
            with self._lock:
                self._left.append(call)
            raise UserError(
                f'discovery "{plugin}": its {what} took longer than {self._patience_s:g} s; '
                "its thread is left behind, and named in /debug/plugins"
            )
        if call.error is not None:
            raise call.error
        return cast("T", call.result)

    def hanging(self) -> dict[str, list[Mapping[str, object]]]:
        """The calls that have not come back in time nor since, by plug-in, oldest first."""
        now_s = time.monotonic()
        with self._lock:
            self._left = [call for call in self._left if not call.done.is_set()]
            left = list(self._left)
        found: dict[str, list[Mapping[str, object]]] = {}
        for call in left:
            found.setdefault(call.plugin, []).append(
                {"what": call.what, "for_s": round(now_s - call.began_s, 1)}
            )
        return found

    def _hanging(self, plugin: str) -> list[Mapping[str, object]]:
        return self.hanging().get(plugin, [])
