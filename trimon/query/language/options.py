"""The options of a query: limits, lookback and feature flags."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from trimon.limits import QUERY_SAMPLES_MAX
from trimon.records import dataclass

EXPERIMENTAL_FUNCTIONS: Final = "promql-experimental-functions"
DELAYED_NAME_REMOVAL: Final = "promql-delayed-name-removal"
EXTENDED_SELECTORS: Final = "promql-extended-range-selectors"
FILL_MODIFIERS: Final = "promql-binop-fill-modifiers"
DURATION_EXPRESSIONS: Final = "promql-duration-expr"
START_TIMESTAMPS: Final = "use-start-timestamps"
TYPE_AND_UNIT: Final = "type-and-unit-labels"
PER_STEP_STATS: Final = "promql-per-step-stats"

ALL_LANGUAGE_FEATURES: Final = frozenset(
    {EXPERIMENTAL_FUNCTIONS, DELAYED_NAME_REMOVAL, EXTENDED_SELECTORS, FILL_MODIFIERS, START_TIMESTAMPS}
)


@dataclass(frozen=True, slots=True)
class QueryOptions:
    """Limits and flags of one query; the defaults are the server's.

    `subquery_step_ms` is the step of a subquery that names none (the global evaluation interval).
    `features` are names of `--enable-feature`; those that are not about queries are ignored.
    """

    lookback_ms: int = 300_000
    samples_max: int = QUERY_SAMPLES_MAX
    bytes_max: int = 4 * 2**30
    timeout_s: float = 120.0
    subquery_step_ms: int = 60_000
    features: frozenset[str] = frozenset()
    cost_max: int = 0
    """Samples that an instant query may look at by the estimate of its plan; 0: any number."""
    range_cost_max: int = 0
    """The same of a range query, over all its steps."""

    def has(self, feature: str) -> bool:
        """Whether a feature flag is set."""
        return feature in self.features

    def with_(
        self, lookback_ms: int | None = None, timeout_s: float | None = None, samples_max: int | None = None
    ) -> QueryOptions:
        """The same options with a request's own values."""
        if lookback_ms is None and timeout_s is None and samples_max is None:
            return self
        return replace(
            self,
            lookback_ms=self.lookback_ms if lookback_ms is None else lookback_ms,
            timeout_s=self.timeout_s if timeout_s is None else min(timeout_s, self.timeout_s),
            samples_max=self.samples_max if samples_max is None else samples_max,
        )
