"""What templates are executed with in tests: queries over a small store, as recorded beside the repository."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from trimon.model.histogram import Buckets, FloatHistogram
from trimon.model.labels import labels_of
from trimon.query.conformance.memory import MemoryStore
from trimon.query.engine import instant
from trimon.query.execution.budget import Budget
from trimon.query.language.options import QueryOptions
from trimon.templates.functions.function import QuerySample

NOW_MS = 1_760_000_000_000
_OPTIONS = QueryOptions()


class StoreQueries:
    """Answers queries at one time from a store in memory."""

    def __init__(self, store: MemoryStore, time_ms: int = NOW_MS) -> None:
        self._store = store
        self._time_ms = time_ms

    def __call__(self, expression: str, /) -> Sequence[QuerySample]:
        """The samples of a vector, or a scalar as one without labels."""
        result = instant(self._store, expression, self._time_ms, _OPTIONS, Budget(_OPTIONS))
        if result.type == "scalar":
            return [QuerySample({}, float(result.values[0, 0]))]
        found = []
        for row in range(result.labels.rows):
            cell = result.histograms[row, 0] if result.histograms is not None else None
            if cell is not None or result.present[row, 0]:
                value = cell if cell is not None else float(result.values[row, 0])
                found.append(QuerySample(dict(result.labels.labels(row)), value))
        return found


def no_queries(expression: str, /) -> Sequence[QuerySample]:
    """Finds nothing."""
    return []


def recorded_histograms(setup: dict[str, Any]) -> MemoryStore:
    """The store with the native histograms that a recording was made with."""
    store = MemoryStore()
    for series in setup["histograms_v1"]:
        store.append(labels_of(series["labels"]), NOW_MS, _histogram(series["histograms"][0]))
    return store


def _histogram(sent: dict[str, Any]) -> FloatHistogram:
    whole = "count_int" in sent
    return FloatHistogram(
        sent["schema"],
        sent["zero_threshold"],
        float(sent.get("zero_count_int", sent.get("zero_count_float", 0))),
        float(sent["count_int" if whole else "count_float"]),
        sent["sum"],
        _buckets(sent, "positive", whole),
        _buckets(sent, "negative", whole),
        tuple(sent.get("custom_values", ())),
    )


def _buckets(sent: dict[str, Any], sign: str, whole: bool) -> Buckets:
    counts = list(sent.get(f"{sign}_{'deltas' if whole else 'counts'}", ()))
    for at in range(1, len(counts) if whole else 0):
        counts[at] += counts[at - 1]
    index, at = list[int](), 0
    for span in sent.get(f"{sign}_spans", ()):
        at += span["offset"]
        index += range(at, at + span["length"])
        at += span["length"]
    empty = Buckets.of(0, tuple(0.0 for _ in index))
    made = Buckets(empty.index, empty.counts + counts)
    if index:
        made.index[:] = index
    return made
