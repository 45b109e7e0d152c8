"""How many series a target would have by another job, and whether it would fail: from its last scrapes, and kept bodies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from trimon.actors.scraping.scrapepool import ScrapePool
from trimon.config.relabel import RelabelConfig
from trimon.errors import TrimonError
from trimon.records import dataclass
from trimon.scrape.exposition.bodymemory import Lateness
from trimon.scrape.options import PoolOptions
from trimon.scrape.records import KeptBodies, KeptBody, ScrapeRecord
from trimon.scrape.replay import tried
from trimon.scrape.session import ScrapeSession
from trimon.scrape.target import Target

OK: Final = 200
# What says how a body is read, beside relabeling rules.
_READING: Final = (
    "fallback_protocol",
    "escaping",
    "legacy_names",
    "honor_labels",
    "native_histograms",
    "always_classic_histograms",
    "convert_classic_histograms",
    "native_histogram_bucket_limit",
    "native_histogram_min_bucket_factor",
    "type_and_unit_labels",
    "sample_limit",
    "keep_known",
    "exposed_sample_limit",
    "metric_name_limit",
    "label_limit",
    "label_name_length_limit",
    "label_value_length_limit",
    "body_bytes_max",
)
# Limits that only a body can be held against.
_OF_BODIES: Final = (
    "metric_name_limit",
    "label_limit",
    "label_name_length_limit",
    "label_value_length_limit",
)


@dataclass(frozen=True, slots=True)
class TriedJob:
    """A job as it would be."""

    options: PoolOptions
    rules: tuple[RelabelConfig, ...]
    """Its `metric_relabel_configs`."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """What a target would be like. `series` is None where nobody knows."""

    series: int | None
    failure: str = ""
    """Why its scrapes would fail; empty where they would not, or where nobody knows."""
    remark: str = ""
    """What would be refused of it all the same."""
    is_guess: bool = False
    """Whether no body could be held against what is new of the job: the series are those of now."""
    limits_unknown: bool = False
    """Whether there are limits that nothing could be held against."""


@dataclass(frozen=True, slots=True)
class KnownTarget:
    """A target that is scraped now."""

    job: str
    session: ScrapeSession
    rules: tuple[RelabelConfig, ...]


class KnownTargets:
    """All targets that are scraped now. To be made on the loop's thread; the rest is for another."""

    def __init__(
        self,
        pools: Mapping[str, ScrapePool],
        rules: Mapping[str, tuple[RelabelConfig, ...]],
        kept: KeptBodies,
        is_late: Lateness,
    ) -> None:
        """`rules` are the `metric_relabel_configs` by job; no body is tried any more when `is_late`."""
        self._sessions = {name: dict(pool.sessions) for name, pool in pools.items()}
        self._rules = dict(rules)
        self._kept = kept
        self._is_late = is_late
        self._by_url: dict[tuple[str, str], KnownTarget] | None = None

    def sessions(self, job: str) -> Mapping[str, ScrapeSession]:
        """The sessions of a job by the keys of their targets."""
        return self._sessions.get(job, {})

    def find(self, target: Target) -> KnownTarget | None:
        """What is known of a target: by its key, or by its URL alone, in whatever job."""
        session = self.sessions(target.job).get(target.key)
        if session is not None:
            return KnownTarget(target.job, session, self._rules.get(target.job, ()))
        if self._by_url is None:
            self._by_url = {
                (session.target.url, session.target.unix_socket): KnownTarget(
                    job, session, self._rules.get(job, ())
                )
                for job, sessions in self._sessions.items()
                for session in sessions.values()
            }
        return self._by_url.get((target.url, target.unix_socket))

    def predict(self, target: Target, known: KnownTarget, job: TriedJob) -> Prediction:
        """What a target would be like in a job."""
        state = known.session.state
        if state.health == "unknown":
            return Prediction(None)
        if _reads_alike(target, known, job):
            return Prediction(state.series)
        last = known.session.records.last()
        if state.health == "down" and (last is None or last.status != OK):
            # It does not answer, which no rule and no limit changes.
            return Prediction(state.series)
        key = known.session.target.key
        body = (
            self._kept.last_good(key)
            if state.health == "up"
            else self._kept.of(key).get(state.last_scrape_ms)
        )
        found = self._tried(target, body, job) if body is not None else None
        if found is not None:
            return found
        good = next((each for each in known.session.records.all() if each.is_up), None)
        return _by_numbers(good, known, job)

    def _tried(self, target: Target, body: KeptBody, job: TriedJob) -> Prediction | None:
        """By a scrape of a body that was kept; None where there is no time for it."""
        if self._is_late():
            return None
        try:
            state = tried(target, job.options, body, self._is_late)
        except (
            TrimonError
        ):  # rules that make too much of a label, or a body that does not come out of its compression
            return None
        if state is None:
            return None
        if state.health == "up":
            return Prediction(state.series, remark=state.last_error)
        return Prediction(0, state.last_error)


def _reads_alike(target: Target, known: KnownTarget, job: TriedJob) -> bool:
    """Whether the same body would give as many series, and fail as it does now."""
    before, after = known.session.options, job.options
    if known.rules != job.rules or any(getattr(before, name) != getattr(after, name) for name in _READING):
        return False
    by_labels = bool(job.rules) or any(getattr(after, name) for name in _OF_BODIES)
    return not by_labels or target.labels == known.session.target.labels


def _by_numbers(last: ScrapeRecord | None, known: KnownTarget, job: TriedJob) -> Prediction:
    """By the counts of a scrape, for want of its body."""
    options = job.options
    if last is None:
        return Prediction(None, limits_unknown=True)
    unsure = known.rules != job.rules
    limits_unknown = any(getattr(options, name) for name in _OF_BODIES) or (
        unsure and bool(options.sample_limit)
    )
    if last.body_bytes > options.body_bytes_max:
        return Prediction(
            0, f"body size limit exceeded (bytes: {last.body_bytes}, at most: {options.body_bytes_max})"
        )
    for name, count, is_sure in (
        ("exposed_sample_limit", last.samples, True),
        ("sample_limit", last.series, not unsure),
    ):
        limit = getattr(options, name)
        if not (limit and is_sure and count > limit):
            continue
        if options.keep_known:
            return Prediction(limit, remark=f"{count - limit} new series are refused: {name} of {limit}")
        return Prediction(0, f"{name} exceeded (samples: {count}, limit: {limit})")
    return Prediction(last.series, is_guess=unsure, limits_unknown=limits_unknown)


def job_of(options: PoolOptions, rules: tuple[RelabelConfig, ...]) -> TriedJob:
    """A job to try: `new_series_limit` says nothing of a first scrape."""
    return TriedJob(replace(options, new_series_limit=0), rules)
