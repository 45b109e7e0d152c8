"""Wide matrices are computed block by block: what is made on the way stays small, and the clock is looked at between."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from trimon.query.execution.budget import Budget

# Rows lie together: what is made of some stays in the cache. Of a step each row has its own line of the cache.
_ROWS_CELLS_MAX: Final = 1 << 17
_STEPS_CELLS_MAX: Final = 1 << 19


def row_blocks(budget: Budget, rows: int, steps: int) -> Iterator[slice]:
    """Some rows after the other. Raises QueryError between two blocks."""
    return _blocks(budget, rows, steps, _ROWS_CELLS_MAX)


def step_blocks(budget: Budget, rows: int, steps: int) -> Iterator[slice]:
    """Some steps after the other. Raises QueryError between two blocks."""
    return _blocks(budget, steps, rows, _STEPS_CELLS_MAX)


def _blocks(budget: Budget, count: int, width: int, cells_max: int) -> Iterator[slice]:
    size = max(1, cells_max // max(width, 1))
    for start in range(0, count, size):
        budget.check()
        yield slice(start, min(start + size, count))


def is_wide(rows: int, steps: int) -> bool:
    """Whether a matrix has more than one block of rows."""
    return rows * steps > _ROWS_CELLS_MAX
