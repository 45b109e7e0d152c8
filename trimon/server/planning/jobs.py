"""What becomes of one job: targets that come and go, and series."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from statistics import median
from typing import Final

from trimon import limits
from trimon.actors.scraping.scrapepool import ScrapePool
from trimon.config.differences import Difference, differences
from trimon.config.discovery.static import StaticConfig
from trimon.config.scrape import ScrapeConfig
from trimon.errors import UserError
from trimon.model.labels import Labels
from trimon.model.relabel import BoundedRelabeling
from trimon.records import dataclass
from trimon.scrape.target import DroppedTarget, Target, build_target
from trimon.server.jobs import pool_options
from trimon.server.planning.prediction import KnownTargets, Prediction, job_of

LISTED_MAX: Final = 1000
"""Of targets so many are listed by name; all are counted."""


@dataclass(frozen=True, slots=True)
class RelabeledTarget:
    """A target that stays with other labels: all of its series end, and begin anew."""

    target: str
    now: Labels
    then: Labels
    series: int

    def shown(self) -> dict[str, object]:
        """As JSON."""
        return {
            "target": self.target,
            "now": dict(self.now),
            "then": dict(self.then),
            "series": self.series,
        }


@dataclass(frozen=True, slots=True)
class JobPlan:
    """What becomes of one job. Numbers are None where discovery must run to know them."""

    job: str
    change: str
    """`added`, `removed`, `changed`, or `same`."""
    targets_now: int = 0
    targets_then: int | None = 0
    gained: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()
    relabeled: tuple[RelabeledTarget, ...] = ()
    series_now: int = 0
    series_then: int | None = 0
    failing: tuple[tuple[str, str], ...] = ()
    """Targets whose scrapes would fail, by the last that is known of them, each with the reason."""
    differences: tuple[Difference, ...] = ()
    notes: tuple[str, ...] = ()

    def shown(self) -> dict[str, object]:
        """As JSON."""
        failing = [{"target": target, "reason": reason} for target, reason in self.failing[:LISTED_MAX]]
        relabeled = [each.shown() for each in self.relabeled[:LISTED_MAX]]
        return {
            "job": self.job,
            "change": self.change,
            "targets": {"now": self.targets_now, "then": self.targets_then},
            "gained": {"count": len(self.gained), "targets": self.gained[:LISTED_MAX]},
            "lost": {"count": len(self.lost), "targets": self.lost[:LISTED_MAX]},
            "relabeled": {"count": len(self.relabeled), "targets": relabeled},
            "series": {"now": self.series_now, "then": self.series_then},
            "wouldFail": {"count": len(self.failing), "targets": failing},
            "fields": [each.shown() for each in self.differences],
            "notes": list(self.notes),
        }


def job_plan(
    name: str,
    before: ScrapeConfig | None,
    after: ScrapeConfig | None,
    pool: ScrapePool | None,
    known: KnownTargets,
    features: Collection[str],
) -> JobPlan:
    """The plan of the job of a name, which is there before, after, or both. In a thread."""
    targets = {} if pool is None else dict(pool.targets)
    series = {key: session.state.series for key, session in known.sessions(name).items()}
    now = len(targets), sum(series.values())
    if after is None:
        lost = tuple(target.shown_url for target in targets.values())
        return JobPlan(name, "removed", now[0], 0, lost=lost, series_now=now[1])
    if before == after:
        return JobPlan(name, "same", now[0], now[0], series_now=now[1], series_then=now[1])
    change = "added" if before is None else "changed"
    told = () if before is None else tuple(_differences(before, after))
    label_sets, notes = _label_sets(before, after, pool)
    if label_sets is None:
        return JobPlan(
            name,
            change,
            now[0],
            None,
            series_now=now[1],
            series_then=None,
            differences=told,
            notes=notes,
        )
    then, errors = _built(after, label_sets, features)
    relabeled, gained, lost_targets = _paired(targets, then, series)
    outlook = _outlook(after, then, known, features)
    return JobPlan(
        name,
        change,
        now[0],
        len(then),
        tuple(target.shown_url for target in gained),
        tuple(target.shown_url for target in lost_targets),
        relabeled,
        now[1],
        outlook.series,
        outlook.failing,
        told,
        (*notes, *outlook.notes, *errors),
    )


def _differences(before: ScrapeConfig, after: ScrapeConfig) -> list[Difference]:
    """Fields that differ, but for where targets come from: that is told by the targets."""
    return differences(before.without_discovery(), after.without_discovery())


def _label_sets(
    before: ScrapeConfig | None, after: ScrapeConfig, pool: ScrapePool | None
) -> tuple[Sequence[Mapping[str, str]] | None, tuple[str, ...]]:
    """What is discovered for a job: what it is now where the same is asked for, what is listed; None where nobody knows yet."""
    sources = after.discovery()
    if before is not None and pool is not None and before.discovery() == sources:
        return pool.label_sets, ()
    found: list[Mapping[str, str]] = []
    for source in sources:
        if not isinstance(source, StaticConfig):
            return None, ("its targets are known when its discovery has run",)
        found += [{"__address__": target, **dict(source.labels)} for target in source.targets]
    return found, ()


def _built(
    config: ScrapeConfig, label_sets: Sequence[Mapping[str, str]], features: Collection[str]
) -> tuple[dict[str, Target], tuple[str, ...]]:
    options = pool_options(config, features)
    options = replace(options, relabeling=BoundedRelabeling(options.relabeling, limits.LABEL_VALUE_BYTES_MAX))
    targets: dict[str, Target] = {}
    errors: list[str] = []
    for labels in label_sets:
        try:
            made = build_target(labels, options)
        except UserError as error:
            errors.append(str(error))
            continue
        if not isinstance(made, DroppedTarget):
            targets[made.key] = made
    return targets, tuple(dict.fromkeys(errors))


def _paired(
    now: Mapping[str, Target], then: Mapping[str, Target], series: Mapping[str, int]
) -> tuple[tuple[RelabeledTarget, ...], list[Target], list[Target]]:
    """Targets with other labels and the same URL, those that come, and those that go."""
    going: dict[tuple[str, str], list[Target]] = {}
    for key, old in now.items():
        if key not in then:
            going.setdefault((old.url, old.unix_socket), []).append(old)
    relabeled, gained = [], []
    for key, new in then.items():
        if key in now:
            continue
        olds = going.get((new.url, new.unix_socket))
        if not olds:
            gained.append(new)
            continue
        old = olds.pop(0)
        relabeled.append(RelabeledTarget(new.shown_url, old.labels, new.labels, series.get(old.key, 0)))
    return tuple(relabeled), gained, [old for olds in going.values() for old in olds]


@dataclass(frozen=True, slots=True)
class _Outlook:
    """What the targets of a job would be like together."""

    series: int | None
    failing: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]


def _outlook(
    config: ScrapeConfig, then: Mapping[str, Target], known: KnownTargets, features: Collection[str]
) -> _Outlook:
    options = pool_options(config, features)
    if options.target_limit and len(then) > options.target_limit:
        reason = f"target_limit exceeded (number of targets: {len(then)}, limit: {options.target_limit})"
        return _Outlook(0, tuple((target.shown_url, reason) for target in then.values()), ())
    job = job_of(options, config.metric_relabel_configs)
    predictions: list[Prediction] = []
    failing: list[tuple[str, str]] = []
    remarks: list[str] = []
    moved: dict[str, int] = {}
    for target in then.values():
        found = known.find(target)
        prediction = Prediction(None) if found is None else known.predict(target, found, job)
        predictions.append(prediction)
        if prediction.failure:
            failing.append((target.shown_url, prediction.failure))
        if prediction.remark:
            remarks.append(f"{target.shown_url}: {prediction.remark}")
        if found is not None and found.job != target.job:
            moved[found.job] = moved.get(found.job, 0) + 1
    notes = [
        f"targets that job {other} scrapes now, by whose last scrapes series are predicted: {count}"
        for other, count in moved.items()
    ]
    usual, unknown = _usual(predictions)
    if unknown and usual is None:
        notes.append("how many series new targets have is not known")
    elif unknown:
        notes.append("a new target is taken to have as many series as the job's others in the middle")
    if guesses := sum(each.is_guess for each in predictions):
        notes.append(
            f"metric_relabel_configs are others, and of {guesses} targets no body was at hand to try them on: "
            "their series are counted as they are now"
        )
    limited = bool(job.options.sample_limit or job.options.body_size_limit) or any(
        each.limits_unknown for each in predictions
    )
    unsure = sum(each.limits_unknown or (limited and each.series is None) for each in predictions)
    if unsure:
        notes.append(f"targets of which it is not known whether they keep within the limits: {unsure}")
    notes += remarks[:LISTED_MAX]
    known_series = sum(each.series or 0 for each in predictions)
    series = known_series if not unknown else None if usual is None else known_series + usual * unknown
    return _Outlook(series, tuple(failing), tuple(notes))


def _usual(predictions: Sequence[Prediction]) -> tuple[int | None, int]:
    """How many series a target has in the middle, if any is known, and of how many targets nothing is known."""
    counts = [each.series for each in predictions if each.series is not None]
    return round(median(counts)) if counts else None, len(predictions) - len(counts)
