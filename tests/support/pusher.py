"""Who pushes samples by remote write, and knows which of them a server must have stored."""

from __future__ import annotations

import http.client
import random
import threading
import time
from collections.abc import Iterable, Mapping
from typing import Final, TypeAlias

import cramjam

from tests.support import protobuf

HEADERS: Final = {
    "Content-Encoding": "snappy",
    "Content-Type": "application/x-protobuf",
    "X-Prometheus-Remote-Write-Version": "0.1.0",
}
SERIES: Final = 10
LATE_S: Final = 20.0
PAUSE_S: Final = 0.025

Key: TypeAlias = tuple[str, int]
"""A series `p{s=..., life=...}`."""


class Pusher(threading.Thread):
    """Pushes `p{s=..., life=...}` on and on, some of it late, each sample with a value of its own.

    Samples of an unanswered request may be there or not. What was seen once must stay, what was deleted must not.
    """

    def __init__(self, port: int, seed: int) -> None:
        super().__init__(daemon=True)
        self._port = port
        self._dice = random.Random(seed)
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._sent: dict[Key, dict[int, int]] = {}
        self._must: dict[Key, set[int]] = {}
        self._gone: dict[Key, set[int]] = {}
        self._deleting: set[Key] = set()
        self._number = 0
        self._count = 0
        self.life = 0
        """Of which the series are pushed from now on."""
        self.began_s = time.time()

    def run(self) -> None:
        """Until it is stopped; a server that is not there is asked again and again."""
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=20)
        last_ms = 0
        while not self._over.wait(PAUSE_S):
            last_ms = max(last_ms + 1, int(time.time() * 1000))
            samples = self._next(last_ms)
            with self._lock:
                for key, time_ms, value in samples:
                    self._sent.setdefault(key, {})[time_ms] = value
            body = b"".join(
                protobuf.series(
                    [("__name__", "p"), ("life", str(life)), ("s", name)], [(time_ms, float(value))]
                )
                for (name, life), time_ms, value in samples
            )
            try:
                connection.request("POST", "/api/v1/write", bytes(cramjam.snappy.compress_raw(body)), HEADERS)
                answer = connection.getresponse()
                answer.read()
            except (OSError, http.client.HTTPException):
                connection.close()
                continue
            if answer.status == 204:
                with self._lock:
                    self._count += len(samples)
                    for key, time_ms, _ in samples:
                        self._must.setdefault(key, set()).add(time_ms)
        connection.close()

    def _next(self, now_ms: int) -> list[tuple[Key, int, int]]:
        self._number += 1
        if self._dice.random() < 0.2:
            key = ("late", self.life)
            time_ms = now_ms - self._dice.randrange(int(LATE_S * 1000))
            return [] if time_ms in self._sent.get(key, ()) else [(key, time_ms, self._number)]
        return [((str(index), self.life), now_ms, self._number * SERIES + index) for index in range(SERIES)]

    def stop(self) -> None:
        """The last request is answered or lost."""
        self._over.set()
        if self.is_alive():
            self.join()

    def acknowledged(self) -> int:
        """How many samples were."""
        return self._count

    def expected(self, start_ms: int, end_ms: int) -> dict[Key, set[int]]:
        """The times after `start_ms`, up to `end_ms`, that must be there, by series."""
        with self._lock:
            found = {
                key: {time_ms for time_ms in times if start_ms < time_ms <= end_ms}
                for key, times in self._must.items()
                if key not in self._deleting and key not in self._gone
            }
        return {key: times for key, times in found.items() if times}

    def may_hold(self, key: Key, time_ms: int, value: int) -> bool:
        """Whether a sample may be there."""
        with self._lock:
            return self._sent.get(key, {}).get(time_ms) == value and time_ms not in self._gone.get(key, ())

    def saw(
        self, found: Mapping[tuple[str, ...], Iterable[tuple[int, int]]], start_ms: int, end_ms: int
    ) -> None:
        """Samples that are there now must stay; those of a series that was being deleted may not come back."""
        there = {
            (name, int(life)): {time_ms for time_ms, _ in samples} for (life, name), samples in found.items()
        }
        with self._lock:
            for key, times in there.items():
                if key not in self._gone:
                    self._must.setdefault(key, set()).update(times)
            for key in self._deleting:
                inside = {time_ms for time_ms in self._sent[key] if start_ms < time_ms <= end_ms}
                self._gone.setdefault(key, set()).update(inside - there.get(key, set()))

    def deletable(self) -> Key | None:
        """A series of an earlier life that is whole."""
        with self._lock:
            keys = [
                key
                for key in self._must
                if key[1] < self.life - 1 and key[0] != "late" and key not in self._gone
            ]
        return self._dice.choice(keys) if keys else None

    def deletion_begins(self, key: Key) -> None:
        """Its samples may be there or not."""
        with self._lock:
            self._deleting.add(key)

    def deletion_is_done(self, key: Key) -> None:
        """Its samples may not be there."""
        with self._lock:
            self._gone[key] = set(self._sent[key])
            self._deleting.discard(key)
