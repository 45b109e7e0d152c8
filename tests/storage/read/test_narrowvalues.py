"""Narrow values come back to the bit, and take half of the room where they may."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trimon.model.sample import STALE_NAN
from trimon.storage.read.narrowvalues import narrowed

EXACT = {
    "whole": st.integers(-(2**31) + 1, 2**31 - 1).map(float),
    "decimals": st.integers(-(2**31) + 1, 2**31 - 1).map(lambda number: number / 1000),
    "coarse": st.floats(width=32, allow_nan=False, allow_infinity=False),
}
ODD = st.sampled_from([STALE_NAN, float("nan"), -0.0, float("inf"), -float("inf"), 1e300, 5e-324, 0.1 + 0.2])


@pytest.mark.parametrize("kind", EXACT)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_what_can_be_said_in_four_bytes_is(kind: str, data: st.DataObject) -> None:
    """Whole numbers, three decimals and floats of 32 bits, with an odd value among hundreds: exact, in half the bytes."""
    few = np.array(data.draw(st.lists(EXACT[kind], min_size=1, max_size=20)))
    values = np.resize(few, data.draw(st.sampled_from([300, 70_000])))
    values[data.draw(st.integers(0, len(values) - 1))] = data.draw(ODD)
    found = narrowed(values)
    assert found is not None
    assert found.wide().tobytes() == values.tobytes()
    assert found.nbytes <= values.nbytes // 2 + 16 * 4 + 16 * np.count_nonzero(values == 0)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.one_of(st.floats(), ODD), min_size=1, max_size=300))
def test_others_stay_as_they_are_or_come_back(listed: list[float]) -> None:
    """Whatever the values are: none is lost, and nothing that is larger than before is made."""
    values = np.array(listed)
    found = narrowed(values)
    if found is not None:
        assert found.wide().tobytes() == values.tobytes()
        assert found.nbytes < values.nbytes


def test_what_is_fine_is_not_narrowed() -> None:
    """Numbers of 53 bits would all stand beside the units."""
    assert narrowed(np.random.default_rng(1).random(10_000)) is None
