"""prometheus_tsdb_* of our own /metrics, read from the store's figures."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Final, Literal, TypeAlias

from trimon.actors.storage.actor import StorageActor
from trimon.actors.storage.compactor import CompactionCounts, Compactor
from trimon.selfmetrics import MetricFamily
from trimon.storage.exemplars import ExemplarStore
from trimon.storage.figures import StoreFigures
from trimon.storage.options import StoreOptions
from trimon.storage.protocols import MeasuredStore

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
    ("prometheus_tsdb_wal_storage_size_bytes", "wal_bytes", "Size of the write log storage on disk."),
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
# Native histograms are not taken in yet: refused samples are floats, which Prometheus tells apart by a label.
_BY_TYPE: Final = frozenset({"out_of_order", "out_of_bounds", "too_old"})
_COUNTS: Final = (
    ("prometheus_tsdb_head_samples_appended_total", "samples_appended", "Total number of appended samples."),
    (
        "prometheus_tsdb_head_series_created_total",
        "series_created",
        "Total number of series created in the head.",
    ),
    (
        "prometheus_tsdb_head_series_removed_total",
        "series_removed",
        "Total number of series removed from the head.",
    ),
    (
        "prometheus_tsdb_head_chunks_created_total",
        "chunks_created",
        "Total number of chunks created in the head.",
    ),
    (
        "prometheus_tsdb_head_chunks_removed_total",
        "chunks_removed",
        "Total number of chunks removed from the head.",
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
        "prometheus_tsdb_time_retentions_total",
        "time_retentions",
        "Blocks that were deleted because they were beyond the retention time.",
    ),
    (
        "prometheus_tsdb_size_retentions_total",
        "size_retentions",
        "Blocks that were deleted because the retention size was exceeded.",
    ),
    (
        "trimon_tsdb_duplicate_samples_total",
        "duplicate",
        "Samples refused for a timestamp that has another value.",
    ),
    ("trimon_tsdb_series_refused_total", "series_refused", "New series refused by the series limit."),
    (
        "trimon_tsdb_damaged_pages_total",
        "damaged_pages",
        "Pages and sections of blocks, and sections of the log after it was replayed, that were found damaged.",
    ),
    (
        "prometheus_tsdb_wal_corruptions_total",
        "log_corruptions",
        "Damaged places of the write log that were found when it was read, and sections that could not be read again.",
    ),
    ("trimon_tsdb_problems_total", "problems", "Faults of the data directory that were found and survived."),
)


_Row: TypeAlias = "tuple[str, str, Literal['counter', 'gauge'], float]"


def storage_metrics(store: MeasuredStore) -> Callable[[], Iterator[MetricFamily]]:
    """Families of the store's figures; times are left out while there is nothing."""

    def families() -> Iterator[MetricFamily]:
        figures = store.figures()
        for name, field, text in _GAUGES:
            yield MetricFamily(name, text, "gauge", [((), float(getattr(figures, field)))])
        yield from _times(figures)
        for name, field, text in _COUNTS:
            names, values = (("type",), ("float",)) if field in _BY_TYPE else ((), ())
            yield MetricFamily(
                name, text, "counter", [(values, float(figures.counts.get(field, 0)))], label_names=names
            )
        yield from _single(_start(store))
        yield from _single(_retention(store.options))
        yield from _single(_exemplars(store.exemplars))

    return families


def writer_metrics(actor: StorageActor, compactor: Compactor) -> Callable[[], Iterator[MetricFamily]]:
    """Families of the actors around the store: the log, the cuts of the head, and the compactor's work."""

    def families() -> Iterator[MetricFamily]:
        counts = compactor.counts
        yield from _single(_log(actor))
        yield from _single(_compactions(counts))
        for name, text, total_s, count in (
            (
                "prometheus_tsdb_wal_fsync_duration_seconds",
                "Duration of write log fsync.",
                actor.fsync_s,
                actor.fsyncs,
            ),
            (
                "prometheus_tsdb_head_gc_duration_seconds",
                "Runtime of garbage collection in the head block.",
                counts.truncation_s,
                counts.truncations,
            ),
        ):
            yield MetricFamily(name, text, "summary", [((), total_s)], counts=[count])

    return families


def _single(rows: Iterable[_Row]) -> Iterator[MetricFamily]:
    for name, text, kind, value in rows:
        yield MetricFamily(name, text, kind, [((), float(value))])


def _times(figures: StoreFigures) -> Iterator[MetricFamily]:
    for name, field, text in _TIMES:
        value_ms: int | None = getattr(figures, field)
        if value_ms is not None:
            yield MetricFamily(name, text, "gauge", [((), float(value_ms))])
            seconds_text = text.replace("in milliseconds", "in seconds")
            yield MetricFamily(f"{name}_seconds", seconds_text, "gauge", [((), value_ms / 1000)])


def _start(store: MeasuredStore) -> Iterator[_Row]:
    yield (
        "prometheus_tsdb_clean_start",
        "-1: lockfile is disabled. 0: a lockfile from a previous execution was replaced. 1: lockfile creation was clean.",
        "gauge",
        store.clean_start,
    )


def _retention(options: StoreOptions) -> Iterator[_Row]:
    yield (
        "prometheus_tsdb_retention_limit_bytes",
        "Max number of bytes to be retained in the tsdb blocks, 0 for none.",
        "gauge",
        options.retention_bytes,
    )
    yield (
        "prometheus_tsdb_retention_limit_seconds",
        "How long to retain samples in storage, 0 for ever.",
        "gauge",
        options.retention_ms / 1000,
    )


def _exemplars(exemplars: ExemplarStore) -> Iterator[_Row]:
    for name, text, value in (
        ("max_exemplars", "Total number of exemplars the exemplar storage can store.", exemplars.limit),
        ("exemplars_in_storage", "Number of exemplars currently in the storage.", len(exemplars)),
        (
            "series_with_exemplars_in_storage",
            "Number of series with exemplars currently in the storage.",
            exemplars.series,
        ),
    ):
        yield f"prometheus_tsdb_exemplar_{name}", text, "gauge", value
    for name, text, value in (
        ("exemplars_appended_total", "Total number of appended exemplars.", exemplars.appended),
        (
            "out_of_order_exemplars_total",
            "Total number of out of order exemplar ingestion failed attempts.",
            exemplars.out_of_order,
        ),
    ):
        yield f"prometheus_tsdb_exemplar_{name}", text, "counter", value


def _log(actor: StorageActor) -> Iterator[_Row]:
    yield (
        "prometheus_tsdb_data_replay_duration_seconds",
        "Time taken to replay the data on disk.",
        "gauge",
        actor.replay_s,
    )
    yield (
        "prometheus_tsdb_wal_writes_failed_total",
        "Total number of write log writes that failed.",
        "counter",
        actor.append_failures,
    )


def _compactions(counts: CompactionCounts) -> Iterator[_Row]:
    for name, text, value in (
        (
            "compactions_triggered_total",
            "How often it was looked for compactions that are due.",
            counts.rounds,
        ),
        ("compactions_failed_total", "Total number of compactions that failed.", counts.run_failures),
        ("reloads_total", "Number of times the list of blocks was made another one.", counts.installs),
        (
            "reloads_failures_total",
            "Number of times making the list of blocks another one failed.",
            counts.install_failures,
        ),
        ("head_truncations_total", "Total number of head truncations.", counts.truncations),
        (
            "head_truncations_failed_total",
            "Total number of head truncations that failed.",
            counts.truncation_failures,
        ),
        ("wal_truncations_total", "Total number of write log truncations.", counts.truncations),
        (
            "wal_truncations_failed_total",
            "Total number of write log truncations that failed.",
            counts.truncation_failures,
        ),
    ):
        yield f"prometheus_tsdb_{name}", text, "counter", value
