"""Frames whose histograms are columns, as those of storage, from frames whose histograms are objects. It loops over samples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from trimon.model.components import split
from trimon.model.frame import HistogramColumns, SampleFrame


def with_columns(frame: SampleFrame) -> SampleFrame:
    """The frame with `native` instead of `histograms`."""
    if frame.histograms is None:
        return frame
    values = frame.values.copy()
    rows: list[int] = []
    texts: list[str] = []
    samples: list[tuple[np.ndarray, np.ndarray]] = []
    begins, lengths = frame.offsets[:-1].tolist(), frame.lengths.tolist()
    for row, (begin, length) in enumerate(zip(begins, lengths, strict=True)):
        stamp = int(frame.time_offsets[frame.time_of_row[row]])
        found: dict[str, list[tuple[int, float]]] = {}
        for at in range(length):
            cell = frame.histograms[begin + at]
            if cell is None:
                continue
            values[begin + at], names, numbers = split(cell)
            time_ms = int(frame.times[stamp + at])
            for name, number in zip(names, numbers, strict=True):
                found.setdefault(name, []).append((time_ms, number))
        for name in sorted(found):
            rows.append(row)
            texts.append(name)
            samples.append(
                (np.array([t for t, _ in found[name]], np.int64), np.array([v for _, v in found[name]]))
            )
    native = HistogramColumns.of(
        np.array(rows, np.int64), np.arange(len(rows), dtype=np.int32), texts, _frame_of(samples)
    )
    return replace(frame, values=values, histograms=None, native=native)


def _frame_of(samples: Sequence[tuple[np.ndarray, np.ndarray]]) -> SampleFrame:
    """A frame of one row for each times and values; equal times are shared."""
    arrays: dict[bytes, int] = {}
    times: list[np.ndarray] = []
    time_of_row = []
    for stamps, _ in samples:
        if stamps.tobytes() not in arrays:
            arrays[stamps.tobytes()] = len(times)
            times.append(stamps)
        time_of_row.append(arrays[stamps.tobytes()])
    if not samples:
        return SampleFrame.empty()
    return SampleFrame(
        np.concatenate([numbers for _, numbers in samples]),
        np.cumsum([0, *(len(numbers) for _, numbers in samples)]).astype(np.int64),
        np.concatenate(times),
        np.cumsum([0, *(len(stamps) for stamps in times)]).astype(np.int64),
        np.array(time_of_row, np.int32),
        np.zeros(len(samples), np.bool_),
    )
