"""Whether a counter was reset between two native histograms."""

from __future__ import annotations

import numpy as np

from trimon.model.histogram import Buckets, FloatHistogram, ResetHint
from trimon.query.histograms.arithmetic import aligned, to_schema, widened


def was_reset(current: FloatHistogram, previous: FloatHistogram) -> bool:
    """Whether `current` belongs to a counter that started anew after `previous`."""
    if current.hint is ResetHint.RESET:
        return True
    if current.hint is ResetHint.NOT_RESET:
        return False
    if current.count < previous.count or current.custom != previous.custom:
        return True
    if current.custom:
        (current, previous), _ = aligned([current, previous])
        return _fell(current.positive, previous.positive)
    if current.schema > previous.schema or current.zero_threshold < previous.zero_threshold:
        return True
    before = widened(previous, current.zero_threshold)
    if before.zero_threshold != current.zero_threshold or current.zero_count < before.zero_count:
        return True
    before = to_schema(before, current.schema)
    return _fell(current.positive, before.positive) or _fell(current.negative, before.negative)


def _fell(current: Buckets, previous: Buckets) -> bool:
    """Whether any populated bucket is gone or holds less."""
    populated = previous.compact()
    if len(populated) == 0:
        return False
    if len(current) == 0:
        return True
    at = np.minimum(np.searchsorted(current.index, populated.index), len(current) - 1)
    there = current.index[at] == populated.index
    return bool((~there | (current.counts[at] < populated.counts)).any())
