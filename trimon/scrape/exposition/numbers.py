"""The numbers of a body whose heads are known: all of them at once where they are plain."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import compress
from typing import Final

import numpy as np

from trimon.model.sample import NORMAL_NAN
from trimon.scrape.exposition.bodymemory import Floats, SampleRules
from trimon.scrape.exposition.records import LineExemplar
from trimon.scrape.exposition.textformat import ExpositionFormat

# What a number may be made of: digits, and the letters of NaN and Inf.
NUMBER_BYTES: Final = b"0123456789+-.eENaInf"

# A number of so many digits is finite.
_DIGITS_MAX: Final = 300

# Place among the sample lines, and the exemplar there.
Exemplars = list[tuple[int, LineExemplar]]


def number_alone(tail: bytes, text_format: ExpositionFormat) -> float | None:
    """The value where there is nothing else behind a head; None where there is."""
    if tail.isdigit() and len(tail) < _DIGITS_MAX:
        return float(tail)
    if not tail or tail.translate(None, NUMBER_BYTES):
        return None
    parsed = text_format.tail(tail)
    return None if parsed is None else parsed.value


def read_numbers(
    tails: Iterable[bytes], is_sample: bytes, tails_bytes: int, rules: SampleRules
) -> tuple[Floats, Exemplars] | None:
    """The number of every sample line, of which a tail is what follows the head, and the exemplars behind them.

    `tails_bytes` is how long the tails of all sample lines are when every line has the head that it should: a head is
    taken off whole or not at all, so the size tells. The caller has made sure of the lines that are no samples. None
    when a size is wrong, a sample has a timestamp of its own, or there is something wrong with a line: whoever reads line
    by line will say what.
    """
    tails = list(compress(tails, is_sample))
    joined = b"".join(tails)
    if tails_bytes != len(joined):
        return None
    if not joined.translate(None, NUMBER_BYTES):
        try:
            numbers = np.fromiter(map(float, tails), np.float64, len(tails))
        except ValueError:
            return None
        if np.isfinite(numbers).all():
            return numbers, []
        odd = np.flatnonzero(~np.isfinite(numbers)).tolist()
        # a number that is too big is infinite too, and no NaN has a sign
        if all(b"I" in tails[index] or tails[index].lower() == b"nan" for index in odd):
            numbers[np.isnan(numbers)] = NORMAL_NAN
            return numbers, []
        return None
    return _one_by_one(tails, rules)


def _one_by_one(tails: list[bytes], rules: SampleRules) -> tuple[Floats, Exemplars] | None:
    numbers = np.empty(len(tails), np.float64)
    exemplars: Exemplars = []
    read = rules.text_format.tail
    for index, tail in enumerate(tails):
        if tail.isdigit() and len(tail) < 300:
            numbers[index] = float(tail)
            continue
        parsed = read(tail)
        if parsed is None or (parsed.timestamp_ms is not None and rules.honor_timestamps):
            return None
        if parsed.exemplar is not None:
            exemplars.append((index, parsed.exemplar))
        numbers[index] = parsed.value
    return numbers, exemplars
