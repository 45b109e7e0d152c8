"""The loop that copies runs of samples, against its twin."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trimon.compiled import library
from trimon.storage.head import runs
from trimon.storage.head.arena import ragged_positions
from trimon.storage.head.runs import copy_runs, copy_runs_plainly, taken_runs

pytestmark = pytest.mark.skipif(bool(library.MISSING), reason=library.MISSING or "built")

RUNS = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 9)), max_size=30)


def arrays(listed: list[tuple[int, int]]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    starts, lengths = np.array(listed, np.int64).reshape(-1, 2).T
    return starts, lengths


@settings(deadline=None)
@given(RUNS, st.sampled_from([np.float64, np.int64, np.int32, np.bool_]), st.booleans())
def test_runs_are_taken_as_by_their_places(listed: list[tuple[int, int]], kind: type, whole: bool) -> None:
    """Of arrays of any type, in one piece or not, the runs come one after the other."""
    items: npt.NDArray[np.generic] = np.arange(100 if whole else 200).astype(kind)[:: 1 if whole else 2]
    starts, lengths = arrays(listed)
    wanted = items[ragged_positions(starts, lengths)]
    for each in (lengths, lengths.astype(np.int32)):
        found = taken_runs(items, starts, each)
        assert found.dtype == wanted.dtype
        assert found.tolist() == wanted.tolist()


@settings(deadline=None)
@given(st.data(), st.integers(1, 50))
def test_runs_are_copied_as_the_twin_does(data: st.DataObject, at_once: int) -> None:
    """Runs to places that do not overlap, in any order, also where they take several calls; nothing else changes."""
    listed = data.draw(RUNS)
    starts, lengths = arrays(listed)
    gaps = np.array(
        data.draw(st.lists(st.integers(0, 3), min_size=len(listed), max_size=len(listed))), np.int64
    )
    places = np.cumsum(gaps + lengths) - lengths
    order = np.array(data.draw(st.permutations(range(len(listed)))), np.int64)
    starts, lengths, places = starts[order], lengths[order], places[order]
    items = np.random.default_rng(1).random(60)
    found, wanted = np.zeros(500), np.zeros(500)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runs, "ITEMS_AT_ONCE", at_once)
        copy_runs(items, starts, lengths, found, places)
    copy_runs_plainly(items, starts, lengths, wanted, places)
    assert found.tobytes() == wanted.tobytes()


@pytest.mark.parametrize(
    ("start", "length", "place"),
    [(95, 6, 0), (-1, 2, 0), (0, -1, 0), (0, 2, 9), (0, 2, -1), (2**62, 2**62, 0), (0, 2**63 - 1, 2**63 - 1)],
)
def test_what_is_out_of_bounds_is_not_touched(start: int, length: int, place: int) -> None:
    """A run that begins or ends outside of either array is an error."""
    one = (np.array([number], np.int64) for number in (start, length, place))
    starts, lengths, places = one
    with pytest.raises(IndexError, match="out of the bounds of 100 or 10 items"):
        copy_runs(np.arange(100.0), starts, lengths, np.zeros(10), places)


def test_many_items_are_several_calls() -> None:
    """Millions of samples are copied in calls of half a million; what is longer than that is a call of its own."""
    lengths = np.array([3, 700_000, 0, 5, 400_000, 400_000, 1], np.int64)
    starts = np.arange(len(lengths)) * 7
    items = np.random.default_rng(2).random(800_000)
    assert np.array_equal(taken_runs(items, starts, lengths), items[ragged_positions(starts, lengths)])
