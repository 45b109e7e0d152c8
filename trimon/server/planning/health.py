"""How targets and rules do, to be compared before and after a configuration is taken over."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Final, TypeVar

from trimon.model.labels import format_label_set
from trimon.records import dataclass
from trimon.redaction import redacted
from trimon.server.parts.serverparts import ServerParts

K = TypeVar("K")

# So large a part of what was well may fail before that is put down to the configuration.
HARM_SHARE: Final = 0.1
_NOT_YET: Final = "it was not scraped yet"


@dataclass(frozen=True, slots=True)
class Condition:
    """How one target or rule does."""

    shown: str
    """What people call it."""
    is_well: bool
    error: str = ""
    """What is wrong with it."""

    def __str__(self) -> str:
        return f"{self.shown}: {self.error}" if self.error else self.shown


@dataclass(frozen=True, slots=True)
class ServerHealth:
    """All targets and rules by what makes them the same before and after."""

    targets: Mapping[tuple[str, str], Condition]
    rules: Mapping[tuple[str, int], Condition]

    def harm(self, now: ServerHealth) -> str:
        """What was well, is still there and not well any more; empty if that is no more than may be."""
        return _harm("targets that were up are down", self.targets, now.targets) or _harm(
            "rules that were well fail", self.rules, now.rules
        )

    def new_and_not_up(self, now: ServerHealth) -> str:
        """What is wrong with targets that were not there; empty if nothing is."""
        new = [condition for key, condition in now.targets.items() if key not in self.targets]
        bad = [condition for condition in new if not condition.is_well]
        return f"{len(bad)} of {len(new)} new targets are not up, such as {min(map(str, bad))}" if bad else ""


def _harm(what: str, before: Mapping[K, Condition], now: Mapping[K, Condition]) -> str:
    stay = [key for key, condition in before.items() if condition.is_well and key in now]
    lost = [str(now[key]) for key in stay if not now[key].is_well]
    if len(lost) <= HARM_SHARE * len(stay):
        return ""
    return f"{len(lost)} of {len(stay)} {what}, such as {min(lost)}"


def server_health(parts: ServerParts) -> ServerHealth:
    """How all targets and rules do now: rules not evaluated yet are well, targets not scraped yet are not up."""
    targets = {
        # Not by its URL: a path or a scheme that is wrong makes the same target another one, and does it harm.
        (name, format_label_set(session.target.labels)): Condition(
            f"{session.target.shown_url} {format_label_set(session.target.labels)}",
            session.state.health == "up",
            session.state.last_error or (_NOT_YET if session.state.health == "unknown" else ""),
        )
        for name, pool in parts.scraping.manager.scrape_pools.items()
        for key, session in pool.sessions.items()
        if key in pool.targets
    }
    rules: dict[tuple[str, int], Condition] = {}
    for group in parts.rules.manager.groups.values():
        seen: Counter[str] = Counter()
        for session in group.rules:
            name = session.spec.name
            # Not by its place in the group: a rule that is put before it makes it no other one.
            rules[f"{group.spec.key};{name}", seen[name]] = Condition(
                f"rule {name} of group {group.spec.name} in {group.spec.file}",
                session.health in ("ok", "unknown"),
                redacted(session.last_error),
            )
            seen[name] += 1
    return ServerHealth(targets, rules)
