"""Functions over range vectors of native histograms, all rows and windows at once.

What comes here are windows whose samples are histograms of one layout; others are left to objects.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import field, replace
from typing import Final

import numpy as np
import numpy.typing as npt

from trimon.model.components import Part
from trimon.query.execution.values import Index, Mask, Matrix
from trimon.query.histograms.hints import GAUGE, NOT_RESET, RESET, UNKNOWN
from trimon.query.windows import overtime
from trimon.query.windows.bundles import Bundle
from trimon.query.windows.histogramwindows import NOT_COUNTER, NOT_GAUGE
from trimon.query.windows.rate import RateWindows
from trimon.query.windows.windowarguments import WindowCall
from trimon.records import dataclass

Hints = npt.NDArray[np.uint8]


@dataclass(slots=True)
class Outcome:
    """What a function makes of the windows of a bundle, a line a row or component.

    `present` are the cells it has a value for, `hard` those that objects must say. The value is a histogram, `numbers` of the
    layout `kinds`, or a float. `notes` are rows with what is to be said of them.
    """

    present: Mask
    hard: Mask
    floats: Matrix | None = None
    numbers: Matrix | None = None
    kinds: npt.NDArray[np.int32] | None = None
    hints: Hints | None = None
    stored: Mask | None = None
    notes: list[tuple[Index, tuple[str, str]]] = field(default_factory=list)

    def note(self, windows: Mask, note: tuple[str, str]) -> None:
        """Say something of the rows of some windows."""
        if windows.any():
            self.notes.append((np.flatnonzero(windows.any(axis=1)), note))


@dataclass(frozen=True, slots=True)
class Look:
    """What all functions want to know of the windows of a bundle.

    `holds` are those with any histogram, `pure` those with nothing but histograms of one layout. `first` and `last` are the
    columns of their ends, of windows without samples any.
    """

    bundle: Bundle
    holds: Mask
    pure: Mask
    first: Index
    last: Index

    @classmethod
    def of(cls, bundle: Bundle, lo: Index | None = None) -> Look:
        """The windows, or what lies behind other beginnings of them."""
        begin, end = bundle.lo if lo is None else lo, bundle.hi
        width = len(bundle.times)
        some = end > begin
        first, last = np.minimum(begin, width - 1), np.maximum(end - 1, 0)
        shape = (len(bundle.rows), bundle.steps)
        if bundle.uniform:
            holds = pure = np.broadcast_to(some, shape)
            return cls(bundle, holds, pure, first, last)
        kinds = bundle.kinds
        before = np.zeros((len(kinds), width + 1), np.int64)
        np.cumsum(kinds >= 0, axis=1, out=before[:, 1:])
        holds = some & (before[:, last + 1] > before[:, first])
        changes = np.zeros((len(kinds), width), np.int64)
        np.cumsum(kinds[:, 1:] != kinds[:, :-1], axis=1, out=changes[:, 1:])
        pure = some & (kinds[:, first] >= 0) & (changes[:, last] == changes[:, first])
        return cls(bundle, holds, pure, first, last)

    def mixed(self) -> Mask:
        """Windows in which there is any float."""
        bundle = self.bundle
        if bundle.uniform:
            return np.zeros(self.holds.shape, np.bool_)
        before = np.zeros((len(bundle.kinds), len(bundle.times) + 1), np.int64)
        np.cumsum(bundle.kinds < 0, axis=1, out=before[:, 1:])
        found: Mask = before[:, self.last + 1] > before[:, self.first]
        return found

    def kinds(self, present: Mask) -> npt.NDArray[np.int32]:
        """The layouts of pure windows."""
        return np.where(present, self.bundle.kinds[:, self.first], np.int32(-1)).astype(np.int32)

    def any_gauge(self) -> Mask:
        """Windows in which any sample is a gauge."""
        gauges = self.bundle.gauges
        if not gauges.any():
            return np.zeros(self.holds.shape, np.bool_)
        before = np.zeros((len(gauges), gauges.shape[1] + 1), np.int64)
        np.cumsum(gauges, axis=1, out=before[:, 1:])
        found: Mask = before[:, self.last + 1] > before[:, self.first]
        return found


def _falls(bundle: Bundle) -> Mask:
    """For each row between which neighbours a counter began anew."""
    values = bundle.values
    return bundle.any_of(values[:, 1:] < values[:, :-1])


def _zeroed(bundle: Bundle, numbers: Matrix, present: Mask) -> Matrix:
    """Numbers with 0 where there is no result."""
    if present.all():
        return numbers
    everywhere = present[0]
    if (present == everywhere).all():
        numbers[:, ~everywhere] = 0.0
        return numbers
    return np.where(bundle.spread(present), numbers, 0.0)


def _with_resets(bundle: Bundle, numbers: Matrix) -> None:
    """Add to increases what counter resets inside the windows took, in place, in the order of time.

    What was before a reset right after the first sample does not matter.
    """
    falls = _falls(bundle)
    sizes = np.diff(bundle.bounds)
    for column in np.flatnonzero(falls.any(axis=0)).tolist():
        fallen = falls[:, column]
        rows: slice | Index = slice(None) if fallen.all() else np.flatnonzero(np.repeat(fallen, sizes))
        begin = int(np.searchsorted(bundle.hi, column + 2))
        first = int(np.searchsorted(bundle.lo, column))
        end = int(np.searchsorted(bundle.lo, column, side="right"))
        if max(begin, first) > begin:
            numbers[rows, begin:first] += bundle.values[rows, column : column + 1]
        anew = slice(max(begin, first), end)
        if anew.stop > anew.start:
            numbers[rows, anew] = bundle.values[rows][:, bundle.hi[anew] - 1]


def _extrapolated(bundle: Bundle, call: WindowCall, *, kind: str) -> Outcome:
    counter = kind != "delta"
    look = Look.of(bundle)
    enough = bundle.counts >= 2
    present, hard = look.pure & enough, look.holds & ~look.pure & enough
    out = Outcome(present, hard)
    if not present.any():
        return out
    matrix = bundle.windows()
    windows = RateWindows.of(matrix, call)
    numbers = windows.increases(matrix)
    if counter:
        _with_resets(bundle, numbers)
        out.note((present & look.any_gauge()), ("warn-name", NOT_COUNTER))
    else:
        gauges = bundle.gauges[:, look.first] & bundle.gauges[:, look.last]
        out.note((present & ~gauges), ("warn-name", NOT_GAUGE))
    numbers = _zeroed(bundle, numbers, present)
    to_start = windows.to_start
    if counter:
        counts = np.add.reduceat(
            np.where((bundle.part == Part.COUNT)[:, None], numbers, 0.0), bundle.bounds[:-1]
        )
        began = bundle.figure(Part.COUNT, look.first)
        earliest = windows.sampled * (began / counts)
        to_start = np.where((counts > 0) & (began >= 0), np.minimum(to_start, earliest), to_start)
    factor = (windows.sampled + to_start + windows.to_end) / windows.sampled
    if kind == "rate":
        factor = factor / (call.range_ms / 1000)
    factor = np.broadcast_to(np.where(enough, factor, 1.0), present.shape)
    numbers *= bundle.spread(factor)
    out.numbers, out.kinds = numbers, look.kinds(present)
    out.hints = np.full(present.shape, GAUGE, np.uint8)
    return out


def _last_two(bundle: Bundle, call: WindowCall, *, counter: bool) -> Outcome:
    del call
    enough = bundle.counts >= 2
    look = Look.of(bundle, np.maximum(bundle.lo, bundle.hi - 2))
    whole = Look.of(bundle)
    present = look.pure & enough
    out = Outcome(present, whole.holds & ~look.pure & enough)
    last, before = look.last, np.maximum(look.last - 1, 0)
    newer, older = bundle.values.take(last, axis=1), bundle.values.take(before, axis=1)
    numbers = newer - older
    gauges = bundle.gauges[:, last], bundle.gauges[:, before]
    if counter:
        fallen = bundle.any_of(newer < older)
        if fallen.any():
            numbers = np.where(bundle.spread(fallen), newer, numbers)
        numbers /= np.where(enough, (bundle.times[last] - bundle.times[before]) / 1000, 1.0)
        out.note((present & (gauges[0] | gauges[1])), ("warn-name", NOT_COUNTER))
    else:
        out.note((present & ~(gauges[0] & gauges[1])), ("warn-name", NOT_GAUGE))
    out.numbers, out.kinds = _zeroed(bundle, numbers, present), look.kinds(present)
    out.hints = np.full(present.shape, GAUGE, np.uint8)
    return out


def resets_at(bundle: Bundle, columns: Index) -> tuple[Hints, Mask]:
    """Whether there was a counter reset at the samples in some columns, and where only objects can say that."""
    before = np.maximum(columns - 1, 0)
    kinds, behind = bundle.kinds[:, columns], bundle.kinds[:, before]
    follows = columns > 0
    fell = bundle.any_of(bundle.values.take(columns, axis=1) < bundle.values.take(before, axis=1))
    hints = np.where(follows, np.where(fell, RESET, NOT_RESET), UNKNOWN).astype(np.uint8)
    hints[bundle.gauges[:, columns]] = GAUGE
    return hints, follows & (kinds >= 0) & (kinds != behind)


def _hints_at(bundle: Bundle, columns: Index) -> Hints:
    """What is known of counter resets of the samples in some columns."""
    before = np.maximum(columns - 1, 0)
    known = (columns > 0) & bundle.follows[columns] & (bundle.kinds[:, columns] == bundle.kinds[:, before])
    known &= (bundle.kinds[:, columns] >= 0) & ~bundle.gauges[:, before]
    if known.any():
        known &= ~bundle.any_of(bundle.values.take(columns, axis=1) < bundle.values.take(before, axis=1))
    hints = np.where(known, NOT_RESET, UNKNOWN).astype(np.uint8)
    hints[bundle.gauges[:, columns]] = GAUGE
    return hints


def _stored_at(bundle: Bundle, columns: Index, present: Mask) -> Mask:
    """Which numbers the samples in some columns have."""
    if bundle.stored is not None:
        stored: Mask = bundle.stored.take(columns, axis=1)
    else:
        row = np.repeat(np.arange(len(bundle.rows)), np.diff(bundle.bounds))
        stored = bundle.layout[:, None] == bundle.kinds[:, columns][row]
    return stored & bundle.spread(present)


def picked(bundle: Bundle, columns: Index, present: Mask, hard: Mask) -> Outcome:
    """The samples in some columns, one for each step."""
    out = Outcome(present, hard)
    out.kinds = np.where(present, bundle.kinds[:, columns], np.int32(-1)).astype(np.int32)
    out.numbers = _zeroed(bundle, bundle.values.take(columns, axis=1), present)
    out.hints = _hints_at(bundle, columns)
    out.stored = _stored_at(bundle, columns, present)
    return out


def _end(bundle: Bundle, call: WindowCall, *, last: bool) -> Outcome:
    del call
    look = Look.of(bundle)
    columns = look.last if last else look.first
    present = look.holds & (bundle.kinds[:, columns] >= 0)
    # Where a float is at that end, it is the value: objects say so.
    return picked(bundle, columns, present, look.holds & ~present)


def _summed(bundle: Bundle, call: WindowCall, *, mean: bool) -> Outcome:
    look = Look.of(bundle)
    out = Outcome(look.pure, look.holds & ~look.pure)
    if not look.pure.any():
        return out
    matrix = bundle.windows()
    numbers, _ = overtime.total(matrix, replace(call, memo={}))
    counts = bundle.counts
    if np.isinf(numbers).any():
        # The mean of numbers whose sum is too large is not taken from their sum.
        out.hard = out.hard | (look.pure & bundle.any_of(np.isinf(numbers), counts_only=False))
        out.present = look.pure & ~out.hard
    if mean:
        numbers = numbers / np.maximum(counts, 1)
    out.numbers = _zeroed(bundle, np.array(numbers), out.present)
    out.kinds = look.kinds(out.present)
    out.hints = _hints_of(bundle, look)
    alone = counts == 1
    if alone.any():
        out.stored = np.where(alone, _stored_at(bundle, look.first, out.present), out.numbers != 0)
    return out


def _hints_of(bundle: Bundle, look: Look) -> Hints:
    """What is known of the resets of all samples of a window together."""
    each = _hints_at(bundle, np.arange(len(bundle.times)))
    before = np.zeros((len(each), each.shape[1] + 1), np.int64)
    np.cumsum(each == NOT_RESET, axis=1, out=before[:, 1:])
    calm = before[:, look.last + 1] - before[:, look.first] == bundle.counts
    hints = np.where(calm, NOT_RESET, UNKNOWN).astype(np.uint8)
    hints[look.any_gauge()] = GAUGE
    return hints


def _of_windows(bundle: Bundle, value: Callable[[Bundle, Look], Matrix]) -> Outcome:
    look = Look.of(bundle)
    out = Outcome(look.holds, np.zeros(look.holds.shape, np.bool_))
    out.floats = np.broadcast_to(value(bundle, look), look.holds.shape)
    return out


def _pairs(bundle: Bundle, marks: Mask) -> Outcome:
    """How many pairs of neighbours have a mark, in windows of histograms of one layout."""
    look = Look.of(bundle)
    out = Outcome(look.pure, look.holds & ~look.pure)
    before = np.zeros((len(marks), len(bundle.times)), np.int64)
    np.cumsum(marks, axis=1, out=before[:, 1:])
    out.floats = (before[:, look.last] - before[:, look.first]).astype(np.float64)
    return out


def _changes(bundle: Bundle, call: WindowCall) -> Outcome:
    del call
    after, before = bundle.values[:, 1:], bundle.values[:, :-1]
    differs = (after != before) & ~(np.isnan(after) & np.isnan(before))
    return _pairs(bundle, bundle.any_of(differs, counts_only=False))


COLUMN_KERNELS: Final[dict[str, Callable[[Bundle, WindowCall], Outcome]]] = {
    "rate": lambda bundle, call: _extrapolated(bundle, call, kind="rate"),
    "increase": lambda bundle, call: _extrapolated(bundle, call, kind="increase"),
    "delta": lambda bundle, call: _extrapolated(bundle, call, kind="delta"),
    "irate": lambda bundle, call: _last_two(bundle, call, counter=True),
    "idelta": lambda bundle, call: _last_two(bundle, call, counter=False),
    "sum_over_time": lambda bundle, call: _summed(bundle, call, mean=False),
    "avg_over_time": lambda bundle, call: _summed(bundle, call, mean=True),
    "last_over_time": lambda bundle, call: _end(bundle, call, last=True),
    "first_over_time": lambda bundle, call: _end(bundle, call, last=False),
    "count_over_time": lambda bundle, _: _of_windows(bundle, lambda b, _: b.counts.astype(np.float64)),
    "present_over_time": lambda bundle, _: _of_windows(bundle, lambda b, _: np.ones(b.steps)),
    "ts_of_first_over_time": lambda bundle, _: _of_windows(
        bundle, lambda b, look: b.times[look.first] / 1000
    ),
    "ts_of_last_over_time": lambda bundle, _: _of_windows(bundle, lambda b, look: b.times[look.last] / 1000),
    "resets": lambda bundle, _: _pairs(bundle, _falls(bundle)),
    "changes": _changes,
}
