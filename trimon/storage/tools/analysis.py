"""`tsdb analyze`: churn and cardinality of one block."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np

from trimon.gotext import times
from trimon.model.labels import METRIC_NAME
from trimon.model.matcher import Matcher
from trimon.model.table import LabelTable
from trimon.storage.block.meta import BlockMeta
from trimon.storage.head.arena import Int64s
from trimon.storage.read.snapshot import StoreSelection, StoreSnapshot
from trimon.storage.read.source import SeriesSource

_BATCH_SERIES: Final = 8192


def analyze(
    source: SeriesSource,
    meta: BlockMeta,
    *,
    limit: int = 20,
    matchers: Sequence[Matcher] = (),
    extended: bool = False,
) -> Iterator[str]:
    """The lines promtool prints for a block; `extended` adds how long series are."""
    selection = StoreSnapshot([source]).select(matchers, meta.min_ms, meta.max_ms)
    labels = selection.labels
    span_ms = meta.max_ms - meta.min_ms
    yield f"Block ID: {meta.ulid}"
    yield f"Duration: {times.format_go_duration(span_ms)}"
    yield f"Total Series: {labels.rows}"
    if matchers:
        yield f"Matcher: {{{', '.join(map(str, matchers))}}}"
        yield f"Matched series: {labels.rows}"
    yield f"Label names: {len(labels.names)}"
    counts = _pair_counts(labels, np.ones(labels.rows, np.int64))
    yield f"Postings (unique label pairs): {sum(len(pairs) for pairs in counts.values())}"
    yield f"Postings entries (total label pairs): {sum(sum(pairs.values()) for pairs in counts.values())}"
    lengths, uncovered = _coverage(selection, meta)
    churn = _pair_counts(labels, uncovered)
    span = max(1, span_ms)
    by_pair = [(total // span, f"{n}={v}") for n, pairs in churn.items() for v, total in pairs.items()]
    yield from _ranking("Label pairs most involved in churning:", by_pair, limit)
    by_name = [(sum(pairs.values()) // span, name) for name, pairs in churn.items()]
    yield from _ranking("Label names most involved in churning:", by_name, limit)
    common = [(total, f"{name}={value}") for name, pairs in counts.items() for value, total in pairs.items()]
    yield from _ranking("Most common label pairs:", common, limit)
    text = [(sum(len(value.encode()) for value in pairs), name) for name, pairs in counts.items()]
    yield from _ranking("Label names with highest cumulative label value length:", text, limit)
    width = [(len(pairs), name) for name, pairs in counts.items()]
    yield from _ranking("Highest cardinality labels:", width, limit)
    metrics = [(total, value) for value, total in counts.get(METRIC_NAME, {}).items()]
    yield from _ranking("Highest cardinality metric names:", metrics, limit)
    if extended:
        yield from _length_histogram(lengths)


def _ranking(title: str, entries: Sequence[tuple[int, str]], limit: int) -> Iterator[str]:
    yield ""
    yield title
    for count, text in sorted(entries, key=lambda entry: (-entry[0], entry[1]))[:limit]:
        yield f"{count} {text}"


def _pair_counts(labels: LabelTable, weights: Int64s) -> dict[str, dict[str, int]]:
    """For every label the sum of the weights of the series with each of its values."""
    found: dict[str, dict[str, int]] = {}
    for name, column, values in zip(labels.names, labels.columns, labels.values, strict=True):
        totals = np.zeros(int(column.max()) + 1 if len(column) else 1, np.int64)
        np.add.at(totals, column, weights)
        used = np.unique(column)
        found[name] = {values[code]: int(totals[code]) for code in used.tolist() if code}
    return found


def _coverage(selection: StoreSelection, meta: BlockMeta) -> tuple[Int64s, Int64s]:
    """Samples of every series, and the part of the block's time before its first and after its last one."""
    rows = selection.labels.rows
    lengths = np.zeros(rows, np.int64)
    uncovered = np.full(rows, meta.max_ms - meta.min_ms, np.int64)
    for begin in range(0, rows, _BATCH_SERIES):
        part = np.arange(begin, min(rows, begin + _BATCH_SERIES))
        frame = selection.subset(part).frame(meta.min_ms, meta.max_ms)
        lengths[part] = np.diff(frame.offsets)
        filled = part[lengths[part] > 0]
        arrays = frame.time_of_row[filled - begin]
        first = frame.times[frame.time_offsets[arrays]]
        last = frame.times[frame.time_offsets[arrays + 1] - 1]
        uncovered[filled] -= last - first
    return lengths, uncovered


def _length_histogram(lengths: Int64s) -> Iterator[str]:
    """How many series have how many samples, in powers of two."""
    yield ""
    yield "Samples per series:"
    powers = np.maximum(lengths, 1).astype(np.float64)
    buckets = (
        np.bincount(np.floor(np.log2(powers)).astype(np.int64)) if len(lengths) else np.zeros(0, np.int64)
    )
    most = max(1, int(buckets.max())) if len(buckets) else 1
    for power, count in enumerate(buckets.tolist()):
        bar = "#" * (40 * count // most)
        yield f"{1 << power:>9} to {(2 << power) - 1:<9} {count:>9} {bar}"
