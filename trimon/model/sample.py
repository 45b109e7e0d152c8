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


def is_stale(values: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    """Where `values` holds the staleness marker; bool array of the same shape."""
    return np.equal(values.view(np.int64), STALE_NAN_BITS)


def is_absent(values: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    """Where `values` holds no sample; bool array of the same shape."""
    return np.equal(values.view(np.int64), ABSENT_BITS)
