"""One running query: its times, its snapshot, its budget, and what it has read so far."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from trimon.errors import OperatingError
from trimon.model.frame import SampleFrame
from trimon.model.matcher import Matcher, watched
from trimon.model.snapshot import Selection, Snapshot
from trimon.model.table import LabelTable
from trimon.query.execution.annotations import Annotations
from trimon.query.execution.budget import Budget
from trimon.query.execution.stats import QueryStats
from trimon.query.execution.values import Value
from trimon.query.language.errors import FailureKind, QueryError
from trimon.query.language.options import DELAYED_NAME_REMOVAL, START_TIMESTAMPS, TYPE_AND_UNIT, QueryOptions


@dataclass(slots=True, eq=False)
class Source:
    """Samples that selectors of one plan have in common: the same matchers, overlapping times."""

    matchers: tuple[Matcher, ...]
    start_ms: int
    end_ms: int

    def covers_cheaply(self, start_ms: int, end_ms: int) -> bool:
        """Whether reading both intervals at once costs little more than reading the longer one."""
        longest = max(end_ms - start_ms, self.end_ms - self.start_ms)
        union = max(end_ms, self.end_ms) - min(start_ms, self.start_ms)
        return union <= longest + longest // 2

    def extend(self, start_ms: int, end_ms: int) -> None:
        """Make the interval cover another one."""
        self.start_ms = min(self.start_ms, start_ms)
        self.end_ms = max(self.end_ms, end_ms)


@dataclass(slots=True)
class Context:
    """What operators share while they run. Belongs to one thread."""

    snapshot: Snapshot
    options: QueryOptions
    budget: Budget
    annotations: Annotations
    start_ms: int
    end_ms: int
    step_ms: int
    stats: QueryStats
    _selections: dict[int, Selection] = field(default_factory=dict)
    _frames: dict[int, SampleFrame] = field(default_factory=dict)
    _counts: dict[int, int] = field(default_factory=dict)

    @property
    def delayed_names(self) -> bool:
        """Whether metric names are removed at the end only."""
        return self.options.has(DELAYED_NAME_REMOVAL)

    @property
    def start_timestamps(self) -> bool:
        """Whether functions use the start timestamps of samples."""
        return self.options.has(START_TIMESTAMPS)

    @property
    def type_labels(self) -> bool:
        """Whether counters are told by their type label."""
        return self.options.has(TYPE_AND_UNIT)

    def selection(self, source: Source) -> Selection:
        """The series of a source; asked of storage once."""
        found = self._selections.get(id(source))
        if found is None:
            with watched(self.budget.check):
                found = self.snapshot.select(source.matchers, source.start_ms, source.end_ms)
            self._selections[id(source)] = found
        return found

    def labels(self, source: Source) -> LabelTable:
        """The label sets of a source."""
        return self.selection(source).labels

    def frame(self, source: Source) -> SampleFrame:
        """The samples of a source, and perhaps some before and after its times; read once."""
        found = self._frames.get(id(source))
        if found is None:
            selection = self.selection(source)
            self.budget.check()
            try:
                found = selection.wide_frame(source.start_ms, source.end_ms, self._admit)
            except OperatingError as error:
                raise QueryError(f"expanding series: {error}", FailureKind.EXECUTION) from error
            self.budget.keep_bytes(found.size_bytes)
            self._counts[id(source)] = found.count(source.start_ms, source.end_ms)
            self.budget.read += self._counts[id(source)]
            self._frames[id(source)] = found
        return found

    def count(self, source: Source) -> int:
        """How many samples of a source lie between its times."""
        self.frame(source)
        return self._counts[id(source)]

    def _admit(self, size_bytes: int) -> None:
        self.budget.take_bytes(size_bytes, "samples from storage")

    def run(self, operator: Operator) -> Value:
        """Run an operator after its inputs; holds the budget's counts of live samples and bytes.

        What an operator makes takes so many times its inputs' size; those that may make more ask themselves.
        """
        budget = self.budget
        held, held_bytes = budget.held, budget.bytes_held
        before = self.stats.samples_per_step.copy() if operator.recounts else None
        inputs = [self.run(child) for child in operator.children]
        if before is not None:
            self.stats.samples_per_step = operator.recount(before, self.stats.samples_per_step)
        budget.check()
        # All that is above `held_bytes` are the inputs.
        budget.take_bytes(operator.working * (budget.bytes_held - held_bytes), operator)
        began = time.perf_counter()
        value = operator.compute(self, inputs)
        points = value.points()
        # As Prometheus counts: it copies a window, or the inputs of a step, before it computes a sample of them.
        passing = budget.passing or (budget.held - held) // max(value.steps, 1)
        if operator.replaces:
            budget.held, passing = held, 0
        budget.passing = 0
        budget.hold(points + passing)
        budget.held = held + points
        budget.bytes_held = held_bytes + value.size_bytes()
        self.stats.record(operator, time.perf_counter() - began, value)
        return value


class Operator:
    """One node of a plan. `compute` gets the values of `children`, in their order."""

    children: tuple[Operator, ...] = ()
    source: Source | None = None
    # Memory for what it makes on its way and for its result, as a multiple of its inputs'.
    working: int = 2
    # Whether the result takes the place of the inputs: samples are counted once.
    replaces: bool = False
    # Whether the samples its children looked at are counted in another way.
    recounts: bool = False

    def recount(self, before: npt.NDArray[np.int64], after: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """The samples looked at per step of the query, from those before and after the children ran."""
        del before
        return after

    def compute(self, context: Context, inputs: list[Value]) -> Value:
        """The node's value over its whole grid."""
        raise NotImplementedError

    def describe(self) -> str:
        """One line for the plan."""
        raise NotImplementedError


def quiet() -> np.errstate:
    """Floating point runs as in C: no warnings about NaN, infinities or divisions by zero."""
    return np.errstate(all="ignore")
