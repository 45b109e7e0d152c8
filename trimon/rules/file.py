"""Rule files: read strictly, every error in Prometheus' words."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

from trimon import limits
from trimon.config.filetext import read_text
from trimon.config.kinds import DURATION, Boolean, Listed, Mapped, Of, Text, Whole, one_of
from trimon.config.model import Kind, Model, Source, setting
from trimon.config.yaml.faults import and_more, first_errors, shortened
from trimon.config.yaml.tree import Document, Node, Shape
from trimon.errors import Position, UserError
from trimon.gotext.strings import go_quote
from trimon.model.labels import METRIC_NAME
from trimon.query.engine import parse
from trimon.records import dataclass
from trimon.rules.spec import AlertingSpec, GroupSpec, OnNoData, Pairs, RecordingSpec, RuleDefaults, RuleSpec
from trimon.templates.alerts import AlertTemplate
from trimon.templates.errors import TemplateError

_LABELS = Mapped(Text(), "map[string]string")


@dataclass(frozen=True, slots=True)
class Undecoded:
    """What a file has for a field of our own that is none of the values of it."""

    shown: str


@dataclass(frozen=True, slots=True)
class _Own:
    """A field that Prometheus does not have: a value of another kind is told with its rule, as errors of meaning are."""

    kind: Kind

    def read(self, node: Node, source: Source) -> Any:
        """The value; Undecoded where it is none."""
        try:
            return self.kind.read(node, source)
        except UserError:
            if node.shape is Shape.SCALAR:
                return Undecoded(go_quote(node.value))
            return Undecoded("a list" if node.shape is Shape.LIST else "a mapping")

    def zero(self) -> Any:
        """That of the kind."""
        return self.kind.zero()

    def show(self, value: Any) -> object:
        """As the kind does."""
        return self.kind.show(value)


_NO_DATA = Text(one_of(("", *(each.value for each in OnNoData)), "{}"))


class RuleFileErrors(UserError):
    """What is wrong with the meaning of a rule file, a text each, with Prometheus' positions in it."""

    def __init__(self, file: str, errors: Sequence[UserError], more: int = 0) -> None:
        """`more`: errors there are besides, which are only counted."""
        texts = [shortened(error.message) for error in errors]
        if more:
            texts.append(and_more(more))
        super().__init__("\n".join(texts), errors[0].position)
        self.places = tuple(error.position for error in errors)
        self.file = file
        self.texts = tuple(texts)

    def __str__(self) -> str:
        return "\n".join(f"{self.file}: {text}" for text in self.texts)


@dataclass(frozen=True, kw_only=True)
class RuleEntry(Model):
    """One entry of `rules`."""

    yaml_type: ClassVar[str] = "rulefmt.Rule"

    record: str = setting(Text(), "")
    alert: str = setting(Text(), "")
    expr: str = setting(Text(), "")
    for_: int = setting(DURATION, 0, name="for")
    keep_firing_for: int = setting(DURATION, 0)
    labels: Pairs = setting(_LABELS, ())
    annotations: Pairs = setting(_LABELS, ())
    on_no_data: str | Undecoded = setting(_Own(_NO_DATA), "", own=True)

    @property
    def title(self) -> str:
        """The name that errors show."""
        return self.alert or self.record


@dataclass(frozen=True, kw_only=True)
class GroupEntry(Model):
    """One entry of `groups`."""

    yaml_type: ClassVar[str] = "rulefmt.RuleGroup"

    name: str = setting(Text(), "")
    interval: int = setting(DURATION, 0)
    query_offset: int | None = setting(DURATION, None)
    limit: int = setting(Whole(), 0)
    catch_up: bool | Undecoded = setting(_Own(Boolean()), default=True, own=True)
    labels: Pairs = setting(_LABELS, ())
    rules: tuple[RuleEntry, ...] = setting(Listed(Of(RuleEntry), "[]rulefmt.Rule"), ())


@dataclass(frozen=True, kw_only=True)
class RuleFile(Model):
    """A rule file."""

    yaml_type: ClassVar[str] = "rulefmt.RuleGroups"

    groups: tuple[GroupEntry, ...] = setting(Listed(Of(GroupEntry), "[]rulefmt.RuleGroup"), ())


def load_rules(paths: Sequence[Path], defaults: RuleDefaults) -> tuple[GroupSpec, ...]:
    """The groups of all files that patterns found, in order. Blocks on the disk. Raises UserError at the first bad one."""
    return tuple(
        group
        for path in paths
        for group in read_rules(read_text(path, limits.CONFIG_FILE_BYTES_MAX, waits=False), path, defaults)
    )


def load_rule_file(path: Path, defaults: RuleDefaults) -> tuple[GroupSpec, ...]:
    """The groups of one file, or of a pipe that somebody named. Blocks on the disk. Raises UserError."""
    return read_rules(read_text(path, limits.CONFIG_FILE_BYTES_MAX), path, defaults)


def read_rules(
    text: str, path: Path, defaults: RuleDefaults, watch: Callable[[int], None] | None = None
) -> tuple[GroupSpec, ...]:
    """The groups of a rule file's text; `path` is what errors name. Raises UserError.

    `watch` is called every now and then with the number of YAML nodes known by then, and may raise.
    """
    document = Document(text, str(path), unique_keys=True, watch=watch)
    if document.root is None:
        return ()
    file = RuleFile.read(
        document.root, Source(document, path.parent, defaults.ignore_unknown_fields, defaults.strict)
    )
    _require_few(file)
    errors, more = first_errors(_errors(file, document, defaults, watch))
    if errors:
        raise RuleFileErrors(str(path), errors, more)
    return tuple(_group(group, str(path), defaults) for group in file.groups)


def _require_few(file: RuleFile) -> None:
    rules = 0
    for group in file.groups:
        rules += len(group.rules)
        if rules > limits.RULES_PER_FILE_MAX:
            message = f"{rules} rules and more in one file; at most {limits.RULES_PER_FILE_MAX} are allowed"
            raise group.refuse("rules", message)


def _errors(
    file: RuleFile, document: Document, defaults: RuleDefaults, watch: Callable[[int], None] | None
) -> Iterator[UserError]:
    seen: set[str] = set()
    for group in file.groups:
        yield from _group_errors(group, seen)
        for number, rule in enumerate(group.rules, 1):
            if watch is not None:
                watch(document.nodes)
            where = f"group {go_quote(group.name)}, rule {number}, {go_quote(rule.title)}: "
            yield from _rule_errors(rule, where, defaults)


def _group(group: GroupEntry, file: str, defaults: RuleDefaults) -> GroupSpec:
    offset_ms = group.query_offset if group.query_offset is not None else defaults.query_offset_ms
    rules = tuple(_rule(group, rule) for rule in group.rules)
    interval_ms = group.interval or defaults.interval_ms
    assert isinstance(group.catch_up, bool)  # others are refused by now
    return GroupSpec(file, group.name, interval_ms, offset_ms, group.limit, rules, group.catch_up)


def _rule(group: GroupEntry, rule: RuleEntry) -> RuleSpec:
    labels = tuple(sorted({**dict(group.labels), **dict(rule.labels)}.items()))
    if rule.record:
        return RecordingSpec(rule.record, rule.expr, labels)
    annotations = tuple(sorted(rule.annotations))
    on_no_data = OnNoData(rule.on_no_data or OnNoData.RESOLVE)
    return AlertingSpec(
        rule.alert, rule.expr, rule.for_, rule.keep_firing_for, labels, annotations, on_no_data
    )


def _group_errors(group: GroupEntry, seen: set[str]) -> Iterator[UserError]:
    if not group.name:
        yield _placed(group, "Groupname must not be empty", None)
    if group.name in seen:
        yield _placed(group, f"groupname: {go_quote(group.name)} is repeated in the same file", None)
    seen.add(group.name)
    if isinstance(group.catch_up, Undecoded):
        message = f"group {go_quote(group.name)}: catch_up must be true or false, got {group.catch_up.shown}"
        yield _placed(group, message, group.value_place("catch_up"))
    for name, _ in group.labels:
        if not _is_label_name(name):
            yield UserError(
                f"invalid label name: {name} in group {go_quote(group.name)}", group.place("labels")
            )


def _rule_errors(rule: RuleEntry, where: str, defaults: RuleDefaults) -> Iterator[UserError]:
    record, expr = rule.value_place("record"), rule.value_place("expr")
    if rule.record and rule.alert:
        message = f"{where}only one of 'record' and 'alert' must be set"
        yield _placed(rule, message, record, rule.value_place("alert"))
    if not rule.record and not rule.alert:
        message = f"{where}one of 'record' or 'alert' must be set"
        yield _placed(rule, message, rule.value_place("alert"), record)
    if not rule.expr:
        yield _placed(rule, f"{where}field 'expr' must be set in rule", expr)
    else:
        try:
            parse(rule.expr, defaults.query)
        except UserError as error:
            yield _placed(rule, f"{where}could not parse expression: {error}", expr)
    if isinstance(rule.on_no_data, Undecoded):
        message = f"{where}on_no_data must be keep, alert or resolve, got {rule.on_no_data.shown}"
        yield _placed(rule, message, rule.value_place("on_no_data"))
    if rule.record:
        yield from _recording_errors(rule, where)
    for name, _ in rule.labels:
        if not _is_label_name(name):
            yield UserError(f"{where}invalid label name: {name}", rule.place("labels"))
    for name, _ in rule.annotations:
        if not name:
            yield UserError(f"{where}invalid annotation name: {name}", rule.place("annotations"))
    if rule.alert:
        yield from _template_errors(rule, where)


def _recording_errors(rule: RuleEntry, where: str) -> Iterator[UserError]:
    record = rule.value_place("record")
    for name in ("annotations", "for_", "keep_firing_for", "on_no_data"):
        if getattr(rule, name):
            message = f"{where}invalid field '{name.rstrip('_')}' in recording rule"
            yield _placed(rule, message, record)
    if "{" in rule.record or "}" in rule.record:
        braces = "braces present in the recording rule name; should it be in expr?"
        yield _placed(rule, f"{where}{braces}: {rule.record}", record)


def _template_errors(rule: RuleEntry, where: str) -> Iterator[UserError]:
    for field, pairs in (("label", rule.labels), ("annotation", rule.annotations)):
        for name, template in pairs:
            try:
                AlertTemplate(rule.alert, template)
            except TemplateError as error:
                message = f"{where}{field} {go_quote(name)}: {error.message}"
                yield UserError(message, rule.place(f"{field}s"))


def _placed(entry: Model, message: str, *places: Position | None) -> UserError:
    """An error with positions before its text, as Prometheus shows them: 0:0 for what is not in the file."""
    shown = "".join("0:0: " if place is None else f"{place.line}:{place.column}: " for place in places)
    known = next((place for place in places if place is not None), entry.place())
    return UserError(shown + message, known)


def _is_label_name(name: str) -> bool:
    return bool(name) and name != METRIC_NAME
