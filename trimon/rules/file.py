"""Rule files: read strictly, every error at its file, line and column, with Prometheus' words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from trimon import limits
from trimon.config.kinds import DURATION, Listed, Mapped, Of, Text, Whole
from trimon.config.load import read_text
from trimon.config.model import Model, Source, setting
from trimon.config.yamltree import Document
from trimon.errors import UserError
from trimon.gotext.strings import go_quote
from trimon.model.labels import METRIC_NAME
from trimon.query.engine import parse
from trimon.query.language.options import QueryOptions

ALERTS_UNSUPPORTED = "alerting rules are not supported by this version of trimon"

_LABELS = Mapped(Text(), "map[string]string")
_Pairs = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class RuleSpec:
    """One recording rule, checked. `labels` win over those of the result; an empty value removes the label."""

    record: str
    expr: str
    labels: _Pairs = ()


@dataclass(frozen=True, slots=True)
class GroupSpec:
    """One group, checked, its defaults filled in. Its identity is file and name; equal specs ask for the same."""

    file: str
    name: str
    interval_ms: int
    query_offset_ms: int = 0
    limit: int = 0
    rules: tuple[RuleSpec, ...] = ()

    @property
    def key(self) -> str:
        """The identity, as Prometheus writes it in its metrics."""
        return f"{self.file};{self.name}"


@dataclass(frozen=True, kw_only=True)
class RuleEntry(Model):
    """One entry of `rules`."""

    yaml_type: ClassVar[str] = "rulefmt.Rule"

    record: str = setting(Text(), "")
    alert: str = setting(Text(), "")
    expr: str = setting(Text(), "")
    for_: int = setting(DURATION, 0, name="for")
    keep_firing_for: int = setting(DURATION, 0)
    labels: _Pairs = setting(_LABELS, ())
    annotations: _Pairs = setting(_LABELS, ())


@dataclass(frozen=True, kw_only=True)
class GroupEntry(Model):
    """One entry of `groups`."""

    yaml_type: ClassVar[str] = "rulefmt.RuleGroup"

    name: str = setting(Text(), "")
    interval: int = setting(DURATION, 0)
    query_offset: int | None = setting(DURATION, None)
    limit: int = setting(Whole(), 0)
    labels: _Pairs = setting(_LABELS, ())
    rules: tuple[RuleEntry, ...] = setting(Listed(Of(RuleEntry), "[]rulefmt.Rule"), ())


@dataclass(frozen=True, kw_only=True)
class RuleFile(Model):
    """A rule file."""

    yaml_type: ClassVar[str] = "rulefmt.RuleGroups"

    groups: tuple[GroupEntry, ...] = setting(Listed(Of(GroupEntry), "[]rulefmt.RuleGroup"), ())


@dataclass(frozen=True, slots=True)
class RuleDefaults:
    """What groups that say nothing get, and how expressions are parsed."""

    interval_ms: int = 60_000
    query_offset_ms: int = 0
    query: QueryOptions = field(default_factory=QueryOptions)
    ignore_unknown_fields: bool = False


def load_rules(paths: Sequence[Path], defaults: RuleDefaults) -> tuple[GroupSpec, ...]:
    """The groups of all files, in order. Blocks on the disk. Raises UserError at the first thing that is wrong."""
    return tuple(group for path in paths for group in load_rule_file(path, defaults))


def load_rule_file(path: Path, defaults: RuleDefaults) -> tuple[GroupSpec, ...]:
    """The groups of one file. Blocks on the disk. Raises UserError."""
    return read_rules(read_text(path, limits.CONFIG_FILE_BYTES_MAX), path, defaults)


def read_rules(text: str, path: Path, defaults: RuleDefaults) -> tuple[GroupSpec, ...]:
    """The groups of a rule file's text; `path` is what errors name. Raises UserError."""
    document = Document(text, str(path))
    if document.root is None:
        return ()
    file = RuleFile.read(document.root, Source(document, path.parent, defaults.ignore_unknown_fields))
    seen: set[str] = set()
    groups = []
    for group in file.groups:
        if not group.name:
            raise group.refuse("name", "Groupname must not be empty")
        if group.name in seen:
            raise group.refuse("name", f"groupname: {go_quote(group.name)} is repeated in the same file")
        seen.add(group.name)
        _check_labels(group)
        groups.append(_group(group, str(path), defaults))
    return tuple(groups)


def _group(group: GroupEntry, file: str, defaults: RuleDefaults) -> GroupSpec:
    offset_ms = group.query_offset if group.query_offset is not None else defaults.query_offset_ms
    rules = []
    for number, rule in enumerate(group.rules, 1):
        try:
            _check(rule, defaults.query)
        except UserError as error:
            where = f"group {go_quote(group.name)}, rule {number}, {go_quote(rule.alert or rule.record)}"
            raise UserError(f"{where}: {error.message}", error.position) from None
        labels = tuple(sorted({**dict(group.labels), **dict(rule.labels)}.items()))
        rules.append(RuleSpec(rule.record, rule.expr, labels))
    return GroupSpec(
        file, group.name, group.interval or defaults.interval_ms, offset_ms, group.limit, tuple(rules)
    )


def _check(rule: RuleEntry, options: QueryOptions) -> None:
    if rule.record and rule.alert:
        raise rule.refuse("alert", "only one of 'record' and 'alert' must be set")
    if not rule.record and not rule.alert:
        raise rule.refuse("", "one of 'record' or 'alert' must be set")
    if not rule.expr:
        raise rule.refuse("expr", "field 'expr' must be set in rule")
    try:
        parse(rule.expr, options)
    except UserError as error:
        raise rule.refuse("expr", f"could not parse expression: {error}") from None
    if rule.alert:
        raise rule.refuse("alert", ALERTS_UNSUPPORTED)
    for name, value in (
        ("annotations", rule.annotations),
        ("for_", rule.for_),
        ("keep_firing_for", rule.keep_firing_for),
    ):
        if value:
            raise rule.refuse(name, f"invalid field '{name.rstrip('_')}' in recording rule")
    if not _is_text(rule.record):
        raise rule.refuse("record", f"invalid recording rule name: {rule.record!r}")
    if "{" in rule.record or "}" in rule.record:
        raise rule.refuse(
            "record",
            f"braces present in the recording rule name; should it be in expr?: {rule.record}",
        )
    _check_labels(rule)


def _check_labels(entry: GroupEntry | RuleEntry) -> None:
    for name, value in entry.labels:
        if not name or name == METRIC_NAME or not _is_text(name):
            raise entry.refuse("labels", f"invalid label name: {name}")
        if not _is_text(value):
            raise entry.refuse("labels", f"invalid label value: {value!r}")


def _is_text(text: str) -> bool:
    """Whether a text can be written as UTF-8; YAML escapes can name half characters."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
