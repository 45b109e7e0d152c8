"""Which series of a directory a command line asks for."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from trimon.model.matcher import Matcher
from trimon.storage.read.snapshot import StoreSelection, StoreSnapshot

MatcherSets = Sequence[Sequence[Matcher]]


def selected(
    snapshot: StoreSnapshot, matcher_sets: MatcherSets, start_ms: int, end_ms: int
) -> StoreSelection:
    """The series that fit any of several sets of matchers, each once; all series where there is no set."""
    if len(matcher_sets) <= 1:
        return snapshot.select(matcher_sets[0] if matcher_sets else (), start_ms, end_ms)
    whole = snapshot.select((), start_ms, end_ms)
    labels = whole.labels
    wanted = np.zeros(labels.rows, np.bool_)
    for matchers in matcher_sets:
        fits = np.ones(labels.rows, np.bool_)
        for matcher in matchers:
            codes, values = labels.column(matcher.name)
            fits &= matcher.matching(values, len(values))[codes]
        wanted |= fits
    return whole.subset(np.flatnonzero(wanted))
