"""`static_configs`: fixed targets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from trimon import limits
from trimon.config.discovery.source import SdConfig
from trimon.config.kinds import Listed, Mapped, Text, is_text
from trimon.config.model import Shown, setting
from trimon.gotext.strings import go_quote
from trimon.records import dataclass


def label_name(text: str) -> str | None:
    """The error of a label name that can never be valid."""
    return None if text and is_text(text) else f"{go_quote(text)} is not a valid label name"


def label_value(text: str) -> str | None:
    """The error of a label value that can never be valid."""
    return None if is_text(text) else f"{go_quote(text)} is not a valid label value"


@dataclass(frozen=True, kw_only=True)
class StaticConfig(SdConfig):
    """One group of fixed targets."""

    yaml_type: ClassVar[str] = (
        'struct { Targets []string "yaml:\\"targets\\""; Labels model.LabelSet "yaml:\\"labels\\"" }'
    )

    targets: tuple[str, ...] = setting(Listed(Text()), (), shown=Shown.ALWAYS)
    labels: tuple[tuple[str, str], ...] = setting(Mapped(Text(), "model.LabelSet", label_name), ())

    def discovery_options(self) -> Mapping[str, object]:
        """One group."""
        return {"targets": self.targets, "labels": dict(self.labels)}


def refuse_bad_targets(groups: Sequence[StaticConfig], *, relabeled: bool) -> None:
    """Raise UserError for groups that are out of bounds, and for addresses that are URLs and are not `relabeled`."""
    _refuse_unbounded(groups)
    if relabeled:
        return
    for group in groups:
        for target in group.targets:
            if "/" in target:
                raise group.refuse("targets", f"{go_quote(target)} is not a valid hostname")


def _refuse_unbounded(groups: Sequence[StaticConfig]) -> None:
    """Raise UserError for more targets than one discovery may have, or labels that no target may have."""
    total = 0
    for group in groups:
        total += len(group.targets)
        if total > limits.TARGETS_PER_PUBLISH_MAX:
            most = limits.TARGETS_PER_PUBLISH_MAX
            targets = sum(len(other.targets) for other in groups)
            raise group.refuse("targets", f"{targets} targets in static_configs exceed the limit of {most}")
        if len(group.labels) > limits.LABELS_PER_SERIES_MAX:
            most = limits.LABELS_PER_SERIES_MAX
            raise group.refuse("labels", f"{len(group.labels)} labels exceed the limit of {most}")
        for name, value in group.labels:
            for what, text, most in (
                ("name", name, limits.LABEL_NAME_BYTES_MAX),
                ("value", value, limits.LABEL_VALUE_BYTES_MAX),
            ):
                if len(text) > most:
                    shown = f"{name[:50]}..." if len(name) > 50 else name
                    message = f"the {what} of label {go_quote(shown)} has {len(text)} characters, at most {most} are allowed"
                    raise group.refuse("labels", message)
        for target in group.targets:
            if len(target) > limits.LABEL_VALUE_BYTES_MAX:
                most = limits.LABEL_VALUE_BYTES_MAX
                raise group.refuse(
                    "targets", f"an address has {len(target)} characters, at most {most} are allowed"
                )
