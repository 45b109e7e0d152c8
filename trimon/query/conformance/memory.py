"""Samples in memory behind the Snapshot protocol. For scripts and tests: it loops over series."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from trimon.errors import UserError
from trimon.model.frame import SampleFrame
from trimon.model.labels import Labels, format_labels
from trimon.model.matcher import Matcher
from trimon.model.sample import is_stale
from trimon.model.snapshot import Estimate
from trimon.model.table import LabelTable


@dataclass(slots=True)
class MemorySeries:
    """One series: ascending times, values, start timestamps (0: unknown)."""

    times: list[int] = field(default_factory=list)
    values: list[float] = field(default_factory=list)
    starts: list[int] = field(default_factory=list)


@dataclass(slots=True)
class MemoryStore:
    """Series by label set. Implements Snapshot; what it shows changes when samples are appended."""

    series: dict[Labels, MemorySeries] = field(default_factory=dict)
    native: set[Labels] = field(default_factory=set)

    def append(self, labels: Labels, time_ms: int, value: float, start_ms: int = 0) -> None:
        """Add a sample behind the last one of its series; raises UserError when it is not behind."""
        found = self.series.setdefault(labels, MemorySeries())
        if found.times and found.times[-1] >= time_ms:
            bits = np.array([found.values[-1], value]).view(np.int64)
            if found.times[-1] == time_ms and bits[0] == bits[1]:
                return
            reason = "duplicate" if found.times[-1] == time_ms else "out of order"
            raise UserError(f"{reason} sample for {format_labels(labels)} at {time_ms} ms")
        found.times.append(time_ms)
        found.values.append(value)
        found.starts.append(start_ms)

    def extend(self, labels: Labels, samples: Iterable[tuple[int, float]]) -> None:
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
        chosen.sort(key=lambda pair: (tuple(pair[1].times), pair[0]))
        return MemorySelection(LabelTable.of([labels for labels, _ in chosen]), [s for _, s in chosen])

    def label_names(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> list[str]:
        """Names of the labels of matching series."""
        return list(self.select(matchers, start_ms, end_ms).labels.names)

    def label_values(self, name: str, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> list[str]:
        """Values of one label over the matching series."""
        table = self.select(matchers, start_ms, end_ms).labels
        codes, values = table.column(name)
        return sorted({values[code] for code in codes.tolist() if code})


@dataclass(frozen=True, slots=True)
class MemorySelection:
    """The matching series; those with equal times are neighbours and share a time array."""

    labels: LabelTable
    series: list[MemorySeries]

    def estimate(self, start_ms: int, end_ms: int) -> Estimate:
        """The exact figures."""
        samples = sum(sum(start_ms <= t <= end_ms for t in series.times) for series in self.series)
        return Estimate(len(self.series), samples, samples * 16)

    def frame(self, start_ms: int, end_ms: int) -> SampleFrame:
        """The samples in the closed interval."""
        values: list[np.ndarray] = []
        starts: list[np.ndarray] = []
        times: list[np.ndarray] = []
        time_of_row: list[int] = []
        has_stale: list[bool] = []
        previous: bytes | None = None
        for series in self.series:
            stamps = np.array(series.times, np.int64)
            inside = (stamps >= start_ms) & (stamps <= end_ms)
            stamps = stamps[inside]
            row = np.array(series.values, np.float64)[inside]
            stale = bool(is_stale(row).any())
            key = stamps.tobytes()
            if key != previous or stale:
                times.append(stamps)
                previous = None if stale else key
            time_of_row.append(len(times) - 1)
            values.append(row)
            starts.append(np.array(series.starts, np.int64)[inside])
            has_stale.append(stale)
        if not values:
            return SampleFrame.empty()
        all_starts = np.concatenate(starts)
        return SampleFrame(
            np.concatenate(values),
            np.cumsum([0, *(len(row) for row in values)]).astype(np.int64),
            np.concatenate(times),
            np.cumsum([0, *(len(row) for row in times)]).astype(np.int64),
            np.array(time_of_row, np.int32),
            np.array(has_stale, np.bool_),
            all_starts if all_starts.any() else None,
        )
