"""Which series came lately, and what they have in common: the metrics, labels and targets that grow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from trimon.model.labels import INSTANCE_LABEL, JOB_LABEL
from trimon.records import dataclass
from trimon.storage.head.arena import Int32s, Int64s, ragged_positions
from trimon.storage.head.view import HeadView
from trimon.storage.statistics import in_common, series_hashes
from trimon.storage.symbols import METRIC_NAME_ID, Symbols

# How often it is noted how many series there are, and how many such notes are kept: enough for an hour.
MARK_MS: Final = 60_000
MARKS_MAX: Final = 120


@dataclass(frozen=True, slots=True)
class GrowingLabel:
    """A label of new series: how many values it has that it did not have before, and how many new series have it."""

    name: str
    values: int
    series: int


@dataclass(frozen=True, slots=True)
class SeriesGrowth:
    """The series that came since a time, those with the most first. Components of histograms are no series."""

    since_ms: int
    before: int
    """Series that there were then."""
    series: int
    """New ones."""
    metrics: tuple[tuple[str, int], ...] = ()
    labels: tuple[GrowingLabel, ...] = ()
    """Labels with new values, those with the most first."""
    targets: tuple[tuple[str, str, int], ...] = ()
    """(job, instance, new series)."""

    def culprit(self) -> str:
        """What grew most, in words; empty if nothing did."""
        if not self.series:
            return ""
        parts = [f"{self.series} series are new"]
        if self.targets:
            job, instance, count = self.targets[0]
            parts.append(f"{count} of them of job {job} and instance {instance}")
        if self.labels:
            first = self.labels[0]
            parts.append(f"label {first.name} has {first.values} new values")
        return ", ".join(parts)


class SeriesMarks:
    """How many series a head had when. The writer notes, anybody may ask."""

    __slots__ = ("_marks",)

    def __init__(self, now_ms: int, series: int) -> None:
        self._marks: tuple[tuple[int, int], ...] = ((now_ms, series),)

    def note(self, now_ms: int, series: int) -> None:
        """Note how many series there are, if it is time to."""
        if now_ms - self._marks[-1][0] >= MARK_MS:
            self._marks = (*self._marks[-MARKS_MAX:], (now_ms, series))

    def at(self, time_ms: int) -> tuple[int, int]:
        """When the series were counted last before a time, and how many there were; the first count if none is before."""
        return next((mark for mark in reversed(self._marks) if mark[0] <= time_ms), self._marks[0])


def growth(heads: Sequence[tuple[HeadView, SeriesMarks]], since_ms: int, limit: int) -> SeriesGrowth:
    """What has grown in all heads since a time, or since something was noted; `limit` entries of each kind.

    It takes tens of milliseconds for a million series.
    """
    marked = [(view, *marks.at(since_ms)) for view, marks in heads if view.index.series]
    if not marked:
        return SeriesGrowth(since_ms, 0, 0)
    symbols, flats, lengths = in_common([view for view, _, _ in marked])
    hashes = [series_hashes(symbols, flat, counts) for flat, counts in zip(flats, lengths, strict=True)]
    fresh = [
        view.components.without(np.arange(view.index.series, dtype=np.int32)) >= first
        for view, _, first in marked
    ]
    old = np.concatenate([each[~new] for each, new in zip(hashes, fresh, strict=True)])
    every = np.concatenate(hashes)
    _, chosen = np.unique(every, return_index=True)
    chosen = chosen[~np.isin(every[chosen], old)]
    flat, counts = np.concatenate(flats), np.concatenate(lengths)
    starts = np.cumsum(counts) - counts
    mine = flat[ragged_positions(starts[chosen], counts[chosen])]
    others = np.isin(every, old)
    # Symbols are added meanwhile; those of what was read are there.
    pairs = symbols.pairs
    known = np.zeros(pairs, np.bool_)
    known[flat[ragged_positions(starts[others], counts[others])]] = True
    since = max(min(time_ms for _, time_ms, _ in marked), since_ms)
    return SeriesGrowth(
        since,
        len(np.unique(old)),
        len(chosen),
        _metrics(symbols, pairs, mine, limit),
        _labels(symbols, mine, known, limit),
        _targets(symbols, mine, counts[chosen], limit),
    )


def _metrics(symbols: Symbols, pairs: int, flat: Int32s, limit: int) -> tuple[tuple[str, int], ...]:
    counts = np.bincount(flat, minlength=pairs)
    counts[symbols.pair_name.view()[: len(counts)] != METRIC_NAME_ID] = 0
    best = np.argsort(-counts, kind="stable")[:limit]
    return tuple((symbols.pair(pair)[1], int(counts[pair])) for pair in best.tolist() if counts[pair])


def _labels(symbols: Symbols, flat: Int32s, known: np.ndarray, limit: int) -> tuple[GrowingLabel, ...]:
    counts = np.bincount(flat, minlength=len(known))
    names = symbols.pair_name.view()[: len(counts)]
    values = np.bincount(names[(counts > 0) & ~known], minlength=len(symbols.names))
    series = np.bincount(names, weights=counts, minlength=len(symbols.names))
    best = np.argsort(-values, kind="stable")[:limit]
    return tuple(
        GrowingLabel(symbols.names[name], int(values[name]), int(series[name]))
        for name in best.tolist()
        if values[name]
    )


def _targets(symbols: Symbols, flat: Int32s, lengths: Int64s, limit: int) -> tuple[tuple[str, str, int], ...]:
    rows = np.repeat(np.arange(len(lengths)), lengths)
    names = symbols.pair_name.view()[flat]
    codes = np.zeros((2, len(lengths)), np.int64)
    for place, name in enumerate((JOB_LABEL, INSTANCE_LABEL)):
        having = names == symbols.name_id(name)
        codes[place, rows[having]] = symbols.pair_code.view()[flat[having]]
    pairs, counts = np.unique(codes, axis=1, return_counts=True)
    texts = [
        symbols.values[symbols.name_id(name)] if symbols.name_id(name) >= 0 else [""]
        for name in (JOB_LABEL, INSTANCE_LABEL)
    ]
    best = np.argsort(-counts, kind="stable")[:limit]
    return tuple((texts[0][pairs[0, at]], texts[1][pairs[1, at]], int(counts[at])) for at in best.tolist())
