"""A rule's results as rows of one scrape group, against a store that keeps books by label set."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimon.model.labels import Labels, labels_of
from trimon.model.rows import Appended, Row
from trimon.model.table import LabelTable
from trimon.query.language.options import QueryOptions
from trimon.rules.recording import Recorded, RecordingRule
from trimon.rules.session import RecordingSession, RuleSession, row_keys
from trimon.rules.spec import RecordingSpec


class Columns:
    """What storage does with rows, in a few lines: a column for a series, stale when it ended."""

    def __init__(self) -> None:
        self.series: list[Labels] = []
        self.granted: set[int] = set()
        self.live: dict[Labels, float] = {}

    def append(self, row: Row | None, refuse: frozenset[Labels] = frozenset()) -> Appended:
        self.live = {}
        if row is None:
            return Appended()
        for column in row.ended.tolist():
            self.granted.remove(column)
        for column, value in zip(row.columns.tolist(), row.values.tolist(), strict=True):
            assert column in self.granted
            self.live[self.series[column]] = value
        given = []
        for labels, value in zip(row.new_series, row.new_values.tolist(), strict=True):
            if labels in refuse:
                given.append(-1)
                continue
            if labels not in self.series:
                self.series.append(labels)
            column = self.series.index(labels)
            self.granted.add(column)
            self.live[labels] = value
            given.append(column)
        return Appended(np.array(given, np.int32), appended=len(self.live))


def session() -> RuleSession:
    return RecordingSession(RecordingRule(RecordingSpec("m", "up"), QueryOptions()), "rules/f/g/0")


def recorded(values: dict[Labels, float]) -> Recorded:
    return Recorded(LabelTable.of(list(values)), np.array(list(values.values()), np.float64))


def series(**labels: str) -> Labels:
    return labels_of({"__name__": "m", **labels})


label_sets = st.builds(
    lambda a, b: labels_of({"__name__": "m", "a": a, "b": b}), st.sampled_from("xyz"), st.sampled_from("xyz")
)
results = st.dictionaries(label_sets, st.floats(allow_nan=False), max_size=6)


@given(st.lists(st.tuples(results, st.sampled_from(["granted", "lost", "unsure", "failed"])), max_size=8))
def test_rows_say_what_the_results_said(steps: list[tuple[dict[Labels, float], str]]) -> None:
    """Whatever comes and goes in whatever order: storage holds exactly the last result, and nothing ends that lives."""
    here, store = session(), Columns()
    for time_ms, (result, fate) in enumerate(steps):
        if fate == "failed":
            here.failed("no")
            continue
        row = here.row(recorded(result), time_ms)
        if fate == "lost":
            here.lost("disk", certain=True)
            continue
        answer = store.append(row)
        if fate == "unsure":
            here.lost("no answer", certain=False)
            store.granted = {store.series.index(labels) for labels in store.live}
            continue
        here.granted(answer)
        assert store.live == result
        assert {store.series[column] for column in store.granted} >= set(result)
        assert here.series == len(result)


def test_the_same_series_again_take_the_fast_path() -> None:
    """Equal label sets in equal order use the very same array of columns, whatever the codes behind them."""
    here, store = session(), Columns()
    result = {series(a="1"): 1.0, series(a="2"): 2.0}
    here.granted(store.append(here.row(recorded(result), 1)))
    first = here.row(recorded(result), 2)
    assert first is not None
    here.granted(store.append(first))
    table = LabelTable.of(list(result))
    recoded = LabelTable(
        2, table.names, (table.columns[0], np.array([3, 1], np.int32)), (table.values[0], ["", "2", "9", "1"])
    )
    second = here.row(Recorded(recoded, np.array([1.0, 2.0])), 3)
    assert second is not None
    assert second.columns is first.columns


def test_a_refused_series_is_offered_again() -> None:
    """A series that storage refused is a new series of the next row too; the others keep their columns."""
    here, store = session(), Columns()
    result = {series(a="1"): 1.0, series(a="2"): 2.0}
    here.granted(store.append(here.row(recorded(result), 1), frozenset({series(a="2")})))
    row = here.row(recorded(result), 2)
    assert row is not None
    assert row.new_series == (series(a="2"),)
    assert row.columns.tolist() == [0]


def test_a_failure_ends_nothing() -> None:
    """After a failed evaluation health and error say so, and the series go on when it works again."""
    here, store = session(), Columns()
    here.granted(store.append(here.row(recorded({series(a="1"): 1.0}), 1)))
    assert (here.health, here.last_error) == ("ok", "")
    here.failed("boom")
    assert (here.health, here.last_error, here.series) == ("err", "boom", 1)
    row = here.row(recorded({series(a="1"): 2.0}), 2)
    assert row is not None
    assert (row.columns.tolist(), row.ended.tolist()) == ([0], [])


def test_end() -> None:
    """The last row ends every series; a second one is not needed."""
    here, store = session(), Columns()
    here.granted(store.append(here.row(recorded({series(a="1"): 1.0, series(a="2"): 1.0}), 1)))
    row = here.end(2)
    assert row is not None
    assert sorted(row.ended.tolist()) == [0, 1]
    assert here.end(3) is None


@pytest.mark.parametrize(
    "pairs", [({"a": "b"}, {"b": "a"}), ({"a": "1", "b": "2"}, {"a": "2", "b": "1"}), ({}, {"a": "1"})]
)
def test_keys_tell_label_sets_apart(pairs: tuple[dict[str, str], dict[str, str]]) -> None:
    """Swapped names and values, swapped values, and a missing label give other keys."""
    one, two = (labels_of(pair) for pair in pairs)
    keys = row_keys(LabelTable.of([one, two, one]))
    assert keys[0] == keys[2]
    assert keys[0] != keys[1]
