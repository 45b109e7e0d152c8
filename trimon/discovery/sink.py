"""The sink: what a discovery publishes is checked, bounded, compared with before, and handed to the hub."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol, TypeAlias

from trimon import limits
from trimon.clock import Clock
from trimon.discovery.plugin import CheckedGroups, TargetGroup
from trimon.errors import OperatingError, TrimonError
from trimon.records import dataclass

LabelSets: TypeAlias = tuple[Mapping[str, str], ...]


class BadPublish(TrimonError):
    """A discovery published what breaks the contract; nothing of it was taken."""


class TooManyTargets(BadPublish, OperatingError):
    """A discovery found more targets than are taken; nothing of it was taken. Its source may have less another time."""


class Receiver(Protocol):
    """Who gets what a provider found."""

    def update(self, provider: str, groups: Mapping[str, LabelSets], *, complete: bool) -> None:
        """Groups by source, each target with all its labels; an empty group is gone.

        `complete`: sources that are not named are gone too.
        """
        ...

    def confirm(self, provider: str) -> None:
        """A publish said what is known."""
        ...


@dataclass(slots=True)
class SinkStats:
    """What went through a sink since it was made."""

    publishes: int = 0
    unchanged: int = 0
    """Publishes that changed nothing."""
    groups: int = 0
    targets: int = 0
    last_ms: int = 0


class CheckedSink:
    """The sink of one run of one provider."""

    def __init__(self, provider: str, receiver: Receiver, clock: Clock) -> None:
        self._provider = provider
        self._receiver = receiver
        self._clock = clock
        self._groups: dict[str, LabelSets] = {}
        self._held = 0
        self.stats = SinkStats()

    @property
    def published(self) -> bool:
        """Whether the first, complete publish was made."""
        return self.stats.publishes > 0

    def publish(self, groups: Iterable[TargetGroup] | CheckedGroups) -> None:
        """See `Sink.publish`. Raises BadPublish."""
        checked = groups if isinstance(groups, CheckedGroups) else check_groups(groups)
        merged, total = checked.by_source, checked.targets
        # Only what the publish names is looked at: a discovery may say one group at a time, ten thousand times.
        first, known = not self.published, self._groups
        if first:  # there may be fifty thousand, all of them new
            changed, held = merged, total
        else:
            changed = {
                source: targets for source, targets in merged.items() if known.get(source, ()) != targets
            }
            held = self._held + total - sum(len(known.get(source, ())) for source in merged)
        if held > limits.TARGETS_PER_PUBLISH_MAX:
            raise TooManyTargets(
                f"{held} targets in all; at most {limits.TARGETS_PER_PUBLISH_MAX} are allowed"
            )
        gone = [source for source, targets in changed.items() if not targets]
        known.update(changed)
        for source in gone:
            del known[source]
        self._held = held
        stats = self.stats
        stats.publishes += 1
        stats.groups, stats.targets, stats.last_ms = len(known), held, self._clock.now_ms()
        if first or changed:
            self._receiver.update(self._provider, changed, complete=first)
        else:
            stats.unchanged += 1
            self._receiver.confirm(self._provider)


def check_groups(groups: Iterable[TargetGroup]) -> CheckedGroups:
    """Groups with the labels of each put into its targets, all checked. From any thread. Raises BadPublish."""
    merged: dict[str, LabelSets] = {}
    total = empty = 0
    for group in groups:
        checked = merge_group(group)
        if group.source in merged:
            raise BadPublish(f"source {group.source!r} is there twice")
        empty += not checked
        if empty > limits.GROUPS_PER_PUBLISH_MAX:
            most = limits.GROUPS_PER_PUBLISH_MAX
            raise TooManyTargets(f"more than {most} groups without targets in one publish")
        total += len(checked)
        if total > limits.TARGETS_PER_PUBLISH_MAX:
            raise TooManyTargets(f"more than {limits.TARGETS_PER_PUBLISH_MAX} targets in one publish")
        merged[group.source] = checked
    return CheckedGroups(merged, total)


def merge_group(group: TargetGroup) -> LabelSets:
    """The targets of a group with the group's labels under their own. Raises BadPublish."""
    if not isinstance(group, TargetGroup):
        raise BadPublish(f"a {type(group).__name__} is not a TargetGroup")
    if not isinstance(group.source, str) or not group.source:
        raise BadPublish(f"a source is a text that is not empty, and not {group.source!r}")
    common = _checked(group.labels, group.source)
    merged = []
    for target in group.targets:
        own = _checked(target, group.source)
        merged.append({**common, **own} if common else own)
    return tuple(merged)


def _checked(labels: Mapping[str, str], source: str) -> dict[str, str]:
    """A copy of labels that are names and values of bounded length."""
    try:
        copied = dict(labels)
    except (TypeError, ValueError):
        raise BadPublish(
            f"source {source!r}: labels are a mapping, and not {type(labels).__name__}"
        ) from None
    if len(copied) > limits.LABELS_PER_TARGET_MAX:
        raise BadPublish(
            f"source {source!r}: a target has {len(copied)} labels, at most "
            f"{limits.LABELS_PER_TARGET_MAX} are allowed"
        )
    if _is_plainly_good(copied):
        return copied
    for name, value in copied.items():
        if not isinstance(name, str) or not isinstance(value, str):
            raise BadPublish(f"source {source!r}: label {name!r} has a {type(value).__name__}, not a text")
        if not name:
            raise BadPublish(f"source {source!r}: a label has no name")
        if len(name) > limits.LABEL_NAME_BYTES_MAX or len(value) > limits.LABEL_VALUE_BYTES_MAX:
            raise BadPublish(f"source {source!r}: label {name[:100]!r} is too long")
        if not (name.isascii() and value.isascii()):
            _refuse_surrogates(name, value, source)
    return copied


def _is_plainly_good(labels: dict[str, str]) -> bool:
    """Whether all labels taken together show that each is good; a tenth of the cost of looking at each."""
    try:
        names, values = "".join(labels), "".join(labels.values())
    except TypeError:  # something is no text
        return False
    return (
        len(names) <= limits.LABEL_NAME_BYTES_MAX
        and len(values) <= limits.LABEL_VALUE_BYTES_MAX
        and names.isascii()
        and values.isascii()
        and "" not in labels
    )


def _refuse_surrogates(name: str, value: str, source: str) -> None:
    try:
        name.encode()
        value.encode()
    except UnicodeEncodeError:
        raise BadPublish(f"source {source!r}: label {name!r} is not valid UTF-8") from None
