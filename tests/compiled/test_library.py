"""What callers of the loops use of arrays."""

from __future__ import annotations

import numpy as np
import pytest

from trimon.compiled.library import address_of


@pytest.mark.parametrize(
    "array",
    [
        np.arange(5.0),
        np.arange(12, dtype=np.int32).reshape(4, 3),
        np.arange(9, dtype=np.uint8)[4:],
        np.zeros(0),
        np.frombuffer(b"read-only", np.uint8),
        np.arange(12)[::3],
        np.arange(6)[::-1],
    ],
    ids=["floats", "rows", "a part", "empty", "read-only", "with gaps", "backwards"],
)
def test_the_address_is_the_arrays_own(array: np.ndarray) -> None:
    """Whatever the array is like, it is where the array says that its first item is."""
    assert address_of(array) == array.ctypes.data
