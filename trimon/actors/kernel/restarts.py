"""Restart budgets: how often a child may be restarted, and how long each restart waits."""

from __future__ import annotations

import zlib
from collections import deque
from dataclasses import dataclass

from trimon.actors.kernel.faults import leaves


@dataclass(frozen=True, slots=True)
class RestartPolicy:
    """At most `restarts_max` restarts within any `window_s`; each waits longer than the one before.

    The delay is `delay_first_s * delay_factor ** n`, at most `delay_max_s`, then moved by up to `jitter` of
    itself either way. A run of at least `healthy_after_s` forgets all earlier trouble. Crashes of the types
    `excused` (the world is in the way, not the code) wait longer each time too, and use up nothing.

    What used all of it up stays down, unless there is `retry_first_s`: then it is tried once after that time, and after
    twice the time of the try before, at most `retry_max_s`, until it runs for `healthy_after_s`. For pools only.
    """

    restarts_max: int = 10
    window_s: float = 300.0
    delay_first_s: float = 0.1
    delay_factor: float = 2.0
    delay_max_s: float = 30.0
    jitter: float = 0.2
    healthy_after_s: float = 60.0
    excused: tuple[type[BaseException], ...] = ()
    retry_first_s: float = 0.0
    retry_max_s: float = 1800.0

    def __post_init__(self) -> None:
        if self.restarts_max < 0:
            raise ValueError(f"restarts_max is {self.restarts_max}, it must not be negative")
        if not 0.0 <= self.jitter < 1.0:
            raise ValueError(f"jitter is {self.jitter}, it must be in [0, 1)")

    def delay_s(self, path: str, trouble: int) -> float:
        """The delay before the restart after `trouble` failures without a healthy run in between.

        The jitter comes from the path, so that children that fell together do not rise together and a test
        sees the same delay every time.
        """
        # The exponent is capped before the power is taken: after weeks of trouble it would overflow.
        grown = self.delay_first_s * self.delay_factor ** min(trouble, 64)
        return min(grown, self.delay_max_s) * self._jittered(path, trouble)

    def retry_s(self, path: str, retries: int) -> float | None:
        """The delay before a try after all restarts are used up and `retries` tries failed; None for never."""
        if not self.retry_first_s:
            return None
        return min(self.retry_first_s * 2.0 ** min(retries, 64), self.retry_max_s) * self._jittered(
            path, retries
        )

    def _jittered(self, path: str, trouble: int) -> float:
        spread = zlib.crc32(f"{path}#{trouble}".encode()) / 0xFFFFFFFF * 2.0 - 1.0
        return 1.0 + self.jitter * spread


class RestartBudget:
    """What is left of a policy for one child. Times are of a clock that never jumps (trio's)."""

    __slots__ = ("_path", "_policy", "_restarts_at", "retries", "trouble")

    def __init__(self, policy: RestartPolicy, path: str) -> None:
        self._policy = policy
        self._path = path
        self._restarts_at: deque[float] = deque()
        self.trouble = 0
        """Failures since the last healthy run."""
        self.retries = 0
        """How often it was tried since all restarts were used up."""

    def spend(self, now_s: float, uptime_s: float, crash: BaseException | None = None) -> float | None:
        """The child ended after `uptime_s`: the delay of its restart, None when nothing is left."""
        policy = self._policy
        if uptime_s >= policy.healthy_after_s:
            self._restarts_at.clear()
            self.trouble = self.retries = 0
        while self._restarts_at and now_s - self._restarts_at[0] >= policy.window_s:
            self._restarts_at.popleft()
        if crash is None or not all(isinstance(leaf, policy.excused) for leaf in leaves(crash)):
            if self.retries or len(self._restarts_at) >= policy.restarts_max:
                return None
            self._restarts_at.append(now_s)
        delay_s = policy.delay_s(self._path, self.trouble)
        self.trouble += 1
        return delay_s

    def retry(self) -> float | None:
        """Nothing is left: the delay of the next try, None when there is none."""
        delay_s = self._policy.retry_s(self._path, self.retries)
        self.retries += 1
        return delay_s

    def used(self, now_s: float) -> int:
        """Restarts that count at `now_s`."""
        return sum(now_s - at < self._policy.window_s for at in self._restarts_at)
