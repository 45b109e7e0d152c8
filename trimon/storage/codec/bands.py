"""Which series share a page: neighbours of similar length, so that little is padded."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
import numpy.typing as npt

Int64s = npt.NDArray[np.int64]

# The most cells of a page and series of a band; small enough that one series is read for little.
PAGE_CELLS: Final = 1 << 16
BAND_SERIES: Final = 512
# Samples of one series in one slice.
SLICE_SAMPLES: Final = 4096
_ORDER_WINDOW: Final = 2048


def plan_bands(lengths: Int64s) -> Iterator[Int64s]:
    """Series (by place in `lengths`) band by band: near neighbours, of similar length so that little is padded."""
    for begin in range(0, len(lengths), _ORDER_WINDOW):
        window = np.arange(begin, min(begin + _ORDER_WINDOW, len(lengths)))
        mine = lengths[window]
        if mine.max() > 1.25 * max(1, mine.min()):
            window = window[np.argsort(mine, kind="stable")]
        position = 0
        while position < len(window):
            longest = np.maximum.accumulate(
                np.minimum(lengths[window[position : position + BAND_SERIES]], SLICE_SAMPLES)
            )
            cells = longest * np.arange(1, len(longest) + 1)
            filled = np.cumsum(np.minimum(lengths[window[position : position + len(longest)]], SLICE_SAMPLES))
            fits = (cells <= PAGE_CELLS) & (cells <= filled * 1.5 + 512)
            count = max(1, len(fits) if fits.all() else int(np.argmin(fits)))
            yield window[position : position + count]
            position += count
