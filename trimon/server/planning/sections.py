"""What becomes of the sections of the main file that are no jobs and no rules."""

from __future__ import annotations

from typing import Any, Final

from trimon.config.configuration import Config, MainFile
from trimon.config.differences import Difference, value_differences
from trimon.config.model import settings_of
from trimon.config.storage import RetentionConfig, StorageConfig
from trimon.records import dataclass
from trimon.units import format_duration, format_size

# Jobs are told one by one, with their targets.
_TOLD_APART: Final = "scrape_configs"


@dataclass(frozen=True, slots=True)
class SectionPlan:
    """A section that is not as it was."""

    section: str
    differences: tuple[Difference, ...]
    warnings: tuple[str, ...] = ()

    def shown(self) -> dict[str, object]:
        """As JSON."""
        return {
            "section": self.section,
            "fields": [each.shown() for each in self.differences],
            "warnings": list(self.warnings),
        }


def section_plans(now: Config, then: Config) -> list[SectionPlan]:
    """All sections that differ, in the order of the file."""
    found = []
    for name, each in settings_of(MainFile).items():
        if name == _TOLD_APART:
            continue
        before, after = _value(now, each.name), _value(then, each.name)
        changed = tuple(value_differences(each.metadata["kind"], before, after, name))
        if not changed:
            continue
        warnings = _storage_warnings(now.storage, then.storage) if name == "storage" else ()
        found.append(SectionPlan(name, changed, warnings))
    return found


def _value(config: Config, name: str) -> Any:
    return config.global_ if name == "global_" else getattr(config.main, name)


def _storage_warnings(now: StorageConfig, then: StorageConfig) -> tuple[str, ...]:
    """What is lost for good."""
    before, after = now.retention or RetentionConfig(), then.retention or RetentionConfig()
    warnings = []
    if _is_less(before.time, after.time):
        warnings.append(f"retention is shorter: data older than {format_duration(after.time)} is DELETED")
    if _is_less(before.size, after.size):
        warnings.append(f"retention is smaller: the oldest data beyond {format_size(after.size)} is DELETED")
    if _is_less(before.percentage, after.percentage):
        warnings.append(
            f"retention is smaller: the oldest data beyond {after.percentage:g} % of the disk is DELETED"
        )
    if then.exemplars_max < now.exemplars_max:
        warnings.append(f"the oldest exemplars beyond {then.exemplars_max} are dropped")
    return tuple(warnings)


def _is_less(before: float, after: float) -> bool:
    """Whether a limit is a stricter one; 0 is none."""
    return bool(after) and (not before or after < before)
