"""A recording rule at many times at once beside the same rule at each time alone."""

from __future__ import annotations

import random
from collections.abc import Sequence

import numpy as np
import pytest

from trimon.model.histogram import FloatHistogram
from trimon.model.histogramtext import histogram_text
from trimon.model.labels import Labels, labels_of
from trimon.query import engine
from trimon.query.conformance.memory import MemoryStore
from trimon.query.engine import parse
from trimon.query.execution.budget import Budget
from trimon.query.execution.grid import Grid
from trimon.query.language.errors import QueryError
from trimon.query.language.options import ALL_LANGUAGE_FEATURES, QueryOptions
from trimon.rules.recording import RecordingRule
from trimon.rules.slots import evaluate_slots, is_ranged
from trimon.rules.spec import RecordingSpec

OPTIONS = QueryOptions(features=ALL_LANGUAGE_FEATURES)
GRID = Grid(1_700_000_010_000, 15_000, 40)


def store() -> MemoryStore:
    """Counters and gauges with gaps, series that come and go, a native histogram."""
    rng = random.Random(1)
    here = MemoryStore()
    for number in range(6):
        labels = {"i": str(number), "g": str(number % 2)}
        total, time_ms = 0.0, GRID.start_ms - 20 * GRID.step_ms + rng.randrange(GRID.step_ms)
        for at in range(60):
            time_ms += rng.randrange(10_000, 20_000)
            if rng.random() < 0.2 or (number == 5 and 20 < at < 45):
                continue
            total = 0.0 if rng.random() < 0.05 else total + rng.random()
            here.append(labels_of({"__name__": "c", **labels}), time_ms, total)
            here.append(labels_of({"__name__": "g", **labels}), time_ms, rng.gauss(0, 10))
    for at in range(30):
        histogram = FloatHistogram(count=2.0 + at, sum=3.0, zero_count=2.0 + at)
        here.append(labels_of({"__name__": "n"}), GRID.start_ms + at * GRID.step_ms, histogram)
    return here


EXPRESSIONS = (
    "rate(c[1m])",
    "max_over_time(g[45s])",
    "sum by (g) (c) / on (g) count by (g) (g)",
    "topk(2, g)",
    "absent(c{i='5'})",
    "c * on (g) g",
    "{__name__=~'c|g'} + 1",
    "rate({__name__=~'c|g', i='0'}[1m])",
    "max_over_time(rate(c[1m])[2m:20s])",
    "c smoothed",
    "c @ 1700000200",
    "c @ end()",
    "limitk(2, c)",
    "vector(step())",
    "rate(c[max_of(step(), 1m)])",
    "time()",
    "count_values('v', round(g))",
    "c[1m]",
    "'text'",
    "n",
    "n or c",
)


def cells(rule: RecordingRule, here: MemoryStore, limit: int) -> list[dict[Labels, object] | str]:
    """At each time alone: the samples by series, or the error."""
    out: list[dict[Labels, object] | str] = []
    for time_ms in GRID.times_ms().tolist():
        try:
            found = rule.evaluate(here, time_ms, OPTIONS, Budget(OPTIONS), limit)
        except QueryError as error:
            out.append(str(error))
            continue
        native = [None] * len(found.values) if found.histograms is None else found.histograms.tolist()
        out.append(
            {
                found.labels.labels(row): pytest.approx(value, rel=1e-9, nan_ok=True)
                if cell is None
                else histogram_text(cell)
                for row, (cell, value) in enumerate(zip(native, found.values.tolist(), strict=True))
            }
        )
    return out


@pytest.mark.parametrize("limit", [0, 5])
@pytest.mark.parametrize("labels", [(), (("i", ""), ("team", "x"))])
@pytest.mark.parametrize("expr", EXPRESSIONS)
def test_all_times_at_once_are_each_time_alone(
    expr: str, labels: tuple[tuple[str, str], ...], limit: int
) -> None:
    """Samples, series that become one by the rule's labels, limits and errors are those of evaluations one by one."""
    here, rule = store(), RecordingRule(RecordingSpec("r", expr, labels), OPTIONS)
    found = rule.over(here, GRID, OPTIONS, Budget(OPTIONS), limit)
    for place, expected in enumerate(cells(rule, here, limit)):
        if isinstance(expected, str):
            assert found.failures[place] == expected
            assert not found.present[:, place].any()
            continue
        assert place not in found.failures
        rows = np.flatnonzero(found.present[:, place]).tolist()
        native = [None if found.histograms is None else found.histograms[row, place] for row in rows]
        shown = {
            found.labels.labels(row): float(found.values[row, place])
            if cell is None
            else histogram_text(cell)
            for row, cell in zip(rows, native, strict=True)
        }
        assert shown == expected


@pytest.mark.parametrize(
    ("expr", "expected"),
    [
        ("rate(c[5m] offset 1m) > 3", True),
        ("c @ 17", True),
        ("sum(c @ start())", False),
        ("max_over_time(c[5m:1m] @ end())", False),
        ("limitk(1, c)", False),
        ("c + vector(range())", False),
        ("rate(c[5m + step()])", False),
        ("c offset -range()", False),
        ("max_over_time(c[5m:min_of(step(), 1m)])", False),
        ("rate(c[5m + 1m])", True),
    ],
)
def test_which_expressions_are_one_range_query(expr: str, expected: bool) -> None:
    """Those are not that ask about the query itself, or depend on the order of what is stored."""
    assert is_ranged(parse(expr, OPTIONS)) is expected


def test_a_query_that_needs_too_much_is_done_in_parts() -> None:
    """What does not fit into the samples of one query is evaluated over shorter ranges, with the same result."""
    here, rule = store(), RecordingRule(RecordingSpec("r", "rate(c[1m])"), OPTIONS)
    whole = rule.over(here, GRID, OPTIONS, Budget(OPTIONS))
    small = QueryOptions(features=ALL_LANGUAGE_FEATURES, samples_max=100)
    parts = rule.over(here, GRID, small, Budget(small))
    assert not parts.failures
    assert np.array_equal(parts.present.sum(axis=0), whole.present.sum(axis=0))
    assert np.nansum(np.where(parts.present, parts.values, 0)) == pytest.approx(
        np.nansum(np.where(whole.present, whole.values, 0))
    )


@pytest.mark.parametrize("expr", ["m", "m > 1e300", "rate(m[30s])", "1 + m"])
@pytest.mark.parametrize("seen", [range(30, 33), range(3), range(37, 40), ()])
def test_samples_in_a_part_of_the_time_keep_their_places(
    expr: str, seen: Sequence[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where only the part of the time with samples is evaluated, its values stand at their times all the same."""
    here = MemoryStore()
    for place in seen:
        here.append(labels_of({"__name__": "m"}), GRID.start_ms + place * GRID.step_ms, float(place))
    wanted = evaluate_slots(here, expr, GRID, OPTIONS, Budget(OPTIONS))
    monkeypatch.setattr(engine, "WHOLE_BYTES", 0)
    found = evaluate_slots(here, expr, GRID, OPTIONS, Budget(OPTIONS))
    assert found.present.shape[1] == wanted.present.shape[1] == GRID.count
    assert [found.labels.labels(row) for row in range(found.labels.rows)] == [
        wanted.labels.labels(row) for row in range(wanted.labels.rows)
    ] or not wanted.present.any()
    assert found.present.sum() == wanted.present.sum()
    assert found.values[found.present].tolist() == wanted.values[wanted.present].tolist()
    assert np.nonzero(found.present)[1].tolist() == np.nonzero(wanted.present)[1].tolist()
