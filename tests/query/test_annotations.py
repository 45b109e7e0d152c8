"""Warnings and infos beside results, and the counts of samples: as 3.14 gives them."""

from __future__ import annotations

import math

import pytest

from trimon.model.labels import labels_of
from trimon.query.answer.result import QueryResult
from trimon.query.conformance.memory import MemoryStore
from trimon.query.engine import instant, range_
from trimon.query.execution.annotations import limited
from trimon.query.execution.budget import Budget
from trimon.query.language.options import ALL_LANGUAGE_FEATURES, DELAYED_NAME_REMOVAL, QueryOptions

AT_ONCE = QueryOptions(features=ALL_LANGUAGE_FEATURES - {DELAYED_NAME_REMOVAL})
DELAYED = QueryOptions(features=ALL_LANGUAGE_FEATURES)
NAN = math.nan


def world() -> MemoryStore:
    """Two gauges over ten minutes, buckets without a bound, and classic histograms with NaN among their counts."""
    store = MemoryStore()
    for index in range(2):
        samples = [(step * 60_000, float(step * index)) for step in range(11)]
        store.extend(labels_of({"__name__": "g", "i": str(index)}), samples)
    for bound in ("x", ""):
        store.extend(labels_of({"__name__": "bad_bucket", "le": bound}), [(600_000, 1.0)])
    for name, counts in (
        ("nan", (440.0, NAN, 440.0)),
        ("first", (NAN, 1.0, 2.0)),
        ("last", (1.0, 2.0, NAN)),
        ("all", (NAN, NAN, NAN)),
        ("none", (10.0, 20.0, 40.0)),
    ):
        for bound, count in zip(("1", "2", "+Inf"), counts, strict=True):
            store.extend(labels_of({"__name__": "h_bucket", "h": name, "le": bound}), [(600_000, count)])
    return store


def at(query: str, options: QueryOptions = AT_ONCE) -> QueryResult:
    """The query ten minutes in."""
    return instant(world(), query, 600_000, options, Budget(options))


def over(query: str) -> QueryResult:
    """The query over the ten minutes."""
    return range_(world(), query, 0, 600_000, 60_000, AT_ONCE, Budget(AT_ONCE))


@pytest.mark.parametrize(
    ("name", "quantile", "wanted"),
    [
        ("nan", 0.5, 2.0),
        ("first", 0.9, 2.0),
        ("last", 0.5, 2.0),
        ("all", 0.9, 2.0),
        ("none", 0.25, 1.0),
        ("none", 0.5, 2.0),
    ],
)
def test_buckets_that_are_no_numbers(name: str, quantile: float, wanted: float) -> None:
    """A NaN among the counts of a classic histogram reaches no rank: the halving search goes on above it."""
    result = at(f'histogram_quantile({quantile}, h_bucket{{h="{name}"}})')
    assert result.values.tolist() == [[wanted]]


@pytest.mark.parametrize(
    "function", ["histogram_quantile(0.5, bad_bucket)", "histogram_fraction(0, 1, bad_bucket)"]
)
def test_buckets_without_a_bound(function: str) -> None:
    """Such a warning names the metric only where names are removed at the end."""
    place = function.index("bad") + 1
    for options, name in ((AT_ONCE, ""), (DELAYED, ' for metric name "bad_bucket"')):
        assert set(at(function, options).warnings) == {
            f'PromQL warning: bucket label "le" is missing or has a malformed value of "{bound}"{name} (1:{place})'
            for bound in ("", "x")
        }


@pytest.mark.parametrize("series", ["nope", "g", "g offset 1y"])
def test_quantiles_out_of_bounds(series: str) -> None:
    """The parameter of `quantile` is warned of, whether or not there is a sample; of a range's the worst."""
    text = "PromQL warning: quantile value should be between 0 and 1, got"
    assert at(f"quantile(1.5, {series})").warnings == (f"{text} 1.5 (1:10)",)
    assert at(f"1 + quantile(NaN, {series})").warnings == (f"{text} NaN (1:14)",)
    assert over(f"quantile(time() / 300, {series})").warnings == (f"{text} 2 (1:10)",)
    assert set(over(f"quantile(time() / 100 - 1, {series})").warnings) == {
        f"{text} 5 (1:10)",
        f"{text} -1 (1:10)",
    }
    assert at(f"quantile(0.5, {series})").warnings == ()


def test_positions() -> None:
    """Notes on a subquery stand at the beginning of the text, on sorting in a range at the call, on others at the argument."""
    counter = (
        'PromQL info: metric might not be a counter, name does not end in _total/_sum/_count/_bucket: "g"'
    )
    assert at("1 + increase(g[5m:1m])").infos == (f"{counter} (1:1)",)
    assert at("1 + increase(g[5m])").infos == (f"{counter} (1:14)",)
    sorting = (
        "PromQL warning: sort is ineffective for range queries since results are always ordered by labels"
    )
    assert over("sum(sort(g))").warnings == (f"{sorting} (1:5)",)
    assert over('sort_by_label(g, "i")').warnings == (f"{sorting} (1:1)",)


@pytest.mark.parametrize(
    ("query", "end_s", "place"),
    [
        ("sort(g)", 240, 1),
        ("sort_desc(g)", 130, 1),
        ("sort(vector(time()))", 180, 1),
        ("max_over_time(sort(g)[10m:1m])", 120, 15),
        ("max_over_time(sort_desc(nope)[10m:1m])", None, 15),
        ('max_over_time(sort_by_label(nope, "a")[10m:1m])', None, 15),
        ('max_over_time(sort_by_label_desc(g, "a")[10m:1m])', None, 15),
        ("max_over_time(sort(g)[1m:1m] offset 20s)", None, 15),
        ("max_over_time(sort(g)[10m:1m] @ 130)", 600, 15),
        ("max_over_time(sort(g)[1m:1m])", 180, 15),
        ("sort(g)", None, 0),
        ("sort(g)", 120, 0),
        ("sort(vector(1))", 600, 0),
        ("sort(g @ 60)", 600, 0),
        ("max_over_time(sort(g)[1m:1m])", None, 0),
        ("max_over_time(sort(g)[1m:1m])", 130, 0),
        ("max_over_time(sort(g)[1m:1m] @ 60)", 600, 0),
        ("max_over_time(sort(g @ 60)[10m:1m])", None, 0),
        ("max_over_time(max_over_time(sort(g)[1m:1m])[1m:1m])", None, 0),
    ],
)
def test_sorting_at_several_times(query: str, end_s: int | None, place: int) -> None:
    """A sort warns where it, or the subquery around it, begins and ends at different times, unless it is fixed by `@`."""
    text = "PromQL warning: sort is ineffective for range queries since results are always ordered by labels"
    if end_s is None:
        result = instant(world(), query, 120_000, AT_ONCE, Budget(AT_ONCE))
    else:
        result = range_(world(), query, 120_000, end_s * 1000, 60_000, AT_ONCE, Budget(AT_ONCE))
    assert result.warnings == ((f"{text} (1:{place})",) if place else ())


@pytest.mark.parametrize(
    ("query", "samples"),
    [
        ("g[5m:1m]", 10),
        ("(g + g)[5m:1m]", 20),
        ("sum(g)[5m:1m]", 10),
        ("vector(1)[5m:1m]", 0),
        ("max_over_time(g[5m:1m])[5m:1m]", 50),
        ("g[5m]", 10),
        ("sum_over_time(g[5m:1m])", 10),
    ],
)
def test_samples_of_a_subquery_alone(query: str, samples: int) -> None:
    """Of a query that is a subquery and no more the samples of its inner steps count, not those of its result."""
    assert at(query).stats.samples_total == samples


def test_names_of_a_subquery_alone() -> None:
    """Names that a function marked are gone from the windows that a query shows."""
    result = at("max_over_time(g[5m:1m])[5m:1m]", DELAYED)
    assert [dict(result.labels.labels(row)) for row in range(2)] == [{"i": "0"}, {"i": "1"}]


_RANGE = "PromQL warning: quantile value should be between 0 and 1, got 2"
_COUNTER = 'PromQL info: metric might not be a counter, name does not end in _total/_sum/_count/_bucket: "g"'


@pytest.mark.parametrize(
    ("query", "warnings", "infos"),
    [
        ("quantile(2, g) + quantile(2, g)", (f"{_RANGE} (1:27)",), ()),
        ("quantile(2, quantile(2, g))", (f"{_RANGE} (1:10)",), ()),
        ("rate(g[5m]) + rate(g[5m])", (), (f"{_COUNTER} (1:20)",)),
        ("rate(g[5m]) + sum(rate(g[5m]))", (), (f"{_COUNTER} (1:24)",)),
        ("rate(g[5m] @ 300) + rate(g[5m])", (), (f"{_COUNTER} (1:26)",)),
        ("rate(g[5m]) + rate(g[5m] @ 300)", (), (f"{_COUNTER} (1:20)",)),
        (
            "quantile(2, g) + quantile(3, g) + quantile(2, g)",
            (f"{_RANGE} (1:44)", f"{_RANGE[:-1]}3 (1:27)"),
            (),
        ),
    ],
)
def test_what_is_said_twice_is_told_of_the_last_place(
    query: str, warnings: tuple[str, ...], infos: tuple[str, ...]
) -> None:
    """Notes that differ in their position alone are one, with the position of the last that was evaluated."""
    for result in (at(query), over(query)):
        assert (result.warnings, result.infos) == (warnings, infos)


def test_the_limit_counts_what_is_left_after_that() -> None:
    """Twelve notes that are each given twice are twelve: ten are shown and two counted."""
    query = " + ".join(f"quantile({value}, g)" for value in [*range(2, 14), *range(2, 14)])
    for result in (at(query), over(query)):
        assert len(result.warnings) == 12
        assert limited(result.warnings, "warning")[10:] == ["2 more warning annotations omitted"]
