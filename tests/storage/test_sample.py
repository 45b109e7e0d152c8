"""Special values are found in arrays longer than what is looked through at once."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from trimon.model.sample import (
    ABSENT,
    NORMAL_NAN,
    STALE_NAN,
    holds_absent,
    is_stale,
    stale_places,
)

LENGTH = 100_000


@given(st.sets(st.integers(0, LENGTH - 1), max_size=5), st.sets(st.integers(0, LENGTH - 1), max_size=5))
def test_staleness_markers_are_found_wherever_they_are(stale: set[int], ordinary: set[int]) -> None:
    """The places are those that a look at every sample gives; an ordinary NaN is no marker."""
    values = np.zeros(LENGTH)
    values[list(ordinary)] = NORMAL_NAN
    values[list(stale)] = STALE_NAN
    assert stale_places(values).tolist() == sorted(stale) == np.flatnonzero(is_stale(values)).tolist()


@given(st.integers(0, LENGTH - 1))
def test_an_absent_cell_is_found_wherever_it_is(place: int) -> None:
    """One cell without a sample is enough; a staleness marker is a sample."""
    values = np.zeros(LENGTH)
    values[place] = STALE_NAN
    assert not holds_absent(values)
    values[place] = ABSENT
    assert holds_absent(values)
    assert not holds_absent(values[:0])
