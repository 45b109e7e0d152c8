"""The protocol by which stored samples are read. Storage implements it, query uses it.

A snapshot is taken on the thread that writes; everything else may be called from any thread, also from
several at once, and sees the same data for ever: it never changes under the reader.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from trimon.model.frame import SampleFrame
from trimon.model.matcher import Matcher
from trimon.model.table import LabelTable
from trimon.records import dataclass


@dataclass(frozen=True, slots=True)
class Estimate:
    """What reading a selection will cost at most, known before a sample is read."""

    series: int
    samples: int
    size_bytes: int


class NewestSamples(NamedTuple):
    """The newest sample of each series of a selection: time, value (perhaps a staleness marker), and whether there is one."""

    times_ms: npt.NDArray[np.int64]
    values: npt.NDArray[np.float64]
    present: npt.NDArray[np.bool_]


# Told how many bytes are about to be read into memory; raises what the reader of a selection wants to be raised.
Admit = Callable[[int], None]


class NotFetched(Exception):
    """A selection has samples elsewhere that are not here yet.

    Whoever runs the query has `elsewhere` fetch them, and begins anew.
    """

    def __init__(self, elsewhere: object) -> None:
        super().__init__("samples are elsewhere")
        self.elsewhere = elsewhere


class Selection(Protocol):
    """The series that match, at most once each, in storage's own order."""

    @property
    def labels(self) -> LabelTable:
        """One row per series."""
        ...

    def estimate(self, start_ms: int, end_ms: int) -> Estimate:
        """Upper bounds for the closed interval."""
        ...

    def living(self, start_ms: int, end_ms: int) -> npt.NDArray[np.bool_]:
        """Which series have samples in the closed interval, a flag a row; of what is compressed, which may have some."""
        ...

    def frame(self, start_ms: int, end_ms: int) -> SampleFrame:
        """The samples in the closed interval `[start_ms, end_ms]`, rows in the order of `labels`.

        A row may be empty. What is damaged is left out, and the frame says so; a store that is strict raises
        OperatingError instead.
        """
        ...

    def wide_frame(self, start_ms: int, end_ms: int, admit: Admit) -> SampleFrame:
        """As `frame`, but perhaps with samples before and after the interval: for readers that look at times.

        The frame may be grouped, and may be one that other readers have too. `admit` hears of bytes before they
        are read; nothing is read where it raises.
        """
        ...

    def newest(self, after_ms: int, until_ms: int) -> NewestSamples | None:
        """The newest sample of each series in `(after_ms, until_ms]`, floats alone; None where only a frame tells."""
        ...


class Snapshot(Protocol):
    """All data at one moment."""

    def select(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> Selection:
        """The series that satisfy every matcher and may have samples in the closed interval. Raises NotFetched."""
        ...

    def label_names(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> list[str]:
        """Label names of the matching series, ascending. Without matchers: all."""
        ...

    def label_values(self, name: str, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> list[str]:
        """Values of one label over the matching series, ascending. Without matchers: all."""
        ...

    def labels_version(self, start_ms: int, end_ms: int) -> Hashable | None:
        """Another value whenever the closed interval may have other series; None where that is not known."""
        ...

    def missing(self, start_ms: int, end_ms: int) -> tuple[str, ...]:
        """Which series of the closed interval are not known because stored bytes are damaged, a line each."""
        ...


class DataState(NamedTuple):
    """What a snapshot is of."""

    version: Hashable
    """Another value whenever any sample or series comes or goes."""
    newest_ms: int
    """The time of the newest sample of all series."""


@runtime_checkable
class StatefulSnapshot(Protocol):
    """A snapshot that knows whether another one has the same samples."""

    def state(self) -> DataState | None:
        """What it is of; None where something cannot be read."""
        ...

    def known_selection(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> Selection | None:
        """As `select`, where this was selected before; None where it would have to be looked for. Microseconds."""
        ...
