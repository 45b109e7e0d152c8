"""One reading of storage for several rules: what two of them select is looked up and read once.

    sum by (job) (rate(m[1m]))        m, the last minute     read
    sum by (job) (rate(m[1m])) > 9    m, the last minute     taken from the first one
    max by (instance) (m)             m, five minutes        series are known, samples are read

Rules of one iteration are evaluated for the same time. They may share a reading as long as none of them reads what another one
has recorded since the reading began.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import field
from typing import Final

import numpy as np
import numpy.typing as npt

from trimon.model.frame import SampleFrame
from trimon.model.matcher import Matcher
from trimon.model.snapshot import Admit, Estimate, NewestSamples, Selection, Snapshot
from trimon.model.table import LabelTable
from trimon.records import dataclass

KEPT_BYTES_MAX: Final = 16 << 20
"""So many bytes of samples are kept for other rules: large ones are read anew, and no budget counts them twice."""


class SharedReading:
    """Implements Snapshot: one that keeps what was read of it. From any thread; two that read the same at once both read."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self._room = _Room()
        self._selections: dict[tuple[tuple[Matcher, ...], int, int], _SharedSelection] = {}

    def select(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> Selection:
        """The series that satisfy every matcher and may have samples in the closed interval."""
        key = (tuple(matchers), start_ms, end_ms)
        found = self._selections.get(key)
        if found is None:
            found = _SharedSelection(self._snapshot.select(matchers, start_ms, end_ms), self._room)
            self._selections[key] = found
        return found

    def label_names(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> list[str]:
        """Label names of the matching series, ascending."""
        return self._snapshot.label_names(matchers, start_ms, end_ms)

    def label_values(self, name: str, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> list[str]:
        """Values of one label over the matching series, ascending."""
        return self._snapshot.label_values(name, matchers, start_ms, end_ms)

    def labels_version(self, start_ms: int, end_ms: int) -> Hashable | None:
        """As the snapshot has it."""
        return self._snapshot.labels_version(start_ms, end_ms)

    def missing(self, start_ms: int, end_ms: int) -> tuple[str, ...]:
        """What is damaged of the closed interval."""
        return self._snapshot.missing(start_ms, end_ms)


class RuleReading:
    """The reading that rules of one iteration share; it begins when the first of them reads."""

    def __init__(self) -> None:
        self._shared: SharedReading | None = None

    def of(self, snapshot: Snapshot) -> Snapshot:
        """What a rule reads: `snapshot` if it is the first one."""
        if self._shared is None:
            self._shared = SharedReading(snapshot)
        return self._shared


@dataclass(slots=True)
class _Room:
    """How many bytes of samples are kept for others."""

    kept_bytes: int = 0


@dataclass(slots=True)
class _SharedSelection:
    """Implements Selection."""

    selection: Selection
    room: _Room
    frames: dict[tuple[int, int], SampleFrame] = field(default_factory=dict)

    @property
    def labels(self) -> LabelTable:
        return self.selection.labels

    def estimate(self, start_ms: int, end_ms: int) -> Estimate:
        return self.selection.estimate(start_ms, end_ms)

    def living(self, start_ms: int, end_ms: int) -> npt.NDArray[np.bool_]:
        return self.selection.living(start_ms, end_ms)

    def newest(self, after_ms: int, until_ms: int) -> NewestSamples | None:
        return self.selection.newest(after_ms, until_ms)

    def frame(self, start_ms: int, end_ms: int) -> SampleFrame:
        return self.selection.frame(start_ms, end_ms)

    def wide_frame(self, start_ms: int, end_ms: int, admit: Admit) -> SampleFrame:
        found = self.frames.get((start_ms, end_ms))
        if found is None:
            found = self.selection.wide_frame(start_ms, end_ms, admit)
            if self.room.kept_bytes + found.size_bytes <= KEPT_BYTES_MAX:
                self.room.kept_bytes += found.size_bytes
                self.frames[start_ms, end_ms] = found
        return found
