"""A native histogram as float series: the parts of which one is stored, and how they are named.

A histogram sample is some numbers that share a time, and most of them are whole numbers that grow: what rows, codecs, pages
and window functions are good at. So a histogram is stored as floats. Its series holds, at the time of each sample, a
*marker*, a NaN with bits of its own; each of its numbers is a sample of a *component*, a series with the same labels and one
more whose name is empty, which no series from outside can have:

```text
                                             t1      t2      t3      t4
{__name__="x"}                             marker  marker  marker   2.5       a float at t4
{"": "3:1e-128:count", __name__="x"}          10      14      15
{"": "3:1e-128:sum", __name__="x"}           3.5     4.0     4.5
{"": "3:1e-128:zero", __name__="x"}            0       0       0
{"": "3:1e-128:+4", __name__="x"}             10      12      13              positive bucket 4
{"": "3:1e-128:+5", __name__="x"}                      2       2              appeared at t2: it was 0 before
```

The text of a component begins with the layout: schema and zero threshold, or -53 and a digest of custom bounds, which the
count component then spells out. Samples of one layout are comparable number by number; a sample of another layout has
other components. The marker decides: components at a time where their series has none mean nothing, and a component that is
missing where there is one is 0. Which layout a sample has is told by the count that is there.
"""

from __future__ import annotations

import hashlib
from enum import IntEnum, IntFlag
from functools import lru_cache
from typing import Final

import numpy as np
import numpy.typing as npt

from trimon.model.histogram import CUSTOM_SCHEMA, FloatHistogram, ResetHint
from trimon.model.labels import Labels
from trimon.model.sample import NORMAL_NAN
from trimon.records import dataclass

COMPONENT_LABEL: Final = ""
# The lowest byte holds flags. It is a quiet NaN, so that arithmetic over it is silent. Who takes samples from outside turns one
# that has these bits into the ordinary NaN (`unmarked`).
MARKER_BITS: Final = 0x7FFC6E6174697600
_FLAGS: Final = 0xFF


class MarkerFlags(IntFlag):
    """What a marker says of its histogram."""

    NONE = 0
    FLOAT = 1
    """Counts are floats, not integers."""
    GAUGE = 2
    """It may go down at any time."""


class Part(IntEnum):
    """Which number of a histogram a component is."""

    COUNT = 0
    SUM = 1
    ZERO = 2
    POSITIVE = 3
    """A positive or custom bucket."""
    NEGATIVE = 4


@dataclass(frozen=True, slots=True)
class Layout:
    """What two histograms share whose numbers are comparable one by one."""

    schema: int
    zero_threshold: float = 0.0
    custom_values: tuple[float, ...] = ()

    @property
    def prefix(self) -> str:
        """How the texts of its components begin."""
        if self.schema != CUSTOM_SCHEMA:
            return f"{self.schema}:{self.zero_threshold!r}:"
        return f"{self.schema}:{_digest(self.custom_values)}:"

    def text(self, part: Part, index: int = 0) -> str:
        """The text of one component."""
        match part:
            case Part.COUNT if self.schema == CUSTOM_SCHEMA:
                return f"{self.prefix}count:{' '.join(map(repr, self.custom_values))}"
            case Part.COUNT | Part.SUM | Part.ZERO:
                return self.prefix + part.name.lower()
            case Part.POSITIVE:
                return f"{self.prefix}+{index}"
            case Part.NEGATIVE:
                return f"{self.prefix}-{index}"


def _digest(bounds: tuple[float, ...]) -> str:
    return hashlib.blake2b(np.array(bounds, "<f8").tobytes(), digest_size=8).hexdigest()


@dataclass(frozen=True, slots=True)
class Component:
    """A component, as its text says. `prefix` stands for the layout; `layout` is known of exponential ones and of counts."""

    prefix: str
    part: Part
    index: int
    layout: Layout | None


@lru_cache(maxsize=65_536)
def parse_component(text: str) -> Component:
    """A component from its text. Raises ValueError for a text that is none."""
    schema, threshold, part, *rest = text.split(":", 3)
    prefix = f"{schema}:{threshold}:"
    layout = None
    if int(schema) != CUSTOM_SCHEMA:
        layout = Layout(int(schema), float(threshold))
    elif part == "count":
        layout = Layout(CUSTOM_SCHEMA, 0.0, tuple(map(float, rest[0].split())))
    if part[0] in "+-":
        return Component(prefix, Part.POSITIVE if part[0] == "+" else Part.NEGATIVE, int(part[1:]), layout)
    return Component(prefix, Part[part.upper()], 0, layout)


def marker(flags: MarkerFlags) -> float:
    """The value that stands for a histogram in its series."""
    return float(np.uint64(MARKER_BITS | int(flags)).view(np.float64))


def is_marker(values: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    """Where values stand for histograms; bool array of the same shape."""
    found: npt.NDArray[np.bool_] = np.equal(values.view(np.int64) & ~np.int64(_FLAGS), MARKER_BITS)
    return found


def unmarked(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Values from outside, where no bits stand for a histogram: those that would are the ordinary NaN."""
    forged = is_marker(values)
    return np.where(forged, NORMAL_NAN, values) if forged.any() else values


def marker_flags(values: npt.NDArray[np.float64]) -> npt.NDArray[np.uint8]:
    """The flags of markers; of other values they mean nothing."""
    return (values.view(np.int64) & _FLAGS).astype(np.uint8)


def component_labels(series: Labels, text: str) -> Labels:
    """The labels of a component: those of its series, and its text."""
    return ((COMPONENT_LABEL, text), *series)


def is_component(labels: Labels) -> bool:
    """Whether these are the labels of a component."""
    return bool(labels) and labels[0][0] == COMPONENT_LABEL


def split(histogram: FloatHistogram, *, integer: bool = False) -> tuple[float, list[str], list[float]]:
    """The marker of a histogram, the texts of its components, and their values. For edges: it loops over buckets."""
    flags = MarkerFlags.NONE if integer else MarkerFlags.FLOAT
    if histogram.hint is ResetHint.GAUGE:
        flags |= MarkerFlags.GAUGE
    custom = histogram.custom
    layout = Layout(
        histogram.schema,
        0.0 if custom else histogram.zero_threshold,
        histogram.custom_values if custom else (),
    )
    texts, values = [layout.text(Part.COUNT), layout.text(Part.SUM)], [histogram.count, histogram.sum]
    if not custom:
        texts.append(layout.text(Part.ZERO))
        values.append(histogram.zero_count)
    for part, buckets in ((Part.POSITIVE, histogram.positive), (Part.NEGATIVE, histogram.negative)):
        texts += [layout.text(part, index) for index in buckets.index.tolist()]
        values += buckets.counts.tolist()
    return marker(flags), texts, values
