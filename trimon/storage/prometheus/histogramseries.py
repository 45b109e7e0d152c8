"""The native histograms of a block of Prometheus as components of its series."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from trimon.model.components import MarkerFlags, marker
from trimon.model.histogram import CUSTOM_SCHEMA, SCHEMA_MAX, SCHEMA_MIN
from trimon.model.sample import STALE_NAN
from trimon.model.spans import Spans, indexes, spans_of, texts_of
from trimon.storage.head.arena import Floats, Int32s, Int64s
from trimon.storage.head.components import ComponentView
from trimon.storage.prometheus.histogramchunks import ChunkLayout, HistogramChunk
from trimon.storage.prometheus.varint import FormatError
from trimon.storage.read.partialframe import PartialFrame


@lru_cache(maxsize=4096)
def kept_layout(layout: ChunkLayout) -> tuple[ChunkLayout, tuple[str, ...]]:
    """The layout in a schema that is kept, and the texts of its components. Raises FormatError for a schema that is none."""
    if layout.schema != CUSTOM_SCHEMA and layout.schema < SCHEMA_MIN:
        raise FormatError(f"a histogram of schema {layout.schema}, which is coarser than any that is kept")
    if layout.schema > SCHEMA_MAX:
        layout = ChunkLayout(
            SCHEMA_MAX,
            layout.zero_threshold,
            spans_of(_coarse(layout.positive_spans, layout.schema - SCHEMA_MAX)[0]),
            spans_of(_coarse(layout.negative_spans, layout.schema - SCHEMA_MAX)[0]),
            floats=layout.floats,
            gauge=layout.gauge,
        )
    custom = layout.schema == CUSTOM_SCHEMA
    threshold = 0.0 if custom else layout.zero_threshold
    bounds = layout.custom_values if custom else ()
    return layout, texts_of(layout.schema, threshold, bounds, layout.positive_spans, layout.negative_spans)


def _coarse(spans: Spans, levels: int) -> tuple[list[int], npt.NDArray[np.intp]]:
    """The buckets of a coarser schema, and in which of them each bucket is."""
    places = np.array([((index - 1) >> levels) + 1 for index in indexes(spans)], np.int64)
    distinct, inverse = np.unique(places, return_inverse=True)
    return distinct.tolist(), inverse


def component_values(chunk: HistogramChunk) -> Floats:
    """float64[components, samples]: the numbers of a chunk in the order of its texts."""
    layout, numbers = chunk.layout, chunk.numbers
    first = 3 + layout.positive
    sides = [numbers[3:first], numbers[first:]]
    if layout.schema > SCHEMA_MAX:
        for place, spans in enumerate((layout.positive_spans, layout.negative_spans)):
            distinct, inverse = _coarse(spans, layout.schema - SCHEMA_MAX)
            totals = np.zeros((len(distinct), numbers.shape[1]))
            np.add.at(totals, inverse, sides[place])
            sides[place] = totals
    head = (0, 2) if layout.schema == CUSTOM_SCHEMA else (0, 2, 1)
    return np.concatenate([numbers[list(head)], *sides])


def markers(chunk: HistogramChunk) -> Floats:
    """The samples of the series itself."""
    flags = MarkerFlags.FLOAT if chunk.layout.floats else MarkerFlags.NONE
    if chunk.layout.gauge:
        flags |= MarkerFlags.GAUGE
    return np.where(chunk.stale, STALE_NAN, marker(flags))


class BlockComponents:
    """Which components the series of a block have; they are numbered behind its own series."""

    def __init__(self, series: int, found: Iterable[tuple[int, ChunkLayout]]) -> None:
        """`found` are series and the layouts of their chunks."""
        owned = sorted({(owner, text) for owner, layout in found for text in kept_layout(layout)[1]})
        self._first = series
        self._numbers = {pair: series + place for place, pair in enumerate(owned)}
        self.texts = ("", *dict.fromkeys(text for _, text in owned))
        code = {text: place for place, text in enumerate(self.texts)}
        self.codes: Int32s = np.array([code[text] for _, text in owned], np.int32)
        owners = np.array([owner for owner, _ in owned], np.int32)
        self.view = ComponentView(np.arange(series, series + len(owned), dtype=np.int32), owners)

    def frame(self, series: Int32s, chunks: Sequence[tuple[int, HistogramChunk]]) -> PartialFrame | None:
        """The samples of some ascending series and components, from chunks, each with its series, in order of time."""
        row_of = {number: row for row, number in enumerate(series.tolist())}
        rows: list[int] = []
        times: list[Int64s] = []
        values: list[Floats] = []
        for owner, chunk in chunks:
            if (row := row_of.get(owner)) is not None:
                rows.append(row)
                times.append(chunk.times)
                values.append(markers(chunk))
            texts = kept_layout(chunk.layout)[1]
            wanted = [row_of.get(self._numbers[owner, text]) for text in texts]
            if all(row is None for row in wanted):
                continue
            alive = ~chunk.stale
            numbers = component_values(chunk)[:, alive]
            for row, line in zip(wanted, numbers, strict=True):
                if row is not None:
                    rows.append(row)
                    times.append(chunk.times[alive])
                    values.append(line)
        if not rows:
            return None
        order = np.argsort(rows, kind="stable").tolist()
        counts = np.zeros(len(series), np.int64)
        for place in order:
            counts[rows[place]] += len(times[place])
        offsets = np.concatenate(([0], np.cumsum(counts)))
        all_times = np.concatenate([times[place] for place in order])
        all_values = np.concatenate([values[place] for place in order])
        return PartialFrame.private(np.arange(len(series)), offsets, all_times, all_values)
