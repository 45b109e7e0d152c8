"""What stands behind a head: a plain number, or more than that."""

from __future__ import annotations

from typing import Final

from trimon.model.sample import NORMAL_NAN
from trimon.scrape.exposition.bodymemory import SampleRules
from trimon.scrape.exposition.records import LineExemplar
from trimon.scrape.exposition.textformat import ExpositionFormat

# What a number may be made of: digits, and the letters of NaN and Inf.
NUMBER_BYTES: Final = b"0123456789+-.eENaInf"

# A number of so many digits is finite.
_DIGITS_MAX: Final = 300


def number_alone(tail: bytes, text_format: ExpositionFormat) -> float | None:
    """The value where there is nothing else behind a head; None where there is."""
    if tail.isdigit() and len(tail) < _DIGITS_MAX:
        return float(tail)
    if not tail or tail.translate(None, NUMBER_BYTES):
        return None
    parsed = text_format.tail(tail)
    return None if parsed is None else parsed.value


def number_and_more(tail: bytes, rules: SampleRules) -> tuple[float, LineExemplar | None] | None:
    """The value behind a head, and the exemplar behind that.

    None when the sample has a timestamp of its own, or there is something wrong with the line: whoever reads line by line will
    say what.
    """
    if tail and not tail.translate(None, NUMBER_BYTES):
        try:
            value = float(tail)
        except ValueError:
            return None
        if value - value == 0 or b"I" in tail:
            return value, None
        # a number that is too big is infinite too, and no NaN has a sign
        return (NORMAL_NAN, None) if tail.lower() == b"nan" else None
    parsed = rules.text_format.tail(tail)
    if parsed is None or (parsed.timestamp_ms is not None and rules.honor_timestamps):
        return None
    return parsed.value, parsed.exemplar
