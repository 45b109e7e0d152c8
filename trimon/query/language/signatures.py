"""The function table: names, argument types, results."""

from __future__ import annotations

from typing import Final

from trimon.query.language.nodes import ValueType
from trimon.records import dataclass

S, V, M, STR = ValueType.SCALAR, ValueType.VECTOR, ValueType.MATRIX, ValueType.STRING


@dataclass(frozen=True, slots=True)
class Signature:
    """One function. `variadic` 0: exactly the arguments; n > 0: the last n are optional or repeatable;
    -1: the last may be repeated for ever and left out.
    """

    name: str
    args: tuple[ValueType, ...]
    returns: ValueType
    variadic: int = 0
    experimental: bool = False

    @property
    def args_min(self) -> int:
        """Fewest arguments."""
        return len(self.args) if self.variadic == 0 else len(self.args) - 1

    @property
    def args_max(self) -> int | None:
        """Most arguments; None without bound."""
        if self.variadic < 0:
            return None
        return len(self.args) if self.variadic == 0 else len(self.args) + self.variadic - 1


def _table() -> dict[str, Signature]:
    out: dict[str, Signature] = {}

    def add(
        names: str, *args: ValueType, to: ValueType = V, variadic: int = 0, experimental: bool = False
    ) -> None:
        for name in names.split():
            out[name] = Signature(name, args, to, variadic, experimental)

    add(
        "abs ceil floor exp sqrt ln log2 log10 sgn sin cos tan asin acos atan sinh cosh tanh asinh acosh atanh deg rad",
        V,
    )
    add("histogram_avg histogram_count histogram_sum histogram_stddev histogram_stdvar", V)
    add("absent sort sort_desc timestamp", V)
    add("start_timestamp", V, experimental=True)
    add("round", V, S, variadic=1)
    add("clamp", V, S, S)
    add("clamp_min clamp_max", V, S)
    add("scalar", V, to=S)
    add("vector", S)
    add("time pi", to=S)
    add("start end range step", to=S, experimental=True)
    add("min_of max_of", S, S, to=S, experimental=True)
    add("day_of_month day_of_week day_of_year days_in_month hour minute month year", V, variadic=1)
    add("absent_over_time avg_over_time sum_over_time min_over_time max_over_time count_over_time", M)
    add("present_over_time first_over_time last_over_time stddev_over_time stdvar_over_time", M)
    add("mad_over_time ts_of_min_over_time ts_of_max_over_time", M, experimental=True)
    add("ts_of_first_over_time ts_of_last_over_time", M, experimental=True)
    add("changes resets rate increase delta irate idelta deriv", M)
    add("predict_linear", M, S)
    add("quantile_over_time", S, M)
    add("double_exponential_smoothing", M, S, S, experimental=True)
    add("label_replace", V, STR, STR, STR, STR)
    add("label_join", V, STR, STR, STR, variadic=-1)
    add("sort_by_label sort_by_label_desc", V, STR, variadic=-1, experimental=True)
    add("histogram_quantile", S, V)
    add("histogram_quantiles", V, STR, S, S, variadic=9, experimental=True)
    add("histogram_fraction", S, S, V)
    add("info", V, V, variadic=1, experimental=True)
    return out


FUNCTIONS: Final = _table()
# Functions over range vectors that keep the metric name.
KEEPS_NAME: Final = frozenset({"last_over_time", "first_over_time"})
# Functions whose value depends on the evaluation time even when every selector is fixed with `@`.
STEP_VARIANT: Final = frozenset(
    {
        "days_in_month", "day_of_month", "day_of_week", "day_of_year", "end", "hour", "minute", "month", "year",
        "predict_linear", "range", "start", "step", "time", "timestamp",
    }
)  # fmt: skip
EXTENDED: Final = {
    "anchored": ("changes", "delta", "increase", "rate", "resets"),
    "smoothed": ("delta", "increase", "rate"),
}
