"""The types that templates meet: samples, histograms, times, parameters of consoles."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from trimon.gotext.civiltime import MONTHS, NS_PER_S, WEEKDAYS, duration_text, time_literal, time_text
from trimon.gotext.floats import format_g
from trimon.gotext.values import (
    ANY,
    BOOL,
    FLOAT64,
    FLOAT_SLICE,
    INT32,
    INT64,
    STRING,
    STRING_MAP,
    STRING_SLICE,
    UINT32,
    UINT64,
    GoKind,
    GoScalar,
    GoType,
    Interface,
    Pointer,
    Slice,
    Struct,
    Table,
    Value,
    pointer_to,
)
from trimon.model.histogram import Buckets, FloatHistogram, ResetHint
from trimon.model.histogramtext import histogram_text

# From the year 1 to 1970, which is how Go counts.
_EPOCH_S: Final = 62_135_596_800
_HINTS: Final = {ResetHint.UNKNOWN: 0, ResetHint.RESET: 1, ResetHint.NOT_RESET: 2, ResetHint.GAUGE: 3}

HTML: Final = GoType("template.HTML", GoKind.STRING)
DURATION: Final = GoType("time.Duration", GoKind.INT, shown=duration_text)
DURATION_POINTER: Final = pointer_to(DURATION)
MONTH: Final = GoType("time.Month", GoKind.INT, shown=lambda month: MONTHS[month - 1])
WEEKDAY: Final = GoType("time.Weekday", GoKind.INT, shown=lambda day: WEEKDAYS[day])
LOCATION: Final = GoType("time.Location", GoKind.STRUCT)
LOCATION_POINTER: Final = GoType("*time.Location", GoKind.POINTER, LOCATION)
SPAN: Final = GoType("histogram.Span", GoKind.STRUCT, fields=(("Offset", INT32), ("Length", UINT32)))
SPANS: Final = GoType("[]histogram.Span", GoKind.SLICE, SPAN, comparable=False)
RESET_HINT: Final = GoType("histogram.CounterResetHint", GoKind.UINT)


def _time_fields(instant_ns: int) -> tuple[Value, ...]:
    seconds, nanoseconds = divmod(instant_ns, NS_PER_S)
    return (
        GoScalar(UINT64, nanoseconds),
        GoScalar(INT64, seconds + _EPOCH_S),
        Pointer(LOCATION_POINTER, None),
    )


TIME: Final = GoType(
    "time.Time",
    GoKind.STRUCT,
    fields=(("wall", UINT64), ("ext", INT64), ("loc", LOCATION_POINTER)),
    read=_time_fields,
    shown=time_text,
    literal=time_literal,
)
TIME_POINTER: Final = pointer_to(TIME)


def _spans(buckets: Buckets) -> tuple[Slice, Slice]:
    """Buckets as Go keeps them: runs of neighbours, each with its distance from the one before, and the counts."""
    spans: list[Value] = []
    index = buckets.index.tolist()
    begin, expected = 0, 0
    for at in range(1, len(index) + 1):
        if at == len(index) or index[at] != index[at - 1] + 1:
            spans.append(
                Struct(SPAN, (GoScalar(INT32, index[begin] - expected), GoScalar(UINT32, at - begin)))
            )
            expected, begin = index[at - 1] + 1, at
    counts = Slice(FLOAT_SLICE, buckets.counts.tolist(), nil=not index)
    return Slice(SPANS, spans, nil=not spans), counts


def _histogram_fields(histogram: FloatHistogram) -> tuple[Value, ...]:
    positive_spans, positive = _spans(histogram.positive)
    negative_spans, negative = _spans(histogram.negative)
    return (
        GoScalar(RESET_HINT, _HINTS[histogram.hint]),
        GoScalar(INT32, histogram.schema),
        histogram.zero_threshold,
        histogram.zero_count,
        histogram.count,
        histogram.sum,
        positive_spans,
        negative_spans,
        positive,
        negative,
        Slice(FLOAT_SLICE, list(histogram.custom_values), nil=not histogram.custom_values),
    )


HISTOGRAM: Final = GoType(
    "histogram.FloatHistogram",
    GoKind.STRUCT,
    fields=(
        ("CounterResetHint", RESET_HINT), ("Schema", INT32), ("ZeroThreshold", FLOAT64), ("ZeroCount", FLOAT64),
        ("Count", FLOAT64), ("Sum", FLOAT64), ("PositiveSpans", SPANS), ("NegativeSpans", SPANS),
        ("PositiveBuckets", FLOAT_SLICE), ("NegativeBuckets", FLOAT_SLICE), ("CustomValues", FLOAT_SLICE),
    ),
    read=_histogram_fields,
    comparable=False,
)  # fmt: skip
HISTOGRAM_POINTER: Final = GoType(
    "*histogram.FloatHistogram", GoKind.POINTER, HISTOGRAM, shown=histogram_text
)


def _bucket_text(bucket: tuple[Any, ...]) -> str:
    lower, upper, lower_inclusive, upper_inclusive, count, _ = bucket
    left, right = "[" if lower_inclusive else "(", "]" if upper_inclusive else ")"
    return f"{left}{format_g(lower)},{format_g(upper)}{right}:{format_g(count)}"


BUCKET: Final = GoType(
    "histogram.Bucket[float64]",
    GoKind.STRUCT,
    fields=(
        ("Lower", FLOAT64), ("Upper", FLOAT64), ("LowerInclusive", BOOL), ("UpperInclusive", BOOL),
        ("Count", FLOAT64), ("Index", INT32),
    ),
    shown=_bucket_text,
)  # fmt: skip

SAMPLE: Final = GoType(
    "template.sample", GoKind.STRUCT, fields=(("Labels", STRING_MAP), ("Value", ANY)), comparable=False
)
SAMPLE_POINTER: Final = GoType("*template.sample", GoKind.POINTER, SAMPLE)
QUERY_RESULT: Final = GoType("template.queryResult", GoKind.SLICE, SAMPLE_POINTER, comparable=False)

ALERT_DATA: Final = GoType(
    "struct { Labels map[string]string; ExternalLabels map[string]string; ExternalURL string; Value interface {} }",
    GoKind.STRUCT,
    fields=(("Labels", STRING_MAP), ("ExternalLabels", STRING_MAP), ("ExternalURL", STRING), ("Value", ANY)),
    comparable=False,
)
URL_VALUES: Final = GoType("url.Values", GoKind.MAP, STRING_SLICE, comparable=False)
CONSOLE_DATA: Final = GoType(
    "struct { RawParams url.Values; Params map[string]string; Path string; ExternalLabels map[string]string }",
    GoKind.STRUCT,
    fields=(
        ("RawParams", URL_VALUES),
        ("Params", STRING_MAP),
        ("Path", STRING),
        ("ExternalLabels", STRING_MAP),
    ),
    comparable=False,
)


def sample_value(value: float | FloatHistogram) -> Value:
    """The value of a sample as templates have it."""
    if isinstance(value, FloatHistogram):
        return Pointer(HISTOGRAM_POINTER, Struct(HISTOGRAM, value))
    return float(value)


def sample(labels: Mapping[str, str], value: float | FloatHistogram) -> Value:
    """A sample of a query's result."""
    fields = (Table(STRING_MAP, dict(labels)), Interface(sample_value(value)))
    return Pointer(SAMPLE_POINTER, Struct(SAMPLE, fields))
