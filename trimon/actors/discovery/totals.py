"""What sources have counted that run no more: counters go on over restarts and reloads."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import field
from typing import Final

from trimon.discovery.provider import ProviderRun
from trimon.records import dataclass

# Names of configurations may change with each reload: of so many the oldest are forgotten.
CONFIGS_MAX: Final = 20_000
# What discoveries tell beside their own counts.
_COUNTED: Final = ("refresh_failures", "read_errors", "watch_errors", "scan_s", "readings")


@dataclass(slots=True)
class ConfigTotals:
    """Of one mechanism and one name of a configuration."""

    failures: int = 0
    refreshes: int = 0
    """Of sources that are asked again and again; `is_refreshed` where there was one."""
    refresh_s: float = 0.0
    is_refreshed: bool = False


@dataclass(slots=True)
class DiscoveryTotals:
    """Counts by what metrics are labelled with; `add` takes what one run has counted, once."""

    configs: dict[tuple[str, str], ConfigTotals] = field(default_factory=dict)
    counts: defaultdict[tuple[str, str], float] = field(default_factory=lambda: defaultdict(float))
    """By mechanism and what it counts by itself."""

    def add(self, run: ProviderRun, own: Mapping[str, object]) -> None:
        """The figures of a run, `own` is what its discovery says."""
        totals = self.configs.setdefault((run.plugin, run.metric_name), ConfigTotals())
        totals.failures += run.crashes + int(number(own, "refresh_failures"))
        if "interval_s" in own:
            totals.is_refreshed = True
            totals.refreshes += int(number(own, "refreshes"))
            totals.refresh_s += number(own, "refresh_s")
        found = own.get("counts")
        for name, count in found.items() if isinstance(found, Mapping) else ():
            if isinstance(count, (int, float)):
                self.counts[run.plugin, str(name)] += count
        for name in _COUNTED:
            self.counts[run.plugin, name] += number(own, name)
        while len(self.configs) > CONFIGS_MAX:
            del self.configs[next(iter(self.configs))]

    def copy(self) -> DiscoveryTotals:
        """The same, to add to."""
        configs = {
            key: ConfigTotals(each.failures, each.refreshes, each.refresh_s, each.is_refreshed)
            for key, each in self.configs.items()
        }
        return DiscoveryTotals(configs, self.counts.copy())


def number(fields: Mapping[str, object], name: str) -> float:
    """A figure of a discovery; 0 where it has none."""
    value = fields.get(name, 0)
    return float(value) if isinstance(value, (int, float)) else 0.0
