"""A scrape pool: a job as configured, its targets and their sessions, and what is measured of all pools."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import field

from trimon.actors.kernel.pool import Pool
from trimon.actors.scraping.targetbuilding import TargetBuilder
from trimon.fetch.request import Fetch
from trimon.records import dataclass
from trimon.scrape.options import PoolOptions
from trimon.scrape.session import ScrapeSession
from trimon.scrape.target import DroppedTarget, Target
from trimon.selfmetrics import WIDE_QUANTILES, SelfMetrics


@dataclass(frozen=True, slots=True, eq=False)
class JobConfig:
    """One job as configured: the engine's options, a digest of everything, and how to reach its targets."""

    options: PoolOptions
    version: str
    fetch: Callable[[], Fetch]
    failure_log: str = ""
    """File for a line about every failed scrape."""


@dataclass(slots=True)
class ScrapePool:
    """A running job: its pool and what the targets page shows."""

    config: JobConfig
    pool: Pool[str]
    sessions: dict[str, ScrapeSession] = field(default_factory=dict)
    targets: dict[str, Target] = field(default_factory=dict)
    dropped: list[DroppedTarget] = field(default_factory=list)
    dropped_count: int = 0
    errors: list[str] = field(default_factory=list)
    label_sets: tuple[Mapping[str, str], ...] = ()
    syncs: int = 0
    exceeds_target_limit: bool = False
    sync_failures: int = 0
    builder: TargetBuilder = field(default_factory=TargetBuilder)


@dataclass(slots=True)
class PoolCounts:
    """What happened to the pools since the start."""

    created: int = 0
    reloads: int = 0
    target_limit_exceeded: int = 0


class ScrapeTimes:
    """How long syncs take, by job, and how long it is from scrape to scrape, by interval."""

    def __init__(self, metrics: SelfMetrics) -> None:
        self.sync_s = metrics.summary(
            "prometheus_target_sync_length_seconds",
            "Actual interval to sync the scrape pool.",
            ("scrape_job",),
            WIDE_QUANTILES,
        )
        self.interval_s = metrics.summary(
            "prometheus_target_interval_length_seconds",
            "Actual intervals between scrapes.",
            ("interval",),
            WIDE_QUANTILES,
        )
