"""Memory of a query: one limit for all it holds at once, and an account that is near the truth."""

from __future__ import annotations

import re
import tracemalloc
from collections.abc import Sequence

import numpy as np
import pytest

from tests.bench.query_engine import END_MS, BenchSelection, BenchSnapshot, Target
from trimon.model.labels import labels_of
from trimon.model.matcher import Matcher
from trimon.model.snapshot import Estimate
from trimon.query.answer.json import data_pieces, render_data, text_bytes
from trimon.query.answer.result import QueryResult
from trimon.query.engine import instant, range_
from trimon.query.execution.budget import Budget, Describable
from trimon.query.language.errors import QueryError
from trimon.query.language.options import ALL_LANGUAGE_FEATURES, QueryOptions
from trimon.web.http.answer import success_in_parts

SERIES, STEPS = 6000, 400
MATRIX_BYTES = SERIES * STEPS * 9
# What is read.
FRAME_BYTES = SERIES * STEPS * 8
# Windows are computed window matrix by window matrix, functions block by block: some arrays of half a million cells and less.
PANEL_BYTES = 48 << 20
BLOCK_BYTES = 16 << 20

QUERIES = [
    "m + m offset 1m", "m * on (i) group_left sum by (i) (m)", "m or label_replace(m, 'q', '1', '', '')",
    "m and m", "m unless on (i) sum by (i) (m)", "abs(m)", "clamp(m, 1, 2)", "day_of_month(m)", "m > 10",
    "label_replace(label_replace(m, 'a', '$1', 'i', '(.*)'), 'b', '$1', 'a', '(.*)')", "label_join(m, 'z', '-', 'i')",
    "count_values('v', round(m, 10))", "count_values('v', m > 200)", "topk(5, m)", "bottomk(600, m)", "limitk(10, m)",
    "quantile(0.9, m)", "stddev by (shard) (m)", "avg without (i) (m)", "sort(m)", "histogram_quantile(0.9, m)",
    "max_over_time(m[10m:1m])", "max_over_time(rate(m[5m])[10m:1m])", "quantile_over_time(0.5, (m > 5)[10m:1m])",
    "sum_over_time(m[1h]) / count_over_time(m[1h])", "m @ end() + m", "absent(m)", "timestamp(m)",
    "(m + m offset 1m) + (m offset 2m + (m offset 3m + m offset 4m))",
]  # fmt: skip


class ExactSelection(BenchSelection):
    """Asks for what it gives."""

    def estimate(self, start_ms: int, end_ms: int) -> Estimate:
        """All samples there are."""
        return Estimate(len(self.rows), len(self.rows) * STEPS, len(self.rows) * STEPS * 8)


class ExactSnapshot(BenchSnapshot):
    """The benchmark's, with exact estimates."""

    def select(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> BenchSelection:
        """Matching series."""
        return ExactSelection(self, super().select(matchers, start_ms, end_ms).rows)


class Account(Budget):
    """A budget that knows the most its query ever held or asked for."""

    bytes_peak = 0

    def take_bytes(self, size_bytes: int, what: str | Describable) -> None:
        """As Budget."""
        self.bytes_peak = max(self.bytes_peak, self.bytes_held + self.bytes_kept + size_bytes)
        super().take_bytes(size_bytes, what)


@pytest.fixture(scope="module")
def store() -> BenchSnapshot:
    """Series of one scrape, a sample a minute."""
    snapshot = ExactSnapshot()
    times = END_MS - 60_000 * np.arange(STEPS, dtype=np.int64)[::-1]
    labels = [
        labels_of({"__name__": "m", "i": str(index), "shard": str(index % 30), "le": str(index % 20)})
        for index in range(SERIES)
    ]
    values = np.random.default_rng(1).random((SERIES, STEPS)).cumsum(axis=1).round(3)
    snapshot.targets.append(Target(labels, times, values))
    snapshot.seal()
    return snapshot


def ask(store: BenchSnapshot, query: str, bytes_max: int) -> tuple[QueryResult, Account]:
    """The query at every minute that has samples."""
    options = QueryOptions(bytes_max=bytes_max, features=ALL_LANGUAGE_FEATURES)
    account = Account(options)
    start_ms = END_MS - 60_000 * (STEPS - 1)
    return range_(store, query, start_ms, END_MS, 60_000, options, account), account


@pytest.mark.parametrize("query", QUERIES)
def test_the_account_is_near_the_truth(store: BenchSnapshot, query: str) -> None:
    """What a query is said to hold at its peak is not much less than what was allocated."""
    ask(store, query, 2**40)
    tracemalloc.start()
    try:
        _, account = ask(store, query, 2**40)
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak_bytes < 1.25 * account.bytes_peak + (
        PANEL_BYTES if "[" in query or "count_values" in query else BLOCK_BYTES
    )


def test_values_that_wait_are_counted(store: BenchSnapshot) -> None:
    """Operands that each fit do not fit together; a chain that lets go of them does."""
    limit = FRAME_BYTES + 4 * MATRIX_BYTES
    waiting = "m"
    for minutes in range(1, 12):
        waiting = f"(m offset {minutes}m * 2) * ({waiting})"
    with pytest.raises(QueryError) as caught:
        ask(store, f"abs({waiting})", limit)
    found = re.fullmatch(
        r"query needs (\d+) bytes for (.+) and holds (\d+): more than the limit of (\d+) \(--query\.max-memory\); "
        r"it has read (\d+) samples in \d+\.\d s",
        str(caught.value),
    )
    assert found is not None
    assert int(found[1]) < limit
    assert int(found[3]) < limit
    assert int(found[1]) + int(found[3]) > int(found[4]) == limit
    assert caught.value.samples == int(found[5]) > 0
    assert ask(store, "m" + " * 2" * 50, limit)[0].series == SERIES


def test_only_the_result_is_left(store: BenchSnapshot) -> None:
    """After the evaluation the account holds the result alone, before its text is made."""
    result, account = ask(store, "m * 2", 2**40)
    assert account.bytes_kept == 0
    assert account.bytes_held == result.size_bytes == MATRIX_BYTES
    assert result.points == SERIES * STEPS
    options = QueryOptions()
    budget = Budget(options)
    windows = instant(store, "m[1h]", END_MS, options, budget)
    assert windows.points == SERIES * 60
    assert budget.bytes_held == windows.size_bytes == SERIES * 60 * 16


def test_the_text_takes_what_is_asked_for(store: BenchSnapshot) -> None:
    """The text of an answer of long numbers takes at most what is asked for it, however many pieces it has."""
    result, _ = ask(store, "m / 3", 2**40)
    tracemalloc.start()
    try:
        answer = success_in_parts(data_pieces(result))
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak_bytes < text_bytes(result) + 2**20
    assert peak_bytes < 1.2 * answer.size_bytes


def test_the_text_stops_when_told(store: BenchSnapshot) -> None:
    """Writing the answer looks at the clock every few thousand samples."""
    result, _ = ask(store, "m", 2**40)
    looks = 0

    def check() -> None:
        nonlocal looks
        looks += 1
        if looks == 20:
            raise QueryError("told so")

    with pytest.raises(QueryError, match="told so"):
        render_data(result, b"", check)
