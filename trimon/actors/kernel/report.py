"""Crash reports: what is left to read when an actor fell."""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Final

from trimon.actors.kernel.faults import FAULTS, describe, traceback_text

REPORTS_KEPT: Final = 256


@dataclass(frozen=True, slots=True)
class CrashReport:
    """One crash. Plain data; `at_s` is wall time, `attempt` counts from 1."""

    path: str
    attempt: int
    error: str
    traceback: str
    uptime_s: float
    in_hand: str
    at_s: float

    def as_dict(self) -> dict[str, object]:
        """The fields by name."""
        return asdict(self)


class CrashReports:
    """The newest reports of a tree, the number of all there ever were, and a hook for the program's log.

    `shown` is what becomes of texts before anybody sees them: it takes secrets out.

    The hook is called synchronously; if it raises, that is counted and written to stderr, and nothing else
    happens: a broken log must not take supervision down.
    """

    def __init__(
        self,
        hook: Callable[[CrashReport], None] | None = None,
        *,
        kept: int = REPORTS_KEPT,
        shown: Callable[[str], str] = str,
        now_s: Callable[[], float] = time.time,
    ) -> None:
        self._ring: deque[CrashReport] = deque(maxlen=kept)
        self._hook = hook
        self._shown = shown
        self.now_s = now_s
        self.total = 0
        self.hook_failures = 0

    def add(
        self, path: str, attempt: int, error: BaseException, uptime_s: float, in_hand: str
    ) -> CrashReport:
        """Make a report of `error`, keep it, hand it to the hook."""
        shown = self._shown
        report = CrashReport(
            path,
            attempt,
            shown(describe(error)),
            shown(traceback_text(error)),
            uptime_s,
            shown(in_hand),
            self.now_s(),
        )
        self._ring.append(report)
        self.total += 1
        if self._hook is not None:
            try:
                self._hook(report)
            except FAULTS as hook_error:  # see the class: whatever a log raises
                self.hook_failures += 1
                print(f"crash hook failed: {describe(hook_error)}", file=sys.stderr)
        return report

    def latest(self) -> list[CrashReport]:
        """The kept reports, newest first."""
        return list(reversed(self._ring))
