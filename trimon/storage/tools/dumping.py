"""`tsdb dump`: every sample as a line."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np

from trimon.gotext.floats import format_g
from trimon.model.histogram import Buckets, FloatHistogram
from trimon.model.histogramtext import histogram_text
from trimon.model.labels import METRIC_NAME, Labels, format_label_set, format_labels
from trimon.model.sample import STALE_NAN
from trimon.model.spans import indexes
from trimon.storage.block.writer import sorted_rows
from trimon.storage.prometheus.histogramchunks import HEAD_NUMBERS
from trimon.storage.prometheus.histogramexport import FloatRun, HistogramRun, runs_of
from trimon.storage.read.snapshot import StoreSnapshot
from trimon.storage.tools.selecting import MatcherSets, selected

_BATCH_SERIES: Final = 256
EVER_MS: Final = (-(1 << 62), 1 << 62)


Value = float | FloatHistogram


def _batches(
    snapshot: StoreSnapshot, matcher_sets: MatcherSets, start_ms: int, end_ms: int
) -> Iterator[tuple[Labels, list[tuple[int, Value]]]]:
    """Series by series, sorted; times and values of each."""
    selection = selected(snapshot, matcher_sets, start_ms, end_ms)
    order = sorted_rows(selection.labels)
    for begin in range(0, len(order), _BATCH_SERIES):
        rows = order[begin : begin + _BATCH_SERIES]
        frame = selection.subset(rows).frame(start_ms, end_ms)
        for row in range(frame.rows):
            samples = [sample for run in runs_of(frame, row) for sample in _samples(run)]
            if samples:
                yield selection.labels.labels(int(rows[row])), samples


def _samples(run: FloatRun | HistogramRun) -> Iterator[tuple[int, Value]]:
    if isinstance(run, FloatRun):
        yield from zip(run.times.tolist(), run.values.tolist(), strict=True)
        return
    chunk, layout = run.chunk, run.chunk.layout
    positive, negative = (
        np.array(indexes(spans), np.int64) for spans in (layout.positive_spans, layout.negative_spans)
    )
    first = HEAD_NUMBERS + len(positive)
    for time_ms, numbers, stale in zip(
        chunk.times.tolist(), chunk.numbers.T, chunk.stale.tolist(), strict=True
    ):
        if stale:
            yield time_ms, STALE_NAN
            continue
        count, zero_count, total = numbers[:HEAD_NUMBERS].tolist()
        yield (
            time_ms,
            FloatHistogram(
                layout.schema,
                layout.zero_threshold,
                zero_count,
                count,
                total,
                Buckets(positive, numbers[HEAD_NUMBERS:first]),
                Buckets(negative, numbers[first:]),
                layout.custom_values,
            ),
        )


def dump(
    snapshot: StoreSnapshot,
    matcher_sets: MatcherSets = (),
    start_ms: int = EVER_MS[0],
    end_ms: int = EVER_MS[1],
) -> Iterator[str]:
    """`{labels} value milliseconds`, a line per sample of the closed interval."""
    for labels, samples in _batches(snapshot, matcher_sets, start_ms, end_ms):
        shown = format_label_set(labels)
        for time_ms, value in samples:
            text = histogram_text(value) if isinstance(value, FloatHistogram) else format_g(value)
            yield f"{shown} {text} {time_ms}"


def dump_openmetrics(
    snapshot: StoreSnapshot,
    matcher_sets: MatcherSets = (),
    start_ms: int = EVER_MS[0],
    end_ms: int = EVER_MS[1],
) -> Iterator[str]:
    """`name{labels} value seconds`, a line per float, ended by `# EOF`; native histograms have no text form."""
    for labels, samples in _batches(snapshot, matcher_sets, start_ms, end_ms):
        name = dict(labels).get(METRIC_NAME, "")
        rest = tuple(pair for pair in labels if pair[0] != METRIC_NAME)
        shown = name + (format_labels(rest).replace(", ", ",") if rest else "{}")
        for time_ms, value in samples:
            if not isinstance(value, FloatHistogram):
                yield f"{shown} {format_g(value)} {time_ms / 1000:.3f}"
    yield "# EOF"
