"""From which step on a query needs no samples from before a time."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.storage.conftest import series
from trimon.query import engine
from trimon.query.conformance.memory import MemoryStore
from trimon.query.execution.budget import Budget
from trimon.query.execution.grid import Grid
from trimon.query.language.options import QueryOptions
from trimon.query.reach import first_local_step

MINUTE = 60_000
GRID = Grid(100 * MINUTE, 10 * MINUTE, 11)  # 100, 110 ... 200 minutes
OPTIONS = QueryOptions()


@pytest.mark.parametrize(
    ("text", "boundary", "first"),
    [
        ("m", 95, 0),
        ("m", 100, 1),
        ("m", 106, 2),
        ("m", 500, 11),
        ("rate(m[30m])", 70, 0),
        ("rate(m[30m])", 100, 3),
        ("m offset 1h", 100, 7),
        ("m + m offset 1h", 100, 7),
        ("m offset -1h", 150, 0),
        ("max_over_time(m[30m:10m])", 100, 3),
        ("1 + vector(2)", 500, 0),
        ("m @ start()", 96, 11),
        ("m @ start()", 95, 0),
        ("m @ 6000 + m", 97, 11),
        ("sum_over_time(m[step()])", 300, 11),
    ],
)
def test_steps_before_the_boundary(text: str, boundary: int, first: int) -> None:
    """A step is local when all that it looks at is; what is fixed in time is not cut."""
    assert first_local_step(text, GRID, OPTIONS, boundary * MINUTE, ranged=True) == first


@given(
    st.sampled_from(
        [
            "m",
            "rate(m[25m])",
            "m offset 17m",
            "avg_over_time(m[20m:7m])",
            "m or m offset 3m",
            "-m offset -20m",
        ]
    ),
    st.integers(0, 250),
)
def test_local_steps_see_nothing_from_before(text: str, boundary: int) -> None:
    """What is answered from the first local step on is the same where samples before the boundary are missing."""
    samples = [(minute * MINUTE, float(minute * minute)) for minute in range(40, 230, 2)]
    first = first_local_step(text, GRID, OPTIONS, boundary * MINUTE, ranged=True)
    if first == GRID.count:
        return
    part = GRID.part(slice(first, GRID.count))
    answers = []
    for kept in (samples, [each for each in samples if each[0] >= boundary * MINUTE]):
        store = MemoryStore()
        store.extend(series("m"), kept)
        result = engine.range_(
            store, text, part.start_ms, part.end_ms, part.step_ms, OPTIONS, Budget(OPTIONS)
        )
        answers.append((result.values.tolist(), result.present.tolist()))
    assert answers[0] == answers[1]
