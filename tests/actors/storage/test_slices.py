"""Rows of many new series in turns: what of a histogram is stored in one turn."""

from __future__ import annotations

import itertools
import random

from hypothesis import given
from hypothesis import strategies as st

from trimon.actors.storage.writer import _slices
from trimon.model.components import component_labels
from trimon.model.labels import Labels

KNOWN = (("__name__", "known"),)


def series(number: int) -> Labels:
    return (("__name__", f"m{number}"),)


@given(
    st.lists(st.integers(0, 6), max_size=20),
    st.integers(0, 5),
    st.integers(1, 12),
    st.randoms(use_true_random=False),
)
def test_a_histogram_is_stored_in_one_turn(
    components: list[int], of_known: int, size: int, pick: random.Random
) -> None:
    """Each place comes once; components stand in the turn of their series, those of known series in the first one."""
    listed = [component_labels(KNOWN, str(number)) for number in range(of_known)]
    for number, count in enumerate(components):
        listed += [series(number), *(component_labels(series(number), str(part)) for part in range(count))]
    pick.shuffle(listed)
    order, cuts = _slices(listed, size)
    assert sorted(order) == list(range(len(listed)))
    assert cuts == sorted(set(cuts)) or not listed
    assert (cuts[0], cuts[-1]) == (0, len(listed))
    turn_of: dict[Labels, int] = {}
    for turn, (begin, end) in enumerate(itertools.pairwise(cuts)):
        for place in order[begin:end]:
            turn_of[listed[place]] = turn
    for labels, turn in turn_of.items():
        if labels[0][0] == "":
            owner = labels[1:]
            assert turn == turn_of.get(owner, 0)


def test_series_alone_are_cut_where_a_turn_is_full() -> None:
    """Without components all turns but the last are full, in the order in which series came."""
    order, cuts = _slices([series(number) for number in range(10)], 4)
    assert (order, cuts) == (list(range(10)), [0, 4, 8, 10])
