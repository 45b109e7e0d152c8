"""Numbers as Go's strconv reads them: bases by prefix, underscores, hexadecimal floats."""

from __future__ import annotations

import math
import re
from typing import Final

from trimon.errors import UserError
from trimon.gotext.strings import go_quote

INT64_MIN: Final = -(2**63)
INT64_MAX: Final = 2**63 - 1
UINT64_MAX: Final = 2**64 - 1
# Longer numerals are out of range whatever their base; Python would take its time over them.
_DIGITS_MAX: Final = 400

_INTEGER = re.compile(
    r"([+-]?)(?:0[xX]((?:_?[0-9a-fA-F])+)|0[bB]((?:_?[01])+)|0[oO]((?:_?[0-7])+)|0((?:_?[0-7])+)|(0|[1-9](?:_?[0-9])*))",
    re.ASCII,
)
_BASES: Final = (16, 2, 8, 8, 10)
# Nothing is given back once it is taken: a million digits that are no number in the end would take hours otherwise.
_DECIMAL = re.compile(r"[+-]?(?:[0-9]++\.?+[0-9]*+|\.[0-9]++)(?:[eE][+-]?[0-9]++)?", re.ASCII)
_HEXADECIMAL = re.compile(
    r"[+-]?0[xX](?:[0-9a-fA-F]++\.?+[0-9a-fA-F]*+|\.[0-9a-fA-F]++)[pP][+-]?[0-9]++", re.ASCII
)
# An underscore that is not between digits; the base's prefix counts as one.
_MISPLACED = re.compile(r"(?<![0-9])_|_(?![0-9])", re.ASCII)
_MISPLACED_HEXADECIMAL = re.compile(r"(?<![0-9a-fA-FxX])_|_(?![0-9a-fA-F])", re.ASCII)
_SPECIAL: Final = {
    "nan": math.nan,
    **{sign + word: value for sign, value in (("", math.inf), ("+", math.inf), ("-", -math.inf))
       for word in ("inf", "infinity")},
}  # fmt: skip


def parse_integer(text: str) -> int | None:
    """The integer that a literal with its base's prefix stands for, of any size; None if it is none."""
    found = _INTEGER.fullmatch(text)
    if found is None:
        return None
    for base, digits in zip(_BASES, found.groups()[1:], strict=True):
        if digits is not None:
            plain = digits.replace("_", "")
            if len(plain) > _DIGITS_MAX:
                return None
            value = int(plain, base)
            return -value if found[1] == "-" else value
    return None


def parse_go_float(text: str) -> float:
    """The value of a float as `strconv.ParseFloat` reads it. Raises UserError with Go's wording."""
    special = _SPECIAL.get(text.lower())
    if special is not None:
        return special
    misplaced = _MISPLACED_HEXADECIMAL if "x" in text or "X" in text else _MISPLACED
    plain = text if misplaced.search(text) else text.replace("_", "")
    value = math.nan
    if _DECIMAL.fullmatch(plain):
        value = float(plain)
    elif _HEXADECIMAL.fullmatch(plain):
        try:
            value = float.fromhex(plain)
        except OverflowError:
            value = math.inf
    if math.isnan(value):
        raise UserError(f"strconv.ParseFloat: parsing {go_quote(text)}: invalid syntax")
    if math.isinf(value):
        raise UserError(f"strconv.ParseFloat: parsing {go_quote(text)}: value out of range")
    return value
