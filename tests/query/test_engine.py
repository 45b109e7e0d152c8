"""The door: budgets, cancelling, results, statistics, plans, JSON."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import orjson
import pytest

from tests.support.promql_data import odd_store
from trimon.limits import QUERY_DEPTH_MAX
from trimon.memory.texts import TextCache
from trimon.model.labels import labels_of
from trimon.model.sample import STALE_NAN
from trimon.query import engine
from trimon.query.answer.json import render_data
from trimon.query.answer.jsonlabels import format_label_sets
from trimon.query.answer.jsonnumbers import format_times, format_values
from trimon.query.answer.statsdata import stats_data
from trimon.query.conformance.memory import MemoryStore
from trimon.query.engine import format_query, instant, range_
from trimon.query.execution.annotations import limited
from trimon.query.execution.budget import Budget
from trimon.query.explain import explain
from trimon.query.language import selectors
from trimon.query.language.errors import FailureKind, ParseError, QueryError
from trimon.query.language.options import ALL_LANGUAGE_FEATURES, DELAYED_NAME_REMOVAL, QueryOptions

PLAIN = QueryOptions()


def ramp(series: int = 3, steps: int = 20) -> MemoryStore:
    """`m{i}` with value i * step every 15 s."""
    store = MemoryStore()
    for index in range(series):
        samples = [(k * 15_000, float(index * k)) for k in range(steps)]
        store.extend(labels_of({"__name__": "m", "i": str(index)}), samples)
    return store


def test_too_many_samples() -> None:
    """A query whose results do not fit the sample limit fails with Prometheus' text, and says how far it got."""
    options = QueryOptions(samples_max=50)
    with pytest.raises(QueryError) as caught:
        range_(ramp(), "m", 0, 285_000, 15_000, options, Budget(options))
    assert str(caught.value) == "query processing would load too many samples into memory in query execution"
    assert caught.value.kind is FailureKind.EXECUTION
    assert caught.value.samples == 60
    assert range_(ramp(), "sum(m)", 0, 60_000, 15_000, options, Budget(options)).series == 1


def test_too_many_bytes() -> None:
    """What would need more memory than the query may use is refused before it is read."""
    options = QueryOptions(bytes_max=100)
    with pytest.raises(QueryError, match="more than the limit of 100"):
        instant(ramp(), "m", 60_000, options, Budget(options))


def test_timeout() -> None:
    """After its time a query fails with Prometheus' text."""
    options = QueryOptions(timeout_s=-1)
    with pytest.raises(QueryError, match="query timed out in ") as caught:
        instant(ramp(), "m", 60_000, options, Budget(options))
    assert caught.value.kind is FailureKind.TIMEOUT


def test_cancel_from_another_thread() -> None:
    """A canceled query stops at its next operator."""
    budget = Budget(PLAIN)
    thread = threading.Thread(target=budget.cancel)
    thread.start()
    thread.join()
    with pytest.raises(QueryError, match="query was canceled in ") as caught:
        instant(ramp(), "sum(m)", 60_000, PLAIN, budget)
    assert caught.value.kind is FailureKind.CANCELED


def test_result_types() -> None:
    """Each type of expression gives the result type of the API; a range query gives a matrix."""
    store = ramp()
    kinds = {"m": "vector", "m[1m]": "matrix", "1": "scalar", '"x"': "string"}
    for query, kind in kinds.items():
        assert instant(store, query, 60_000, PLAIN, Budget(PLAIN)).type == kind
    assert range_(store, "1", 0, 30_000, 15_000, PLAIN, Budget(PLAIN)).type == "matrix"


def test_the_zeros_are_counted_apart() -> None:
    """count_values counts by the text of values: 0 and -0 are two."""
    store = MemoryStore()
    for number, value in enumerate((-0.0, 0.0, -0.0, 3.0)):
        store.append(labels_of({"__name__": "m", "n": str(number)}), 0, value)
    for query, shown in (('count_values("v", m)', [2, 1, 1]), ('count_values("v", m{n=~"0|2"})', [2])):
        result = instant(store, query, 0, PLAIN, Budget(PLAIN))
        counts = {result.labels.labels(row)[0][1]: result.values[row, 0] for row in range(result.series)}
        assert counts == dict(zip(("-0", "0", "3"), shown, strict=False))


def test_matrix_is_sorted_by_labels() -> None:
    """A matrix comes in the order of label sets: by name and value, a shorter set first."""
    store = MemoryStore()
    sets = [{"b": "1"}, {"a": "2"}, {"a": "1", "b": "1"}, {"a": "1"}, {}, {"a": "10"}]
    for labels in sets:
        store.append(labels_of({"__name__": "m", **labels}), 0, 1.0)
    result = range_(store, "m", 0, 0, 1000, PLAIN, Budget(PLAIN))
    shown = [result.labels.labels(row) for row in range(result.series)]
    assert shown == sorted(shown)
    assert len(shown) == len(sets)


def test_json_of_every_type() -> None:
    """The `data` member has the shapes and number formats of the API."""
    store = ramp(2)
    store.append(labels_of({"__name__": "odd", "l": 'a"\n'}), 1500, float("inf"))

    def data(query: str, time_ms: int = 60_500) -> Any:
        return orjson.loads(render_data(instant(store, query, time_ms, PLAIN, Budget(PLAIN))))

    assert data('m{i="1"}') == {
        "resultType": "vector",
        "result": [{"metric": {"__name__": "m", "i": "1"}, "value": [60.5, "4"]}],
    }
    assert data('m{i="1"}[30s]') == {
        "resultType": "matrix",
        "result": [{"metric": {"__name__": "m", "i": "1"}, "values": [[45, "3"], [60, "4"]]}],
    }
    assert data("1e-7") == {"resultType": "scalar", "result": [60.5, "0.0000001"]}
    assert data('"x"') == {"resultType": "string", "result": [60.5, "x"]}
    assert data("vector(1e-7)") == {
        "resultType": "vector",
        "result": [{"metric": {}, "value": [60.5, "1e-07"]}],
    }
    assert data("odd")["result"] == [{"metric": {"__name__": "odd", "l": 'a"\n'}, "value": [60.5, "+Inf"]}]
    ranged = range_(store, "m > 2", 0, 60_000, 15_000, PLAIN, Budget(PLAIN))
    assert orjson.loads(render_data(ranged))["result"] == [
        {"metric": {"__name__": "m", "i": "1"}, "values": [[45, "3"], [60, "4"]]}
    ]
    assert b"[60.500," in render_data(instant(store, "m", 60_500, PLAIN, Budget(PLAIN)))


def test_number_formats() -> None:
    """Numbers are the shortest that read back; exponents only below 1e-6 and from 1e21."""
    values = [
        0.0,
        -0.0,
        1.0,
        1e-6,
        9e-7,
        1.5e-5,
        1e20,
        1e21,
        0.1,
        -2.5,
        1e16,
        123456789.5,
        float("nan"),
        5e-324,
    ]
    assert format_values(np.array(values)) == [
        "0", "-0", "1", "0.000001", "9e-07", "0.000015", "100000000000000000000", "1e+21", "0.1", "-2.5",
        "10000000000000000", "123456789.5", "NaN", "5e-324",
    ]  # fmt: skip
    assert format_times(np.array([0, 1, 1000, 1500, -500])) == ["0", "0.001", "1", "1.500", "-0.500"]


def test_label_sets_as_json() -> None:
    """Labels become objects in the order of their names, without the empty ones."""
    store = odd_store()
    result = instant(store, '{instance=~".+"} or {le=~".+"}', 600_000, PLAIN, Budget(PLAIN))
    for row, text in enumerate(format_label_sets(result.labels)):
        assert orjson.loads(text) == dict(result.labels.labels(row))


def test_limited_result() -> None:
    """A limit cuts series and says so; scalars are not cut."""
    result = instant(ramp(5), "m", 60_000, PLAIN, Budget(PLAIN))
    cut, truncated = result.limited(2)
    assert (cut.series, truncated) == (2, True)
    assert result.limited(5) == (result, False)
    matrix, truncated = instant(ramp(5), "m[1m]", 60_000, PLAIN, Budget(PLAIN)).limited(1)
    assert (matrix.series, truncated, len(matrix.flat().values)) == (1, True, 4)


def test_explain_reads_nothing() -> None:
    """A plan shows what would be read; only analyze runs it and shows what it cost."""
    store = ramp()
    planned = explain(store, "sum by (i) (rate(m[5m]))", 0, 285_000, 15_000, PLAIN)
    text = "\n".join(planned.lines())
    assert "aggregate sum by (i)" in text
    assert "at most 3 series, 60 samples" in text
    assert " ms, " not in text
    analyzed = explain(store, "sum by (i) (rate(m[5m]))", 0, 285_000, 15_000, PLAIN, analyze=True)
    assert analyzed.actual is not None
    assert analyzed.actual.series == 3
    assert analyzed.data()["children"][0]["actual"]["samples"] == 57


def test_statistics() -> None:
    """Statistics count the samples that selectors looked at, per step and in all."""
    result = range_(ramp(), "rate(m[1m])", 60_000, 120_000, 15_000, PLAIN, Budget(PLAIN))
    data = stats_data(result.stats, range(60_000, 120_001, 15_000))
    samples, timings = data["samples"], data["timings"]
    assert isinstance(samples, dict)
    assert isinstance(timings, dict)
    assert samples["totalQueryableSamples"] == 5 * 3 * 4
    assert samples["totalQueryableSamplesPerStep"][0] == [60, 12]
    assert samples["peakSamples"] >= 15
    assert timings["execTotalTime"] > 0


def test_selectors_share_what_they_read() -> None:
    """The same series at nearly the same times are read once; far apart they are read apart."""
    store = ramp()

    def sources(query: str) -> int:
        from trimon.query.engine import plan_query
        from trimon.query.execution.grid import Grid

        _, planner, _ = plan_query(query, Grid.between(0, 285_000, 15_000), PLAIN, ranged=True)
        return sum(map(len, planner.sources.values()))

    assert sources("m / (m + m offset 1m)") == 1
    assert sources("m - m offset 7d") == 2
    assert sources('m + ignoring(i) group_left sum(m{i="1"})') == 2
    shared = range_(store, "m - m offset 1m", 120_000, 285_000, 15_000, PLAIN, Budget(PLAIN))
    assert shared.values.min() == 0.0
    assert shared.values.max() == 8.0


def test_names_are_dropped_at_once_or_at_the_end() -> None:
    """Without delayed name removal two metrics collide inside a query; with it only their results may."""
    store = MemoryStore()
    for name in ("a_total", "b_total"):
        store.extend(labels_of({"__name__": name}), [(k * 15_000, float(k)) for k in range(20)])
    query = 'sum by (__name__) (rate({__name__=~".*_total"}[1m]))'
    with pytest.raises(QueryError, match="vector cannot contain metrics with the same labelset"):
        instant(store, query, 120_000, PLAIN, Budget(PLAIN))
    delayed = QueryOptions(features=frozenset({DELAYED_NAME_REMOVAL}))
    with pytest.raises(QueryError, match="vector cannot contain metrics with the same labelset"):
        instant(store, query, 120_000, delayed, Budget(delayed))
    kept = f'label_replace({query}, "name", "$1", "__name__", "(.*)")'
    assert instant(store, kept, 120_000, delayed, Budget(delayed)).series == 2


def test_annotations_have_positions_and_a_limit() -> None:
    """A warning ends with line and column of what it is about; the API shows ten and counts the rest."""
    result = instant(ramp(), "sum(rate(m[1m])) +\n  quantile(2, m)", 120_000, PLAIN, Budget(PLAIN))
    assert result.warnings == ("PromQL warning: quantile value should be between 0 and 1, got 2 (2:12)",)
    (info,) = result.infos
    suffixes = "_total/_sum/_count/_bucket"
    assert info == f'PromQL info: metric might not be a counter, name does not end in {suffixes}: "m" (1:10)'
    many = tuple(str(index) for index in range(12))
    assert limited(many, "warning") == [*many[:10], "2 more warning annotations omitted"]


def test_a_query_may_have_no_steps_inside() -> None:
    """A subquery whose step is longer than its range may see nothing at all."""
    options = QueryOptions(features=ALL_LANGUAGE_FEATURES)
    assert instant(ramp(), "max_over_time(m[1s:1d])", 60_000, options, Budget(options)).series == 0


def test_rows_of_unequal_length_stay_themselves() -> None:
    """Series that are sorted by length on the way keep their own samples.

    Three rows whose order by length is 0, 3, 2 look contiguous from their ends alone.
    """
    store = MemoryStore()
    samples = {"0": [2, 3], "1": [2], "2": [1], "3": [0, 15_000]}
    for name, times in samples.items():
        row = [(t, STALE_NAN if at else float(name)) for at, t in enumerate(times)]
        store.extend(labels_of({"__name__": "m", "i": name}), row)
    result = range_(store, "last_over_time(m[1s])", 0, 7000, 7000, PLAIN, Budget(PLAIN))
    assert [dict(result.labels.labels(row))["i"] for row in range(result.series)] == ["3"]
    assert result.values[0, 0] == 3.0


def test_the_deepest_query_runs_in_a_thread() -> None:
    """A query as deep as the parser allows is evaluated and printed in a thread, where stacks are small."""
    depth = QUERY_DEPTH_MAX // 2 - 5
    queries = ["abs(" * depth + "m" + ")" * depth, "-" * depth + "m", "m" + " + m" * depth]
    outcome: list[int] = []

    def work() -> None:
        for query in queries:
            outcome.append(instant(ramp(), query, 60_000, PLAIN, Budget(PLAIN)).series)
            format_query(query, PLAIN)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert outcome == [3, 3, 3]


def test_a_range_query_of_a_range_vector_is_refused() -> None:
    """Only scalars and instant vectors can be evaluated over a range; the error has no position."""
    with pytest.raises(ParseError) as caught:
        range_(ramp(), "m[1m]", 0, 1000, 1000, PLAIN, Budget(PLAIN))
    expected = 'invalid expression type "range vector" for range query, must be Scalar or instant Vector'
    assert caught.value.message == expected
    assert caught.value.position.line == 0


def test_what_is_remembered_of_texts_is_bounded_by_their_length() -> None:
    """However long the texts of queries and selectors are, they keep the same number of characters; or none."""
    for number in range(200):
        engine.parse("+".join(["up"] * 500 + [str(number)]), PLAIN)
        selectors.parse_selector("{" + ",".join(f'a{place}="{number}"' for place in range(200)) + "}")
    caches: list[TextCache[Any]] = [*engine._parsed.values(), selectors._parsed]
    assert all(0 < cache.characters <= 128 * 1024 for cache in caches if len(cache))
    assert engine.parse("up + 1", PLAIN) is engine.parse("up + 1", PLAIN)
    engine.forget_texts()
    assert not any(len(cache) for cache in caches)
