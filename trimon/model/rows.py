"""What enters storage: rows of one timestamp, and batches of any shape; and what storage answers.

An array put in one of these is given away: the sender never writes to it again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from trimon.model.labels import Labels
from trimon.records import dataclass

Columns = npt.NDArray[np.int32]

NO_COLUMNS: Columns = np.zeros(0, np.int32)
NO_VALUES: npt.NDArray[np.float64] = np.zeros(0, np.float64)
NO_COLUMNS.flags.writeable = False
NO_VALUES.flags.writeable = False


@dataclass(frozen=True, slots=True, eq=False)
class Row:
    """All samples of one scrape or rule evaluation: one timestamp, one scrape group.

    `group` names the scrape group (`scrape/<job>/<target id>`, `rules/<file>/<group>`): the same name is the
    same group, also after a restart. `columns` are columns that storage granted to this group before,
    distinct, with their `values`; passing the same array object again is the fast path. `new_series` are
    series for which the sender holds no column (never seen, or ended since), distinct, with `new_values`.
    `ended` are columns that get a staleness marker at this timestamp and are handed back; the sender forgets
    them.
    """

    group: str
    timestamp_ms: int
    columns: Columns
    values: npt.NDArray[np.float64]
    new_series: Sequence[Labels] = ()
    new_values: npt.NDArray[np.float64] = field(default_factory=lambda: NO_VALUES)
    ended: Columns = field(default_factory=lambda: NO_COLUMNS)


@dataclass(frozen=True, slots=True, eq=False)
class SampleBatch:
    """Samples of any shape: explicit timestamps, remote write, back-filling.

    Sample `i` belongs to `series[series_index[i]]`. With `atomic` the first sample that what is stored refuses
    refuses the whole batch, and nothing of it is stored; samples that contradict others of the batch (an earlier
    time, or another value for the same time) are left out and counted: the first counts. Otherwise refused samples
    are counted and the rest is stored; with `told` each of them is told by itself, and contradictions within the batch are
    left out as in an atomic one. With `histograms` some series are components (`components.py`), whose samples follow
    the marker of their histogram directly: of a histogram all is stored or nothing.
    """

    series: Sequence[Labels]
    series_index: npt.NDArray[np.int32]
    timestamps_ms: npt.NDArray[np.int64]
    values: npt.NDArray[np.float64]
    atomic: bool = False
    histograms: bool = False
    told: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Metadata:
    """Type, help and unit of metric families, as a target or a remote writer states them."""

    families: tuple[tuple[str, str, str, str], ...]
    """(family, type, help, unit) each."""


@dataclass(frozen=True, slots=True, eq=False)
class Exemplars:
    """Exemplars of any series, in order; those that are refused fail nothing."""

    exemplars: tuple[tuple[Labels, Labels, float, int], ...]
    """(series, labels, value, timestamp_ms) each."""


class RefusedSample(NamedTuple):
    """One sample of a batch that tells each: whose it was, when, what is wrong in Prometheus' words, and of which kind."""

    series: Labels
    time_ms: int
    text: str
    is_histogram: bool


@dataclass(frozen=True, slots=True, eq=False)
class Appended:
    """What became of one Row or SampleBatch; it is durable as far as the fsync policy says.

    `columns[i]` is the column granted to `new_series[i]`, or -1 where the series was refused (series limit).
    The counts are refused samples by Prometheus' kinds; `error` is the text of the first refusal, empty if
    there is none, and `refused_sample` the series and the time in ms of that sample.
    """

    columns: Columns = field(default_factory=lambda: NO_COLUMNS)
    appended: int = 0
    series_created: int = 0
    out_of_order: int = 0
    duplicate: int = 0
    out_of_bounds: int = 0
    too_old: int = 0
    series_refused: int = 0
    error: str = ""
    refused_sample: tuple[Labels, int] | None = None
    told: tuple[RefusedSample, ...] = ()
    """Of a batch that tells each refused sample: those that what is stored refuses. Of exemplars those that are older than
    what was stored before all of them."""


def merged(parts: Sequence[Appended]) -> Appended:
    """The answer to a row, from those to the parts in which it was stored."""
    told = next((part for part in parts if part.error), parts[0])
    return Appended(
        np.concatenate([part.columns for part in parts]),
        sum(part.appended for part in parts),
        sum(part.series_created for part in parts),
        sum(part.out_of_order for part in parts),
        sum(part.duplicate for part in parts),
        sum(part.out_of_bounds for part in parts),
        sum(part.too_old for part in parts),
        sum(part.series_refused for part in parts),
        told.error,
        told.refused_sample,
        tuple(each for part in parts for each in part.told),
    )
