"""Rules that share a reading read each selector once, and find what they would have found alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import pytest

from trimon.model.labels import labels_of
from trimon.model.matcher import Matcher, MatchType
from trimon.query.conformance.memory import MemorySelection, MemoryStore
from trimon.query.engine import instant
from trimon.query.execution.budget import Budget
from trimon.query.language.options import QueryOptions
from trimon.rules import reading as module
from trimon.rules.reading import RuleReading

OPTIONS = QueryOptions()
NAMED = [Matcher("__name__", MatchType.EQUAL, "m")]


class CountedStore(MemoryStore):
    """Counts what is selected, by metric."""

    def __init__(self) -> None:
        super().__init__()
        self.selected: Counter[str] = Counter()

    def select(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> MemorySelection:
        self.selected[next(each.value for each in matchers if each.name == "__name__")] += 1
        return super().select(matchers, start_ms, end_ms)


@pytest.fixture
def store() -> CountedStore:
    store = CountedStore()
    for number in range(20):
        for name in ("m", "n"):
            store.append(labels_of({"__name__": name, "i": str(number % 4)}), number * 1000, float(number))
    return store


def test_each_selector_is_read_once(store: CountedStore) -> None:
    """Four expressions over two selectors are two readings, with the results that each gives alone."""
    reading = RuleReading()
    texts = ("sum(m)", "max by (i) (m) > 1", "sum(m) / sum(n)", "m * n")
    for text in texts:
        shared = instant(reading.of(store), text, 20_000, OPTIONS, Budget(OPTIONS))
        alone = instant(store, text, 20_000, OPTIONS, Budget(OPTIONS))
        assert np.array_equal(shared.values, alone.values)
        assert [shared.labels.labels(row) for row in range(shared.labels.rows)] == [
            alone.labels.labels(row) for row in range(alone.labels.rows)
        ]
    # Alone m is read four times and n twice; together each once.
    assert store.selected == {"m": 5, "n": 3}


def test_the_reading_is_that_of_the_first_rule(store: CountedStore) -> None:
    """What is stored meanwhile is not seen by the others, whatever snapshot they bring."""
    reading = RuleReading()
    first = reading.of(store)
    assert reading.of(MemoryStore()) is first


def test_large_frames_are_not_kept(store: CountedStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the bound a selection is known and its samples are read again."""
    shared = RuleReading().of(store)
    one = shared.select(NAMED, 0, 20_000).wide_frame(0, 20_000, lambda _: None)
    assert shared.select(NAMED, 0, 20_000).wide_frame(0, 20_000, lambda _: None) is one
    monkeypatch.setattr(module, "KEPT_BYTES_MAX", 10)
    shared = RuleReading().of(store)
    one = shared.select(NAMED, 0, 20_000).wide_frame(0, 20_000, lambda _: None)
    assert shared.select(NAMED, 0, 20_000).wide_frame(0, 20_000, lambda _: None) is not one
