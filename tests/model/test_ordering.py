"""Sorting in slices gives what sorting gives."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from trimon.model import ordering
from trimon.model.ordering import SLICE_ITEMS, add_in_slices, sorted_by_text, sorted_in_slices


@given(st.lists(st.text(max_size=3)), st.integers(1, 20))
def test_any_list_is_sorted(texts: list[str], slice_items: int) -> None:
    """Whatever the texts are and however small the slices: the order is that of `sorted`, equal ones included."""
    before = ordering.SLICE_ITEMS
    ordering.SLICE_ITEMS = slice_items  # type: ignore[misc] # for this test
    try:
        assert sorted_in_slices(texts) == sorted(texts)
        pairs = list(enumerate(texts))
        assert sorted_by_text(pairs, lambda pair: pair[1]) == sorted(pairs, key=lambda pair: pair[1])
    finally:
        ordering.SLICE_ITEMS = before  # type: ignore[misc] # as it was


def test_a_long_list_is_sorted() -> None:
    """Many slices, texts with a common beginning, and some that are equal."""
    chance = random.Random(1)
    texts = [f"host-{chance.randrange(50_000)}" for _ in range(10 * SLICE_ITEMS)]
    assert sorted_in_slices(texts) == sorted(texts)
    known = {"a"}
    add_in_slices(known, texts)
    assert known == {"a", *texts}
