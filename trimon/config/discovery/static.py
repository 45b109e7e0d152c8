"""`static_configs`: fixed targets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from trimon.config.discovery.source import SdConfig
from trimon.config.kinds import Listed, Mapped, Text, is_text
from trimon.config.model import Shown, setting
from trimon.gotext.strings import go_quote


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
