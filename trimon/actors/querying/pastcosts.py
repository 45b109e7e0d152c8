"""What questions took the last times they were asked: which are heavy, and which so quick that a thread would cost more.

A dashboard asks the same questions again and again. A question is its text, step and span, and how long ago it begins: what is
quick for the last minutes may have to decode a block for yesterday.

```text
asked for the first time   thread, 0.2 ms      its time is remembered
the second time            thread, 0.2 ms      quick twice: the next one runs on the loop
from then on               loop,   0.2 ms      no thread is woken: two handovers of the interpreter less
once it takes longer       loop,   3.5 ms      remembered as slow: thread again, until it was quick twice
```

So the loop is held up once by a question that has become slow. One that took more than `_WORST_S` some time ago, when it had
everything to decode, runs in a thread until that was long ago, so the loop is hardly held up longer than that.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Final

from trimon.actors.querying.querylog import QueryRecord
from trimon.memory.texts import key_of
from trimon.records import dataclass

# Of so many questions it is remembered what they took.
REMEMBERED_MAX: Final = 4096
# What the loop may be held up for, each time and at the very worst.
QUICK_S: Final = 0.003
_WORST_S: Final = 0.006
# Each time it is asked, the longest that it ever took counts less: the very first time reads and imports what never is again.
_FADE: Final = 0.8
# So often in a row a question has to be quick.
_TIMES: Final = 2
_AGE_MS: Final = 300_000


@dataclass(slots=True)
class PastCost:
    """What a question took: seconds of a core, bytes that were reserved for it; and how often in a row it was quick."""

    core_s: float = 0.0
    reserved_bytes: int = 0
    worst_s: float = 0.0
    quick: int = 0


_NOTHING: Final = PastCost()


def question_of(text: str, record: QueryRecord | None, now_ms: int) -> Hashable:
    """By what a question is known."""
    key = key_of(text)
    if record is None:
        return key
    age = max(0, now_ms - record.start_ms) // _AGE_MS
    return key, record.step_ms, record.end_ms - record.start_ms, age.bit_length()


class PastCosts:
    """The costs of the questions that were asked last. Only on the loop's thread."""

    def __init__(self) -> None:
        self._costs: OrderedDict[Hashable, PastCost] = OrderedDict()

    def of(self, question: Hashable) -> PastCost:
        """What it took the last time; nothing where it is not known. Not to be changed."""
        return self._costs.get(question, _NOTHING)

    def is_quick(self, question: Hashable) -> bool:
        """Whether it may run on the loop."""
        cost = self._costs.get(question)
        return cost is not None and cost.quick >= _TIMES and cost.worst_s <= _WORST_S

    def note(self, question: Hashable, core_s: float, reserved_bytes: int) -> None:
        """It took so much."""
        cost = self._costs.get(question)
        if cost is None:
            cost = self._costs[question] = PastCost()
            if len(self._costs) > REMEMBERED_MAX:
                self._costs.popitem(last=False)
        self._costs.move_to_end(question)
        cost.core_s, cost.reserved_bytes = core_s, reserved_bytes
        cost.worst_s = max(cost.worst_s * _FADE, core_s)
        cost.quick = cost.quick + 1 if core_s <= QUICK_S else 0

    def slow(self, question: Hashable) -> None:
        """It needs more than it did: it is not quick for now."""
        cost = self._costs.get(question)
        if cost is not None:
            cost.quick = 0
