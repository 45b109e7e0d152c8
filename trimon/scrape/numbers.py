"""The numbers of a body whose heads are known: all of them at once where they are plain."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import compress
from typing import Final

import numpy as np

from trimon.model.sample import NORMAL_NAN
from trimon.scrape.bodymemory import Floats, Rules
from trimon.scrape.exposition import ParseError

# What a number may be made of: digits, and the letters of NaN and Inf.
NUMBER_BYTES: Final = b"0123456789+-.eENaInf"


def read_numbers(
    lines: list[bytes], tails: Iterable[bytes], is_sample: bytes, tails_bytes: int, rules: Rules
) -> Floats | None:
    """The number of every sample line, of which a tail is what follows the head; None when there is more than numbers.

    `tails_bytes` is how long the tails of all sample lines are when every line has the head that it should: a head is
    taken off whole or not at all, so the size tells. None also when a sample has a timestamp of its own, or when there
    is something wrong with a line: whoever reads line by line will say what.
    """
    tails = list(compress(tails, is_sample))
    joined = b"".join(tails)
    if tails_bytes != len(joined):
        return None
    if not joined.translate(None, NUMBER_BYTES):
        try:
            numbers = np.fromiter(map(float, tails), np.float64, len(tails))
        except ValueError:
            return _one_by_one(lines, tails, is_sample, rules)
        if np.isfinite(numbers).all():
            return numbers
        infinite = np.flatnonzero(np.isinf(numbers)).tolist()
        if all(b"I" in tails[index] for index in infinite):
            numbers[np.isnan(numbers)] = NORMAL_NAN
            return numbers
    return _one_by_one(lines, tails, is_sample, rules)


def _one_by_one(lines: list[bytes], tails: list[bytes], is_sample: bytes, rules: Rules) -> Floats | None:
    numbers = np.empty(len(tails), np.float64)
    for index, (text, tail) in enumerate(zip(compress(lines, is_sample), tails, strict=True)):
        try:
            parsed = rules.text_format.tail(text, tail)
        except ParseError:
            return None
        if parsed.timestamp_ms is not None and rules.honor_timestamps:
            return None
        numbers[index] = parsed.value
    return numbers
