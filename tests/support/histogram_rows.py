"""Native histograms as messages to a store, and read back one by one: plain loops, for comparison."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from trimon.model.components import MarkerFlags, Part, component_labels, is_marker, marker_flags, split
from trimon.model.frame import SampleFrame
from trimon.model.histogram import Buckets, FloatHistogram, ResetHint
from trimon.model.labels import Labels
from trimon.model.rows import Row, SampleBatch
from trimon.model.sample import is_absent, is_stale

Value = float | FloatHistogram
Shown = tuple[object, ...]


def cells_of(labels: Labels, value: Value, *, integer: bool = True) -> list[tuple[Labels, float]]:
    """The series and floats that a sample is stored as."""
    if isinstance(value, float):
        return [(labels, value)]
    marker, texts, values = split(value, integer=integer)
    parts = [(component_labels(labels, text), number) for text, number in zip(texts, values, strict=True)]
    return [(labels, marker), *parts]


def batch_of(
    samples: Iterable[tuple[Labels, int, Value]], *, atomic: bool = False, integer: bool = True
) -> SampleBatch:
    """A batch of floats and histograms, components behind their markers."""
    cells = [
        (*cell, time_ms)
        for labels, time_ms, value in samples
        for cell in cells_of(labels, value, integer=integer)
    ]
    series = tuple(dict.fromkeys(labels for labels, _, _ in cells))
    place = {labels: number for number, labels in enumerate(series)}
    return SampleBatch(
        series,
        np.array([place[labels] for labels, _, _ in cells], np.int32),
        np.array([time_ms for _, _, time_ms in cells], np.int64),
        np.array([value for _, value, _ in cells], np.float64),
        atomic,
        histograms=True,
    )


def row_of(group: str, time_ms: int, samples: dict[Labels, Value]) -> Row:
    """A row in which every series is new to the sender."""
    cells = [cell for labels, value in samples.items() for cell in cells_of(labels, value)]
    no_columns = np.zeros(0, np.int32)
    labels = tuple(each for each, _ in cells)
    return Row(group, time_ms, no_columns, np.zeros(0), labels, np.array([value for _, value in cells]))


def shown(value: Value) -> Shown:
    """A sample in a form that compares: buckets without the empty ones, NaN by its bits."""
    if isinstance(value, float):
        return ("float", int(np.float64(value).view(np.int64)))
    buckets = tuple(
        tuple((i, c) for i, c in zip(part.index.tolist(), part.counts.tolist(), strict=True) if c)
        for part in (value.positive, value.negative)
    )
    layout = (value.schema, value.zero_threshold, value.custom_values)
    return (*layout, value.count, value.sum, value.zero_count, buckets, value.hint is ResetHint.GAUGE)


def samples_of(frame: SampleFrame, row: int, start_ms: int, end_ms: int) -> list[tuple[int, Shown]]:
    """All samples of a row in the closed interval; staleness markers are floats."""
    times, values = row_arrays(frame, row)
    columns = frame.native
    markers = is_marker(values)
    mine = (
        []
        if columns is None
        else [number for number, owner in enumerate(columns.row.tolist()) if owner == row]
    )
    found: list[tuple[int, Shown]] = []
    for time_ms, value, native in zip(times.tolist(), values.tolist(), markers.tolist(), strict=True):
        if not start_ms <= time_ms <= end_ms:
            continue
        if native:
            flags = MarkerFlags(int(marker_flags(np.array([value]))[0]))
            found.append((time_ms, shown(_histogram(frame, mine, time_ms, flags))))
        else:
            found.append((time_ms, shown(value)))
    return found


def row_arrays(frame: SampleFrame, row: int) -> tuple[np.ndarray, np.ndarray]:
    """Times and values of a row."""
    array = frame.time_of_row[row]
    times = frame.times[frame.time_offsets[array] : frame.time_offsets[array + 1]]
    return times, frame.values[frame.offsets[row] : frame.offsets[row] + len(times)]


def _histogram(frame: SampleFrame, mine: Sequence[int], time_ms: int, flags: MarkerFlags) -> FloatHistogram:
    columns = frame.native
    assert columns is not None
    numbers: dict[int, dict[tuple[int, int], float]] = {}
    for component in mine:
        times, values = row_arrays(columns.frame, component)
        at = np.flatnonzero(times == time_ms)
        if len(at) and not is_stale(values[at])[0] and not is_absent(values[at])[0]:
            key = int(columns.part[component]), int(columns.index[component])
            numbers.setdefault(int(columns.layout[component]), {})[key] = float(values[at[0]])
    known = [layout for layout, parts in numbers.items() if (Part.COUNT, 0) in parts]
    assert len(known) == 1, f"{len(known)} layouts at {time_ms}"
    layout, parts = columns.layouts[known[0]], numbers[known[0]]
    buckets = []
    for part in (Part.POSITIVE, Part.NEGATIVE):
        listed = sorted((index, count) for (kind, index), count in parts.items() if kind == part)
        index = np.array([index for index, _ in listed], np.int64)
        buckets.append(Buckets(index, np.array([count for _, count in listed], np.float64)))
    positive, negative = buckets
    return FloatHistogram(
        layout.schema,
        layout.zero_threshold,
        parts.get((Part.ZERO, 0), 0.0),
        parts[(Part.COUNT, 0)],
        parts[(Part.SUM, 0)],
        positive,
        negative,
        layout.custom_values,
        ResetHint.GAUGE if MarkerFlags.GAUGE in flags else ResetHint.UNKNOWN,
    )
