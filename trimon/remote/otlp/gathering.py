"""What is gathered while a request is read, and the batch that numpy makes of it in the end."""

from __future__ import annotations

from dataclasses import field
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from trimon.errors import UserError
from trimon.model.components import unmarked
from trimon.model.histogrambatch import Taken, with_histograms
from trimon.model.labels import Labels
from trimon.model.rows import SampleBatch
from trimon.records import dataclass
from trimon.remote.otlp.series import Resource

NS_PER_MS: Final = 1_000_000
# Of `target_info` in one request for one resource: 17 days with the default lookback.
TARGET_INFO_SAMPLES_MAX: Final = 10_000
# Where things are in a usual data point, counted from the tag of its time.
_TIME_AT: Final = 1
_VALUE_AT: Final = 10
_SUM_AT: Final = 19
_DOUBLE_TAG: Final = 0x21

Int64s = npt.NDArray[np.int64]
UInt64s = npt.NDArray[np.uint64]
Floats = npt.NDArray[np.float64]
# Places of series, times in ms, values.
Columns: TypeAlias = tuple[Int64s, Int64s, Floats]


@dataclass(slots=True)
class Numbers:
    """Usual points of gauges and sums: where their times are, and their series by place."""

    at: list[int] = field(default_factory=list)
    series: list[int] = field(default_factory=list)
    runs: list[list[int]] = field(default_factory=list)
    """[resource, how many points] each, in order."""


@dataclass(slots=True)
class Histograms:
    """Usual points of histograms of one number of buckets: where times and counts are, and the first of their series."""

    at: list[int] = field(default_factory=list)
    counts_at: list[int] = field(default_factory=list)
    series: list[int] = field(default_factory=list)
    resources: list[int] = field(default_factory=list)


@dataclass(slots=True)
class Gathered:
    """Everything of one request."""

    series: list[Labels] = field(default_factory=list)
    numbers: Numbers = field(default_factory=Numbers)
    histograms: dict[tuple[int, bool], Histograms] = field(default_factory=dict)
    """By number of buckets, and whether there are sums."""
    odd: list[tuple[int, int, float]] = field(default_factory=list)
    """(place of the series, time in ms, value) each."""
    native: list[tuple[int, int, Taken]] = field(default_factory=list)
    native_places: dict[Labels, int] = field(default_factory=dict)
    """Places of series of native histograms, each of which has one: its components hang on it."""
    zeros: list[tuple[int, int]] = field(default_factory=list)
    """Place of the series and start in ms, where a sample of 0 belongs."""
    native_zeros: list[tuple[int, int, Taken]] = field(default_factory=list)
    points: list[tuple[int, int]] = field(default_factory=list)
    """First series and number of series of each data point that has several."""
    exemplars: list[tuple[Labels, Labels, float, int]] = field(default_factory=list)
    families: list[tuple[str, str, str, str]] = field(default_factory=list)
    errors: list[UserError] = field(default_factory=list)
    left_out: int = 0
    """Data points that are left out by themselves, and why the first is."""
    left_out_reason: str = ""
    empty: int = 0
    """Metrics without a data point."""
    times: dict[int, tuple[int, int]] = field(default_factory=dict)
    """Earliest and latest time in ns of the points of each resource."""

    def add_time(self, resource: int, time_ns: int) -> None:
        """Notes the time of a point that was read by itself."""
        self._widen(resource, time_ns, time_ns)

    def native_place(self, series: Labels) -> int:
        """The place of a series of native histograms."""
        place = self.native_places.get(series)
        if place is None:
            place = self.native_places[series] = len(self.series)
            self.series.append(series)
        return place

    def leave_out(self, reason: str) -> None:
        """Counts a point that is left out."""
        self.left_out += 1
        self.left_out_reason = self.left_out_reason or reason

    def batches(
        self, data: bytes, resources: list[Resource], lookback_ms: int
    ) -> tuple[SampleBatch, SampleBatch | None]:
        """All samples in the order of their series; and without those of 0 at starts, None where there are none.

        Raises UserError for times of a resource that are too far apart.
        """
        raw = np.frombuffer(data, np.uint8)
        parts = [_columns(self.odd)]
        if self.numbers.at:
            parts.append(self._numbers(raw))
        parts += [
            self._histogram_samples(raw, buckets, found, has_sum=has_sum)
            for (buckets, has_sum), found in self.histograms.items()
        ]
        parts.append(self._target_info(resources, lookback_ms))
        plain = with_histograms(self._batch(parts), self.native)
        if not self.zeros and not self.native_zeros:
            return plain, None
        zeros = _columns([(place, time_ms, 0.0) for place, time_ms in self.zeros])
        return with_histograms(self._batch([zeros, *parts]), [*self.native_zeros, *self.native]), plain

    def _batch(self, parts: list[Columns]) -> SampleBatch:
        index = np.concatenate([index for index, _, _ in parts])
        times = np.concatenate([times for _, times, _ in parts])
        values = np.concatenate([values for _, _, values in parts])
        if len(parts) > 1:
            order = np.argsort(index, kind="stable")
            index, times, values = index[order], times[order], values[order]
        return SampleBatch(tuple(self.series), index.astype(np.int32), times, unmarked(values), atomic=True)

    def _numbers(self, raw: npt.NDArray[np.uint8]) -> Columns:
        numbers = self.numbers
        at = np.array(numbers.at, np.int64)
        times = _eights(raw, at + _TIME_AT)
        eights = _eights(raw, at + _VALUE_AT)
        is_double = raw[at + _VALUE_AT - 1] == _DOUBLE_TAG
        values = np.where(is_double, eights.view(np.float64), eights.view(np.int64).astype(np.float64))
        runs = [run for run in numbers.runs if run[1]]
        ends = np.cumsum([count for _, count in runs])
        starts = ends - np.array([count for _, count in runs])
        earliest, latest = np.minimum.reduceat(times, starts), np.maximum.reduceat(times, starts)
        for (resource, _), first, last in zip(runs, earliest.tolist(), latest.tolist(), strict=True):
            self._widen(resource, first, last)
        return np.array(numbers.series, np.int64), (times // NS_PER_MS).astype(np.int64), values

    def _histogram_samples(
        self,
        raw: npt.NDArray[np.uint8],
        buckets: int,
        found: Histograms,
        *,
        has_sum: bool,
    ) -> Columns:
        at = np.array(found.at, np.int64)
        times = _eights(raw, at + _TIME_AT)
        for resource, time_ns in zip(found.resources, times.tolist(), strict=True):
            self._widen(resource, time_ns, time_ns)
        counts = _eights(raw, at + _VALUE_AT).astype(np.float64)[:, None]
        bounded = buckets - 1
        places = np.array(found.counts_at, np.int64)[:, None] + 8 * np.arange(bounded)
        cells = _eights(raw, places.ravel()).reshape(len(at), bounded)
        cumulative = np.cumsum(cells, axis=1, dtype=np.uint64).astype(np.float64)
        sums = [_eights(raw, at + _SUM_AT).view(np.float64)[:, None]] if has_sum else []
        values = np.concatenate([*sums, counts, cumulative, counts], axis=1)
        width = values.shape[1]
        index = np.array(found.series, np.int64)[:, None] + np.arange(width)
        return index.ravel(), np.repeat((times // NS_PER_MS).astype(np.int64), width), values.ravel()

    def _widen(self, resource: int, first_ns: int, last_ns: int) -> None:
        known = self.times.get(resource)
        if known is not None:
            first_ns, last_ns = min(first_ns, known[0]), max(last_ns, known[1])
        self.times[resource] = first_ns, last_ns

    def _target_info(self, resources: list[Resource], lookback_ms: int) -> Columns:
        """Of each resource a sample every half of what queries look back, and one at its latest time."""
        index: list[int] = []
        times: list[int] = []
        step_ns = max(1, lookback_ms) * NS_PER_MS // 2
        for number, (first_ns, last_ns) in sorted(self.times.items()):
            labels = resources[number].target_info
            if labels is None:
                continue
            count = -(-(last_ns - first_ns) // step_ns)
            if count > TARGET_INFO_SAMPLES_MAX:
                raise UserError(
                    f"the data points of a resource are {(last_ns - first_ns) // 10**9} seconds apart, and at most "
                    f"{step_ns * TARGET_INFO_SAMPLES_MAX // 10**9} they may be"
                )
            moments = [*((first_ns + step_ns * at) // NS_PER_MS for at in range(count)), last_ns // NS_PER_MS]
            index += [len(self.series)] * len(moments)
            times += moments
            self.series.append(labels)
        return np.array(index, np.int64), np.array(times, np.int64), np.ones(len(index))


def _columns(rows: list[tuple[int, int, float]]) -> Columns:
    return (
        np.array([place for place, _, _ in rows], np.int64),
        np.array([time_ms for _, time_ms, _ in rows], np.int64),
        np.array([value for _, _, value in rows], np.float64),
    )


def _eights(raw: npt.NDArray[np.uint8], at: Int64s) -> UInt64s:
    """The numbers of eight bytes each that begin at these places."""
    cells = np.ascontiguousarray(raw[at[:, None] + np.arange(8)])
    return cells.view("<u8").astype(np.uint64, copy=False).reshape(len(at))
