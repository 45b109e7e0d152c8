"""Results of queries as promtool prints them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from trimon.gotext.floats import format_g, format_plain, format_six, parse_float
from trimon.model.labels import format_labels, labels_of

# How the API numbers what belongs to a bucket: which of its bounds are closed.
_LOWER_CLOSED = (1, 3)
_UPPER_CLOSED = (0, 3)


def result_text(data: Mapping[str, Any]) -> str:
    """The `data` of a query's answer, as text."""
    result = data["result"]
    match data["resultType"]:
        case "scalar":
            return f"scalar: {_number(result[1])} @[{result[0]}]"
        case "string":
            return str(result[1])
        case "vector":
            return "\n".join(f"{_series(entry)} => {''.join(_points(entry))}" for entry in result)
        case _:
            return "\n".join("\n".join((f"{_series(entry)} =>", *_points(entry))) for entry in result)


def _series(entry: Mapping[str, Any]) -> str:
    return format_labels(labels_of(entry["metric"])) or "{}"


def _points(entry: Mapping[str, Any]) -> list[str]:
    """Numbers, then histograms: one of a vector, those of all times of a matrix."""
    values = [entry["value"]] if "value" in entry else entry.get("values", ())
    histograms = [entry["histogram"]] if "histogram" in entry else entry.get("histograms", ())
    return [
        *(f"{_number(value)} @[{time}]" for time, value in values),
        *(f"{_histogram(histogram)} @[{time}]" for time, histogram in histograms),
    ]


def _number(text: str) -> str:
    return format_plain(parse_float(text))


def _histogram(histogram: Mapping[str, Any]) -> str:
    count, total = (format_six(parse_float(histogram[name])) for name in ("count", "sum"))
    buckets = " ".join(map(_bucket, histogram.get("buckets", ())))
    return f"Count: {count}, Sum: {total}, Buckets: [{buckets}]"


def _bucket(bucket: Sequence[Any]) -> str:
    closed, lower, upper, count = bucket
    left = "[" if closed in _LOWER_CLOSED else "("
    right = "]" if closed in _UPPER_CLOSED else ")"
    bounds = ",".join(format_g(parse_float(bound)) for bound in (lower, upper))
    return f"{left}{bounds}{right}:{_number(count)}"
