"""The arguments of a window function beside its window matrix, and its results."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import field
from typing import TypeAlias

from trimon.model.frame import Times
from trimon.query.execution.values import Mask, Matrix
from trimon.query.windows.windowmatrix import WindowMatrix
from trimon.records import dataclass

# Values float64[rows, steps] and where they count; either may be of a shape that broadcasts to that.
WindowResults: TypeAlias = tuple[Matrix, Mask]


def _unchecked() -> None:
    """Nobody stops it."""


@dataclass(frozen=True, slots=True)
class WindowCall:
    """The windows end at `refs_ms[k]` and are `range_ms` long; `times_ms` are the evaluation times.

    `params` are the scalar arguments, float64[steps] each. `overlaps` collects rows of the frame whose
    start timestamps contradict one another. In `memo` a kernel keeps what the next window matrix may have in common with this
    one. `check` raises when the query is to stop.
    """

    refs_ms: Times
    range_ms: int
    times_ms: Times
    params: tuple[Matrix, ...] = ()
    overlaps: set[int] | None = None
    check: Callable[[], None] = _unchecked
    memo: dict[str, object] = field(default_factory=dict)


Kernel: TypeAlias = Callable[[WindowMatrix, WindowCall], WindowResults]
