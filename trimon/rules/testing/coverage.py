"""Which rules the unit tests have tried: recording rules that recorded something, alerts that fired."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import field

from trimon.gotext.strings import go_quote
from trimon.records import dataclass
from trimon.rules.spec import AlertingSpec, GroupSpec


@dataclass(frozen=True, slots=True, order=True)
class CoveredRule:
    """One rule of a rule file; `place` counts from 1."""

    file: str
    group: str
    place: int
    name: str
    alerting: bool

    def missing(self) -> str:
        """That no test has tried it, as a line."""
        what = "never fires" if self.alerting else "never records anything"
        return f"{self.file}: group {go_quote(self.group)}, rule {self.place}, {go_quote(self.name)} {what}"


@dataclass(slots=True)
class Coverage:
    """The rules of all rule files that tests name, and those that were tried."""

    rules: set[CoveredRule] = field(default_factory=set)
    tried: set[CoveredRule] = field(default_factory=set)
    unread: set[str] = field(default_factory=set)
    """Files of tests that could not begin, so that their rules are not known."""

    def add(self, other: Coverage) -> None:
        """Takes over what other tests did."""
        self.rules |= other.rules
        self.tried |= other.tried
        self.unread |= other.unread

    @property
    def share(self) -> float:
        """Of all rules those that were tried, from 0 to 1; 0 if there are none."""
        return len(self.tried) / len(self.rules) if self.rules else 0.0

    def reaches(self, share: float) -> bool:
        """Whether it is known that so many were tried."""
        return not self.unread and self.share >= share

    def lines(self) -> list[str]:
        """How many, and which are missing."""
        share = f"{self.share * 100:.1f}%" if self.rules else "not known"
        head = f"Coverage: {len(self.tried)} of {len(self.rules)} rules ({share})"
        unread = (
            f"  {file}: a test could not begin, so its rules are not known" for file in sorted(self.unread)
        )
        return [head, *unread, *(f"  {rule.missing()}" for rule in sorted(self.rules - self.tried))]


def rules_of(groups: Iterable[GroupSpec]) -> set[CoveredRule]:
    """The rules of groups."""
    return {covered_rule(group, place) for group in groups for place in range(len(group.rules))}


def covered_rule(group: GroupSpec, place: int) -> CoveredRule:
    """A rule by its place in a group, from 0 on."""
    rule = group.rules[place]
    return CoveredRule(group.file, group.name, place + 1, rule.name, isinstance(rule, AlertingSpec))
