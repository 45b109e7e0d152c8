"""Which rows of a frame never fall: counters without a reset need no look at the samples inside their windows."""

from __future__ import annotations

from typing import Final

import numpy as np

from trimon.model.frame import SampleFrame
from trimon.query.execution.values import Mask

RESET_FREE: Final = "rising"
_CHUNK: Final = 1 << 17


def note_reset_free(frame: SampleFrame) -> None:
    """Find out once about a frame that is kept for others."""
    if frame.facts is not None and RESET_FREE not in frame.facts:
        frame.facts[RESET_FREE] = reset_free_rows(frame)


def reset_free_rows(frame: SampleFrame) -> Mask:
    """Rows in which every sample is at least the one before; a NaN is not."""
    out = np.ones(frame.rows, np.bool_)
    filled = np.flatnonzero(frame.lengths > 0)
    filled = filled[np.argsort(frame.offsets[filled], kind="stable")]
    begins = frame.offsets[filled]
    values = frame.values
    for at in range(0, len(values) - 1, _CHUNK):
        part = values[at : at + _CHUNK + 1]
        fallen = np.flatnonzero(~(part[1:] >= part[:-1])) + at + 1
        place = np.searchsorted(begins, fallen, side="right") - 1
        out[filled[place[begins[place] != fallen]]] = False
    return out
