"""The interface of operators: a node of a plan, from its inputs' values to its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from trimon.query.execution.context import QueryContext, SampleSource
from trimon.query.execution.values import Value

# What is evaluated at once without a thought of its steps.
WHOLE_BYTES: Final = 32 << 20
# What a step takes besides its cells: when it is, where its window begins and ends, and some such.
STEP_BYTES: Final = 96
_CELL_BYTES: Final = 9


class Operator:
    """One node of a plan. `compute` gets the values of its inputs, which are its `children`, in their order."""

    children: tuple[Operator, ...] = ()
    source: SampleSource | None = None
    # Memory for what it makes on its way and for its result, as a multiple of its inputs'.
    working: int = 2
    # Whether the result takes the place of the inputs: samples are counted once.
    replaces: bool = False
    # Whether it takes native histograms as columns; else its inputs have them as objects.
    columns: bool = False
    # Whether the samples its children looked at are counted in another way.
    recounts: bool = False
    # The child without whose samples at a step there are none of its own at that step; None where there is no such child.
    leading: int | None = None

    def inputs(self, context: QueryContext) -> tuple[Operator, ...]:
        """The children whose values `compute` gets; the others it runs itself."""
        del context
        return self.children

    def extent(self, context: QueryContext) -> slice | None:
        """The steps outside of which there are surely no samples; None where that is not known.

        To be asked only of what has no leading child.
        """
        del context
        return None

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


def extent_of(context: QueryContext, operator: Operator) -> slice | None:
    """The steps outside of which an operator surely gives nothing; None where that is not known. Reads what it selects from."""
    while operator.leading is not None:
        operator = operator.children[operator.leading]
    return operator.extent(context)


def step_bytes(context: QueryContext, operators: Sequence[Operator]) -> int:
    """What a step of some operators and those below them takes, about: a cell of all series of the selector that has most."""
    cells, order = 0, list(operators)
    for operator in order:
        order += operator.children
        if operator.source is not None:
            cells = max(cells, context.cells(operator.source))
    return STEP_BYTES + cells * _CELL_BYTES
