"""The newest samples of many series, found by columns, and written some thousand series at a time. For threads."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import reduce
from itertools import pairwise
from typing import Final

import numpy as np
import numpy.typing as npt

from trimon.model.frame import SampleFrame, Times
from trimon.model.histogram import HISTOGRAM_BYTES, ResetHint
from trimon.model.labels import INSTANCE_LABEL, METRIC_NAME, Labels
from trimon.model.matcher import Matcher, watched
from trimon.model.sample import is_stale
from trimon.model.snapshot import Snapshot
from trimon.model.table import LabelTable
from trimon.query.execution.budget import Budget
from trimon.query.execution.labelcodes import concat, sort_order, value_ranks
from trimon.query.execution.values import holds
from trimon.query.histograms.framecells import with_objects
from trimon.query.histograms.matrix import Cells
from trimon.query.windows.windowmatrix import window_matrices
from trimon.records import dataclass
from trimon.web.exposition.families import Encoding, FamilyType

# Written at once: some milliseconds.
SLICE_ROWS: Final = 2048
# Pieces of labels that are remembered for the next series.
_PIECES_MAX: Final = 4096
# What a series takes beside its labels: value, time, and its place while they are put in order.
_ROW_BYTES: Final = 64
_LABEL_BYTES: Final = 4


@dataclass(frozen=True, slots=True)
class NewestSamples:
    """A sample a series, by metric name and then by labels; each series has a name and is there once."""

    labels: LabelTable
    values: npt.NDArray[np.float64]
    times_ms: Times
    cells: Cells | None = None
    """The native histograms, None where there is a value; None when there is none."""
    nameless: int = 0
    """How many series were left out because they have no name."""

    @property
    def size_bytes(self) -> int:
        """The memory of the columns and of histograms."""
        native = 0 if self.cells is None else int(np.count_nonzero(holds(self.cells)))
        return (
            self.labels.rows * (_ROW_BYTES + _LABEL_BYTES * len(self.labels.names)) + native * HISTOGRAM_BYTES
        )


def newest_samples(
    snapshot: Snapshot,
    selectors: Sequence[tuple[Matcher, ...]],
    now_ms: int,
    lookback_ms: int,
    budget: Budget,
    *,
    native: bool = False,
) -> NewestSamples:
    """The newest sample in `(now - lookback, now]` of every series that a selector matches, but for stale ones.

    A selector without matchers, `{}`, selects nothing. Histograms with exponential buckets are left out but with `native`.
    """
    parts = []
    for matchers in filter(None, selectors):
        with watched(budget.check):
            selection = snapshot.select(matchers, now_ms - lookback_ms + 1, now_ms)
        budget.check()
        frame = with_objects(
            selection.wide_frame(
                now_ms - lookback_ms + 1, now_ms, lambda size: budget.take_bytes(size, "samples from storage")
            )
        )
        budget.read += frame.rows
        parts.append(_newest(selection.labels, frame, now_ms, lookback_ms, budget.check, native=native))
    if not parts:
        return NewestSamples(LabelTable.empty(), np.zeros(0), np.zeros(0, np.int64))
    labels = reduce(concat, (part.labels for part in parts))
    budget.take_bytes(labels.rows * (_ROW_BYTES + _LABEL_BYTES * len(labels.names)), "series in order")
    values = np.concatenate([part.values for part in parts])
    times_ms = np.concatenate([part.times_ms for part in parts])
    cells = _joined(parts)
    names, texts = labels.column(METRIC_NAME)
    order = sort_order(labels)
    order = order[np.argsort(value_ranks(names, texts)[order], kind="stable")]
    named = order[names[order] > 0]
    labels = labels.take(named)
    kept = _first_of_equals(labels) if len(parts) > 1 else slice(None)
    if not isinstance(kept, slice):
        labels = labels.take(kept)
    if cells is not None:
        cells = cells[named][kept]
    nameless = len(order) - len(named)
    return NewestSamples(labels, values[named][kept], times_ms[named][kept], cells, nameless)


def _joined(parts: Sequence[NewestSamples]) -> Cells | None:
    """The histograms of all parts."""
    if all(part.cells is None for part in parts):
        return None
    return np.concatenate(
        [np.full(part.labels.rows, None, np.object_) if part.cells is None else part.cells for part in parts]
    )


def _newest(
    labels: LabelTable,
    frame: SampleFrame,
    now_ms: int,
    lookback_ms: int,
    check: Callable[[], None],
    *,
    native: bool,
) -> NewestSamples:
    values, times_ms = np.zeros(frame.rows), np.zeros(frame.rows, np.int64)
    present = np.zeros(frame.rows, np.bool_)
    cells: Cells | None = None
    for windows in window_matrices(frame, np.array([now_ms]), lookback_ms, drop_stale=False, ends_only=True):
        check()
        last = windows.hi - 1
        shape = (len(windows.rows), 1)
        rows = windows.rows
        values[rows] = np.broadcast_to(windows.pick(windows.values, last), shape)[:, 0]
        times_ms[rows] = np.broadcast_to(windows.pick_times(last), shape)[:, 0]
        found = np.broadcast_to(windows.hi > windows.lo, shape)[:, 0]
        picked = windows.pick_cells(last)
        if picked is not None:
            cells = np.full(frame.rows, None, np.object_) if cells is None else cells
            cells[rows] = np.broadcast_to(picked, shape)[:, 0]
            if not native:
                found = found & np.array([each is None or each.custom for each in cells[rows].tolist()])
        present[rows] = found
    alive = np.flatnonzero(present & ~is_stale(values))
    if cells is not None:
        cells = cells[alive]
        # The sum of one that is stale says so, too, where it was written by others.
        gone = is_stale(np.array([0.0 if each is None else each.sum for each in cells.tolist()]))
        alive, cells = alive[~gone], cells[~gone]
    return NewestSamples(labels.take(alive), values[alive], times_ms[alive], cells)


def _kinds(samples: NewestSamples) -> npt.NDArray[np.int64]:
    """The type of the family that a sample belongs to."""
    kinds = np.full(samples.labels.rows, FamilyType.UNTYPED.value, np.int64)
    if samples.cells is not None:
        for place in np.flatnonzero(holds(samples.cells)).tolist():
            is_gauge = samples.cells[place].hint is ResetHint.GAUGE
            kinds[place] = (FamilyType.GAUGE_HISTOGRAM if is_gauge else FamilyType.HISTOGRAM).value
    return kinds


def _first_of_equals(labels: LabelTable) -> npt.NDArray[np.intp]:
    """Of neighbours with equal labels the first."""
    differs = np.zeros(labels.rows, np.bool_)
    differs[:1] = True
    for codes in labels.columns:
        differs[1:] |= codes[1:] != codes[:-1]
    return np.flatnonzero(differs)


class _Pieces(dict[int, bytes]):
    """What the values of one label are as bytes, by code."""

    def __init__(self, encoding: Encoding, name: str, values: Sequence[str]) -> None:
        super().__init__({0: b""})
        self._encoding, self._name, self._values = encoding, name, values

    def __missing__(self, code: int) -> bytes:
        if len(self) > _PIECES_MAX:
            self.clear()
            self[0] = b""
        piece = b"" if code == 0 else self._encoding.label(self._name, self._values[code])
        self[code] = piece
        return piece


class FederationWriter:
    """Writes samples for another server, which takes their labels as they are: those of this server are added."""

    def __init__(self, samples: NewestSamples, encoding: Encoding, external: Labels) -> None:
        self._samples = samples
        self._encoding = encoding
        table = samples.labels
        self._columns = [
            (codes, _Pieces(encoding, name, values))
            for name, codes, values in zip(table.names, table.columns, table.values, strict=True)
            if name != METRIC_NAME
        ]
        # A series without an instance says so: the server that reads it would put its own there otherwise.
        added = {INSTANCE_LABEL: ""} | dict(external)
        self._added = [
            (table.column(name)[0], (b"", encoding.label(name, value)))
            for name, value in sorted(added.items())
        ]
        self._names, self._texts = table.column(METRIC_NAME)
        self._kinds = _kinds(samples)

    def pieces(self) -> Iterator[bytes]:
        """The body, in pieces of some thousand series; where a family tells its length, of at least one family."""
        rows, names = self._samples.labels.rows, self._names
        # A name may have values and histograms: those are families of their own.
        keys = names * len(FamilyType) + self._kinds
        encoding = self._encoding
        held: list[bytes] = []
        for start in range(0, rows, SLICE_ROWS):
            stop = min(start + SLICE_ROWS, rows)
            labels = self._label_lines(start, stop)
            values = self._samples.values[start:stop].tolist()
            times_ms = self._samples.times_ms[start:stop].tolist()
            changes = np.flatnonzero(keys[start + 1 : stop] != keys[start : stop - 1]) + 1
            out: list[bytes] = []
            for low, high in pairwise([0, *changes.tolist(), stop - start]):
                key = keys[start + low]
                name = self._texts[names[start + low]]
                kind = FamilyType(self._kinds[start + low])
                if not encoding.needs_size and (start + low == 0 or keys[start + low - 1] != key):
                    out.append(encoding.begin(name, "", kind, 0))
                if kind is FamilyType.UNTYPED:
                    part = encoding.values(name, labels[low:high], values[low:high], times_ms[low:high])
                else:
                    assert self._samples.cells is not None  # there is no other reason for another type
                    histograms = self._samples.cells[start + low : start + high].tolist()
                    part = encoding.histograms(name, labels[low:high], histograms, times_ms[low:high])
                (held if encoding.needs_size else out).append(part)
                if start + high == rows or keys[start + high] != key:
                    if encoding.needs_size:
                        size_bytes = sum(map(len, held))
                        out += [encoding.begin(name, "", kind, size_bytes), *held]
                        held.clear()
                    out.append(encoding.end)
            yield b"".join(out)

    def _label_lines(self, start: int, stop: int) -> list[bytes]:
        """The labels of some series: their own, then those that are added where they are missing."""
        lists = [
            list(map(pieces.__getitem__, codes[start:stop].tolist()))
            for codes, pieces in self._columns
            if codes[start:stop].any()
        ]
        lists += [
            list(map(either.__getitem__, (codes[start:stop] == 0).tolist())) for codes, either in self._added
        ]
        return list(map(b"".join, zip(*lists, strict=True)))
