"""The budget of a query: samples, bytes, time; and the switch that stops it from another thread."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

from trimon.memory.queries import FREE_BYTES, MemoryShort, Reservation
from trimon.query.execution.turnstile import Turns
from trimon.query.language.errors import FailureKind, MemoryExceeded, QueryError
from trimon.query.language.options import QueryOptions

if TYPE_CHECKING:
    from trimon.query.execution.stats import QueryStats

EVALUATION: Final = "expression evaluation"
PREPARATION: Final = "query preparation"
QUEUE: Final = "query queue"
# Items between two looks at the clock: each takes some microseconds.
_WATCHED: Final = 1024
T = TypeVar("T")


class Describable(Protocol):
    """What can say what it is."""

    def describe(self) -> str:
        """One line."""


class Budget:
    """Checked between operators; every excess is a QueryError with Prometheus' text, where there is one.

    One budget serves one query. `cancel` may be called from any thread; everything else belongs to the
    thread that evaluates. `held` is the number of samples alive now, `peak` the highest it was, `read` the
    number of samples that selectors took from storage, `passing` the most that the running operator's windows show at
    once. `bytes_held` is the size of the values alive now, `bytes_kept` that of what storage gave, which stays to the end.
    With a `reservation` all queries together stay within their share of memory: MemoryShort says that others have it now.
    """

    def __init__(self, options: QueryOptions, reservation: Reservation | None = None) -> None:
        self.samples_max = options.samples_max
        self.bytes_max = options.bytes_max
        self.timeout_s = options.timeout_s
        self.started_s = time.monotonic()
        self.deadline_s = self.started_s + options.timeout_s
        self.held = 0
        self.peak = 0
        self.read = 0
        self.passing = 0
        self.bytes_held = 0
        self.bytes_kept = 0
        self.reservation = reservation
        self.queue_s = 0.0
        """How long it waited until it began to compute; 0 as long as it has not."""
        self.stats: QueryStats | None = None
        """What its query has done up to now, also when that fails; of several queries the first."""
        self.turns: Turns | None = None
        """Set by who lets it compute beside others."""
        # What may be held without asking again.
        self._reserved_bytes = sys.maxsize if reservation is None else FREE_BYTES
        self._canceled = threading.Event()

    def begin_again(self) -> None:
        """Nothing was read or computed yet; time goes on. What is reserved may be more than before."""
        self.held = self.peak = self.read = self.passing = self.bytes_held = self.bytes_kept = 0
        self.stats = None
        if self.reservation is not None:
            self._reserved_bytes = max(FREE_BYTES, self.reservation.size_bytes)

    def keep_only(self, size_bytes: int, what: str) -> None:
        """Nothing is left of the queries so far but so many bytes of their results, and another one begins."""
        self.held = self.passing = self.bytes_held = self.bytes_kept = 0
        self.take_bytes(size_bytes, what)
        self.bytes_kept = size_bytes

    def cancel(self) -> None:
        """Stop the query at its next check."""
        self._canceled.set()

    @property
    def canceled(self) -> bool:
        """Whether somebody called `cancel`."""
        return self._canceled.is_set()

    @property
    def elapsed_s(self) -> float:
        """Seconds since the budget was made."""
        return time.monotonic() - self.started_s

    def check(self, where: str = EVALUATION) -> None:
        """Raise QueryError when the query was canceled or its time is over; wait where it is other queries' turn."""
        self._check(where)
        if self.turns is not None:
            self.turns.pass_(self._check)

    def _check(self, where: str = EVALUATION) -> None:
        if self._canceled.is_set():
            raise self._error(f"query was canceled in {where}", FailureKind.CANCELED)
        if time.monotonic() > self.deadline_s:
            raise self._error(f"query timed out in {where}", FailureKind.TIMEOUT)

    def watch(self, items: Iterable[T]) -> Iterator[T]:
        """The items, with a check every now and then."""
        for index, item in enumerate(items):
            if index % _WATCHED == 0:
                self.check()
            yield item

    def hold(self, samples: int) -> None:
        """Count samples that are now in memory; raise QueryError when they are too many."""
        self.held += samples
        self.peak = max(self.peak, self.held)
        if self.held > self.samples_max:
            raise self._error(
                "query processing would load too many samples into memory in query execution",
                FailureKind.EXECUTION,
            )

    def take_bytes(self, size_bytes: int, what: str | Describable) -> None:
        """Raise MemoryExceeded when an allocation and what the query holds would together be more than it may use."""
        held_bytes = self.bytes_held + self.bytes_kept
        needed_bytes = held_bytes + size_bytes
        if needed_bytes > self.bytes_max:
            raise self._too_much(size_bytes, what, f"the limit of {self.bytes_max}", "--query.max-memory")
        if needed_bytes > self._reserved_bytes:
            assert self.reservation is not None
            if needed_bytes > self.reservation.most_bytes:
                most = (
                    f"the {self.reservation.most_bytes} that one query may hold of the memory of this process"
                )
                raise self._too_much(size_bytes, what, most, "--storage.memory-max")
            if not self.reservation.raise_to(needed_bytes):
                raise MemoryShort(needed_bytes)
            self._reserved_bytes = needed_bytes

    def expect_bytes(self, size_bytes: int) -> None:
        """Reserve what will surely be asked for soon, so that a query does not begin what it cannot end now.

        An estimate is no reason to refuse: the most that a query may hold is reserved then.
        """
        if self.reservation is None:
            return
        needed_bytes = self.bytes_held + self.bytes_kept + size_bytes
        needed_bytes = min(needed_bytes, self.reservation.most_bytes, self.bytes_max)
        if needed_bytes > self._reserved_bytes:
            self.take_bytes(needed_bytes - self.bytes_held - self.bytes_kept, "what is expected")

    def _too_much(self, size_bytes: int, what: str | Describable, limit: str, flag: str) -> MemoryExceeded:
        name = what if isinstance(what, str) else what.describe()
        return MemoryExceeded(
            f"query needs {size_bytes} bytes for {name} and holds {self.bytes_held + self.bytes_kept}: more than {limit} "
            f"({flag}); it has read {self.read} samples in {self.elapsed_s:.1f} s",
            FailureKind.EXECUTION,
            self.read,
            self.elapsed_s,
        )

    def evaluated(self, size_bytes: int) -> None:
        """Nothing is left but a result of so many bytes."""
        self.bytes_held, self.bytes_kept = size_bytes, 0

    def keep_bytes(self, size_bytes: int) -> None:
        """Count bytes that stay in use until the query ends."""
        self.bytes_kept += size_bytes

    def _error(self, message: str, kind: FailureKind) -> QueryError:
        return QueryError(message, kind, self.read, self.elapsed_s)
