"""The interface of operators: a node of a plan, from its inputs' values to its own."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from trimon.query.execution.context import QueryContext, SampleSource
from trimon.query.execution.values import Value


class Operator:
    """One node of a plan. `compute` gets the values of `children`, in their order."""

    children: tuple[Operator, ...] = ()
    source: SampleSource | None = None
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

    def compute(self, context: QueryContext, inputs: list[Value]) -> Value:
        """The node's value over its whole grid."""
        raise NotImplementedError

    def describe(self) -> str:
        """One line for the plan."""
        raise NotImplementedError
