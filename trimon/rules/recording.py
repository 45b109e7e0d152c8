"""One recording rule: its expression, and what becomes of the result's labels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from trimon.model.labels import METRIC_NAME
from trimon.model.snapshot import Snapshot
from trimon.model.table import LabelTable
from trimon.query.engine import instant, parse
from trimon.query.execution.budget import Budget
from trimon.query.execution.grid import Grid
from trimon.query.execution.labelcodes import distinct, drop_names, group, with_column
from trimon.query.execution.stats import QueryStats
from trimon.query.execution.values import holds
from trimon.query.language.errors import QueryError
from trimon.query.language.options import QueryOptions
from trimon.query.language.printer import print_expr
from trimon.records import dataclass
from trimon.rules.selectors import selectors_of
from trimon.rules.slots import NOT_A_VECTOR, SlotResults, evaluate_slots
from trimon.rules.spec import RecordingSpec

SAME_LABELS = "vector contains metrics with the same labelset after applying rule labels"


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
        parsed = parse(spec.expr, options)
        self.selectors = selectors_of(parsed)
        self.query = print_expr(parsed)
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
            raise QueryError(_too_many(limit, labels.rows))
        return Recorded(labels, np.ascontiguousarray(values, np.float64), result.stats, histograms)

    def over(
        self,
        snapshot: Snapshot,
        grid: Grid,
        options: QueryOptions,
        budget: Budget,
        limit: int = 0,
        held_bytes: int = 0,
    ) -> SlotResults:
        """The samples at every time of a grid, as `evaluate` gives them one time after the other.

        Where that raises, the time is among the failures. `held_bytes` is what the caller keeps meanwhile. Raises ParseError,
        and QueryError when time or memory is over.
        """
        found = evaluate_slots(snapshot, self.spec.expr, grid, options, budget, held_bytes)
        labels = self._relabeled(found.labels)
        groups = group(labels)
        if groups.count < labels.rows:
            found = found.joined(labels.take(groups.first), groups.codes, SAME_LABELS)
        else:
            found = replace(found, labels=labels)
        if limit <= 0:
            return found
        counts = found.present.sum(axis=0)
        return found.without(
            {place: _too_many(limit, int(counts[place])) for place in np.flatnonzero(counts > limit).tolist()}
        )

    def _relabeled(self, labels: LabelTable) -> LabelTable:
        removed = [name for name, value in self.spec.labels if not value]
        labels = drop_names(labels, removed)
        given = [(METRIC_NAME, self.spec.record), *(pair for pair in self.spec.labels if pair[1])]
        for name, value in given:
            labels = with_column(labels, name, np.ones(labels.rows, np.int32), ("", value))
        return labels


def _too_many(limit: int, series: int) -> str:
    return f"exceeded limit of {limit} with {series} series"
