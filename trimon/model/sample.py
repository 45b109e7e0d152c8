"""Special float64 bit patterns: which NaN means what."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

# Prometheus' staleness marker: the series ended here. Compare by bits, it is a NaN.
STALE_NAN_BITS: Final = 0x7FF0000000000002
# The ordinary NaN, as Go and Prometheus write it.
NORMAL_NAN_BITS: Final = 0x7FF8000000000001
# No sample at all in this cell of a scrape group. Private to storage: it never leaves a frame, and a
# sample that arrives with these bits is stored as the ordinary NaN.
ABSENT_BITS: Final = 0x7FF47472696D6F6E

STALE_NAN: Final = float(np.uint64(STALE_NAN_BITS).view(np.float64))
NORMAL_NAN: Final = float(np.uint64(NORMAL_NAN_BITS).view(np.float64))
ABSENT: Final = float(np.uint64(ABSENT_BITS).view(np.float64))

# So many samples are looked through at once: what is between stays in the processor's cache.
_BLOCK_SAMPLES: Final = 1 << 15


def is_stale(values: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    """Where `values` holds the staleness marker; bool array of the same shape."""
    return np.equal(values.view(np.int64), STALE_NAN_BITS)


def is_absent(values: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    """Where `values` holds no sample; bool array of the same shape."""
    return np.equal(values.view(np.int64), ABSENT_BITS)


def stale_places(values: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """Where a flat array holds staleness markers; int64, ascending. Cheap where there are none."""
    return _places(values, STALE_NAN_BITS)


def holds_absent(values: npt.NDArray[np.float64]) -> bool:
    """Whether some cell of a flat array holds no sample."""
    return len(_places(values, ABSENT_BITS)) > 0


def _places(values: npt.NDArray[np.float64], bits: int) -> npt.NDArray[np.int64]:
    """Where the values have these bits."""
    found = [np.zeros(0, np.int64)]
    for begin in range(0, len(values), _BLOCK_SAMPLES):
        same = values[begin : begin + _BLOCK_SAMPLES].view(np.int64) == bits
        if same.any():
            found.append(np.flatnonzero(same) + begin)
    return np.concatenate(found)
