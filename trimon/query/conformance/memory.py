"""Samples in memory behind the Snapshot protocol. For scripts and tests: it loops over series."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import field
from functools import cmp_to_key

import numpy as np
import numpy.typing as npt

from trimon.errors import UserError
from trimon.model.frame import SampleFrame
from trimon.model.histogram import FloatHistogram, ResetHint
from trimon.model.labels import Labels, format_labels
from trimon.model.matcher import Matcher
from trimon.model.sample import is_stale
from trimon.model.snapshot import Admit, Estimate, NewestSamples
from trimon.model.table import LabelTable
from trimon.query.conformance.columns import with_columns
from trimon.query.execution.values import holds
from trimon.query.histograms.resets import was_reset
from trimon.records import dataclass


@dataclass(slots=True)
class MemorySeries:
    """One series: ascending times, values, start timestamps (0: unknown), histograms (None: a float)."""

    times: list[int] = field(default_factory=list)
    values: list[float] = field(default_factory=list)
    starts: list[int] = field(default_factory=list)
    histograms: list[FloatHistogram | None] = field(default_factory=list)
    last: FloatHistogram | None = None
    """The last histogram as it came, if the last sample is one."""
    digest: int = 0
    """Of all times: those of series that arrived together are compared once and not sample by sample."""

    def within(self, start_ms: int, end_ms: int) -> slice:
        """The samples in the closed interval."""
        return slice(bisect_left(self.times, start_ms), bisect_right(self.times, end_ms))


@dataclass(slots=True)
class MemoryStore:
    """Series by label set. Implements Snapshot; what it shows changes when samples are appended."""

    series: dict[Labels, MemorySeries] = field(default_factory=dict)
    columns: bool = False
    """Whether histograms are handed out as columns, as storage does, or as objects."""

    def append(self, labels: Labels, time_ms: int, value: float | FloatHistogram, start_ms: int = 0) -> None:
        """Add a sample behind the last one of its series; raises UserError when it is not behind."""
        native = value if isinstance(value, FloatHistogram) else None
        number = math.nan if isinstance(value, FloatHistogram) else value
        found = self.series.setdefault(labels, MemorySeries())
        if found.times and found.times[-1] >= time_ms:
            bits = np.array([found.values[-1], number]).view(np.int64)
            if native is None and found.times[-1] == time_ms and bits[0] == bits[1]:
                return
            reason = "duplicate" if found.times[-1] == time_ms else "out of order"
            raise UserError(f"{reason} sample for {format_labels(labels)} at {time_ms} ms")
        found.times.append(time_ms)
        found.digest = hash((found.digest, time_ms))
        found.values.append(number)
        found.starts.append(start_ms)
        found.histograms.append(None if native is None else _as_stored(found.last, native))
        found.last = native

    def extend(self, labels: Labels, samples: Iterable[tuple[int, float | FloatHistogram]]) -> None:
        """Add several samples."""
        for time_ms, value in samples:
            self.append(labels, time_ms, value)

    def select(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> MemorySelection:
        """The series that match; the interval is not used."""
        del start_ms, end_ms
        chosen = [
            (labels, series)
            for labels, series in self.series.items()
            if all(matcher.matches(dict(labels).get(matcher.name, "")) for matcher in matchers)
        ]
        chosen.sort(key=cmp_to_key(_in_order))
        table = LabelTable.of([labels for labels, _ in chosen])
        return MemorySelection(table, [s for _, s in chosen], self.columns)

    def label_names(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> list[str]:
        """Names of the labels of matching series."""
        return list(self.select(matchers, start_ms, end_ms).labels.names)

    def label_values(self, name: str, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> list[str]:
        """Values of one label over the matching series."""
        table = self.select(matchers, start_ms, end_ms).labels
        codes, values = table.column(name)
        return sorted({values[code] for code in codes.tolist() if code})

    def labels_version(self, start_ms: int, end_ms: int) -> Hashable | None:
        """Not known."""
        del start_ms, end_ms
        return None

    def missing(self, start_ms: int, end_ms: int) -> tuple[str, ...]:
        """Nothing."""
        del start_ms, end_ms
        return ()


def _as_stored(last: FloatHistogram | None, histogram: FloatHistogram) -> FloatHistogram:
    """A histogram with the hint that a TSDB gives when it is read back.

    Within a chunk there are no resets; the first histogram of a chunk claims nothing.
    """
    if histogram.hint is ResetHint.GAUGE:
        return histogram
    fresh = (
        last is None
        or last.hint is ResetHint.GAUGE
        or (last.schema, last.zero_threshold, last.custom_values)
        != (histogram.schema, histogram.zero_threshold, histogram.custom_values)
        or was_reset(histogram, last)
    )
    return histogram.with_hint(ResetHint.UNKNOWN if fresh else ResetHint.NOT_RESET)


def _in_order(one: tuple[Labels, MemorySeries], other: tuple[Labels, MemorySeries]) -> int:
    """Series with equal times are neighbours, by their labels; else the earlier ones come first."""
    if one[1].digest != other[1].digest and one[1].times != other[1].times:
        return -1 if one[1].times < other[1].times else 1
    return (one[0] > other[0]) - (one[0] < other[0])


@dataclass(frozen=True, slots=True)
class MemorySelection:
    """The matching series; those with equal times are neighbours and share a time array."""

    labels: LabelTable
    series: list[MemorySeries]
    columns: bool = False

    def estimate(self, start_ms: int, end_ms: int) -> Estimate:
        """The exact figures."""
        spans = [series.within(start_ms, end_ms) for series in self.series]
        samples = sum(span.stop - span.start for span in spans)
        return Estimate(len(self.series), samples, samples * 16)

    def living(self, start_ms: int, end_ms: int) -> npt.NDArray[np.bool_]:
        """Which series have samples in the closed interval."""
        spans = [series.within(start_ms, end_ms) for series in self.series]
        return np.array([span.stop > span.start for span in spans], np.bool_)

    def wide_frame(self, start_ms: int, end_ms: int, admit: Admit) -> SampleFrame:
        """The samples in the closed interval; with histograms as columns all before it too: they tell of resets."""
        admit(self.estimate(start_ms, end_ms).size_bytes)
        return self.frame(-(2**62) if self.columns else start_ms, end_ms)

    def newest(self, after_ms: int, until_ms: int) -> NewestSamples | None:
        """Only a frame tells."""
        del after_ms, until_ms
        return None

    def frame(self, start_ms: int, end_ms: int) -> SampleFrame:
        """The samples in the closed interval."""
        values: list[np.ndarray] = []
        starts: list[np.ndarray] = []
        times: list[np.ndarray] = []
        time_of_row: list[int] = []
        has_stale: list[bool] = []
        cells: list[np.ndarray] = []
        previous: bytes | None = None
        for series in self.series:
            inside = series.within(start_ms, end_ms)
            stamps = np.array(series.times[inside], np.int64)
            row = np.array(series.values[inside], np.float64)
            stale = bool(is_stale(row).any())
            key = stamps.tobytes()
            if key != previous or stale:
                times.append(stamps)
                previous = None if stale else key
            time_of_row.append(len(times) - 1)
            values.append(row)
            starts.append(np.array(series.starts[inside], np.int64))
            native = np.full(len(stamps), None, np.object_)
            native[:] = series.histograms[inside]
            cells.append(native)
            has_stale.append(stale)
        if not values:
            return SampleFrame.empty()
        all_starts, all_cells = np.concatenate(starts), np.concatenate(cells)
        made = SampleFrame(
            np.concatenate(values),
            np.cumsum([0, *(len(row) for row in values)]).astype(np.int64),
            np.concatenate(times),
            np.cumsum([0, *(len(row) for row in times)]).astype(np.int64),
            np.array(time_of_row, np.int32),
            np.array(has_stale, np.bool_),
            all_starts if all_starts.any() else None,
            all_cells if holds(all_cells).any() else None,
        )
        return with_columns(made) if self.columns else made
