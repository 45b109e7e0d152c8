"""The cardinality of the heads, as `/api/v1/status/tsdb` shows it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from trimon.records import dataclass
from trimon.storage.head.arena import Int32s, Int64s, UInt64s, ragged_positions
from trimon.storage.head.view import HeadView
from trimon.storage.symbols import METRIC_NAME_ID, Symbols

NO_TIME_MIN = (1 << 63) - 1
NO_TIME_MAX = -(1 << 63)

Ranking = list[tuple[str, int]]


@dataclass(frozen=True, slots=True)
class HeadCardinality:
    """Totals of the heads and the names and pairs with the most of each, in descending order."""

    series: int
    label_pairs: int
    chunks: int
    min_ms: int
    max_ms: int
    series_by_metric: Ranking
    values_by_label: Ranking
    bytes_by_label: Ranking
    series_by_pair: Ranking


def chunk_count(view: HeadView) -> int:
    """How many runs of samples (series times pages) a head holds; at most so many of pushed samples that are not sealed."""
    series, loose = view.index.series, view.loose
    total = min(len(loose.series), series) + sum(min(page.runs, series) for page in loose.pages)
    for group in view.groups.loaded():
        total += sum(len(page.series) for page in group.sealed)
        if group.raw and (group.rows or len(group.raw) > 1):
            total += int((group.raw[-1].series >= 0).sum())
    return total


def cardinality(views: Sequence[HeadView], limit: int) -> HeadCardinality:
    """Statistics over all heads; a series in several heads counts once."""
    filled = [view for view in views if view.index.series]
    symbols, flat, lengths = _union(filled)
    pairs = symbols.pairs
    counts: Int64s = np.bincount(flat, minlength=pairs)
    names = symbols.pair_name.view()[:pairs]
    metric_pairs = np.flatnonzero(names == METRIC_NAME_ID)
    by_metric = [(symbols.pair(p)[1], n) for p, n in _top(counts, limit, metric_pairs)]
    by_pair = [("=".join(symbols.pair(p)), n) for p, n in _top(counts, limit, np.arange(pairs))]
    used = counts > 0
    value_counts: Int64s = np.bincount(names[used], minlength=len(symbols.names))
    sizes = np.array([_encoded(*symbols.pair(p)) if used[p] else 0 for p in range(pairs)], np.int64)
    byte_counts: Int64s = np.bincount(names, weights=sizes * counts, minlength=len(symbols.names)).astype(
        np.int64
    )
    every = np.flatnonzero(value_counts)
    times = [(view.min_ms, view.max_ms) for view in filled if view.samples]
    return HeadCardinality(
        series=len(lengths),
        label_pairs=int(used.sum()),
        chunks=sum(map(chunk_count, filled)),
        min_ms=min((first for first, _ in times), default=NO_TIME_MIN),
        max_ms=max((last for _, last in times), default=NO_TIME_MAX),
        series_by_metric=by_metric,
        values_by_label=[(symbols.names[n], c) for n, c in _top(value_counts, limit, every)],
        bytes_by_label=[(symbols.names[n], c) for n, c in _top(byte_counts, limit, every)],
        series_by_pair=by_pair,
    )


def distinct_series(views: Sequence[HeadView]) -> int:
    """How many series several heads have; one in several counts once. Of several it takes seconds for a million."""
    return len(_union([view for view in views if view.index.series])[2])


def in_common(views: Sequence[HeadView]) -> tuple[Symbols, list[Int32s], list[Int64s]]:
    """Pair ids of the series of each head, flat, and how many each has, in one set of symbols; without components."""
    shown = [_shown(view) for view in views]
    flats, lengths = [flat for flat, _ in shown], [counts for _, counts in shown]
    if len(views) == 1:
        return views[0].index.symbols, flats, lengths
    symbols = Symbols()
    for place, view in enumerate(views):
        index = view.index
        pairs = [index.symbols.pair(number) for number in range(len(index.pair_name))]
        flats[place] = symbols.intern_pairs(pairs)[flats[place]]
    return symbols, flats, lengths


def series_hashes(symbols: Symbols, flat: Int32s, lengths: Int64s) -> UInt64s:
    """One number a series, equal for equal label sets."""
    if not len(lengths):
        return np.zeros(0, np.uint64)
    found: UInt64s = np.add.reduceat(symbols.pair_hash.view()[flat], np.cumsum(lengths) - lengths)
    return found


def _union(views: Sequence[HeadView]) -> tuple[Symbols, Int32s, Int64s]:
    """Pair ids of every distinct series of several heads, in one set of symbols."""
    symbols, flats, runs = in_common(views)
    if len(views) <= 1:
        return (
            (symbols, flats[0], runs[0]) if views else (symbols, np.zeros(0, np.int32), np.zeros(0, np.int64))
        )
    flat, lengths = np.concatenate(flats), np.concatenate(runs)
    _, chosen = np.unique(series_hashes(symbols, flat, lengths), return_index=True)
    starts = np.cumsum(lengths) - lengths
    return symbols, flat[ragged_positions(starts[chosen], lengths[chosen])], lengths[chosen]


def _shown(view: HeadView) -> tuple[Int32s, Int64s]:
    """Pair ids of the series of a head, flat, and how many each has; without components of histograms."""
    index = view.index
    if len(view.components):
        return index.pairs_of(view.components.without(np.arange(index.series, dtype=np.int32)))
    offsets = index.offsets[: index.series + 1]
    return index.flat[: offsets[-1]], np.diff(offsets)


def _top(counts: Int64s, limit: int, among: npt.NDArray[np.int64]) -> list[tuple[int, int]]:
    """The greatest counts, (place, count), descending; equal ones in order of place."""
    mine = counts[among]
    kept = np.flatnonzero(mine)
    order = kept[np.argsort(-mine[kept], kind="stable")][:limit]
    return [(int(among[place]), int(mine[place])) for place in order]


def _encoded(name: str, value: str) -> int:
    """Bytes of a pair as Prometheus counts them: both strings and their lengths."""
    return sum(len(text.encode()) + (1 if len(text.encode()) < 255 else 4) for text in (name, value))
