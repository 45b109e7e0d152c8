"""Functions of one sample: mathematics, clamping, rounding, calendar, and the scalars."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

import numpy as np
import numpy.typing as npt

from trimon.query.execution.context import QueryContext
from trimon.query.execution.grid import Grid
from trimon.query.execution.names import without_name
from trimon.query.execution.operator import Operator
from trimon.query.execution.tiling import is_wide, row_blocks
from trimon.query.execution.values import Matrix, Scalar, TextValue, Value, Vector
from trimon.query.histograms.arithmetic import scaled
from trimon.query.histograms.cells import map_cells
from trimon.query.histograms.columnarithmetic import scaled as scaled_columns

_DAY_S: Final = 86_400
_INT64: Final = 2.0**63

Params = Sequence[Matrix]
WholeNumbers = npt.NDArray[np.int64]
Function = Callable[[Matrix, Params], Matrix]


def _round(values: Matrix, params: Params) -> Matrix:
    inverse = 1 / params[0] if params else 1.0
    return np.floor(values * inverse + 0.5) / inverse


def _sign(values: Matrix, params: Params) -> Matrix:
    del params
    return np.where(values == 0, values, np.sign(values))


def _larger(a: Matrix, b: Matrix) -> Matrix:
    """Go's Max: an infinity wins over NaN, and 0 over -0."""
    larger = np.where((a == np.inf) | (b == np.inf), np.inf, np.maximum(a, b))
    return np.where((a == 0) & (b == 0), a + b, larger)


def _smaller(a: Matrix, b: Matrix) -> Matrix:
    """Go's Min."""
    return -_larger(-a, -b)


def _clamp(values: Matrix, params: Params) -> Matrix:
    return _larger(params[0], _smaller(params[1], values))


def _plain(function: Callable[[Matrix], Matrix]) -> Function:
    return lambda values, _: function(values)


def _days_and_seconds(values: Matrix) -> tuple[WholeNumbers, WholeNumbers]:
    """Days since the epoch and seconds of the day of Unix seconds, cut to whole ones.

    What no int64 holds, NaN and infinities too, becomes the smallest int64 in Prometheus, and Go's calendar
    runs over from there: it shows the second 2^63.
    """
    usable = (values >= -_INT64) & (values < _INT64)
    seconds = np.trunc(np.where(usable, values, 0.0)).astype(np.int64)
    days = np.where(usable, seconds // _DAY_S, 2**63 // _DAY_S)
    return days, np.where(usable, seconds % _DAY_S, 2**63 % _DAY_S)


def _civil(values: Matrix) -> tuple[WholeNumbers, WholeNumbers, WholeNumbers]:
    """Year, month and day of Unix seconds, in the proleptic Gregorian calendar."""
    days = _days_and_seconds(values)[0] + 719_468
    era = days // 146_097
    day_of_era = days - era * 146_097
    year_of_era = (day_of_era - day_of_era // 1460 + day_of_era // 36_524 - day_of_era // 146_096) // 365
    day_of_year = day_of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    shifted = (5 * day_of_year + 2) // 153
    day = day_of_year - (153 * shifted + 2) // 5 + 1
    month = np.where(shifted < 10, shifted + 3, shifted - 9)
    return year_of_era + era * 400 + (month <= 2), month, day


def _leap(year: WholeNumbers) -> npt.NDArray[np.bool_]:
    long: npt.NDArray[np.bool_] = ((year % 4 == 0) & (year % 100 != 0)) | (year % 400 == 0)
    return long


_MONTH_DAYS: Final = np.array([31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31])
_DAYS_BEFORE: Final = np.concatenate([[0], np.cumsum(_MONTH_DAYS)[:-1]])


def _days_in_month(values: Matrix) -> WholeNumbers:
    year, month, _ = _civil(values)
    days: WholeNumbers = _MONTH_DAYS[month - 1] + ((month == 2) & _leap(year))
    return days


def _day_of_year(values: Matrix) -> WholeNumbers:
    year, month, day = _civil(values)
    days: WholeNumbers = _DAYS_BEFORE[month - 1] + day + ((month > 2) & _leap(year))
    return days


FUNCTIONS: Final[dict[str, Function]] = {
    "abs": _plain(np.abs),
    "ceil": _plain(np.ceil),
    "floor": _plain(np.floor),
    "exp": _plain(np.exp),
    "sqrt": _plain(np.sqrt),
    "ln": _plain(np.log),
    "log2": _plain(np.log2),
    "log10": _plain(np.log10),
    "sin": _plain(np.sin),
    "cos": _plain(np.cos),
    "tan": _plain(np.tan),
    "asin": _plain(np.arcsin),
    "acos": _plain(np.arccos),
    "atan": _plain(np.arctan),
    "sinh": _plain(np.sinh),
    "cosh": _plain(np.cosh),
    "tanh": _plain(np.tanh),
    "asinh": _plain(np.arcsinh),
    "acosh": _plain(np.arccosh),
    "atanh": _plain(np.arctanh),
    "deg": _plain(lambda values: values * 180 / np.pi),
    "rad": _plain(lambda values: values * np.pi / 180),
    "sgn": _sign,
    "round": _round,
    "clamp": _clamp,
    "clamp_min": lambda values, params: _larger(params[0], values),
    "clamp_max": lambda values, params: _smaller(params[0], values),
}
CALENDAR: Final[dict[str, Callable[[Matrix], WholeNumbers]]] = {
    "year": lambda values: _civil(values)[0],
    "month": lambda values: _civil(values)[1],
    "day_of_month": lambda values: _civil(values)[2],
    "day_of_week": lambda values: (_days_and_seconds(values)[0] + 4) % 7,
    "day_of_year": _day_of_year,
    "days_in_month": _days_in_month,
    "hour": lambda values: _days_and_seconds(values)[1] // 3600,
    "minute": lambda values: _days_and_seconds(values)[1] % 3600 // 60,
}


def _computed(context: QueryContext, function: Callable[[Matrix], Matrix], values: Matrix) -> Matrix:
    if not is_wide(*values.shape):
        return function(values)
    out = np.empty(values.shape)
    for rows in row_blocks(context.budget, *values.shape):
        out[rows] = function(values[rows])
    return out


class ElementwiseOperator(Operator):
    """A function of each sample, with scalar arguments per step. Inputs: the vector, then the scalars."""

    leading = 0
    columns = True

    def __init__(self, function: str, vector: Operator, params: Sequence[Operator]) -> None:
        self.function = function
        self.children = (vector, *params)

    def describe(self) -> str:
        """One line for the plan."""
        return f"each {self.function}"

    def compute(self, context: QueryContext, inputs: list[Value]) -> Value:
        """A Vector of the same series."""
        vector = inputs[0]
        assert isinstance(vector, Vector)
        vector = vector.floats()
        params = [value.values for value in inputs[1:] if isinstance(value, Scalar)]
        calendar = CALENDAR.get(self.function)
        if calendar is not None:
            values = _computed(context, lambda part: calendar(part).astype(np.float64), vector.values)
        else:
            function = FUNCTIONS[self.function]
            values = _computed(context, lambda part: function(part, params), vector.values)
        present = vector.present
        if self.function == "clamp":
            present = present & ~(params[1] < params[0])
        return without_name(context, vector.with_values(values, present).compact())


class NegateOperator(Operator):
    """A sign before a vector or a scalar."""

    replaces = True
    columns = True

    leading = 0

    def __init__(self, child: Operator) -> None:
        self.children = (child,)

    def describe(self) -> str:
        """One line for the plan."""
        return "negate"

    def compute(self, context: QueryContext, inputs: list[Value]) -> Value:
        """A value of the same type."""
        (value,) = inputs
        if isinstance(value, Scalar):
            return Scalar(-value.values)
        assert isinstance(value, Vector)
        negated = without_name(context, replace(value, values=-value.values))
        if negated.native is not None:
            minus = np.full(negated.steps, -1.0)
            return replace(negated, native=scaled_columns(negated.native.only(negated.present), minus))
        if negated.histograms is None:
            return negated
        return replace(negated, histograms=map_cells(lambda one: scaled(one, -1.0), negated.histograms))


class ConstantOperator(Operator):
    """A number at every step, or a string."""

    def __init__(self, value: float | str, grid: Grid) -> None:
        self.value = value
        self.grid = grid

    def describe(self) -> str:
        """One line for the plan."""
        return f"constant {self.value!r}"

    def compute(self, context: QueryContext, inputs: list[Value]) -> Value:
        """A Scalar or TextValue."""
        del context, inputs
        if isinstance(self.value, str):
            return TextValue(self.value)
        return Scalar(np.full(self.grid.count, self.value))


class TimeOperator(Operator):
    """The evaluation time in seconds."""

    def __init__(self, grid: Grid) -> None:
        self.grid = grid

    def describe(self) -> str:
        """One line for the plan."""
        return "time"

    def compute(self, context: QueryContext, inputs: list[Value]) -> Value:
        """A Scalar."""
        del context, inputs
        return Scalar(self.grid.times_ms() / 1000)


class ToScalarOperator(Operator):
    """`scalar(v)`: the only sample of a step, else NaN."""

    def __init__(self, child: Operator, grid: Grid) -> None:
        self.children = (child,)
        self.grid = grid

    def describe(self) -> str:
        """One line for the plan."""
        return "scalar"

    def compute(self, context: QueryContext, inputs: list[Value]) -> Value:
        """A Scalar."""
        del context
        (vector,) = inputs
        assert isinstance(vector, Vector)
        vector = vector.floats()
        if not vector.rows:
            return Scalar(np.full(self.grid.count, np.nan))
        alone = vector.present.sum(axis=0) == 1
        first = vector.present.argmax(axis=0)
        return Scalar(np.where(alone, vector.values[first, np.arange(vector.steps)], np.nan))


class ToVectorOperator(Operator):
    """`vector(s)`: one series without labels."""

    def __init__(self, child: Operator) -> None:
        self.children = (child,)

    def describe(self) -> str:
        """One line for the plan."""
        return "vector"

    def compute(self, context: QueryContext, inputs: list[Value]) -> Value:
        """A Vector."""
        del context
        (value,) = inputs
        assert isinstance(value, Scalar)
        return Vector.single(value.values)


class PairScalarOperator(Operator):
    """`min_of` and `max_of`; a NaN on either side gives NaN."""

    def __init__(self, function: str, left: Operator, right: Operator) -> None:
        self.function = function
        self.children = (left, right)

    def describe(self) -> str:
        """One line for the plan."""
        return self.function

    def compute(self, context: QueryContext, inputs: list[Value]) -> Value:
        """A Scalar."""
        del context
        left, right = inputs
        assert isinstance(left, Scalar)
        assert isinstance(right, Scalar)
        pick = np.minimum if self.function == "min_of" else np.maximum
        return Scalar(pick(left.values, right.values))


class TimestampOperator(Operator):
    """`timestamp(v)` of anything but a selector: the evaluation time."""

    leading = 0

    def __init__(self, child: Operator, grid: Grid) -> None:
        self.children = (child,)
        self.grid = grid

    def describe(self) -> str:
        """One line for the plan."""
        return "timestamp"

    def compute(self, context: QueryContext, inputs: list[Value]) -> Value:
        """A Vector of the same series."""
        (vector,) = inputs
        assert isinstance(vector, Vector)
        times = np.broadcast_to(self.grid.times_ms() / 1000, vector.values.shape)
        return without_name(context, vector.with_values(times))


class NamelessOperator(Operator):
    """A selector read for its timestamps: the values are no longer the metric's."""

    replaces = True

    leading = 0

    def __init__(self, child: Operator) -> None:
        self.children = (child,)

    def describe(self) -> str:
        """One line for the plan."""
        return "drop name"

    def compute(self, context: QueryContext, inputs: list[Value]) -> Value:
        """A Vector of the same series without their names."""
        (vector,) = inputs
        assert isinstance(vector, Vector)
        return without_name(context, vector)
