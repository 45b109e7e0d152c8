"""Numbers and times as the HTTP API writes them, whole columns at once."""

from __future__ import annotations

from typing import Final

import numpy as np
import orjson

from trimon.gotext.floats import format_plain
from trimon.model.frame import Times
from trimon.query.execution.values import Matrix

_SMALL: Final = 1e-6
_LARGE: Final = 1e21
# Between these, orjson writes a float as Prometheus does, but for the fraction of whole numbers.
_PLAIN_MIN: Final = 1e-5
_PLAIN_MAX: Final = 1e16
# Up to this share of whole numbers, cutting ".0" off each is quicker than looking for it in the text.
_FEW: Final = 0.1


def format_values(values: Matrix) -> list[str]:
    """Every number as the API writes it (float64[n]): shortest, exponents only when very small or large."""
    if len(values) == 0:
        return []
    flat = np.ascontiguousarray(values, dtype=np.float64)
    size = np.abs(flat)
    odd = np.flatnonzero(~((size >= _PLAIN_MIN) & (size < _PLAIN_MAX)) & (flat != 0) & (flat == flat))  # noqa: PLR0124 - NaN
    special: list[str] = []
    if len(odd):
        special = _format_odd(flat[odd])
        if len(odd) == len(flat):
            return special
        flat = flat.copy()
        flat[odd] = 0.0
    texts = _format_plain(flat)
    if len(odd):
        for index, shown in zip(odd.tolist(), special, strict=True):
            texts[index] = shown
    return texts


def _format_plain(values: Matrix) -> list[str]:
    """Numbers that orjson writes without an exponent, and NaN."""
    with np.errstate(invalid="ignore"):  # a signaling NaN, as some clients push
        whole = values == np.trunc(values)
    if whole.all() and not np.signbit(values[values == 0]).any():  # integers have no -0
        text = orjson.dumps(values.astype(np.int64), option=orjson.OPT_SERIALIZE_NUMPY).decode()
        return text[1:-1].split(",")
    text = orjson.dumps(values, option=orjson.OPT_SERIALIZE_NUMPY).decode()
    if np.isnan(values).any():
        text = text.replace("null", "NaN")
    places = np.flatnonzero(whole)
    if len(places) > _FEW * len(values):
        texts = text[1:-1].replace(".0,", ",").split(",")
        texts[-1] = texts[-1].removesuffix(".0")
        return texts
    texts = text[1:-1].split(",")
    for place in places.tolist():
        texts[place] = texts[place][:-2]
    return texts


def _format_odd(values: Matrix) -> list[str]:
    """Numbers that orjson writes with an exponent, or not at all; rates are often a few millionths."""
    raw = orjson.dumps(values, option=orjson.OPT_SERIALIZE_NUMPY).decode()[1:-1].split(",")
    numbers = values.tolist()
    return [
        "0.00000" + text[:-3].replace(".", "")
        if text[-3:] == "e-6" and text[0] != "-"
        else format_value(numbers[index])
        for index, text in enumerate(raw)
    ]


def format_value(value: float) -> str:
    """One number as the API writes it."""
    if value == 0 or value != value or _SMALL <= abs(value) < _LARGE:  # noqa: PLR0124 - NaN
        return format_plain(value)
    if abs(value) == float("inf"):
        return "+Inf" if value > 0 else "-Inf"
    mantissa, _, exponent = f"{value!r}".partition("e")
    if not exponent:
        mantissa, _, exponent = np.format_float_scientific(value, trim="-").partition("e")
    sign = "-" if exponent.startswith("-") else "+"
    return f"{mantissa.removesuffix('.0')}e{sign}{exponent.lstrip('+-0').zfill(2)}"


def format_times(times_ms: Times) -> list[str]:
    """Timestamps in seconds: whole, or with exactly three digits."""
    if len(times_ms) and not (times_ms % 1000).any():
        return orjson.dumps(times_ms // 1000, option=orjson.OPT_SERIALIZE_NUMPY).decode()[1:-1].split(",")
    out = []
    for time_ms in times_ms.tolist():
        sign, size = ("-", -time_ms) if time_ms < 0 else ("", time_ms)
        seconds, rest = divmod(size, 1000)
        out.append(f"{sign}{seconds}.{rest:03d}" if rest else f"{sign}{seconds}")
    return out
