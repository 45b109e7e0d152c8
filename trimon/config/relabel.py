"""Relabel rules as configured. The engine that applies them is `trimon.scrape.relabel`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import ClassVar, Final

from trimon.config.kinds import Listed, Text, Whole, quoted
from trimon.config.model import Model, setting
from trimon.errors import UserError
from trimon.model.labels import is_legacy_label_name
from trimon.model.matcher import anchored, compile_regexp

ACTIONS: Final = (
    "replace",
    "keep",
    "drop",
    "keepequal",
    "dropequal",
    "hashmod",
    "labelmap",
    "labeldrop",
    "labelkeep",
    "lowercase",
    "uppercase",
)
_TARGETED: Final = frozenset(("replace", "hashmod", "lowercase", "uppercase", "keepequal", "dropequal"))
_CASED: Final = frozenset(("lowercase", "uppercase", "keepequal", "dropequal"))
_REFERENCE = re.compile(r"\$(?:\$|\w+|\{\w+\})", re.ASCII)


def _regexp(text: str) -> str | None:
    try:
        compile_regexp(anchored(text))
    except UserError as error:
        return error.message
    return None


@dataclass(frozen=True, kw_only=True)
class RelabelConfig(Model):
    """One rule; `action` is in lower case."""

    yaml_type: ClassVar[str] = "relabel.plain"

    source_labels: tuple[str, ...] = setting(Listed(Text(), "model.LabelNames"), ())
    separator: str = setting(Text(), ";", omit_empty=False)
    regex: str = setting(Text(_regexp), "(.*)", omit_empty=False)
    modulus: int = setting(Whole(0, 2**64 - 1, "uint64"), 0)
    target_label: str = setting(Text(), "")
    replacement: str = setting(Text(), "$1", omit_empty=False)
    action: str = setting(Text(), "replace")

    def check(self) -> None:
        """The rules of each action."""
        object.__setattr__(self, "action", self.action.lower())
        action = self.action
        if action not in ACTIONS:
            raise self.refuse("action", f"unknown relabel action {quoted(action)}")
        if action == "hashmod" and not self.modulus:
            raise self.refuse("modulus", "relabel configuration for hashmod requires non-zero modulus")
        if action in _TARGETED and not self.target_label:
            raise self.refuse(
                "target_label", f"relabel configuration for {action} action requires 'target_label' value"
            )
        if action in _CASED and self.replacement != "$1":
            raise self.refuse("replacement", f"'replacement' can not be set for {action} action")
        if action in ("keepequal", "dropequal") and self._differs("regex", "modulus", "separator"):
            raise self.refuse(
                "",
                f"{action} action requires only 'source_labels' and `target_label`, and no other fields",
            )
        if action in ("labeldrop", "labelkeep") and self._differs(
            "source_labels", "target_label", "modulus", "separator", "replacement"
        ):
            raise self.refuse("", f"{action} action requires only 'regex', and no other fields")
        if action == "labelmap" and not _REFERENCE.sub("", self.replacement + "_"):
            raise self.refuse(
                "replacement", f"{quoted(self.replacement)} is invalid 'replacement' for {action} action"
            )

    def _differs(self, *names: str) -> bool:
        defaults = _DEFAULTS
        return any(getattr(self, name) != getattr(defaults, name) for name in names)

    def check_names(self, *, legacy: bool) -> None:
        """Label names under the validation scheme of the job: with `legacy`, ASCII identifiers only."""
        if not legacy:
            return
        target = _REFERENCE.sub("", self.target_label)
        if self.action in _TARGETED and target and not is_legacy_label_name("_" + target):
            raise self.refuse(
                "target_label",
                f"{quoted(self.target_label)} is invalid 'target_label' for {self.action} action",
            )
        for name in self.source_labels:
            if not is_legacy_label_name(name):
                raise self.refuse("source_labels", f"{quoted(name)} is not a valid label name")


_DEFAULTS: Final = RelabelConfig()
