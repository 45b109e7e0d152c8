"""Native histograms in the form of the API."""

from __future__ import annotations

from typing import Any

from trimon.model.histogram import FloatHistogram, Ordered, apparent


def _brackets(histogram: FloatHistogram, buckets: Ordered, at: int) -> tuple[str, str]:
    if not histogram.custom:
        if at == buckets.zero:
            return "[", "]"
        if buckets.upper[at] < 0 or (buckets.zero > at):
            return "[", ")"
        return "(", "]"
    return ("[" if buckets.lower[at] == float("-inf") else "("), "]"


_CODES = {("(", "]"): 0, ("[", ")"): 1, ("(", ")"): 2, ("[", "]"): 3}


def as_data(histogram: FloatHistogram, number: Any) -> dict[str, Any]:
    """The API's form; `number` writes one float."""
    buckets = apparent(histogram)
    rows = [
        [
            _CODES[_brackets(histogram, buckets, at)],
            number(float(buckets.lower[at])),
            number(float(buckets.upper[at])),
            number(count),
        ]
        for at, count in enumerate(buckets.counts.tolist())
    ]
    out: dict[str, Any] = {"count": number(histogram.count), "sum": number(histogram.sum)}
    if rows:
        out["buckets"] = rows
    return out
