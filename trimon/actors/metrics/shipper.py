"""Families about blocks that are copied, read when /metrics is asked."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from trimon.actors.storage.shipper import ShipperCounts
from trimon.selfmetrics import MetricFamily


def shipper_metrics(
    counts: ShipperCounts, waiting: Callable[[], int]
) -> Callable[[], Iterator[MetricFamily]]:
    """trimon_shipper_*."""

    def families() -> Iterator[MetricFamily]:
        for name, what, kind, value in (
            ("uploads_total", "Blocks that were copied to the object store.", "counter", counts.uploads),
            ("upload_failures_total", "Tries to copy a block that failed.", "counter", counts.failures),
            ("uploaded_bytes_total", "Bytes of blocks that were copied.", "counter", counts.bytes),
            ("blocks_waiting", "Blocks that are to be copied.", "gauge", waiting()),
            (
                "last_upload_timestamp_seconds",
                "When a block was copied last; 0: never since the start.",
                "gauge",
                counts.last_success_ms / 1000,
            ),
        ):
            yield MetricFamily(
                f"trimon_shipper_{name}",
                what,
                "counter" if kind == "counter" else "gauge",
                [((), float(value))],
            )

    return families
