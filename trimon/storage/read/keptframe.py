"""A frame that queries leave for the next ones, and what series it is of."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import replace
from typing import Any, Final, NamedTuple, TypeGuard

import numpy as np

from trimon.model.frame import SampleFrame
from trimon.model.snapshot import Admit
from trimon.records import dataclass
from trimon.storage.head.arena import Int32s, Int64s
from trimon.storage.read.narrowvalues import NarrowValues, narrowed
from trimon.storage.read.source import FramePart

# Smaller ones are told again, which needs them as they are, and are soon read.
NARROWED_BYTES_MIN: Final = 256 * 1024
_NO_VALUES: Final = np.zeros(0)


class CachePlace(NamedTuple):
    """A part of a selection without its source, so that what is kept does not hold on to an old head."""

    version: Hashable
    series: Int32s
    rows: Int64s | None

    def is_of(self, part: FramePart) -> bool:
        """Whether the part has the same series in the same rows."""
        same_rows = self.rows is part.rows or np.array_equal(self.rows, part.rows)  # type: ignore[arg-type] # None is one
        return same_rows and (self.series is part.series or np.array_equal(self.series, part.series))

    @property
    def nbytes(self) -> int:
        """Memory held."""
        return self.series.nbytes + (0 if self.rows is None else self.rows.nbytes)


@dataclass(frozen=True, slots=True, eq=False)
class CachedFrame:
    """Samples of a selection until `end_ms`: `base`, of the settled parts, and `whole`, of all as of `versions`.

    They begin at `start_ms` and `whole_start_ms`; `newest_ms` was the newest sample of all then. What was asked for
    once has neither. Either may be narrow.
    """

    places: tuple[CachePlace, ...]
    versions: tuple[Hashable, ...]
    asked_bytes: int
    end_ms: int = -1
    start_ms: int = 0
    newest_ms: int = 0
    marks: tuple[Any, ...] = ()
    base: SampleFrame | NarrowFrame | None = None
    whole_start_ms: int = 0
    whole: SampleFrame | NarrowFrame | None = None

    @property
    def nbytes(self) -> int:
        """Memory held."""
        frames = {id(frame): frame for frame in (self.base, self.whole) if frame is not None}
        places = sum(place.nbytes for place in self.places)
        places += sum(getattr(mark, "nbytes", 0) for mark in self.marks)
        return 500 + self.asked_bytes + places + sum(frame_bytes(frame) for frame in frames.values())

    def base_for(self, start_ms: int, end_ms: int, admit: Admit) -> SampleFrame | None:
        """The base, if it has all of the closed interval up to the newest sample that was known then."""
        inside = self.start_ms <= start_ms <= self.newest_ms and end_ms <= self.end_ms
        return _wide(self.base, admit) if inside else None

    def whole_for(
        self, start_ms: int, end_ms: int, versions: tuple[Hashable, ...], admit: Admit
    ) -> SampleFrame | None:
        """The whole of the last answer, if no source has changed since and it has all of the closed interval."""
        inside = self.whole_start_ms <= start_ms and end_ms <= self.end_ms
        return _wide(self.whole, admit) if inside and self.versions == versions else None

    def narrowed(self) -> CachedFrame:
        """The same, with what can be said in less room narrow."""
        base = _narrow(self.base)
        whole = base if self.whole is self.base else _narrow(self.whole)
        return replace(self, base=base, whole=whole)

    @property
    def can_be_narrowed(self) -> bool:
        """Whether there is a wide frame that is large enough."""
        return _is_large(self.base) or _is_large(self.whole)


@dataclass(frozen=True, slots=True, eq=False)
class NarrowFrame:
    """A frame whose values are narrow; `rest` is the frame without them."""

    rest: SampleFrame
    values: NarrowValues


def frame_bytes(frame: SampleFrame | NarrowFrame) -> int:
    """Memory of a frame that is kept."""
    rest = frame if isinstance(frame, SampleFrame) else frame.rest
    return frame.values.nbytes + rest.times.nbytes + rest.offsets.nbytes + rest.time_of_row.nbytes


def _wide(frame: SampleFrame | NarrowFrame | None, admit: Admit) -> SampleFrame | None:
    if not isinstance(frame, NarrowFrame):
        return frame
    admit(8 * len(frame.values.units))
    return replace(frame.rest, values=frame.values.wide())


def _is_large(frame: SampleFrame | NarrowFrame | None) -> TypeGuard[SampleFrame]:
    return isinstance(frame, SampleFrame) and frame.values.nbytes >= NARROWED_BYTES_MIN


def _narrow(frame: SampleFrame | NarrowFrame | None) -> SampleFrame | NarrowFrame | None:
    if not _is_large(frame):
        return frame
    values = narrowed(frame.values)
    return frame if values is None else NarrowFrame(replace(frame, values=_NO_VALUES), values)
