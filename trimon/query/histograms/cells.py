"""Work on arrays whose cells are histograms or None."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from trimon.model.histogram import FloatHistogram
from trimon.query.execution.values import Cells


def map_cells(function: Callable[[FloatHistogram], FloatHistogram], cells: Cells) -> Cells:
    """The function of every histogram; equal objects are computed once."""
    out = np.full(cells.shape, None, np.object_)
    done: dict[int, FloatHistogram] = {}
    flat_in, flat_out = cells.ravel(), out.reshape(-1)
    for at, histogram in enumerate(flat_in.tolist()):
        if histogram is None:
            continue
        found = done.get(id(histogram))
        if found is None:
            found = done[id(histogram)] = function(histogram)
        flat_out[at] = found
    return out
