"""The order of pushed samples in a page: by series and time, of several at one time the first that came."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from trimon.storage.head.loose import _in_order

SAMPLES = st.lists(
    st.tuples(st.integers(0, 5), st.integers(-3, 3) | st.sampled_from([-(1 << 60), 1 << 60])), min_size=1
)


@given(samples=SAMPLES)
def test_samples_come_by_series_and_time(samples: list[tuple[int, int]]) -> None:
    """Whether both fit into one number or not, the order is that of a sort by both, and of equal ones the first is kept."""
    first: dict[tuple[int, int], int] = {}
    for place, sample in enumerate(samples):
        first.setdefault(sample, place)
    series, times = (
        np.array([each[0] for each in samples], np.int32),
        np.array([t for _, t in samples], np.int64),
    )
    assert _in_order(series, times).tolist() == [first[sample] for sample in sorted(first)]
