"""The binary operators on numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np

from trimon.query.execution.values import Mask, Matrix
from trimon.query.powers import power

ARITHMETIC: Final[dict[str, Callable[[Matrix, Matrix], Matrix]]] = {
    "+": np.add,
    "-": np.subtract,
    "*": np.multiply,
    "/": np.divide,
    "%": np.fmod,
    "^": power,
    "atan2": np.arctan2,
}
COMPARISON: Final[dict[str, Callable[[Matrix, Matrix], Mask]]] = {
    "==": np.equal,
    "!=": np.not_equal,
    "<": np.less,
    "<=": np.less_equal,
    ">": np.greater,
    ">=": np.greater_equal,
}
