"""Families of our own /metrics that are read from what others already count."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final, Literal

from trimon.actors.kernel.report import CrashReports
from trimon.actors.logfiles import LineFiles
from trimon.actors.querying.gate import Queries
from trimon.actors.querying.querylog import QueryLog
from trimon.actors.scraping.manager import ScrapeManager
from trimon.actors.scraping.scrapepool import ScrapePool
from trimon.selfmetrics import MetricFamily


def scrape_metrics(manager: ScrapeManager) -> Callable[[], Iterator[MetricFamily]]:
    """prometheus_target_* from the jobs and their sessions."""

    def families() -> Iterator[MetricFamily]:
        live, pools = manager.scrape_pools, manager.pool_counts
        counts = manager.counts()
        for name, text, value in (
            ("pools_total", "Total number of scrape pool creation attempts.", pools.created),
            ("pools_failed_total", "Total number of scrape pool creations that failed.", 0),
            ("pool_reloads_total", "Total number of scrape pool reloads.", pools.reloads),
            ("pool_reloads_failed_total", "Total number of failed scrape pool reloads.", 0),
            (
                "pool_exceeded_target_limit_total",
                "Total number of times scrape pools hit the target limit, during sync or config reload.",
                pools.target_limit_exceeded,
            ),
        ):
            yield MetricFamily(f"prometheus_target_scrape_{name}", text, "counter", [((), float(value))])
        for name, text, kind, read in _BY_JOB:
            samples = [((job,), float(read(pool))) for job, pool in live.items()]
            yield MetricFamily(name, text, kind, samples, ("scrape_job",))
        for name, field, text in _COUNTS:
            yield MetricFamily(name, text, "counter", [((), float(getattr(counts, field)))])

    return families


def _metadata_bytes(job: ScrapePool) -> int:
    return sum(session.metadata_bytes for session in job.sessions.values())


_BY_JOB: Final[tuple[tuple[str, str, Literal["counter", "gauge"], Callable[[ScrapePool], float]], ...]] = (
    (
        "prometheus_target_scrape_pool_targets",
        "Current number of targets in this scrape pool.",
        "gauge",
        lambda job: len(job.targets),
    ),
    (
        "prometheus_target_scrape_pool_target_limit",
        "Maximum number of targets allowed in this scrape pool, 0 for no limit.",
        "gauge",
        lambda job: job.config.options.target_limit,
    ),
    (
        "prometheus_target_scrape_pool_sync_total",
        "Total number of syncs that were executed on a scrape pool.",
        "counter",
        lambda job: job.syncs,
    ),
    (
        "prometheus_target_sync_failed_total",
        "Total number of target sync failures.",
        "counter",
        lambda job: job.sync_failures,
    ),
    (
        "prometheus_target_metadata_cache_entries",
        "Total number of metric metadata entries in the cache.",
        "gauge",
        lambda job: sum(len(session.families) for session in job.sessions.values()),
    ),
    (
        "prometheus_target_metadata_cache_bytes",
        "The number of bytes that are currently used for storing metric metadata in the cache.",
        "gauge",
        _metadata_bytes,
    ),
)


_COUNTS = (
    (
        "prometheus_target_scrapes_sample_duplicate_timestamp_total",
        "duplicate",
        "Total number of samples rejected due to duplicate timestamps but different values.",
    ),
    (
        "prometheus_target_scrapes_sample_out_of_order_total",
        "out_of_order",
        "Total number of samples rejected due to not being out of the expected order.",
    ),
    (
        "prometheus_target_scrapes_sample_out_of_bounds_total",
        "out_of_bounds",
        "Total number of samples rejected due to timestamp falling outside of the time bounds.",
    ),
    (
        "prometheus_target_scrapes_exceeded_body_size_limit_total",
        "body_size_exceeded",
        "Total number of scrapes that hit the body size limit.",
    ),
    (
        "prometheus_target_scrapes_exceeded_sample_limit_total",
        "sample_limit_exceeded",
        "Total number of scrapes that hit the sample limit and were rejected.",
    ),
    (
        "prometheus_target_scrapes_exceeded_native_histogram_bucket_limit_total",
        "bucket_limit_exceeded",
        "Total number of scrapes that hit the native histogram bucket limit and were rejected.",
    ),
    (
        "trimon_target_scrapes_exceeded_metric_name_limit_total",
        "metric_name_limit_exceeded",
        "Scrapes with more names of metrics than metric_name_limit, which failed.",
    ),
    (
        "trimon_target_series_refused_total",
        "series_refused",
        "New series refused by on_limit: keep_known or new_series_limit; each counts again when it is looked at again.",
    ),
    (
        "prometheus_target_scrape_pool_exceeded_label_limits_total",
        "label_limit_exceeded",
        "Total number of times scrape pools hit the label limits.",
    ),
    (
        "prometheus_target_scrapes_exemplar_out_of_order_total",
        "exemplars_out_of_order",
        "Total number of exemplar rejected due to not being out of the expected order.",
    ),
    (
        "prometheus_target_scrapes_cache_flush_forced_total",
        "cache_flushes_forced",
        "How many times a scrape cache was flushed due to getting big while scrapes are failing.",
    ),
    ("trimon_target_scrapes_total", "scrapes", "Scrapes, good and bad."),
    ("trimon_target_scrape_failures_total", "failures", "Scrapes that failed."),
    (
        "trimon_target_scrapes_missed_total",
        "missed",
        "Scrape slots in which the scrape before was still going on.",
    ),
)


def kernel_metrics(reports: CrashReports) -> Callable[[], Iterator[MetricFamily]]:
    """How many actors crashed."""

    def families() -> Iterator[MetricFamily]:
        yield MetricFamily(
            "trimon_actor_crashes_total",
            "Crashes of actors and request handlers.",
            "counter",
            [((), float(reports.total))],
        )

    return families


def query_metrics(queries: Queries, log: QueryLog, files: LineFiles) -> Callable[[], Iterator[MetricFamily]]:
    """prometheus_engine_*: queries at work and the query log."""

    def families() -> Iterator[MetricFamily]:
        figures = (
            (
                "prometheus_engine_queries",
                "The current number of queries being executed or waiting.",
                len(queries.active),
            ),
            (
                "prometheus_engine_queries_concurrent_max",
                "The max number of concurrent queries.",
                queries.concurrency_max,
            ),
            ("prometheus_engine_query_log_enabled", "State of the query log.", bool(log.path)),
        )
        for name, text, value in figures:
            yield MetricFamily(name, text, "gauge", [((), float(value))])
        yield MetricFamily(
            "prometheus_engine_query_log_failures_total",
            "The number of lines of log files that could not be written.",
            "counter",
            [((), float(files.failures + files.dropped))],
        )

    return families
