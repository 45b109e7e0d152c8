"""Relabeling: rules that rewrite or drop a label set. Semantics and limits are Prometheus'.

Rules are compiled once. They run on new targets and new series only, never on a known series' samples.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Final, Generic, Protocol, TypeVar

from trimon.errors import UserError
from trimon.model.labels import Labels
from trimon.model.matcher import anchored, compile_regexp
from trimon.records import dataclass

R = TypeVar("R")

# Actions that make something of the values of their source labels.
_READING: Final = frozenset(("replace", "keep", "drop", "hashmod", "lowercase", "uppercase"))
REMEMBERED_MAX: Final = 2000
REMEMBERED_CHARACTERS_MAX: Final = 256
_REFERENCE = re.compile(r"\$(?:(\$)|(\w+)|\{(\w+)\})", re.ASCII)


class RuleConfig(Protocol):
    """What a rule is made of; `trimon.config` has the model with its checks."""

    @property
    def source_labels(self) -> Sequence[str]: ...  # noqa: D102 # fields of relabel_config, see docs/configuration.md
    @property
    def separator(self) -> str: ...  # noqa: D102
    @property
    def regex(self) -> str: ...  # noqa: D102
    @property
    def modulus(self) -> int: ...  # noqa: D102
    @property
    def target_label(self) -> str: ...  # noqa: D102
    @property
    def replacement(self) -> str: ...  # noqa: D102
    @property
    def action(self) -> str: ...  # noqa: D102


def expand(template: str, groups: Sequence[str | None], names: Mapping[str, int]) -> str:
    """Go's Regexp.Expand: `$1`, `${1}`, `$name`, `$$`; an unknown group is empty.

    `groups[0]` is the whole match.
    """
    if "$" not in template:
        return template

    def group(match: re.Match[str]) -> str:
        if match[1]:
            return "$"
        key = match[2] or match[3]
        index = int(key) if key.isdigit() else names.get(key, -1)
        return (groups[index] or "") if 0 <= index < len(groups) else ""

    return _REFERENCE.sub(group, template)


@dataclass(frozen=True, slots=True)
class RelabelStep:
    """One rule's effect, for `relabel_steps`: labels after it and whether they are kept."""

    labels: Labels
    keep: bool


class RuleMemory(Generic[R]):
    """What a rule made of values that were there before: names of labels and most values come again with each target.

    A match costs some microseconds, a look 0.1. Where values do not come again it stops remembering. From any thread.
    """

    def __init__(self, work: Callable[[str], R]) -> None:
        self._work = work
        self._known: dict[str, R] | None = {}
        self._looks = 0

    def __call__(self, value: str) -> R:
        """What the rule makes of a value."""
        known = self._known
        if known is None:
            return self._work(value)
        self._looks += 1
        try:
            return known[value]
        except KeyError:
            found = self._work(value)
        if len(value) <= REMEMBERED_CHARACTERS_MAX:
            if len(known) >= REMEMBERED_MAX:
                self._forget(known)
            known[value] = found
        return found

    def _forget(self, known: dict[str, R]) -> None:
        """All is forgotten; for good where fewer than half of the looks found something."""
        self._known = {} if self._looks > 2 * len(known) else None
        self._looks = 0


class RelabelRule:
    """One compiled relabel rule."""

    def __init__(self, config: RuleConfig) -> None:
        self.config = config
        self._action = str(config.action).lower()
        self._regex = compile_regexp(anchored(config.regex))
        self._names: Mapping[str, int] = dict(self._regex.groupindex)
        self._any = config.regex in ("(.*)", ".*")
        self._is_match = RuleMemory(lambda value: self._regex.fullmatch(value) is not None)
        self._mapped = RuleMemory(self._map_name)
        self._replaced = RuleMemory(self._replacement)

    def _value(self, labels: dict[str, str]) -> str:
        sources = self.config.source_labels
        if len(sources) == 1:
            return labels.get(sources[0], "")
        return self.config.separator.join([labels.get(name, "") for name in sources])

    def check_growth(self, labels: Mapping[str, str], characters_max: int) -> None:
        """Raises UserError where the rule would make a label longer than that of what there is; before it is made."""
        config = self.config
        if self._action == "labelmap":
            longest = max(map(len, labels), default=0)
        elif self._action in _READING:
            longest = sum(len(labels.get(name, "")) + len(config.separator) for name in config.source_labels)
        else:
            return
        templates = (config.replacement, config.target_label)
        references = max(len(_REFERENCE.findall(template)) for template in templates)
        size = longest * max(references, 1) + max(map(len, templates))
        if size > characters_max:
            raise UserError(
                f"a rule with action {self._action} makes a label of up to {size} characters; at most "
                f"{characters_max} are taken"
            )

    def apply(self, labels: dict[str, str]) -> bool:
        """Rewrites `labels` in place; False drops the set."""
        config = self.config
        match self._action:
            case "replace":
                self._replace(labels)
            case "keep":
                return self._matches(self._value(labels))
            case "drop":
                return not self._matches(self._value(labels))
            case "keepequal":
                return self._value(labels) == labels.get(config.target_label, "")
            case "dropequal":
                return self._value(labels) != labels.get(config.target_label, "")
            case "hashmod":
                digest = hashlib.md5(self._value(labels).encode(), usedforsecurity=False).digest()
                labels[config.target_label] = str(int.from_bytes(digest[8:], "big") % config.modulus)
            case "labelmap":
                self._map(labels)
            case "labeldrop":
                for name in [name for name in labels if self._matches(name)]:
                    del labels[name]
            case "labelkeep":
                for name in [name for name in labels if not self._matches(name)]:
                    del labels[name]
            case "lowercase":
                _set(labels, config.target_label, self._value(labels).lower())
            case "uppercase":
                _set(labels, config.target_label, self._value(labels).upper())
            case _:
                raise AssertionError(f"unknown relabel action {self._action}")
        return True

    def _matches(self, value: str) -> bool:
        return self._any or self._is_match(value)

    def _replace(self, labels: dict[str, str]) -> None:
        made = self._replaced(self._value(labels))
        if made is not None:
            _set(labels, *made)

    def _replacement(self, value: str) -> tuple[str, str] | None:
        """The label that is set, and to what; None where the value does not match or there is no label."""
        found = self._regex.fullmatch(value)
        if found is None:
            return None
        groups = (found.group(0), *found.groups())
        target = expand(self.config.target_label, groups, self._names)
        return (target, expand(self.config.replacement, groups, self._names)) if target else None

    def _map(self, labels: dict[str, str]) -> None:
        mapped = self._mapped
        for name, value in list(labels.items()):
            target = mapped(name)
            # an empty name is none of a label: components of histograms have it
            if target:
                _set(labels, target, value)

    def _map_name(self, name: str) -> str:
        """The name that a label is copied to, empty for none."""
        found = self._regex.fullmatch(name)
        if found is None:
            return ""
        return expand(self.config.replacement, (found.group(0), *found.groups()), self._names)


def _set(labels: dict[str, str], name: str, value: str) -> None:
    if value:
        labels[name] = value
    else:
        labels.pop(name, None)


class Relabeling:
    """A list of rules; an empty one changes nothing and costs nothing."""

    def __init__(self, configs: Sequence[RuleConfig]) -> None:
        self.rules = tuple(RelabelRule(config) for config in configs)

    def __bool__(self) -> bool:
        return bool(self.rules)

    def apply(self, labels: dict[str, str]) -> bool:
        """Rewrites `labels` in place; False when a rule dropped the set."""
        return all(rule.apply(labels) for rule in self.rules)

    def apply_tried(self, labels: dict[str, str], characters_max: int) -> bool:
        """The same for rules of somebody who only asks. Raises UserError before a label becomes too long."""
        for rule in self.rules:
            rule.check_growth(labels, characters_max)
            if not rule.apply(labels):
                return False
        return True

    def steps(self, labels: Mapping[str, str], characters_max: int, whole_max: int) -> list[RelabelStep]:
        """What each rule makes of a label set; after a drop the rest is empty and not kept.

        Raises UserError where a label, or all steps together, become longer than that.
        """
        current, keep, out, whole = dict(labels), True, [], 0
        for rule in self.rules:
            if keep:
                rule.check_growth(current, characters_max)
                keep = rule.apply(current)
            found = tuple(sorted(current.items())) if keep else ()
            whole += sum(len(name) + len(value) for name, value in found)
            if whole > whole_max:
                raise UserError(f"the labels of all steps have more than {whole_max} characters")
            out.append(RelabelStep(found, keep))
        return out


class BoundedRelabeling(Relabeling):
    """Rules of somebody who only asks, in the place of those of a job: `apply` raises UserError before a label is too long."""

    def __init__(self, rules: Relabeling, characters_max: int) -> None:
        self.rules = rules.rules
        self._characters_max = characters_max

    def apply(self, labels: dict[str, str]) -> bool:
        """Rewrites `labels` in place; False when a rule dropped the set."""
        return self.apply_tried(labels, self._characters_max)
