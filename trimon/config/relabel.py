"""Relabel rules as configured. The engine that applies them is `trimon.model.relabel`."""

from __future__ import annotations

import re
from typing import ClassVar, Final

from trimon.config.discovery import label_name
from trimon.config.kinds import Listed, Text, Whole
from trimon.config.model import Model, Shown, setting
from trimon.errors import UserError
from trimon.gotext.strings import go_quote
from trimon.model.labels import is_legacy_label_name
from trimon.model.matcher import anchored, compile_regexp
from trimon.records import dataclass

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
_PLAIN: Final = frozenset(("lowercase", "uppercase", "keepequal", "dropequal"))
"""Actions that take the target label as it is and no replacement."""
DEFAULT_REGEX: Final = "(.*)"
# A name of the legacy alphabet that may hold references to groups.
_LEGACY_TEMPLATE = re.compile(r"(?:[a-zA-Z_]|\$(?:\w+|\{\w+\}))(?:\w|\$(?:\w+|\{\w+\}))*", re.ASCII)


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

    source_labels: tuple[str, ...] = setting(
        Listed(Text(label_name), "model.LabelNames", in_one_line=True), ()
    )
    separator: str = setting(Text(), ";", shown=Shown.ALWAYS)
    regex: str = setting(Text(_regexp), DEFAULT_REGEX, shown=Shown.GIVEN)
    modulus: int = setting(Whole(0, 2**64 - 1, "uint64"), 0)
    target_label: str = setting(Text(), "")
    replacement: str = setting(Text(), "$1", shown=Shown.ALWAYS)
    action: str = setting(Text(), "replace")

    def check(self) -> None:
        """The action is known."""
        object.__setattr__(self, "action", self.action.lower())
        if self.action and self.action not in ACTIONS:
            raise self.refuse("action", f"unknown relabel action {go_quote(self.action)}")

    def validate(self, *, legacy: bool) -> None:
        """The rules of each action, names under the validation scheme of the job: with `legacy`, ASCII identifiers.

        Raises UserError.
        """
        action = self.action
        if not action:
            raise self.refuse("action", "relabel action cannot be empty")
        if action == "hashmod" and not self.modulus:
            raise self.refuse("modulus", "relabel configuration for hashmod requires non-zero modulus")
        if action in _TARGETED:
            self._check_target(legacy=legacy)
        if action in _PLAIN and self.replacement != "$1":
            raise self.refuse("replacement", f"'replacement' can not be set for {action} action")
        if action == "labelmap" and not _is_template(self.replacement, legacy=legacy):
            raise self.refuse(
                "replacement", f"{go_quote(self.replacement)} is invalid 'replacement' for {action} action"
            )
        if action in ("keepequal", "dropequal") and self._differs("regex", "modulus", "separator"):
            raise self.refuse(
                "",
                f"{action} action requires only 'source_labels' and `target_label`, and no other fields",
            )
        if action in ("labeldrop", "labelkeep") and self._differs(
            "source_labels", "target_label", "modulus", "separator", "replacement"
        ):
            raise self.refuse("", f"{action} action requires only 'regex', and no other fields")

    def _check_target(self, *, legacy: bool) -> None:
        if not self.target_label:
            raise self.refuse(
                "target_label",
                f"relabel configuration for {self.action} action requires 'target_label' value",
            )
        template = self.action == "replace"
        good = (
            _is_template(self.target_label, legacy=legacy)
            if template
            else not legacy or is_legacy_label_name(self.target_label)
        )
        if not good:
            raise self.refuse(
                "target_label",
                f"{go_quote(self.target_label)} is invalid 'target_label' for {self.action} action",
            )

    def _differs(self, *names: str) -> bool:
        defaults = _DEFAULTS
        return any(getattr(self, name) != getattr(defaults, name) for name in names)


def _is_template(text: str, *, legacy: bool) -> bool:
    """Whether a text with references to groups can become a label name."""
    return _LEGACY_TEMPLATE.fullmatch(text) is not None if legacy else bool(text)


_DEFAULTS: Final = RelabelConfig()
