"""Native histograms as samples of a batch."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from trimon.model.components import component_labels
from trimon.model.rows import SampleBatch

# Marker, texts of the components, their values.
Taken = tuple[float, Sequence[str], Sequence[float]]


def with_histograms(batch: SampleBatch, histograms: Iterable[tuple[int, int, Taken]]) -> SampleBatch:
    """A batch with histograms behind its samples: (place in `series`, time in ms, what it is taken apart to) each."""
    series = list(batch.series)
    components: dict[tuple[int, str], int] = {}
    index: list[int] = []
    times: list[int] = []
    values: list[float] = []
    for number, time_ms, (value, texts, parts) in histograms:
        index.append(number)
        values.append(value)
        for text in texts:
            place = components.get((number, text))
            if place is None:
                place = components[number, text] = len(series)
                series.append(component_labels(series[number], text))
            index.append(place)
        values.extend(parts)
        times.extend([time_ms] * (1 + len(texts)))
    if not index:
        return batch
    return SampleBatch(
        tuple(series),
        np.concatenate((batch.series_index, np.array(index, np.int32))),
        np.concatenate((batch.timestamps_ms, np.array(times, np.int64))),
        np.concatenate((batch.values, np.array(values, np.float64))),
        batch.atomic,
        histograms=True,
        told=batch.told,
    )
