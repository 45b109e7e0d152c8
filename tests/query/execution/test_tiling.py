"""Wide matrices are computed block by block: the same numbers, and the clock is looked at between two."""

from __future__ import annotations

import numpy as np
import pytest

from trimon.model.histogram import Buckets, FloatHistogram
from trimon.model.labels import labels_of
from trimon.query.answer.json import render_data
from trimon.query.conformance.memory import MemoryStore
from trimon.query.engine import range_
from trimon.query.execution import tiling
from trimon.query.execution.budget import Budget
from trimon.query.language.options import ALL_LANGUAGE_FEATURES, QueryOptions

STEPS, SERIES = 40, 60
QUERIES = [
    "topk(3, m)", "bottomk by (g) (2, m)", "topk(scalar(count(m)) - 30, m)", 'count_values("v", m)',
    'count_values by (g) ("v", -m)', 'count_values without (i, v) ("v", m)', 'count_values("v", m or h)',
    "clamp(m, 1, scalar(sum(m)))", "day_of_month(m * 100000)", "round(m, 0.3)", "m * on (i) n", "m > on (i) n",
    "m >= bool on (i) n", "m / on (g) group_left sum by (g) (n)", "m atan2 on (i) n", "m - on (i) fill (7) n",
]  # fmt: skip


def world() -> MemoryStore:
    """Few distinct values, zeros of both signs, NaN, gaps, and two series of native histograms."""
    generator = np.random.default_rng(5)
    store = MemoryStore()
    for index in range(SERIES):
        for name in "mn" if index % 7 else "m":
            values = generator.choice([0.0, -0.0, np.nan, np.inf, 1, 2, 2.5, -3, 1e9], STEPS)
            samples = [
                (step * 60_000, float(value)) for step, value in enumerate(values) if generator.random() < 0.8
            ]
            store.extend(labels_of({"__name__": name, "i": str(index), "g": str(index % 4)}), samples)
    for index in range(2):
        cells = [
            FloatHistogram(count=step % 3, sum=1.0, positive=Buckets.of(0, (step % 3,)))
            for step in range(STEPS)
        ]
        store.extend(
            labels_of({"__name__": "h", "i": str(index)}),
            [(step * 60_000, cell) for step, cell in enumerate(cells)],
        )
    return store


def answer(query: str) -> bytes:
    """What the API shows of a query over all steps."""
    options = QueryOptions(features=ALL_LANGUAGE_FEATURES)
    end_ms = (STEPS - 1) * 60_000
    return render_data(range_(world(), query, 0, end_ms, 60_000, options, Budget(options)))


@pytest.mark.parametrize("query", QUERIES)
def test_blocks_give_what_the_whole_gives(monkeypatch: pytest.MonkeyPatch, query: str) -> None:
    """However small the blocks are, the answer is that of one block, and each has its look at the clock."""
    whole = answer(query)
    looks = 0
    looking = Budget.check

    def check(budget: Budget, where: str = "") -> None:
        nonlocal looks
        looks += 1
        looking(budget)

    monkeypatch.setattr(Budget, "check", check)
    assert answer(query) == whole
    before, looks = looks, 0
    monkeypatch.setattr(tiling, "_ROWS_CELLS_MAX", 3 * STEPS)
    monkeypatch.setattr(tiling, "_STEPS_CELLS_MAX", 3 * SERIES)
    assert answer(query) == whole
    assert looks >= before + 10
