"""Native histograms as templates print them."""

from __future__ import annotations

import math

from trimon.gotext.floats import format_g
from trimon.model.histogram import CUSTOM_SCHEMA, Buckets, FloatHistogram, ResetHint, ordered

_HINTS = {ResetHint.RESET: "reset", ResetHint.NOT_RESET: "not_reset", ResetHint.GAUGE: "gauge"}


def histogram_text(histogram: FloatHistogram) -> str:
    """`{count:4, sum:5, (1,2]:3}`: the populated buckets in ascending order."""
    parts = [f"count:{format_g(histogram.count)}", f"sum:{format_g(histogram.sum)}"]
    buckets = ordered(histogram)
    negative = len(histogram.negative.compact())
    rows = zip(buckets.lower.tolist(), buckets.upper.tolist(), buckets.counts.tolist(), strict=True)
    for at, (lower, upper, count) in enumerate(rows):
        left, right = "(", "]"
        if at == buckets.zero or (histogram.custom and lower == -math.inf):
            left = "["
        elif not histogram.custom and at < negative:
            left, right = "[", ")"
        parts.append(f"{left}{format_g(lower)},{format_g(upper)}{right}:{format_g(count)}")
    return "{" + ", ".join(parts) + "}"


def histogram_expression(histogram: FloatHistogram) -> str:
    """`{{schema:1 count:4 sum:5 buckets:[1 2]}}`: the notation of unit tests of rules; what is 0 is left out."""
    numbers = (
        ("schema", histogram.schema),
        ("count", histogram.count),
        ("sum", histogram.sum),
        ("z_bucket", histogram.zero_count),
        ("z_bucket_w", histogram.zero_threshold),
    )
    parts = [f"{name}:{format_g(float(number))}" for name, number in numbers if number]
    if histogram.schema == CUSTOM_SCHEMA:
        parts.append(f"custom_values:[{' '.join(format_g(bound) for bound in histogram.custom_values)}]")
    if histogram.hint in _HINTS:
        parts.append(f"counter_reset_hint:{_HINTS[histogram.hint]}")
    parts += _run("buckets", "offset", histogram.positive)
    parts += _run("n_buckets", "n_offset", histogram.negative)
    return "{{" + " ".join(parts) + "}}"


def _run(name: str, offset_name: str, buckets: Buckets) -> list[str]:
    """The counts from the first populated bucket to the last, and where the first one is."""
    populated = buckets.compact()
    if not len(populated):
        return []
    counts = dict(zip(populated.index.tolist(), populated.counts.tolist(), strict=True))
    first, last = int(populated.index[0]), int(populated.index[-1])
    shown = " ".join(format_g(counts.get(index, 0.0)) for index in range(first, last + 1))
    return [*([f"{offset_name}:{first}"] if first else []), f"{name}:[{shown}]"]
