"""What becomes of rule groups, rule by rule."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import fields
from enum import Enum
from typing import Any

from trimon.config.differences import Difference
from trimon.records import dataclass
from trimon.rules.spec import AlertingSpec, GroupSpec, RuleSpec
from trimon.units import format_duration


@dataclass(frozen=True, slots=True)
class RulePlan:
    """What becomes of one rule."""

    rule: str
    kind: str
    """`alerting` or `recording`."""
    change: str
    differences: tuple[Difference, ...] = ()

    def shown(self) -> dict[str, object]:
        """As JSON."""
        told = [each.shown() for each in self.differences]
        return {"rule": self.rule, "type": self.kind, "change": self.change, "fields": told}


@dataclass(frozen=True, slots=True)
class GroupPlan:
    """What becomes of one rule group."""

    file: str
    group: str
    change: str
    rules_now: int = 0
    rules_then: int = 0
    differences: tuple[Difference, ...] = ()
    rules: tuple[RulePlan, ...] = ()
    """Those of a group that is changed."""

    def shown(self) -> dict[str, object]:
        """As JSON."""
        return {
            "file": self.file,
            "group": self.group,
            "change": self.change,
            "rules": {"now": self.rules_now, "then": self.rules_then},
            "fields": [each.shown() for each in self.differences],
            "changedRules": [rule.shown() for rule in self.rules],
        }


def group_plans(now: Sequence[GroupSpec], then: Sequence[GroupSpec]) -> list[GroupPlan]:
    """All groups that differ."""
    before, after = ({group.key: group for group in groups} for groups in (now, then))
    found = []
    for key in dict.fromkeys((*before, *after)):
        old, new = before.get(key), after.get(key)
        if old == new:
            continue
        if new is None:
            assert old is not None
            found.append(GroupPlan(old.file, old.name, "removed", len(old.rules), 0))
        elif old is None:
            found.append(GroupPlan(new.file, new.name, "added", 0, len(new.rules)))
        else:
            found.append(_changed_group(old, new))
    return found


def _changed_group(old: GroupSpec, new: GroupSpec) -> GroupPlan:
    told = _differences(old, new)
    rules = tuple(_rule_plans(old.rules, new.rules))
    if old.rules != new.rules and not rules:
        told += (Difference("rules", "in one order", "in another order"),)
    return GroupPlan(new.file, new.name, "changed", len(old.rules), len(new.rules), told, rules)


def _rule_plans(now: Sequence[RuleSpec], then: Sequence[RuleSpec]) -> Iterator[RulePlan]:
    """Rules that differ. Of those with one name, equal ones belong together, and the rest in their order."""
    by_name: dict[tuple[str, str], deque[RuleSpec]] = {}
    for old in _without(now, then):
        by_name.setdefault((_kind(old), old.name), deque()).append(old)
    for new in _without(then, now):
        olds = by_name.get((_kind(new), new.name))
        if olds:
            yield RulePlan(new.name, _kind(new), "changed", _differences(olds.popleft(), new))
        else:
            yield RulePlan(new.name, _kind(new), "added")
    for (kind, name), gone in by_name.items():
        for _ in gone:
            yield RulePlan(name, kind, "removed")


def _without(rules: Sequence[RuleSpec], others: Sequence[RuleSpec]) -> list[RuleSpec]:
    """The rules that have no equal among the others, each of which counts once."""
    left: dict[RuleSpec, int] = {}
    for other in others:
        left[other] = left.get(other, 0) + 1
    kept = []
    for rule in rules:
        if left.get(rule, 0):
            left[rule] -= 1
        else:
            kept.append(rule)
    return kept


def _kind(rule: RuleSpec) -> str:
    return "alerting" if isinstance(rule, AlertingSpec) else "recording"


def _differences(old: Any, new: Any) -> tuple[Difference, ...]:
    """Fields of two rules or two groups of one type, by their names in the file."""
    found = []
    for each in fields(old):
        before, after = getattr(old, each.name), getattr(new, each.name)
        if before == after or each.name == "rules":
            continue
        name = each.name.removesuffix("_ms")
        if each.name in ("labels", "annotations"):
            pairs_before, pairs_after = dict(before), dict(after)
            found += [
                Difference(f"{name}.{key}", pairs_before.get(key, ""), pairs_after.get(key, ""))
                for key in dict.fromkeys((*pairs_before, *pairs_after))
                if pairs_before.get(key) != pairs_after.get(key)
            ]
        else:
            is_time = each.name.endswith("_ms")
            found.append(Difference(name, _text(before, is_time=is_time), _text(after, is_time=is_time)))
    return tuple(found)


def _text(value: object, *, is_time: bool) -> str:
    if is_time and isinstance(value, int):
        return format_duration(value)
    if isinstance(value, Enum):
        return str(value.value)
    return str(value).lower() if isinstance(value, bool) else str(value)
