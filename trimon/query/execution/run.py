"""Runs a plan: each operator after its inputs, with the budget's counts of live samples and bytes."""

from __future__ import annotations

import time
from typing import Final

import numpy as np
import numpy.typing as npt

from trimon.model.histogram import HISTOGRAM_BYTES
from trimon.query.execution.context import QueryContext
from trimon.query.execution.operator import Operator
from trimon.query.execution.values import Value, Vector

# Of columns of histograms that operators make on their way.
_COLUMN_COPIES: Final = 2


class _Pending:
    """An operator whose inputs are not all there, and the counts from before any of them was made.

    `beyond` is for how many samples more than there are the native histograms of its inputs count, and
    `made` those of its value.
    """

    __slots__ = ("before", "beyond", "children", "held", "held_bytes", "inputs", "made", "operator")

    def __init__(self, context: QueryContext, operator: Operator) -> None:
        self.operator = operator
        self.children = operator.inputs(context)
        self.inputs: list[Value] = []
        self.beyond = self.made = 0
        self.held, self.held_bytes = context.budget.held, context.budget.bytes_held
        self.before: npt.NDArray[np.int64] | None = None
        if operator.recounts:
            self.before = context.stats.samples_per_step.copy()


def run(context: QueryContext, operator: Operator) -> Value:
    """Run an operator after its inputs; holds the budget's counts of live samples and bytes.

    Plans of long chains are deeper than a stack of calls may be: what waits for its inputs is in a list.
    """
    waiting = [_Pending(context, operator)]
    while True:
        pending = waiting[-1]
        if len(pending.inputs) < len(pending.children):
            waiting.append(_Pending(context, pending.children[len(pending.inputs)]))
            continue
        value = _compute(context, pending)
        waiting.pop()
        if not waiting:
            return value
        waiting[-1].inputs.append(value)
        waiting[-1].beyond += pending.made


def make_objects(context: QueryContext, inputs: list[Value]) -> None:
    """Puts native histograms as objects in the place of columns, for who knows no columns."""
    for at, value in enumerate(inputs):
        if isinstance(value, Vector) and value.native is not None:
            held = int(np.count_nonzero(value.are_histograms()))
            context.budget.take_bytes(held * HISTOGRAM_BYTES, "histograms one by one")
            inputs[at] = value.with_objects()


def _compute(context: QueryContext, pending: _Pending) -> Value:
    """The value of an operator from its inputs.

    What an operator makes takes so many times its inputs' size; those that may make more ask themselves.
    """
    operator, held, held_bytes = pending.operator, pending.held, pending.held_bytes
    budget = context.budget
    if pending.before is not None:
        context.stats.samples_per_step = operator.recount(pending.before, context.stats.samples_per_step)
    budget.check()
    # All that is above `held_bytes` are the inputs. What is the same at every step is copied by those that compute with it.
    repeated = sum(value.repeated_bytes() for value in pending.inputs if isinstance(value, Vector))
    columns = 0
    if operator.columns:
        # These are worked on part by part, or as few copies.
        columns = sum(
            v.native.size_bytes for v in pending.inputs if isinstance(v, Vector) and v.native is not None
        )
    plain = budget.bytes_held - held_bytes - columns
    budget.take_bytes(operator.working * plain + _COLUMN_COPIES * columns + repeated, operator)
    began = time.perf_counter()
    if not operator.columns:
        make_objects(context, pending.inputs)
    value = operator.compute(context, pending.inputs)
    points = value.points()
    # As Prometheus counts: it copies a window, or the inputs of a step, before it computes a sample of them. There a histogram
    # of the inputs is one sample.
    passing = budget.passing or (budget.held - held - pending.beyond) // max(value.steps, 1)
    if operator.replaces:
        budget.held, passing = held, 0
    budget.passing = 0
    if context.histograms:
        pending.made = value.beyond()
        points += pending.made
    budget.hold(points + passing)
    budget.held = held + points
    budget.bytes_held = held_bytes + value.size_bytes()
    context.stats.record(id(operator), time.perf_counter() - began, value)
    return value
