"""What a backtest reads: stored samples, and in place of what its rules would record there, what they have recorded in it."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence

import numpy as np
import numpy.typing as npt

from trimon.model.frame import SampleFrame
from trimon.model.labels import METRIC_NAME
from trimon.model.matcher import Matcher, MatchType
from trimon.model.snapshot import Admit, Estimate, NewestSamples, Selection, Snapshot
from trimon.model.table import LabelTable
from trimon.query.execution.labelcodes import concat, group
from trimon.query.execution.values import Index
from trimon.query.histograms.framecells import with_objects
from trimon.records import dataclass
from trimon.rules.alerting import ALERT_NAME, ALERTS, ALERTS_FOR_STATE
from trimon.rules.backtest.series import RecordedSeries
from trimon.rules.spec import RecordingSpec, RuleSpec

_OF_ALERTS = (ALERTS, ALERTS_FOR_STATE)


class Overlay:
    """Implements Snapshot: a stored one under the results of rules.

    Nothing is seen of what is stored under the metrics that the rules record, nor of the series of their alerts: it may be
    another version of the rules that wrote it. Only with `hides` false it is seen, under what they record. Of two rules that
    record the same sample the first one's counts.
    """

    def __init__(
        self, stored: Snapshot, rules: Iterable[RuleSpec], held_bytes: int = 0, *, hides: bool = True
    ) -> None:
        self.recorded: list[RecordedSeries] = []
        """In the order of evaluation."""
        self._stored = stored
        self._held_bytes = held_bytes
        self._hides = hides
        rules = list(rules)
        self._metrics = frozenset(rule.record for rule in rules if isinstance(rule, RecordingSpec))
        self._alerts = frozenset(rule.alert for rule in rules if not isinstance(rule, RecordingSpec))

    @property
    def size_bytes(self) -> int:
        """The memory of what is recorded, about, and of what the caller holds besides."""
        return self._held_bytes + sum(series.size_bytes for series in self.recorded)

    def select(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> Selection:
        """The series that satisfy every matcher."""
        name = _exact_name(matchers)
        if name and name not in self._metrics and name not in _OF_ALERTS:
            return self._stored.select(matchers, start_ms, end_ms)
        parts: list[_Part] = []
        for series in self.recorded:
            rows = series.matching(matchers)
            if len(rows):
                parts.append(_Recorded(series, rows))
        if name not in self._metrics or not self._hides:
            stored = self._stored.select(matchers, start_ms, end_ms)
            shown = np.flatnonzero(~self._is_hidden(stored.labels))
            if not parts and len(shown) == stored.labels.rows:
                return stored
            parts.append(_Stored(stored, shown))
        return OverlaySelection(parts)

    def _is_hidden(self, table: LabelTable) -> npt.NDArray[np.bool_]:
        """The series that the rules would have written."""
        if not self._hides:
            return np.zeros(table.rows, np.bool_)
        metrics, alerts = _among(table, METRIC_NAME, self._metrics), _among(table, ALERT_NAME, self._alerts)
        return metrics | (_among(table, METRIC_NAME, frozenset(_OF_ALERTS)) & alerts)

    def label_names(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> list[str]:
        """Label names of the matching series, ascending."""
        return [
            name for name, codes in _columns(self.select(matchers, start_ms, end_ms).labels) if codes.any()
        ]

    def label_values(self, name: str, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> list[str]:
        """Values of one label over the matching series, ascending."""
        codes, values = self.select(matchers, start_ms, end_ms).labels.column(name)
        return sorted({values[code] for code in np.unique(codes).tolist() if code})

    def labels_version(self, start_ms: int, end_ms: int) -> Hashable | None:
        """Not known."""
        del start_ms, end_ms
        return None

    def missing(self, start_ms: int, end_ms: int) -> tuple[str, ...]:
        """What is damaged of the stored samples."""
        return self._stored.missing(start_ms, end_ms)


def _columns(table: LabelTable) -> Iterable[tuple[str, npt.NDArray[np.int32]]]:
    return zip(table.names, table.columns, strict=True)


def _exact_name(matchers: Sequence[Matcher]) -> str:
    for matcher in matchers:
        if matcher.name == METRIC_NAME and matcher.type is MatchType.EQUAL:
            return matcher.value
    return ""


def _among(table: LabelTable, name: str, wanted: frozenset[str]) -> npt.NDArray[np.bool_]:
    codes, values = table.column(name)
    kept = [code for code in np.unique(codes).tolist() if values[code] in wanted]
    return np.isin(codes, kept)


@dataclass(frozen=True, slots=True)
class _Recorded:
    """Rows of what a rule recorded."""

    series: RecordedSeries
    rows: Index

    @property
    def labels(self) -> LabelTable:
        return self.series.labels.take(self.rows)

    def frame(self, start_ms: int, end_ms: int) -> SampleFrame:
        return self.series.frame(self.rows, start_ms, end_ms)

    def size_bytes(self, start_ms: int, end_ms: int) -> int:
        grid = self.series.grid
        times = (end_ms - start_ms) // grid.step_ms + 1
        return 16 * len(self.rows) * max(0, min(grid.count, times))


@dataclass(frozen=True, slots=True)
class _Stored:
    """Rows of a stored selection."""

    selection: Selection
    rows: Index

    @property
    def labels(self) -> LabelTable:
        return self.selection.labels.take(self.rows)

    def frame(self, start_ms: int, end_ms: int) -> SampleFrame:
        frame = self.selection.frame(start_ms, end_ms)
        return frame if len(self.rows) == frame.rows else frame.take(self.rows)

    def size_bytes(self, start_ms: int, end_ms: int) -> int:
        return self.selection.estimate(start_ms, end_ms).size_bytes


_Part = _Recorded | _Stored


class OverlaySelection:
    """Series of several parts, each series once."""

    def __init__(self, parts: Sequence[_Part]) -> None:
        self._parts = parts
        stacked = LabelTable.empty()
        for part in parts:
            stacked = concat(stacked, part.labels)
        groups = group(stacked)
        self._rows: Index | None = None
        if groups.count < stacked.rows:
            self._rows = groups.codes
            stacked = stacked.take(groups.first)
        self._labels = stacked

    @property
    def labels(self) -> LabelTable:
        """One row per series."""
        return self._labels

    def estimate(self, start_ms: int, end_ms: int) -> Estimate:
        """Upper bounds for the closed interval."""
        size_bytes = sum(part.size_bytes(start_ms, end_ms) for part in self._parts)
        return Estimate(self._labels.rows, size_bytes // 16, size_bytes)

    def living(self, start_ms: int, end_ms: int) -> npt.NDArray[np.bool_]:
        """Which series have samples in the closed interval."""
        return self.frame(start_ms, end_ms).lengths > 0

    def newest(self, after_ms: int, until_ms: int) -> NewestSamples | None:
        """Only a frame tells."""
        del after_ms, until_ms
        return None

    def frame(self, start_ms: int, end_ms: int) -> SampleFrame:
        """The samples in the closed interval."""
        frames = [with_objects(part.frame(start_ms, end_ms)) for part in self._parts]
        if not frames:
            return SampleFrame.empty()
        frame = frames[0] if len(frames) == 1 else _stacked(frames)
        return frame if self._rows is None else _merged(frame, self._rows, self._labels.rows)

    def wide_frame(self, start_ms: int, end_ms: int, admit: Admit) -> SampleFrame:
        """The samples in the closed interval."""
        admit(self.estimate(start_ms, end_ms).size_bytes)
        return self.frame(start_ms, end_ms)


def _stacked(frames: Sequence[SampleFrame]) -> SampleFrame:
    """The rows of frames one under the other."""
    dense = [frame.take(np.arange(frame.rows)) for frame in frames]
    arrays = np.cumsum([0, *(len(frame.time_offsets) - 1 for frame in dense)])
    times = np.cumsum([0, *(len(frame.times) for frame in dense)])
    samples = np.cumsum([0, *(len(frame.values) for frame in dense)])
    starts = [
        np.zeros(len(frame.values), np.int64) if frame.starts is None else frame.starts for frame in dense
    ]
    cells = [
        np.full(len(frame.values), None, np.object_) if frame.histograms is None else frame.histograms
        for frame in dense
    ]

    def shifted(
        offsets: Callable[[SampleFrame], npt.NDArray[np.int64]], by: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.int64]:
        parts = [offsets(frame)[:-1] + shift for frame, shift in zip(dense, by.tolist(), strict=False)]
        return np.concatenate([*parts, by[-1:]]).astype(np.int64)

    return SampleFrame(
        np.concatenate([frame.values for frame in dense]),
        shifted(lambda frame: frame.offsets, samples),
        np.concatenate([frame.times for frame in dense]),
        shifted(lambda frame: frame.time_offsets, times),
        np.concatenate([frame.time_of_row + arrays[at] for at, frame in enumerate(dense)]).astype(np.int32),
        np.concatenate([frame.has_stale for frame in dense]),
        np.concatenate(starts) if any(frame.starts is not None for frame in dense) else None,
        np.concatenate(cells) if any(frame.histograms is not None for frame in dense) else None,
        missing=tuple(dict.fromkeys(line for frame in dense for line in frame.missing)),
    )


def _merged(frame: SampleFrame, targets: Index, count: int) -> SampleFrame:
    """Rows of one target as one row; of samples at one time the first row's counts. Every row has times of its own."""
    frame = frame.take(np.arange(frame.rows))
    lengths = frame.lengths
    row = np.repeat(np.arange(frame.rows), lengths)
    within = np.arange(len(frame.values)) - frame.offsets[row]
    times = frame.times[frame.time_offsets[frame.time_of_row[row]] + within]
    target = targets[row]
    order = np.lexsort((row, times, target))
    same = np.zeros(len(order), np.bool_)
    same[1:] = (target[order][1:] == target[order][:-1]) & (times[order][1:] == times[order][:-1])
    kept = order[~same]
    offsets = np.concatenate([[0], np.cumsum(np.bincount(target[kept], minlength=count))]).astype(np.int64)
    has_stale = np.zeros(count, np.bool_)
    np.logical_or.at(has_stale, targets, frame.has_stale)
    return SampleFrame(
        frame.values[kept],
        offsets,
        times[kept],
        offsets,
        np.arange(count, dtype=np.int32),
        has_stale,
        None if frame.starts is None else frame.starts[kept],
        None if frame.histograms is None else frame.histograms[kept],
        missing=frame.missing,
    )
