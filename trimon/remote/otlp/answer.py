"""What a sender is answered: an ExportMetricsServiceResponse, and how many data points were left out."""

from __future__ import annotations

import struct
from collections.abc import Sequence

import orjson

from trimon.model.rows import Appended, SampleBatch
from trimon.records import dataclass
from trimon.remote.otlp.request import OtlpRequest
from trimon.wire import put_block, put_number

PROTOBUF = "application/x-protobuf"
JSON = "application/json"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a request that was taken: data points that were left out, and why the first was."""

    rejected: int = 0
    reason: str = ""

    def message(self) -> bytes:
        """As protobuf: empty where everything was taken."""
        if not self.rejected:
            return b""
        return put_block(1, put_number(1, self.rejected) + put_block(2, self.reason.encode()))

    def json(self) -> bytes:
        """As JSON."""
        if not self.rejected:
            return b"{}"
        partial = {"rejectedDataPoints": str(self.rejected), "errorMessage": self.reason}
        return orjson.dumps({"partialSuccess": partial})


def outcome_of(request: OtlpRequest, batch: SampleBatch, answer: Appended) -> Outcome:
    """What was left out of a batch that was stored: points that were refused alone, and those that contradict others."""
    rejected, reason = request.left_out, request.left_out_reason
    if answer.out_of_order + answer.duplicate:
        contradicting = _contradicting(request, batch, late_too=answer.out_of_order > 0)
        if contradicting:
            rejected += contradicting
            reason = reason or (
                "of several data points of a series in one request the first counts: others have its time with another "
                "value, or an earlier time"
            )
    return Outcome(rejected, reason)


def _contradicting(request: OtlpRequest, batch: SampleBatch, *, late_too: bool) -> int:
    """Data points that others of the request, which came before, contradict. It loops over all samples, and is rare."""
    newest: dict[object, tuple[int, bytes]] = {}
    rejected: set[tuple[int, int]] = set()
    point_of = _points(request.points)
    samples = zip(
        batch.series_index.tolist(), batch.timestamps_ms.tolist(), batch.values.tolist(), strict=True
    )
    for place, time_ms, value in samples:
        if place >= request.own_series:
            continue
        series, bits = batch.series[place], struct.pack("<d", value)
        before = newest.get(series)
        if before is None or time_ms > before[0]:
            newest[series] = time_ms, bits
        elif (time_ms == before[0] and bits != before[1]) or (late_too and time_ms < before[0]):
            rejected.add((point_of.get(place, place), time_ms))
    return len(rejected)


def _points(points: Sequence[tuple[int, int]]) -> dict[int, int]:
    return {place: first for first, count in points for place in range(first, first + count)}
