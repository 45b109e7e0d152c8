"""Queries made to take all memory or time: each ends in an error that says why."""

from __future__ import annotations

import numpy as np
import pytest

from trimon.model.labels import labels_of
from trimon.model.matcher import Matcher, MatchType, watched
from trimon.model.table import LabelTable
from trimon.query.conformance.memory import MemoryStore
from trimon.query.engine import instant, range_
from trimon.query.execution.budget import Budget
from trimon.query.execution.labelhash import label_hashes
from trimon.query.language.errors import QueryError
from trimon.query.language.options import ALL_LANGUAGE_FEATURES, QueryOptions
from trimon.storage.head.matching import codes_matching

SMALL = QueryOptions(bytes_max=1 << 20)


def many() -> MemoryStore:
    """Two hundred series of which no two samples are equal."""
    store = MemoryStore()
    for index in range(200):
        labels = labels_of({"__name__": "m", "i": str(index)})
        store.extend(labels, [(step * 15_000, index + step / 100) for step in range(20)])
    return store


@pytest.mark.parametrize(
    "query",
    [
        f'label_replace(m, "x", "{"$1" * 2000}", "i", "(.*)")',
        f'label_join(m, "x", "{"y" * 2000}", "i", "i")',
    ],
)
def test_new_label_values_must_fit(query: str) -> None:
    """What label functions write is counted, the copies included that are made of it later."""
    with pytest.raises(
        QueryError, match=r"bytes for values of a label and holds \d+: more than the limit of 1048576"
    ):
        instant(many(), query, 100_000, SMALL, Budget(SMALL))
    plain = QueryOptions()
    assert instant(many(), query, 100_000, plain, Budget(plain)).series == 200


def test_label_functions_look_at_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """A replacement stops between two values when time is up, not when all of them are done."""
    looks = 0

    def check(budget: Budget, where: str = "") -> None:
        nonlocal looks
        looks += 1

    monkeypatch.setattr(Budget, "check", check)
    instant(many(), "m", 100_000, SMALL, Budget(SMALL))
    before = looks
    instant(many(), 'label_replace(m, "x", "$1", "i", "(.*)")', 100_000, SMALL, Budget(SMALL))
    instant(many(), 'label_join(m, "x", "-", "i")', 100_000, SMALL, Budget(SMALL))
    assert looks >= before + 400


def test_count_values_must_fit() -> None:
    """A series for each of thousands of values is refused before it is laid out."""
    with pytest.raises(QueryError, match=r"bytes for the result of count_values and holds"):
        range_(many(), 'count_values("v", m)', 0, 285_000, 15_000, SMALL, Budget(SMALL))


@pytest.mark.parametrize(
    ("reference", "shown"), [("9" * 5000, ""), ("0", "7"), ("00", "7"), ("1", "7"), ("2", "")]
)
def test_references_to_groups_of_any_number(reference: str, shown: str) -> None:
    """A reference to a group that is not there is empty, were its number one of thousands of digits."""
    plain = QueryOptions()
    query = f'label_replace(m{{i="7"}}, "x", "-${reference}", "i", "(.*)")'
    result = instant(many(), query, 100_000, plain, Budget(plain))
    assert dict(result.labels.labels(0))["x"] == f"-{shown}"


def test_natural_order_of_any_digits() -> None:
    """Numbers of thousands of digits and digits of other scripts have a place in natural order."""
    store = MemoryStore()
    values = ["9" * 5000, "8" * 5000, "²", "٣", "b10", "b9", "b09", ""]
    for index, value in enumerate(values):
        store.append(labels_of({"__name__": "m", "i": str(index), "v": value}), 0, 1.0)
    options = QueryOptions(features=ALL_LANGUAGE_FEATURES)
    result = instant(store, 'sort_by_label(m, "v")', 0, options, Budget(options))
    shown = [dict(result.labels.labels(row)).get("v", "") for row in range(result.series)]
    assert shown == ["", "8" * 5000, "9" * 5000, "b09", "b9", "b10", "²", "٣"]


def test_patterns_look_at_the_clock() -> None:
    """A pattern over many label values stops between two of them, and elsewhere nobody is asked."""
    matcher = Matcher("a", MatchType.REGEXP, "x[0-9]+")
    values = [f"x{number}" for number in range(20_000)]
    looks = 0

    def check() -> None:
        nonlocal looks
        looks += 1
        if looks == 3:
            raise QueryError("told so")

    with pytest.raises(QueryError, match="told so"), watched(check):
        matcher.matching(values, len(values))
    assert looks == 3
    assert matcher.matching([*values, "y"], len(values) + 1).tolist() == [True] * len(values) + [False]


def test_storage_stops_while_it_selects() -> None:
    """Codes of a head or a block are compared with a pattern some thousands at a time, and give what each one gives."""
    values = ["", *(f"x{number}" for number in range(20_000))]
    codes = np.array([7, 19_999, 3, 3, 12_345], np.int32)
    every = np.arange(len(values), dtype=np.int32)
    matcher = Matcher("a", MatchType.REGEXP, ".*[0-5]")
    with watched(Budget(QueryOptions(timeout_s=100)).check):
        found = codes_matching(matcher, every, values)
    assert found.tolist() == [matcher.matches(value) for value in values]
    assert codes_matching(matcher, codes, values).tolist() == [False, False, True, True, True]
    with pytest.raises(QueryError, match="timed out"), watched(Budget(QueryOptions(timeout_s=-1)).check):
        codes_matching(matcher, every, values)


def test_hashes_look_at_the_clock() -> None:
    """The hashes of `limit_ratio`, which are computed series by series, stop when time is up."""
    table = LabelTable.of([labels_of({"i": str(number)}) for number in range(3000)])
    assert len(label_hashes(Budget(QueryOptions()), table)) == 3000
    with pytest.raises(QueryError, match="timed out"):
        label_hashes(Budget(QueryOptions(timeout_s=-1)), table)
