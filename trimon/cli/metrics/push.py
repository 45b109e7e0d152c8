"""Remote write 1.0 as its sender: families as one request."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping

import cramjam

from trimon.cli.metrics.families import ExposedFamily
from trimon.model.labels import METRIC_NAME
from trimon.wire import put_block, put_varint

# The numbers of Prometheus' metric types in metadata.
_TYPES = {"unknown": 0, "counter": 1, "gauge": 2, "histogram": 3, "gaugehistogram": 4, "summary": 5}


def write_request(families: Iterable[ExposedFamily], labels: Mapping[str, str], now_ms: int) -> bytes:
    """The body of a request, compressed. Samples without a timestamp are of `now_ms`; `labels` win over those of samples."""
    series, metadata = [], []
    for family in families:
        kind = _TYPES[family.type or "unknown"]
        described = b"\x08" + put_varint(kind) + put_block(2, family.name.encode())
        metadata.append(put_block(3, described + put_block(4, (family.help or "").encode())))
        for sample in family.samples:
            named = {METRIC_NAME: sample.name, **sample.labels, **labels}
            pairs = b"".join(
                put_block(1, put_block(1, name.encode()) + put_block(2, value.encode()))
                for name, value in sorted(named.items())
            )
            at_ms = now_ms if sample.timestamp_ms is None else sample.timestamp_ms
            point = b"\x09" + struct.pack("<d", sample.value) + b"\x10" + put_varint(at_ms)
            series.append(put_block(1, pairs + put_block(2, point)))
    return bytes(cramjam.snappy.compress_raw(b"".join([*series, *metadata])))
