"""The same samples and queries in a real Prometheus (2.42) and in the engine.

Differences between Prometheus 2 and 3 that are kept out of the comparison, by name:

- left-open windows: 2.x counts a sample exactly at the left edge; no sample and no subquery step lies on one here;
- extrapolation to zero: 2.x looks further back than half an interval when a counter would only then be 0; `rate`
  and `increase` see only counters without gaps here, and windows that begin after the first sample;
- classic histogram quantiles of a first bucket, `avg` near overflow, `limitk` and other later functions;
- `fill`, `anchored`, `smoothed`, duration arithmetic: syntax of 3.x;
- the deviation of a group that holds NaN or an infinity alone: 0 in 2.x, NaN in 3.x;
- the deviation of numbers far from zero, such as timestamps: Welford's recurrence loses digits that we keep;
- annotations: 2.42 has none for floats;
- compensated sums: 2.42 sums without compensation in `sum` and `avg`; answers are compared to 1e-9;
- `holt_winters` is `double_exponential_smoothing` in 3.x.
"""

from __future__ import annotations

import math
import random
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.support.peer_prometheus import PROMETHEUS, PROMTOOL, ask, running
from tests.support.seeds import new_seed
from trimon.errors import TrimonError
from trimon.model.labels import labels_of
from trimon.query.answer.json import render_data
from trimon.query.conformance.memory import MemoryStore
from trimon.query.engine import instant, range_
from trimon.query.execution.budget import Budget
from trimon.query.language.options import EXPERIMENTAL_FUNCTIONS, QueryOptions

pytestmark = [
    pytest.mark.peer,
    pytest.mark.skipif(
        PROMETHEUS is None or PROMTOOL is None, reason="no prometheus and promtool on this machine"
    ),
]
OPTIONS = QueryOptions(features=frozenset({EXPERIMENTAL_FUNCTIONS}))
BASE_MS = 1_700_000_000_000
QUERIES = 400


def samples() -> MemoryStore:
    """Counters with resets, gauges with gaps, NaN and infinities, histograms; no time is a whole second."""
    rng = random.Random(3)
    store = MemoryStore()
    for job in ("api", "db"):
        for instance in ("1", "2", "3"):
            base = {"job": job, "instance": instance}
            shift = rng.randint(1, 900)
            times = [BASE_MS + shift + k * 15_000 + 7 for k in range(480)]
            total = 0.0
            counter = []
            for t in times:
                total = 0.0 if rng.random() < 0.02 else total + rng.randint(0, 20) * 0.25
                counter.append((t, total))
            store.extend(labels_of({"__name__": "req_total", **base}), counter)
            store.extend(
                labels_of({"__name__": "gauge", "mode": rng.choice("ab"), **base}),
                [(t, rng.gauss(0, 10)) for t in times if rng.random() < 0.6],
            )
            store.extend(
                labels_of({"__name__": "odd", **base}),
                [(t, rng.choice((1.5, math.inf, -math.inf, math.nan, 0.0, -3.0))) for t in times[::3]],
            )
            store.extend(
                labels_of({"__name__": "info", "version": f"v{instance}", **base}), [(t, 1.0) for t in times]
            )
        counts = [0.0] * 4
        for t in range(480):
            for index in range(4):
                counts[index] += rng.randint(0, 3) + (counts[index - 1] - counts[index] > 0 if index else 0)
            running_total = 0.0
            for le, value in zip(("0.1", "0.5", "1", "+Inf"), counts, strict=True):
                running_total += value
                bucket = labels_of({"__name__": "lat_bucket", "job": job, "le": le})
                store.append(bucket, BASE_MS + 13 + t * 15_000, running_total)
    return store


WINDOWS = (
    "rate", "increase", "delta", "irate", "idelta", "changes", "resets", "deriv", "avg_over_time",
    "sum_over_time", "min_over_time", "max_over_time", "count_over_time", "last_over_time",
    "present_over_time", "stddev_over_time", "stdvar_over_time",
)  # fmt: skip
SMOOTH = ("abs", "sqrt", "ln", "log2", "log10", "atan")
# A digit lost before one of these is a whole one after it: they see selectors only.
STEPPED = (
    "ceil",
    "floor",
    "sgn",
    "round",
    "day_of_week",
    "hour",
    "minute",
    "month",
    "year",
    "timestamp",
    "sin",
    "cos",
)
RANGES = ("1m", "95s", "5m", "17m")
AGGREGATIONS = ["sum", "avg", "min", "max", "count", "group", "stddev", "stdvar"]
# What may give NaN, infinities or large numbers, of which deviations differ.
NO_DEVIATION = ("odd", "timestamp", "sqrt", "ln(", "log2", "log10", " / ")


class Writer:
    """Writes queries that mean the same in both."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)

    def selector(self) -> str:
        name = self.rng.choice(("req_total", "gauge", "odd", "lat_bucket", "info"))
        matcher = self.rng.choice(("", "", '{job="api"}', '{instance=~"1|2"}', '{job!="api"}', '{mode=""}'))
        return name + matcher

    def offset(self) -> str:
        return self.rng.choice(
            ("", "", "", " offset 3m", " offset -2m", f" @ {BASE_MS / 1000 + 5001.2:.1f}", " @ end()")
        )

    def vector(self, depth: int) -> str:
        pick = self.rng.random()
        if depth <= 0:
            return self.selector() + self.offset()
        if pick < 0.3:
            function = self.rng.choice(WINDOWS)
            counter = self.rng.choice(("req_total", 'lat_bucket{le="1"}'))
            selector = counter if function in ("rate", "increase") else self.selector()
            return f"{function}({selector}[{self.rng.choice(RANGES)}]{self.offset()})"
        if pick < 0.35:
            return (
                f"quantile_over_time({self.rng.random():.2f}, {self.selector()}[{self.rng.choice(RANGES)}])"
            )
        if pick < 0.4:
            return f"predict_linear({self.selector()}[{self.rng.choice(RANGES)}], 600)"
        if pick < 0.5:
            inner = self.vector(depth - 1)
            return f"{self.rng.choice(WINDOWS[8:13])}(({inner})[{self.rng.choice(RANGES)}:47s])"
        if pick < 0.55:
            return f"{self.rng.choice(SMOOTH)}({self.vector(depth - 1)})"
        if pick < 0.6:
            return f"{self.rng.choice(STEPPED)}({self.selector()}{self.offset()})"
        if pick < 0.78:
            clause = self.rng.choice(
                ("", " by (job)", " without (instance)", " by (instance, mode)", " by (le)")
            )
            inner = self.vector(depth - 1)
            plain = not any(word in inner for word in NO_DEVIATION)
            operations = [op for op in AGGREGATIONS if plain or not op.startswith("std")]
            return f"{self.rng.choice(operations)}{clause} ({inner})"
        if pick < 0.82:
            return f"quantile by (job) ({self.rng.random():.2f}, {self.vector(depth - 1)})"
        if pick < 0.86:
            return f'label_replace({self.vector(depth - 1)}, "dst", "$1-x", "job", "(.).*")'
        return self.binary(depth)

    def binary(self, depth: int) -> str:
        op = self.rng.choice(("+", "-", "*", "/", "and", "or", "unless"))
        left = self.vector(depth - 1)
        if op not in ("and", "or", "unless") and self.rng.random() < 0.4:
            op = self.rng.choice((op, ">", "<=", "!=", "> bool"))
            return f"({left} {op} {self.rng.choice(('2.0137', '0.5091', '-1.0171'))})"
        clause = self.rng.choice(("", " on (job, instance)", " ignoring (mode, le)", " on (instance)"))
        if clause and op not in ("and", "or", "unless") and self.rng.random() < 0.4:
            clause += " group_left ()"
        return f"({left} {op}{clause} {self.vector(depth - 1)})"


@pytest.fixture(scope="module")
def peer() -> Iterator[tuple[str, MemoryStore]]:
    """A running Prometheus and the store with the same samples."""
    store = samples()
    with tempfile.TemporaryDirectory() as folder, running(store, Path(folder)) as url:
        yield url, store


def close(left: str, right: str) -> bool:
    """Equal to nine digits."""
    a, b = float(left), float(right)
    if math.isnan(a) or math.isnan(b):
        return math.isnan(a) and math.isnan(b)
    return a == b or math.isclose(a, b, rel_tol=1e-9, abs_tol=1e-9)


def shaped(data: dict[str, Any]) -> dict[str, list[Any]]:
    """The result by series."""
    if data["resultType"] in ("scalar", "string"):
        return {"": [data["result"]]}
    return {
        orjson.dumps(item["metric"], option=orjson.OPT_SORT_KEYS).decode(): item.get("values")
        or [item["value"]]
        for item in data["result"]
    }


def compare(query: str, theirs: dict[str, Any], mine: bytes | TrimonError) -> None:
    """Both fail, or both give the same series, times and values."""
    if isinstance(mine, TrimonError) or theirs["status"] == "error":
        assert isinstance(mine, TrimonError), f"{query}: Prometheus says {theirs['error']}"
        assert theirs["status"] == "error", f"{query}: only the engine fails: {mine}"
        return
    expected, got = shaped(theirs["data"]), shaped(orjson.loads(mine))
    assert got.keys() == expected.keys(), f"{query}: {sorted(got)} instead of {sorted(expected)}"
    for metric, points in expected.items():
        assert [t for t, _ in got[metric]] == [t for t, _ in points], f"{query} {metric}: other times"
        for (at, wanted), (_, value) in zip(points, got[metric], strict=True):
            assert close(wanted, value), f"{query} {metric} at {at}: {value} instead of {wanted}"


def test_generated_queries(peer: tuple[str, MemoryStore]) -> None:
    """Generated queries, at one time and over a range, give what Prometheus gives, to nine digits."""
    url, store = peer
    seed = new_seed()
    failures = 0
    for index in range(QUERIES):
        query = Writer(seed + index).vector(3)
        start, step = BASE_MS + 4_800_500, 37_000
        end = start + 40 * step
        theirs = ask(url, "query_range", query=query, start=start / 1000, end=end / 1000, step=step / 1000)
        mine: bytes | TrimonError
        try:
            mine = render_data(range_(store, query, start, end, step, OPTIONS, Budget(OPTIONS)))
        except TrimonError as error:
            mine = error
        failures += isinstance(mine, TrimonError)
        compare(query, theirs, mine)
        at = BASE_MS + 5_500_500
        theirs = ask(url, "query", query=query, time=at / 1000)
        try:
            mine = render_data(instant(store, query, at, OPTIONS, Budget(OPTIONS)))
        except TrimonError as error:
            mine = error
        compare(query, theirs, mine)
    assert failures < QUERIES / 2


HANDWRITTEN = [
    "histogram_quantile(0.9, sum by (le, job) (rate(lat_bucket[5m])))",
    "histogram_quantile(0.5, lat_bucket)",
    "topk(2, req_total)",
    "bottomk by (job) (1, gauge)",
    'count_values("v", floor(gauge / 10))',
    'absent(nope{a="b"})',
    "absent_over_time(gauge[1s])",
    "sum(rate(req_total[5m])) / sum(rate(req_total[5m] offset 10m))",
    "gauge * on (job, instance) group_left (version) info",
    "scalar(sum(gauge)) + 1",
    "vector(time()) - time()",
    "clamp(gauge, -1, 1)",
    "clamp_max(clamp_min(gauge, -1), 1)",
    "max_over_time(sum(rate(req_total[1m]))[10m:30s])",
    "-gauge ^ 2",
    "1 + 2 * 3 ^ 2 ^ 0.5",
    "gauge > bool 0",
    "sort_desc(gauge)",
    'label_join(gauge, "j", "/", "job", "instance")',
    "days_in_month(timestamp(gauge))",
    "req_total[1m]",
    "avg without (instance) (odd)",
    "odd % 2",
]


@pytest.mark.parametrize("query", HANDWRITTEN)
def test_query(peer: tuple[str, MemoryStore], query: str) -> None:
    """A query that the generator does not write gives what Prometheus gives."""
    url, store = peer
    at = BASE_MS + 5_500_500
    theirs = ask(url, "query", query=query, time=at / 1000)
    assert theirs["status"] == "success"
    compare(query, theirs, render_data(instant(store, query, at, OPTIONS, Budget(OPTIONS))))
    if "[1m]" in query and "(" not in query:
        return
    start, step = BASE_MS + 4_800_500, 37_000
    theirs = ask(
        url, "query_range", query=query, start=start / 1000, end=start / 1000 + 400, step=step / 1000
    )
    compare(
        query,
        theirs,
        render_data(range_(store, query, start, start + 400_000, step, OPTIONS, Budget(OPTIONS))),
    )


COUNTED = (
    "req_total", "rate(req_total[5m])", "sum(rate(req_total[5m]))", "req_total @ end()", "req_total[5m]",
    "max_over_time(rate(req_total[1m])[10m:30s])", "max_over_time(req_total[10m:30s])", "req_total + gauge",
    "sum(rate(req_total[5m] @ end()))", "absent_over_time(req_total[5m])", "vector(1)",
)  # fmt: skip


@pytest.mark.parametrize("query", COUNTED)
def test_samples_are_counted_alike(peer: tuple[str, MemoryStore], query: str) -> None:
    """`totalQueryableSamples` is Prometheus' number."""
    url, store = peer
    start, step = BASE_MS + 4_800_500, 37_000
    theirs = ask(url, "query", query=query, time=start / 1000, stats="all")
    mine = instant(store, query, start, OPTIONS, Budget(OPTIONS)).stats
    assert mine.samples_total == theirs["data"]["stats"]["samples"]["totalQueryableSamples"]
    if query.endswith("m]"):
        return
    end = start + 20 * step
    theirs = ask(
        url, "query_range", query=query, start=start / 1000, end=end / 1000, step=step / 1000, stats="all"
    )
    mine = range_(store, query, start, end, step, OPTIONS, Budget(OPTIONS)).stats
    assert mine.samples_total == theirs["data"]["stats"]["samples"]["totalQueryableSamples"]
