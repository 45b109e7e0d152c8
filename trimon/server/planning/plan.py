"""What a new configuration would change, found out before anything is changed."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from trimon.config.configuration import ScrapeFileError
from trimon.errors import UserError
from trimon.offload import Offload
from trimon.records import dataclass
from trimon.server.configuration import CurrentConfiguration, LoadedConfiguration, RulesError
from trimon.server.parts.serverparts import ServerParts
from trimon.server.planning.jobs import JobPlan, job_plan
from trimon.server.planning.prediction import KnownTargets
from trimon.server.planning.rules import GroupPlan, group_plans
from trimon.server.planning.sections import SectionPlan, section_plans

# So long bodies of targets are tried; of the rest the counts must do.
TRIALS_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class ConfigPlan:
    """The effect of a configuration: jobs, rule groups and sections that it changes, and what it asks for in vain."""

    jobs: tuple[JobPlan, ...]
    groups: tuple[GroupPlan, ...]
    sections: tuple[SectionPlan, ...]
    unsupported: tuple[str, ...]
    warnings: tuple[str, ...] = ()
    """What is likely to be a mistake."""

    @property
    def changes(self) -> bool:
        """Whether anything is different."""
        return bool(self.jobs or self.groups or self.sections)

    def shown(self) -> dict[str, object]:
        """As JSON."""
        sections = {each.section for each in self.sections}
        return {
            "changes": self.changes,
            "warnings": list(self.warnings),
            "jobs": [job.shown() for job in self.jobs],
            "ruleGroups": [group.shown() for group in self.groups],
            "sections": [section.shown() for section in self.sections],
            "alerting": "changed" if "alerting" in sections else "same",
            "global": "changed" if "global" in sections else "same",
            "unsupported": list(self.unsupported),
        }


class Planner:
    """Compares a configuration with the one that holds. On the loop's thread; files are read and targets built in another."""

    def __init__(
        self,
        parts: ServerParts,
        current: CurrentConfiguration,
        draft: Callable[[str, str], LoadedConfiguration],
        threads: Offload,
    ) -> None:
        """`draft` reads a configuration from a text as if it stood in the file, and names it in errors as it is told.

        It blocks on the disk, and raises UserError.
        """
        self._parts = parts
        self._current = current
        self._draft = draft
        self._threads = threads

    async def plan(self, text: str, name: str) -> ConfigPlan:
        """The effect of a configuration. Raises UserError for one that a reload would not take over in whole."""
        pools = dict(self._parts.scraping.manager.scrape_pools)
        now = self._current.loaded
        features = self._current.query_options().features
        until_s = time.monotonic() + TRIALS_S
        cancelled = False

        def is_late() -> bool:
            return cancelled or time.monotonic() >= until_s

        def cancel() -> None:
            nonlocal cancelled
            cancelled = True

        before = {job.job_name: job for job in now.config.scrape_configs}
        rules = {job: config.metric_relabel_configs for job, config in before.items()}
        known = KnownTargets(pools, rules, self._parts.memory.memory.kept, is_late)

        def work() -> ConfigPlan:
            then = self._draft(text, name)
            _refuse(then)
            after = {job.job_name: job for job in then.config.scrape_configs}
            jobs = [
                job_plan(job, before.get(job), after.get(job), pools.get(job), known, features)
                for job in dict.fromkeys((*before, *after))
            ]
            return ConfigPlan(
                tuple(job for job in jobs if job.change != "same"),
                tuple(group_plans(now.rules, then.rules)),
                tuple(section_plans(now.config, then.config)),
                tuple(
                    f"{each.name} ({each.place}): {each.consequence}"
                    for each in (*then.config.unsupported, *then.config.without_effect)
                ),
                _warnings(now, then),
            )

        return await self._threads.run(work, cancel)


def _refuse(then: LoadedConfiguration) -> None:
    """Raises UserError for what a reload would not take over. Who asks names files, so their content is none of the answer."""
    certificates = then.certificate_errors.values()
    for error in (then.config.scrape_files_error, then.rules_error, then.logs_error, *certificates):
        if isinstance(error, ScrapeFileError):
            raise UserError(error.unquoted)
        if isinstance(error, RulesError):
            where = f": {error.position}" if str(error.position) else ""
            raise UserError(
                f"rule files cannot be loaded{where}; `trimon check rules` on the server's machine says why"
            )
        if error is not None:
            raise error


def _warnings(now: LoadedConfiguration, then: LoadedConfiguration) -> tuple[str, ...]:
    """What leaves nothing of something that was there."""
    warnings = []
    for what, before, after in (
        ("jobs", len(now.config.scrape_configs), len(then.config.scrape_configs)),
        ("rule groups", len(now.rules), len(then.rules)),
    ):
        if before and not after:
            warnings.append(f"ALL {what} go, {before} of {before}: none is left")
    return tuple(warnings)
