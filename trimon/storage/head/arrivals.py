"""The samples of a SampleBatch in order of series, each judged with what comes before it in mind."""

from __future__ import annotations

import numpy as np

from trimon.model.labels import Labels
from trimon.model.rows import SampleBatch
from trimon.model.sample import NORMAL_NAN, is_absent
from trimon.records import dataclass
from trimon.storage.head.acceptance import (
    IN_ORDER,
    LATE,
    OUT_OF_ORDER,
    RefusalTally,
    Refused,
    TimeBounds,
    Verdicts,
    judge,
    refusals,
)
from trimon.storage.head.arena import Bools, Floats, Int32s, Int64s
from trimon.storage.head.components import NO_COMPONENT, follow_markers, markers_in_batch


@dataclass(frozen=True, slots=True)
class Arrivals:
    """Samples sorted by series, in order of arrival within a series; `place[i]` is the place in the batch."""

    place: Int64s
    series: Int32s
    times: Int64s
    values: Floats
    before: Floats
    """The newest value of each sample's series when it came."""
    verdicts: Verdicts
    contradicting: Bools
    """Which refused samples only the samples before them in the batch refuse, and not what is stored."""

    @classmethod
    def judged(
        cls, batch: SampleBatch, numbers: Int32s, last_times: Int64s, last_values: Floats, bounds: TimeBounds
    ) -> Arrivals:
        """Verdicts of a batch. `numbers[i]` is the series of `batch.series[i]`, negative if it does not exist:
        the same number then means the same series. Its newest sample is `last_values[i]` at `last_times[i]`.
        """
        series_all = numbers.astype(np.int64)[batch.series_index]
        place = np.argsort(series_all, kind="stable")
        series = series_all[place]
        times = batch.timestamps_ms[place].astype(np.int64)
        values = batch.values[place].astype(np.float64)
        absent = is_absent(values)
        if absent.any():
            values[absent] = NORMAL_NAN
        base_times = last_times[batch.series_index][place]
        base_values = last_values[batch.series_index][place]
        _carry(series, times, values, base_times, base_values, bounds)
        verdicts = judge(times, values, base_times, base_values, bounds)
        if batch.histograms:
            _judge_histograms(verdicts, batch, place)
        contradicting = verdicts >= OUT_OF_ORDER
        if contradicting.any():
            stored_times = last_times[batch.series_index][place]
            stored_values = last_values[batch.series_index][place]
            stored = judge(times, values, stored_times, stored_values, bounds)
            if batch.histograms:
                _judge_histograms(stored, batch, place)
            contradicting &= stored < OUT_OF_ORDER
        return cls(place, series.astype(np.int32), times, values, base_values, verdicts, contradicting)

    def accepted(self, numbers: Int32s) -> tuple[Int32s, Int64s, Floats, Bools]:
        """Series, times, values of the accepted samples, and which of them are in order."""
        keep = ((self.verdicts == IN_ORDER) | (self.verdicts == LATE)) & (self.series >= 0)
        if len(numbers) == 0:
            keep[:] = False
        return self.series[keep], self.times[keep], self.values[keep], self.verdicts[keep] == IN_ORDER

    def refusals(self, *, contradicting: bool) -> list[Refused]:
        """Every kind of refusal, by what is stored or by the batch; places are those in the batch."""
        mask = (self.verdicts >= OUT_OF_ORDER) & (self.contradicting == contradicting)
        return refusals(self.verdicts, np.flatnonzero(mask), self.place, self.times, self.values, self.before)

    def each_refused(self) -> list[Refused]:
        """Every sample that what is stored refuses, by itself, in order of arrival."""
        mask = (self.verdicts >= OUT_OF_ORDER) & ~self.contradicting
        found = np.flatnonzero(mask)
        return [
            Refused(
                int(self.verdicts[at]),
                1,
                int(self.place[at]),
                int(self.times[at]),
                float(self.values[at]),
                float(self.before[at]),
            )
            for at in found[np.argsort(self.place[found], kind="stable")].tolist()
        ]

    def tell_refused(self, batch: SampleBatch, bounds: TimeBounds, tally: RefusalTally) -> None:
        """Tells a tally of all that is refused of the batch, and of each sample where its sender is told of them."""

        def labels(place: int) -> Labels:
            return batch.series[int(batch.series_index[place])]

        refused = self.refusals(contradicting=False)
        contradicting = self.refusals(contradicting=True)
        if batch.atomic or batch.told:
            for each in contradicting:
                tally.drop(each.verdict, each.samples)
        else:
            refused += contradicting
        tally.refuse(refused, bounds, labels)
        if batch.told and refused:
            tally.tell(self.each_refused(), bounds, labels)


def _judge_histograms(verdicts: Verdicts, batch: SampleBatch, place: Int64s) -> None:
    """Give components the verdicts over their markers, in place; `place[i]` is that of sample `i` in the batch."""
    markers = markers_in_batch(batch.series, batch.series_index, batch.timestamps_ms)[place]
    sorted_place = np.empty(len(place), np.int64)
    sorted_place[place] = np.arange(len(place))
    known = markers > NO_COMPONENT
    markers[known] = sorted_place[markers[known]]
    follow_markers(verdicts, markers)


def _carry(
    series: Int64s, times: Int64s, values: Floats, base_times: Int64s, base_values: Floats, bounds: TimeBounds
) -> None:
    """Raise the newest time and value of every sample's series by the samples before it, in place."""
    again = np.flatnonzero(series[1:] == series[:-1]) + 1
    if len(again) == 0:
        return
    usable = (times >= bounds.lowest_ms) & (times <= bounds.highest_ms)
    if usable.all() and (times > base_times).all() and (times[again] > times[again - 1]).all():
        base_times[again] = times[again - 1]
        base_values[again] = values[again - 1]
        return
    first = np.concatenate(([True], series[1:] != series[:-1]))
    run = np.cumsum(first) - 1
    usable_times = np.where(usable, times, base_times)
    usable_times = np.maximum(usable_times, base_times)
    ranks = np.unique(usable_times, return_inverse=True)[1].astype(np.int64)
    span = int(ranks.max()) + 1
    # Per series the running maximum of the samples up to and including this one; runs do not mix, because
    # a later run has the greater offset.
    peak = np.maximum.accumulate(ranks + run * span)
    rises = np.concatenate(([True], peak[1:] > peak[:-1])) & usable & (times > base_times)
    carrier = np.maximum.accumulate(np.where(rises, np.arange(len(series)), -1))
    before = np.concatenate(([-1], carrier[:-1]))
    carried = (before >= 0) & ~first
    carried[carried] = run[before[carried]] == run[carried]
    base_times[carried] = times[before[carried]]
    base_values[carried] = values[before[carried]]
