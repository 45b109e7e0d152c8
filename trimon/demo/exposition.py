"""An example target's families at one moment, as text, OpenMetrics or protobuf."""

from __future__ import annotations

import hashlib
import math
import struct
from typing import Final

import numpy as np

from trimon.demo.families import (
    BOUND_TEXTS,
    BOUNDS,
    BUCKETS,
    CLASSIC,
    SCHEMA,
    ZERO_THRESHOLD,
    Counter,
    Family,
    Gauge,
    Histogram,
    Labels,
    Target,
    counted,
)
from trimon.wire import put_varint, zigzag

TEXT: Final = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS: Final = "application/openmetrics-text; version=1.0.0; charset=utf-8"
PROTOBUF: Final = (
    "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"
)
# A line that no reader of the format takes: its value is missing.
BROKEN: Final = '# TYPE search_documents gauge\nsearch_documents{shard="7"} not-a-number\n'
_KINDS: Final = {"counter": 0, "gauge": 1, "histogram": 4}


def exposed(target: Target, now_s: float, began_s: float, accept: str) -> tuple[bytes, str]:
    """The body of a target and its media type. `now_s` is since the fleet began, which was at the Unix time `began_s`."""
    if target.native and PROTOBUF.partition(";")[0] in accept:
        return b"".join(_message(family, target, now_s, began_s) for family in target.families), PROTOBUF
    is_open = "application/openmetrics-text" in accept
    lines = [line for family in target.families for line in _lines(family, target, now_s, began_s, is_open)]
    text = "".join(f"{line}\n" for line in lines)
    if now_s >= target.broken_from_s:
        text += BROKEN
    return (text + "# EOF\n" * is_open).encode(), OPENMETRICS if is_open else TEXT


def _at(series: Counter | Gauge, target: Target, now_s: float) -> float:
    times = np.array([now_s])
    values = series.value(times) if isinstance(series, Gauge) else counted(series, times, target.since(times))
    return float(values[0])


def _is_shown(series: Counter | Gauge | Histogram, now_s: float) -> bool:
    return not isinstance(series, Counter) or series.first_s <= now_s


def _number(value: float) -> str:
    return repr(int(value)) if value == int(value) and abs(value) < 1e15 else repr(value)


def _braces(labels: Labels) -> str:
    return "{" + ",".join(f'{name}="{value}"' for name, value in labels.items()) + "}" if labels else ""


def _lines(family: Family, target: Target, now_s: float, began_s: float, is_open: bool) -> list[str]:
    is_counter = family.kind == "counter"
    name = family.name.removesuffix("_total") if is_open and is_counter else family.name
    lines = [f"# HELP {name} {family.help}", f"# TYPE {name} {family.kind}"]
    if is_open and family.unit:
        lines.append(f"# UNIT {name} {family.unit}")
    for series in family.series:
        if isinstance(series, Histogram):
            lines += _histogram_lines(family.name, series, target, now_s, began_s, is_open)
        elif _is_shown(series, now_s):
            lines.append(f"{family.name}{_braces(series.labels)} {_number(_at(series, target, now_s))}")
    return lines


def _histogram_lines(
    name: str, series: Histogram, target: Target, now_s: float, began_s: float, is_open: bool
) -> list[str]:
    counts, total, seconds = _numbers(series, target, now_s)
    below = np.cumsum(counts)
    lines = []
    for place, bound in zip(CLASSIC.tolist(), BOUND_TEXTS, strict=False):
        labels = {**series.labels, "le": bound}
        traced = ""
        if is_open and (found := _exemplar(series, target, place, counts, now_s)):
            trace, value, at_s = found
            traced = f' # {{trace_id="{trace}"}} {value:.6g} {began_s + at_s:.3f}'
        lines.append(f"{name}_bucket{_braces(labels)} {int(below[place])}{traced}")
    lines.append(f"{name}_bucket{_braces({**series.labels, 'le': '+Inf'})} {total}")
    lines.append(f"{name}_sum{_braces(series.labels)} {seconds!r}")
    lines.append(f"{name}_count{_braces(series.labels)} {total}")
    return lines


def _numbers(series: Histogram, target: Target, now_s: float) -> tuple[np.ndarray, int, float]:
    """The counts of the buckets, of all, and the seconds of all."""
    times = np.array([now_s])
    since = target.since(times)
    counts = series.counts(times, since)[:, 0]
    return counts, int(counts.sum()), float(series.sums(times, since)[0])


def _exemplar(
    series: Histogram, target: Target, place: int, counts: np.ndarray, now_s: float
) -> tuple[str, float, float] | None:
    """The trace, the duration and the time of one in a classic bucket, another every half minute; None for an empty one."""
    if not counts[max(0, place - 3) : place + 1].sum():
        return None
    half_minute = math.floor(now_s / 30)
    seed = f"{target.name}{sorted(series.labels.items())}{place} {half_minute}"
    digest = hashlib.blake2b(seed.encode(), digest_size=16).digest()
    return digest.hex(), float(BOUNDS[place]) * 2.0 ** -(digest[0] / 256), half_minute * 30.0


def _field(tag: bytes, payload: bytes) -> bytes:
    return tag + put_varint(len(payload)) + payload


def _double(tag: bytes, value: float) -> bytes:
    return tag + struct.pack("<d", value)


def _pairs(labels: Labels) -> bytes:
    return b"".join(
        _field(b"\x0a", _field(b"\x0a", name.encode()) + _field(b"\x12", value.encode()))
        for name, value in labels.items()
    )


def _message(family: Family, target: Target, now_s: float, began_s: float) -> bytes:
    """A MetricFamily with its length before it."""
    body = _field(b"\x0a", family.name.encode()) + _field(b"\x12", family.help.encode())
    body += b"\x18" + put_varint(_KINDS[family.kind])
    for series in family.series:
        if isinstance(series, Histogram):
            value = _field(b"\x3a", _histogram_message(series, target, now_s, began_s))
        elif _is_shown(series, now_s):
            tag = b"\x1a" if family.kind == "counter" else b"\x12"
            value = _field(tag, _double(b"\x09", _at(series, target, now_s)))
        else:
            continue
        body += _field(b"\x22", _pairs(series.labels) + value)
    return put_varint(len(body)) + body


def _histogram_message(series: Histogram, target: Target, now_s: float, began_s: float) -> bytes:
    """A Histogram, classic and native."""
    counts, total, seconds = _numbers(series, target, now_s)
    below = np.cumsum(counts)
    out = b"\x08" + put_varint(total) + _double(b"\x11", seconds)
    for place in CLASSIC.tolist():
        bucket = b"\x08" + put_varint(int(below[place])) + _double(b"\x11", float(BOUNDS[place]))
        if found := _exemplar(series, target, place, counts, now_s):
            trace, value, at_s = found
            at_s += began_s
            stamp = b"\x08" + put_varint(int(at_s)) + b"\x10" + put_varint(int(at_s % 1 * 1e9))
            bucket += _field(
                b"\x1a", _pairs({"trace_id": trace}) + _double(b"\x11", value) + _field(b"\x1a", stamp)
            )
        out += _field(b"\x1a", bucket)
    out += b"\x28" + put_varint(zigzag(SCHEMA)) + _double(b"\x31", ZERO_THRESHOLD)
    span = b"\x08" + put_varint(zigzag(int(BUCKETS[0]))) + b"\x10" + put_varint(len(BUCKETS))
    deltas = np.diff(counts, prepend=0.0).astype(np.int64).tolist()
    return (
        out + _field(b"\x62", span) + _field(b"\x6a", b"".join(put_varint(zigzag(each)) for each in deltas))
    )
