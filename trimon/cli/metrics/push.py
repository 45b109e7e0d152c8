"""Remote write 1.0 as its sender: families as one request."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping

import cramjam

from trimon.cli.metrics.families import ExposedFamily
from trimon.model.labels import METRIC_NAME

# The numbers of Prometheus' metric types in metadata.
_TYPES = {"unknown": 0, "counter": 1, "gauge": 2, "histogram": 3, "gaugehistogram": 4, "summary": 5}


def write_request(families: Iterable[ExposedFamily], labels: Mapping[str, str], now_ms: int) -> bytes:
    """The body of a request, compressed. Samples without a timestamp are of `now_ms`; `labels` win over those of samples."""
    series, metadata = [], []
    for family in families:
        kind = _TYPES[family.type or "unknown"]
        described = b"\x08" + _varint(kind) + _block(2, family.name.encode())
        metadata.append(_block(3, described + _block(4, (family.help or "").encode())))
        for sample in family.samples:
            named = {METRIC_NAME: sample.name, **sample.labels, **labels}
            pairs = b"".join(
                _block(1, _block(1, name.encode()) + _block(2, value.encode()))
                for name, value in sorted(named.items())
            )
            at_ms = now_ms if sample.timestamp_ms is None else sample.timestamp_ms
            point = b"\x09" + struct.pack("<d", sample.value) + b"\x10" + _varint(at_ms)
            series.append(_block(1, pairs + _block(2, point)))
    return bytes(cramjam.snappy.compress_raw(b"".join([*series, *metadata])))


def _varint(value: int) -> bytes:
    value &= 2**64 - 1
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _block(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(content)) + content
