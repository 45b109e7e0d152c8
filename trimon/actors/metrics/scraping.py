"""Families of our own /metrics that are read from what others already count."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from trimon.actors.kernel.report import CrashReports
from trimon.actors.logfiles import LineFiles
from trimon.actors.querying.gate import Queries
from trimon.actors.querying.querylog import QueryLog
from trimon.actors.scrape import ScrapeManager
from trimon.selfmetrics import Reading


def scrape_readings(manager: ScrapeManager) -> Callable[[], Iterator[Reading]]:
    """prometheus_target_* from the jobs and their sessions."""

    def readings() -> Iterator[Reading]:
        live = manager.jobs
        counts = manager.counts()
        yield Reading(
            "prometheus_target_scrape_pools_total",
            "Total number of scrape pools.",
            "counter",
            [((), float(len(live)))],
        )
        yield Reading(
            "prometheus_target_scrape_pool_targets",
            "Current number of targets in this scrape pool.",
            "gauge",
            [((name,), float(len(job.targets))) for name, job in live.items()],
            ("scrape_job",),
        )
        yield Reading(
            "prometheus_target_scrape_pool_sync_total",
            "Total number of syncs that were executed on a scrape pool.",
            "counter",
            [((name,), float(job.syncs)) for name, job in live.items()],
            ("scrape_job",),
        )
        yield Reading(
            "prometheus_target_sync_failed_total",
            "Total number of target sync failures.",
            "counter",
            [((name,), float(job.sync_failures)) for name, job in live.items()],
            ("scrape_job",),
        )
        for name, field, text in _COUNTS:
            yield Reading(name, text, "counter", [((), float(getattr(counts, field)))])

    return readings


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


def kernel_readings(reports: CrashReports) -> Callable[[], Iterator[Reading]]:
    """How many actors crashed."""

    def readings() -> Iterator[Reading]:
        yield Reading(
            "trimon_actor_crashes_total",
            "Crashes of actors and request handlers.",
            "counter",
            [((), float(reports.total))],
        )

    return readings


def query_readings(queries: Queries, log: QueryLog, files: LineFiles) -> Callable[[], Iterator[Reading]]:
    """prometheus_engine_*: queries at work and the query log."""

    def readings() -> Iterator[Reading]:
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
            yield Reading(name, text, "gauge", [((), float(value))])
        yield Reading(
            "prometheus_engine_query_log_failures_total",
            "The number of lines of log files that could not be written.",
            "counter",
            [((), float(files.failures + files.dropped))],
        )

    return readings
