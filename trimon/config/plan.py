"""From one configuration to the next: what starts, what stops, what stays. A pure function."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from trimon.config.discovery import SdConfig, StaticConfig
from trimon.config.dump import fingerprint
from trimon.config.load import Config
from trimon.config.scrape import ScrapeConfig

_GLOBAL_FIELDS: Final = ("external_labels", "evaluation_interval", "rule_query_offset", "query_log_file")


@dataclass(frozen=True, slots=True)
class Changes:
    """Names of one kind of thing, each in exactly one of the four, ascending."""

    start: tuple[str, ...] = ()
    stop: tuple[str, ...] = ()
    restart: tuple[str, ...] = ()
    keep: tuple[str, ...] = ()

    @property
    def nothing(self) -> bool:
        """Whether all stays as it is."""
        return not (self.start or self.stop or self.restart)


@dataclass(frozen=True, slots=True)
class Provider:
    """One source of targets; jobs with equal configurations share it.

    `key` is equal for equal configurations in one process. Static groups of a job are one provider.
    """

    key: str
    mechanism: str
    configs: tuple[SdConfig, ...]
    jobs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """What a reload means."""

    pools: Changes
    """Scrape pools by job name. A job whose discovery alone changed is kept."""
    providers: Changes
    """Discovery providers by key."""
    rewired: tuple[str, ...]
    """Jobs that get their targets from other providers than before, new jobs included."""
    rule_files: bool
    """The list of rule files changed; their contents are not looked at."""
    global_fields: tuple[str, ...]
    """Fields of `global` that changed and concern more than the jobs that inherit them."""
    storage: bool
    """The section `storage` changed."""

    @property
    def nothing(self) -> bool:
        """Whether the two configurations ask for the same."""
        return (
            self.pools.nothing
            and self.providers.nothing
            and not (self.rewired or self.rule_files or self.global_fields or self.storage)
        )


def providers_of(jobs: Iterable[ScrapeConfig]) -> dict[str, Provider]:
    """The providers that jobs need, by key; equal configurations are one provider."""
    configs: dict[str, tuple[str, tuple[SdConfig, ...]]] = {}
    users: dict[str, list[str]] = {}
    for job in jobs:
        for mechanism, group in _sources(job):
            key = f"{mechanism}-{fingerprint(mechanism, group)}"
            configs[key] = (mechanism, group)
            wanted = users.setdefault(key, [])
            if job.job_name not in wanted:
                wanted.append(job.job_name)
    return {
        key: Provider(key, mechanism, group, tuple(users[key])) for key, (mechanism, group) in configs.items()
    }


def _sources(job: ScrapeConfig) -> Iterable[tuple[str, tuple[SdConfig, ...]]]:
    if job.static_configs:
        static: tuple[StaticConfig, ...] = job.static_configs
        yield "static", static
    for file_sd in job.file_sd_configs:
        yield "file", (file_sd,)
    for plugin_sd in job.trimon_sd_configs:
        yield "plugin", (plugin_sd,)


def changes(old: Mapping[str, object], new: Mapping[str, object]) -> Changes:
    """What happens to keyed values between two mappings."""
    both = old.keys() & new.keys()
    return Changes(
        start=tuple(sorted(new.keys() - old.keys())),
        stop=tuple(sorted(old.keys() - new.keys())),
        restart=tuple(sorted(name for name in both if old[name] != new[name])),
        keep=tuple(sorted(name for name in both if old[name] == new[name])),
    )


def plan(old: Config | None, new: Config) -> Plan:
    """What to do to get from `old` (None: nothing runs) to `new`."""
    old_jobs = old.scrape_configs if old is not None else ()
    old_providers = providers_of(old_jobs)
    new_providers = providers_of(new.scrape_configs)
    old_wiring = _wiring(old_providers)
    new_wiring = _wiring(new_providers)
    names = [job.job_name for job in new.scrape_configs]
    old_names = {job.job_name for job in old_jobs}
    rewired = [
        name for name in names if name not in old_names or old_wiring.get(name) != new_wiring.get(name)
    ]
    return Plan(
        pools=changes(
            {job.job_name: job.without_discovery() for job in old_jobs},
            {job.job_name: job.without_discovery() for job in new.scrape_configs},
        ),
        providers=changes(dict.fromkeys(old_providers), dict.fromkeys(new_providers)),
        rewired=tuple(sorted(rewired)),
        rule_files=old is None or old.rule_paths != new.rule_paths,
        global_fields=tuple(
            name
            for name in _GLOBAL_FIELDS
            if old is None or getattr(old.global_, name) != getattr(new.global_, name)
        ),
        storage=old is None or old.storage != new.storage,
    )


def _wiring(providers: Mapping[str, Provider]) -> dict[str, frozenset[str]]:
    """Job name to the keys of its providers."""
    wiring: dict[str, set[str]] = {}
    for provider in providers.values():
        for job in provider.jobs:
            wiring.setdefault(job, set()).add(provider.key)
    return {job: frozenset(keys) for job, keys in wiring.items()}
