"""Floats as Go prints and reads them, because label values and results are compared as text."""

from __future__ import annotations

import math
import re

from trimon.errors import UserError

# Nothing is given back once it is taken: a million digits that are no number in the end would take hours otherwise.
_PLAIN = re.compile(r"[+-]?(?:\d++\.?+\d*+|\.\d++)(?:[eE][+-]?\d++)?", re.ASCII)
_SPECIAL = {"nan": math.nan}
_SPECIAL |= {sign + word: math.inf for sign in ("", "+") for word in ("inf", "infinity")}
_SPECIAL |= {"-" + word: -math.inf for word in ("inf", "infinity")}


def parse_float(text: str) -> float:
    """The value of a decimal float, NaN or Inf in Go's syntax. Raises UserError with Go's wording."""
    if _PLAIN.fullmatch(text):
        value = float(text)
        if math.isinf(value):
            raise UserError(f'strconv.ParseFloat: parsing "{text}": value out of range')
        return value
    special = _SPECIAL.get(text.lower())
    if special is not None:
        return special
    if any(character in text for character in "pP_"):
        raise UserError("unsupported character in float")
    raise UserError(f'strconv.ParseFloat: parsing "{text}": invalid syntax')


def format_label(value: float) -> str:
    """The form of `le` and `quantile` in OpenMetrics: `1.0`, `0.5`, `1e+06`, `+Inf`."""
    # A zero has no sign in labels.
    text = format_g(value or 0.0)
    if math.isfinite(value) and "." not in text and "e" not in text:
        return text + ".0"
    return text


def format_g(value: float) -> str:
    """Go's `%g`: the shortest digits that read back the same; an exponent below 1e-4 and from 1e+06 on."""
    if value != value:  # noqa: PLR0124 # NaN, without a call
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    mantissa, _, exponent_text = f"{value!r}".partition("e")
    sign = "-" if mantissa.startswith("-") else ""
    whole, _, fraction = mantissa.lstrip("-").partition(".")
    fraction = "" if fraction == "0" else fraction
    digits = (whole + fraction).lstrip("0")
    if not digits:
        return sign + "0"
    point = len(whole) + int(exponent_text or 0) - (len(whole + fraction) - len(digits))
    digits = digits.rstrip("0")
    exponent = point - 1
    if exponent < -4 or exponent >= 6:
        tail = f".{digits[1:]}" if len(digits) > 1 else ""
        return f"{sign}{digits[0]}{tail}e{'-' if exponent < 0 else '+'}{abs(exponent):02d}"
    if point <= 0:
        return f"{sign}0.{'0' * -point}{digits}"
    if point >= len(digits):
        return f"{sign}{digits}{'0' * (point - len(digits))}"
    return f"{sign}{digits[:point]}.{digits[point:]}"


def format_six(value: float) -> str:
    """Six decimals (`%f`)."""
    if math.isnan(value):
        return "NaN"
    return ("+Inf" if value > 0 else "-Inf") if math.isinf(value) else f"{value:f}"


def format_plain(value: float) -> str:
    """The shortest decimal that reads back, never with an exponent (`strconv.FormatFloat(v, 'f', -1)`)."""
    if value != value:  # noqa: PLR0124 - the cheapest test for NaN
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    text = repr(value)
    if "e" not in text:
        return text.removesuffix(".0")
    mantissa, _, exponent = text.partition("e")
    sign = "-" if mantissa.startswith("-") else ""
    whole, _, fraction = mantissa.lstrip("-").partition(".")
    digits = whole + fraction
    point = len(whole) + int(exponent)
    if point <= 0:
        return f"{sign}0.{'0' * -point}{digits}".rstrip("0").rstrip(".")
    if point >= len(digits):
        return sign + digits + "0" * (point - len(digits))
    return f"{sign}{digits[:point]}.{digits[point:]}"


def format_e(value: float) -> str:
    """An exponent always, and the fewest digits that read back (`strconv.FormatFloat(v, 'e', -1)`): `2.5e+00`."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    digits = repr(value).lstrip("-").partition("e")[0].replace(".", "").strip("0") or "0"
    return f"{value:.{len(digits) - 1}e}"
