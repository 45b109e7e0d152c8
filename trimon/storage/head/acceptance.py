"""Which samples are accepted: Prometheus' rules, for many samples at once.

`t` is compared with the newest sample of the series: later is in order, the same time with the same bits is
taken silently, with other bits it is a duplicate; earlier goes to the out-of-order path if the window allows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import field
from operator import attrgetter
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from trimon.gotext.floats import format_g
from trimon.model.components import is_component, is_marker
from trimon.model.labels import Labels
from trimon.model.rows import NO_COLUMNS, Appended, Columns, RefusedSample
from trimon.records import dataclass
from trimon.storage.head.arena import Floats, Int64s

IN_ORDER: Final = 0
LATE: Final = 1
SAME: Final = 2
OUT_OF_ORDER: Final = 3
DUPLICATE: Final = 4
OUT_OF_BOUNDS: Final = 5
TOO_OLD: Final = 6

_TEXTS: Final = {
    OUT_OF_ORDER: "out of order sample",
    OUT_OF_BOUNDS: "out of bounds",
    TOO_OLD: "too old sample",
}
TOO_FAR: Final = "out of bounds: timestamp is too far in the future"

Verdicts = npt.NDArray[np.int8]


class TimeBounds(NamedTuple):
    """The times that one append accepts.

    Times below `lowest_ms` are out of bounds, unless they are not older than `late_ms` and so go the
    out-of-order way; `late_ms` is None without an out-of-order window. `highest_ms` is the future limit.
    """

    lowest_ms: int
    highest_ms: int
    late_ms: int | None


def judge(
    times: Int64s, values: Floats, last_times: Int64s, last_values: Floats, bounds: TimeBounds
) -> Verdicts:
    """A verdict per sample, given the newest sample of its series (`NEVER_MS` if there is none)."""
    verdicts = np.zeros(len(times), np.int8)
    behind = (times <= last_times) | (times < bounds.lowest_ms)
    if bounds.late_ms is None:
        verdicts[behind] = OUT_OF_ORDER
        verdicts[times < bounds.lowest_ms] = OUT_OF_BOUNDS
    else:
        verdicts[behind] = np.where(times[behind] >= bounds.late_ms, LATE, TOO_OLD)
    equal = (times == last_times) & (times >= bounds.lowest_ms)
    if equal.any():
        same = values[equal].view(np.int64) == last_values[equal].view(np.int64)
        verdicts[equal] = np.where(same, SAME, DUPLICATE)
    verdicts[times > bounds.highest_ms] = OUT_OF_BOUNDS
    return verdicts


class Refused(NamedTuple):
    """Samples that were refused for one reason: how many, and the first of them.

    `place` is that one's place among all that were appended together; `before` is the newest value of its series.
    """

    verdict: int
    samples: int
    place: int
    time_ms: int
    value: float
    before: float

    def text(self, bounds: TimeBounds) -> str:
        """What is wrong, in Prometheus' words."""
        if self.verdict == DUPLICATE:
            before, new = is_marker(np.array([self.before, self.value])).tolist()
            if new:
                return "duplicate sample for timestamp"
            if before:
                shown = format_g(self.value)
                return (
                    f"duplicate sample for timestamp {self.time_ms}; overrides not allowed: existing is a histogram, "
                    f"new value is {shown}"
                )
            old, shown = format_g(self.before), format_g(self.value)
            return f"duplicate sample for timestamp {self.time_ms}; overrides not allowed: existing {old}, new value {shown}"
        return TOO_FAR if self.time_ms > bounds.highest_ms else _TEXTS[self.verdict]


def refusals(
    verdicts: Verdicts, refused: Int64s, place: Int64s, times: Int64s, values: Floats, before: Floats
) -> list[Refused]:
    """The refused samples by their verdicts; `refused` are those to count, `place[i]` where sample `i` came."""
    out = []
    for verdict, count in enumerate(np.bincount(verdicts[refused]).tolist()):
        if count:
            alike = refused[verdicts[refused] == verdict]
            first = int(alike[place[alike].argmin()])
            out.append(
                Refused(
                    verdict,
                    count,
                    int(place[first]),
                    int(times[first]),
                    float(values[first]),
                    float(before[first]),
                )
            )
    return out


@dataclass(slots=True)
class RefusalTally:
    """Counts the refusals of one append, and keeps what is wrong with the first, for its `Appended`."""

    appended: int = 0
    series_created: int = 0
    series_refused: int = 0
    out_of_order: int = 0
    duplicate: int = 0
    out_of_bounds: int = 0
    too_old: int = 0
    error: str = ""
    sample: tuple[Labels, int] | None = None
    dropped: int = 0
    told: list[RefusedSample] = field(default_factory=list)

    def refuse(self, refused: list[Refused], bounds: TimeBounds, labels: Callable[[int], Labels]) -> None:
        """Count refusals; the text of the first sample stays. `labels` gives those of the sample at a place."""
        for each in refused:
            self._count(each.verdict, each.samples)
        if refused and not self.error:
            first = min(refused, key=attrgetter("place"))
            self.error = first.text(bounds)
            self.sample = labels(first.place), first.time_ms

    def tell(self, refused: list[Refused], bounds: TimeBounds, labels: Callable[[int], Labels]) -> None:
        """Tell each of some samples by itself; components go with the marker of their histogram."""
        for each in refused:
            series = labels(each.place)
            if not is_component(series):
                is_histogram = bool(is_marker(np.array([each.value]))[0])
                self.told.append(RefusedSample(series, each.time_ms, each.text(bounds), is_histogram))

    def drop(self, verdict: int, count: int) -> None:
        """Count samples that are left out without being refused."""
        self._count(verdict, count)
        self.dropped += count

    def _count(self, verdict: int, count: int) -> None:
        if verdict == OUT_OF_ORDER:
            self.out_of_order += count
        elif verdict == DUPLICATE:
            self.duplicate += count
        elif verdict == OUT_OF_BOUNDS:
            self.out_of_bounds += count
        else:
            self.too_old += count

    def refuse_series(self, count: int, reason: str) -> None:
        """Count series that were not created."""
        self.series_refused += count
        self.error = self.error or reason

    @property
    def refused(self) -> int:
        """How many samples and series were refused."""
        left_out = self.out_of_order + self.duplicate + self.out_of_bounds + self.too_old
        return left_out - self.dropped + self.series_refused

    def result(self, columns: Columns = NO_COLUMNS) -> Appended:
        """The answer to the sender."""
        return Appended(
            columns,
            self.appended,
            self.series_created,
            self.out_of_order,
            self.duplicate,
            self.out_of_bounds,
            self.too_old,
            self.series_refused,
            self.error,
            self.sample,
            tuple(self.told),
        )
