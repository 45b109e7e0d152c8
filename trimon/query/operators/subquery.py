"""Subqueries: an expression evaluated on a grid of its own, then seen through windows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
import numpy.typing as npt

from trimon.model.frame import SampleFrame
from trimon.model.table import LabelTable
from trimon.query.execution.context import QueryContext
from trimon.query.execution.grid import Grid, RefTimes
from trimon.query.execution.operator import STEP_BYTES, WHOLE_BYTES, Operator, extent_of, step_bytes
from trimon.query.execution.run import make_objects, run
from trimon.query.execution.values import Mask, Ranges, Value, Vector
from trimon.query.histograms.weights import Weights
from trimon.query.language.errors import QueryError
from trimon.query.operators.frameparts import FrameParts, frame_of

# More steps than what is evaluated at once are evaluated in parts of half of it.
_PART_STEPS_MIN: Final = 64
_STEPS_FEW: Final = 64


class SubqueryOperator(Operator):
    """Makes windows of a vector; `inner` is the grid the vector is evaluated on.

    There is no child where no time of the inner grid falls into the windows. Over many steps the vector is evaluated part
    by part, each by an operator of its own that `plan` makes, and only where it can have samples.
    """

    replaces = True
    recounts = True
    columns = True

    def __init__(
        self,
        child: Operator | None,
        plan: Callable[[Grid], Operator],
        inner: Grid,
        refs: RefTimes,
        range_ms: int,
    ) -> None:
        self.children = () if child is None else (child,)
        self.inner = inner
        self.refs = refs
        self.range_ms = range_ms
        self._plan = plan

    def recount(self, before: npt.NDArray[np.int64], after: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """The samples that count are those its windows are made of."""
        del after
        return before

    def describe(self) -> str:
        """One line for the plan."""
        return f"subquery of {self.inner.count} steps every {self.inner.step_ms} ms"

    def inputs(self, context: QueryContext) -> tuple[Operator, ...]:
        """The child, or nothing where it is evaluated in parts."""
        if not self.children or self.inner.count <= _STEPS_FEW:
            return self.children
        # Once it is read it is known how many numbers its histograms have.
        extent_of(context, self.children[0])
        size_bytes = self.inner.count * step_bytes(context, self.children)
        if size_bytes > WHOLE_BYTES:
            return ()
        context.budget.take_bytes(size_bytes, self)
        return self.children

    def extent(self, context: QueryContext) -> slice | None:
        """The steps whose windows reach where the child can have samples."""
        if not self.children:
            return slice(0, 0)
        inner = extent_of(context, self.children[0])
        if inner is None:
            return None
        if inner.start >= inner.stop:
            return slice(0, 0)
        some = self.inner.part(inner)
        return self.refs.steps_within(some.start_ms, some.end_ms + self.range_ms)

    def compute(self, context: QueryContext, inputs: list[Value]) -> Value:
        """Ranges."""
        weights: Weights | None = None
        if inputs:
            vector, weights = _plain(context, inputs[0])
            labels, frame, drop_name = vector.labels, frame_of(vector, self.inner), vector.drop_name
        elif self.children:
            labels, frame, drop_name, weights = self._in_parts(context)
        else:
            labels, frame, drop_name = LabelTable.empty(), SampleFrame.empty(), None
        context.budget.take_bytes(STEP_BYTES * len(self.refs), "the times of windows")
        return Ranges(
            labels,
            frame,
            self.refs.times_ms(),
            self.range_ms,
            len(frame.values),
            drop_name=drop_name,
            owned=True,
            weights=weights,
        )

    def _in_parts(self, context: QueryContext) -> tuple[LabelTable, SampleFrame, Mask | None, Weights | None]:
        """Series and samples of the child, evaluated for some steps after the other, and what histograms weigh."""
        budget, stats = context.budget, context.stats
        held, held_bytes, counts = budget.held, budget.bytes_held, stats.samples_per_step.copy()
        steps = extent_of(context, self.children[0]) or slice(0, self.inner.count)
        each_bytes = step_bytes(context, self.children)
        size = max(_PART_STEPS_MIN, WHOLE_BYTES // 2 // each_bytes)
        whole = self.inner.part(steps)
        if whole.count > budget.samples_max:
            raise QueryError("query processing would load too many samples into memory in query execution")
        parts = FrameParts(whole)
        for begin in range(0, whole.count, size):
            part = whole.part(slice(begin, min(begin + size, whole.count)))
            budget.take_bytes(part.count * each_bytes, self)
            vector, weights = _plain(context, run(context, self._plan(part)))
            parts.add(vector, begin, weights)
            budget.held, budget.bytes_held = held, held_bytes
            budget.hold(parts.weight)
            budget.take_bytes(parts.size_bytes, self)
            budget.bytes_held += parts.size_bytes
        budget.take_bytes(parts.size_bytes, self)
        if self.recounts:
            stats.samples_per_step = self.recount(counts, stats.samples_per_step)
        frame, all_weights = parts.frame()
        return parts.labels, frame, parts.drop_name, all_weights


def _plain(context: QueryContext, value: Value) -> tuple[Vector, Weights | None]:
    """A vector without columns of histograms, and what those that it has weigh, beside its samples that are there."""
    assert isinstance(value, Vector)
    weights = None
    if value.has_histograms:
        weights = np.where(value.are_histograms(), value.weights(), 0)[value.present]
    inputs: list[Value] = [value]
    make_objects(context, inputs)
    assert isinstance(inputs[0], Vector)
    return inputs[0], weights
