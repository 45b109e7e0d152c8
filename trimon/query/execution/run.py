"""Runs a plan: each operator after its inputs, with the budget's counts of live samples and bytes."""

from __future__ import annotations

import time

from trimon.query.execution.context import QueryContext
from trimon.query.execution.operator import Operator
from trimon.query.execution.values import Value


def run(context: QueryContext, operator: Operator) -> Value:
    """Run an operator after its inputs; holds the budget's counts of live samples and bytes.

    What an operator makes takes so many times its inputs' size; those that may make more ask themselves.
    """
    budget = context.budget
    held, held_bytes = budget.held, budget.bytes_held
    before = context.stats.samples_per_step.copy() if operator.recounts else None
    inputs = [run(context, child) for child in operator.children]
    if before is not None:
        context.stats.samples_per_step = operator.recount(before, context.stats.samples_per_step)
    budget.check()
    # All that is above `held_bytes` are the inputs.
    budget.take_bytes(operator.working * (budget.bytes_held - held_bytes), operator)
    began = time.perf_counter()
    value = operator.compute(context, inputs)
    points = value.points()
    # As Prometheus counts: it copies a window, or the inputs of a step, before it computes a sample of them.
    passing = budget.passing or (budget.held - held) // max(value.steps, 1)
    if operator.replaces:
        budget.held, passing = held, 0
    budget.passing = 0
    budget.hold(points + passing)
    budget.held = held + points
    budget.bytes_held = held_bytes + value.size_bytes()
    context.stats.record(id(operator), time.perf_counter() - began, value)
    return value
