"""Values of kept frames in half of the room, exact to the bit.

Most values that are measured are whole numbers, numbers with three decimals, or so coarse that 24 bits say them:

```text
values                                          units (4 bytes each)          back
4096.0, 8192.0, 12288.0                         4096, 8192, 12288             as they are
0.125, 17.3, 2.001                              125, 17300, 2001              divided by 1000
1.5e30, NaN, -0.0 among whole numbers           0, 0, 0                       `others`, at their places
```

A quotient of two numbers that are exact is the double that is nearest to it, as is what was written in decimals, so that both
are the same. What does not come back to the bit is kept beside the units; where that is more than a few, nothing is narrowed.
"""

from __future__ import annotations

from typing import Final, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.float64]
Units: TypeAlias = npt.NDArray[np.int32] | npt.NDArray[np.float32]

# So many values are looked at together: what is made of them stays in the processor's cache.
_CHUNK: Final = 1 << 15
# Of so many values one may be kept beside the units.
OTHERS_SHARE: Final = 64
_DIVISORS: Final = (1.0, 1000.0, 0.0)
_UNIT_MAX: Final = 2.0**31 - 1


class NarrowValues(NamedTuple):
    """Values as units of a `divisor` (int32), or as float32 where it is 0; `others` stand at `places`."""

    units: Units
    divisor: float
    places: npt.NDArray[np.int64]
    others: Values

    @property
    def nbytes(self) -> int:
        """Memory held."""
        return self.units.nbytes + self.places.nbytes + self.others.nbytes

    def wide(self) -> Values:
        """The values."""
        out = np.empty(len(self.units))
        if self.divisor > 1:
            np.divide(self.units, self.divisor, out=out)
        else:
            out[:] = self.units
        out[self.places] = self.others
        return out


def narrowed(values: Values) -> NarrowValues | None:
    """The values in half of the room; None where that is not possible, or not worth it."""
    for divisor in _DIVISORS:
        found = _as_units(values, divisor)
        if found is not None:
            return found
    return None


def _as_units(values: Values, divisor: float) -> NarrowValues | None:
    units: Units = np.empty(len(values), np.int32) if divisor else np.empty(len(values), np.float32)
    left = len(values) // OTHERS_SHARE
    places: list[npt.NDArray[np.int64]] = []
    with np.errstate(all="ignore"):
        for begin in range(0, len(values), _CHUNK):
            part = values[begin : begin + _CHUNK]
            own = units[begin : begin + _CHUNK]
            wrong = np.flatnonzero(_put(part, own, divisor).view(np.int64) != part.view(np.int64))
            left -= len(wrong)
            if left < 0:
                return None
            if len(wrong):
                own[wrong] = 0
                places.append(wrong + begin)
    others = np.concatenate(places) if places else np.zeros(0, np.int64)
    return NarrowValues(units, divisor, others, values[others])


def _put(part: Values, units: Units, divisor: float) -> Values:
    """Writes the units of some values; what they come back as."""
    if not divisor:
        units[:] = part
        return units.astype(np.float64)
    scaled = np.rint(part * divisor)
    scaled[~(np.abs(scaled) <= _UNIT_MAX)] = 0.0
    units[:] = scaled
    return np.divide(units, divisor, dtype=np.float64)
