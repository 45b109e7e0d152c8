"""What a new configuration would change, found out before anything is changed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from trimon.actors.scrape import ScrapePool
from trimon.config.alerting import AlertingConfig
from trimon.config.discovery.static import StaticConfig
from trimon.config.load import ScrapeFileError
from trimon.config.scrape import ScrapeConfig
from trimon.errors import UserError
from trimon.offload import Offload
from trimon.rules.spec import GroupSpec
from trimon.scrape.target import DroppedTarget, Target, build_target
from trimon.server.configuration import CurrentConfiguration, LoadedConfiguration, RulesError
from trimon.server.jobs import pool_options
from trimon.server.parts import ServerParts

LISTED_MAX = 1000
"""Of targets so many are listed by name; all are counted."""


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
    series_now: int = 0
    series_then: int | None = 0
    notes: tuple[str, ...] = ()

    def shown(self) -> dict[str, object]:
        """As JSON."""
        return {
            "job": self.job,
            "change": self.change,
            "targets": {"now": self.targets_now, "then": self.targets_then},
            "gained": {"count": len(self.gained), "targets": self.gained[:LISTED_MAX]},
            "lost": {"count": len(self.lost), "targets": self.lost[:LISTED_MAX]},
            "series": {"now": self.series_now, "then": self.series_then},
            "notes": list(self.notes),
        }


@dataclass(frozen=True, slots=True)
class GroupPlan:
    """What becomes of one rule group."""

    file: str
    group: str
    change: str
    rules_now: int = 0
    rules_then: int = 0

    def shown(self) -> dict[str, object]:
        """As JSON."""
        rules = {"now": self.rules_now, "then": self.rules_then}
        return {"file": self.file, "group": self.group, "change": self.change, "rules": rules}


@dataclass(frozen=True, slots=True)
class ConfigPlan:
    """The effect of a configuration: jobs and rule groups that it changes, and what it asks for in vain."""

    jobs: tuple[JobPlan, ...]
    groups: tuple[GroupPlan, ...]
    alerting_changed: bool
    global_changed: bool
    unsupported: tuple[str, ...]

    @property
    def changes(self) -> bool:
        """Whether anything is different."""
        return bool(self.jobs or self.groups or self.alerting_changed or self.global_changed)

    def shown(self) -> dict[str, object]:
        """As JSON."""
        return {
            "changes": self.changes,
            "jobs": [job.shown() for job in self.jobs],
            "ruleGroups": [group.shown() for group in self.groups],
            "alerting": "changed" if self.alerting_changed else "same",
            "global": "changed" if self.global_changed else "same",
            "unsupported": list(self.unsupported),
        }


class Planner:
    """Compares a configuration with the one that holds. On the loop's thread; files are read and targets built in another."""

    def __init__(
        self,
        parts: ServerParts,
        current: CurrentConfiguration,
        draft: Callable[[str], LoadedConfiguration],
        threads: Offload,
    ) -> None:
        """`draft` reads a configuration from a text as if it stood in the file; it blocks on the disk, and raises UserError."""
        self._parts = parts
        self._current = current
        self._draft = draft
        self._threads = threads

    async def plan(self, text: str) -> ConfigPlan:
        """The effect of a configuration. Raises UserError for one that a reload would not take over in whole."""
        pools = dict(self._parts.scraping.manager.scrape_pools)
        now = self._current.loaded
        features = self._current.query_options().features

        def work() -> ConfigPlan:
            then = self._draft(text)
            for error in (then.config.scrape_files_error, then.rules_error, then.logs_error):
                if isinstance(error, ScrapeFileError):
                    # Who asks for a plan names the file, so its content is none of the answer.
                    raise UserError(error.unquoted)
                if isinstance(error, RulesError):
                    where = f": {error.position}" if str(error.position) else ""
                    raise UserError(f"rule files cannot be loaded{where}")
                if error is not None:
                    raise error
            before = {job.job_name: job for job in now.config.scrape_configs}
            after = {job.job_name: job for job in then.config.scrape_configs}
            jobs = [
                _job_plan(name, before.get(name), after.get(name), pools.get(name), features)
                for name in dict.fromkeys((*before, *after))
            ]
            return ConfigPlan(
                tuple(job for job in jobs if job.change != "same"),
                tuple(_group_plans(now.rules, then.rules)),
                _alerting(now) != _alerting(then),
                now.config.global_ != then.config.global_,
                tuple(f"{each.name} ({each.place}): {each.consequence}" for each in then.config.unsupported),
            )

        return await self._threads.run(work)


def _alerting(loaded: LoadedConfiguration) -> AlertingConfig:
    return loaded.config.main.alerting


def _job_plan(
    name: str,
    before: ScrapeConfig | None,
    after: ScrapeConfig | None,
    pool: ScrapePool | None,
    features: frozenset[str],
) -> JobPlan:
    targets = {} if pool is None else dict(pool.targets)
    series = _series_of(pool)
    now = len(targets), sum(series.values())
    if after is None:
        lost = tuple(target.shown_url for target in targets.values())
        return JobPlan(name, "removed", now[0], 0, (), lost, now[1], 0)
    if before == after:
        return JobPlan(name, "same", now[0], now[0], (), (), *(now[1], now[1]))
    change = "added" if before is None else "changed"
    label_sets, notes = _label_sets(before, after, pool)
    if label_sets is None:
        return JobPlan(name, change, now[0], None, (), (), now[1], None, notes)
    then, errors = _built(after, label_sets, features)
    gained = [target for key, target in then.items() if key not in targets]
    lost_keys = [key for key in targets if key not in then]
    usual = round(median(series.values())) if series else None
    kept = sum(series.get(key, 0) for key in then)
    more: tuple[str, ...] = ()
    expected: int | None = kept
    if gained:
        expected = None if usual is None else kept + usual * len(gained)
        more = (
            ("a new target is taken to have as many series as the job's others in the middle",)
            if usual is not None
            else ("how many series new targets have is not known",)
        )
    if before is not None and before.metric_relabel_configs != after.metric_relabel_configs:
        more += ("metric_relabel_configs are others: series are counted as they are now",)
    return JobPlan(
        name,
        change,
        now[0],
        len(then),
        tuple(target.shown_url for target in gained),
        tuple(targets[key].shown_url for key in lost_keys),
        now[1],
        expected,
        (*notes, *more, *errors),
    )


def _series_of(pool: ScrapePool | None) -> dict[str, int]:
    """How many series each target of a job had at its last scrape."""
    return {} if pool is None else {key: session.state.series for key, session in pool.sessions.items()}


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
    config: ScrapeConfig, label_sets: Sequence[Mapping[str, str]], features: frozenset[str]
) -> tuple[dict[str, Target], tuple[str, ...]]:
    options = pool_options(config, features)
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


def _group_plans(now: Sequence[GroupSpec], then: Sequence[GroupSpec]) -> list[GroupPlan]:
    before, after = ({group.key: group for group in groups} for groups in (now, then))
    found = []
    for key in dict.fromkeys((*before, *after)):
        old, new = before.get(key), after.get(key)
        if old == new:
            continue
        group = new or old
        assert group is not None
        change = "added" if old is None else "removed" if new is None else "changed"
        counts = tuple(0 if each is None else len(each.rules) for each in (old, new))
        found.append(GroupPlan(group.file, group.name, change, *counts))
    return found
