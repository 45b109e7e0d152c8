"""prometheus_tsdb_* of our own /metrics, read from the store's figures."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from trimon.selfmetrics import Reading
from trimon.storage.statistics import StoreFigures
from trimon.storage.store import Store

_GAUGES: Final = (
    ("prometheus_tsdb_head_series", "head_series", "Total number of series in the head block."),
    ("prometheus_tsdb_head_chunks", "head_chunks", "Total number of chunks in the head block."),
    ("prometheus_tsdb_blocks_loaded", "blocks", "Number of currently loaded data blocks."),
    ("prometheus_tsdb_storage_blocks_bytes", "blocks_bytes", "The number of bytes used for blocks."),
    ("prometheus_tsdb_wal_segment_current", "wal_segment", "WAL segment index that is currently written."),
    ("prometheus_tsdb_symbol_table_size_bytes", "symbol_bytes", "Size of the symbol tables in memory."),
    ("trimon_tsdb_head_bytes", "head_bytes", "Memory of the samples in the head."),
    ("trimon_tsdb_head_samples", "head_samples", "Samples in the head."),
    ("trimon_tsdb_loose_samples", "loose_samples", "Samples of the head that fit no row."),
    ("trimon_tsdb_cache_bytes", "cache_bytes", "Decoded parts of blocks and heads kept in memory."),
    ("trimon_tsdb_kept_bytes", "kept_bytes", "Selections and samples kept for queries that ask again."),
    ("trimon_tsdb_wal_bytes", "wal_bytes", "Size of the write-ahead log."),
)
_TIMES: Final = (
    (
        "prometheus_tsdb_head_min_time",
        "head_min_ms",
        "Minimum time bound of the head block, in milliseconds.",
    ),
    ("prometheus_tsdb_head_max_time", "head_max_ms", "Maximum timestamp of the head block, in milliseconds."),
    (
        "prometheus_tsdb_lowest_timestamp",
        "lowest_ms",
        "Lowest timestamp stored in the database, in milliseconds.",
    ),
)
_COUNTS: Final = (
    ("prometheus_tsdb_head_samples_appended_total", "samples_appended", "Total number of appended samples."),
    (
        "prometheus_tsdb_head_series_created_total",
        "series_created",
        "Total number of series created in the head.",
    ),
    ("prometheus_tsdb_out_of_order_samples_total", "out_of_order", "Samples refused as out of order."),
    ("prometheus_tsdb_out_of_bound_samples_total", "out_of_bounds", "Samples refused as out of bounds."),
    (
        "prometheus_tsdb_too_old_samples_total",
        "too_old",
        "Samples refused as older than the out-of-order window.",
    ),
    ("prometheus_tsdb_compactions_total", "compactions", "Total number of blocks written by compactions."),
    (
        "trimon_tsdb_duplicate_samples_total",
        "duplicate",
        "Samples refused for a timestamp that has another value.",
    ),
    ("trimon_tsdb_series_refused_total", "series_refused", "New series refused by the series limit."),
    ("trimon_tsdb_problems_total", "problems", "Faults of the data directory that were found and survived."),
)


def storage_readings(store: Store) -> Callable[[], Iterator[Reading]]:
    """Families of the store's figures; times are left out while there is nothing."""

    def readings() -> Iterator[Reading]:
        figures = store.figures()
        for name, field, text in _GAUGES:
            yield Reading(name, text, "gauge", [((), float(getattr(figures, field)))])
        yield from _times(figures)
        for name, field, text in _COUNTS:
            yield Reading(name, text, "counter", [((), float(figures.counts.get(field, 0)))])

    return readings


def _times(figures: StoreFigures) -> Iterator[Reading]:
    for name, field, text in _TIMES:
        value_ms: int | None = getattr(figures, field)
        if value_ms is not None:
            yield Reading(name, text, "gauge", [((), float(value_ms))])
            seconds_text = text.replace("in milliseconds", "in seconds")
            yield Reading(f"{name}_seconds", seconds_text, "gauge", [((), value_ms / 1000)])
