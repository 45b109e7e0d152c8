"""One recording rule: its expression, and what becomes of the result's labels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from trimon.model.labels import METRIC_NAME
from trimon.model.snapshot import Snapshot
from trimon.model.table import LabelTable
from trimon.query.engine import instant, parse
from trimon.query.execution.budget import Budget
from trimon.query.execution.labelcodes import distinct, drop_names, with_column
from trimon.query.execution.stats import QueryStats
from trimon.query.execution.values import holds
from trimon.query.language.errors import QueryError
from trimon.query.language.options import QueryOptions
from trimon.query.language.printer import print_expr
from trimon.rules.spec import RecordingSpec

NOT_A_VECTOR = "rule result is not a vector or scalar"
SAME_LABELS = "vector contains metrics with the same labelset after applying rule labels"
HISTOGRAMS = "rule result has native histograms, which cannot be recorded yet"


@dataclass(frozen=True, slots=True)
class Recorded:
    """The samples of one evaluation: `values[i]` of the series `labels` row `i`, no two of them equal."""

    labels: LabelTable
    values: npt.NDArray[np.float64]
    stats: QueryStats | None = None
    histograms: npt.NDArray[np.object_] | None = None
    """FloatHistogram or None (a float) a row; None when all are floats."""


class RecordingRule:
    """A recording rule that can be evaluated, in any thread."""

    def __init__(self, spec: RecordingSpec, options: QueryOptions) -> None:
        self.spec = spec
        self.query = print_expr(parse(spec.expr, options))
        """The expression as the API shows it."""

    def evaluate(
        self, snapshot: Snapshot, time_ms: int, options: QueryOptions, budget: Budget, limit: int = 0
    ) -> Recorded:
        """The samples at a time; more than `limit` (0 or less: none) are an error. Raises ParseError or QueryError."""
        result = instant(snapshot, self.spec.expr, time_ms, options, budget)
        histograms: npt.NDArray[np.object_] | None = None
        if result.type == "scalar":
            labels, values = LabelTable(1, (), (), ()), result.values.reshape(1)
        elif result.type == "vector":
            present = result.present[:, 0]
            labels, values = result.labels, result.values[:, 0]
            rows = np.flatnonzero(present)
            if len(rows) < len(present):
                labels, values = labels.take(rows), values[rows]
            if result.histograms is not None and holds(result.histograms[rows, 0]).any():
                histograms = result.histograms[rows, 0]
        else:
            raise QueryError(NOT_A_VECTOR)
        labels = self._relabeled(labels)
        if not distinct(labels):
            raise QueryError(SAME_LABELS)
        if 0 < limit < labels.rows:
            raise QueryError(f"exceeded limit of {limit} with {labels.rows} series")
        return Recorded(labels, np.ascontiguousarray(values, np.float64), result.stats, histograms)

    def _relabeled(self, labels: LabelTable) -> LabelTable:
        removed = [name for name, value in self.spec.labels if not value]
        labels = drop_names(labels, removed)
        given = [(METRIC_NAME, self.spec.record), *(pair for pair in self.spec.labels if pair[1])]
        for name, value in given:
            labels = with_column(labels, name, np.ones(labels.rows, np.int32), ("", value))
        return labels
