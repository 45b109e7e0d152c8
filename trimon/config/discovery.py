"""Discovery as configured: where the targets of a job come from."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar, Final

from trimon.config.http import HttpClient
from trimon.config.kinds import DURATION, FilePath, Listed, Mapped, Text, is_text
from trimon.config.model import Model, Shown, Source, setting
from trimon.config.secret import MASK, looks_secret
from trimon.config.yamltree import Node, Shape
from trimon.gotext.strings import go_quote

_FILE_PATTERN: Final = re.compile(r"[^*]*(?:\*[^/]*)?\.(?:json|yml|yaml|JSON|YML|YAML)")


def label_name(text: str) -> str | None:
    """The error of a label name that can never be valid."""
    return None if text and is_text(text) else f"{go_quote(text)} is not a valid label name"


def label_value(text: str) -> str | None:
    """The error of a label value that can never be valid."""
    return None if is_text(text) else f"{go_quote(text)} is not a valid label value"


@dataclass(frozen=True, kw_only=True)
class SdConfig(Model):
    """One source of targets."""

    name_field: ClassVar[str] = ""
    """The field that names the discovery, where the mechanism does not."""

    def named_discovery(self) -> str:
        """The discovery that the configuration names; empty where the mechanism says which it is."""
        return ""

    def discovery_options(self) -> Mapping[str, object]:
        """What its discovery is given; secrets keep their type."""
        raise NotImplementedError


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


def _file_pattern(text: str) -> str | None:
    if _FILE_PATTERN.fullmatch(text):
        return None
    return f"path name {go_quote(text)} is not valid for file discovery"


@dataclass(frozen=True, kw_only=True)
class FileSdConfig(SdConfig):
    """Targets in files that somebody else writes."""

    yaml_type: ClassVar[str] = "file.plain"

    files: tuple[str, ...] = setting(Listed(FilePath(_file_pattern)), ())
    refresh_interval: int = setting(DURATION, 300_000)

    def check(self) -> None:
        """There is at least one file."""
        if not self.files:
            raise self.refuse("files", "file service discovery config must contain at least one path name")
        if self.refresh_interval <= 0:
            raise self.refuse("refresh_interval", "refresh_interval must be greater than 0")

    def discovery_options(self) -> Mapping[str, object]:
        """Patterns, and seconds between two readings."""
        return {"files": list(self.files), "refresh_s": self.refresh_interval / 1000}


class PluginOptions(Mapping[str, object]):
    """The options of a plug-in as the file has them: plain values, compared by value, secrets not printed."""

    __slots__ = ("_canonical", "_values")

    def __init__(self, values: Mapping[str, object] | None = None) -> None:
        self._values = dict(values or {})
        self._canonical = json.dumps(self._values, sort_keys=True)

    def __getitem__(self, name: str) -> object:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, PluginOptions):
            return NotImplemented
        return self._canonical == other._canonical

    def __hash__(self) -> int:
        return hash(self._canonical)

    def __repr__(self) -> str:
        return f"PluginOptions({self.shown()!r})"

    def canonical(self) -> str:
        """All values in one text, secrets included: for digests only."""
        return self._canonical

    def shown(self) -> dict[str, object]:
        """The values, with those masked whose name looks like a secret."""
        return masked_fields(self._values)


def masked_fields(fields: Mapping[str, object]) -> dict[str, object]:
    """Plain fields with the values masked whose name looks like a secret, at any depth."""
    return {str(name): _masked(str(name), value) for name, value in fields.items()}


def _masked(name: str, value: object) -> object:
    if looks_secret(name) and value not in (None, "", [], {}):
        return MASK
    if isinstance(value, dict):
        return masked_fields(value)
    if isinstance(value, list):
        return [_masked("", each) for each in value]
    return value


@dataclass(frozen=True, slots=True)
class _Options:
    """A mapping of any shape."""

    def read(self, node: Node, source: Source) -> PluginOptions:
        """The options."""
        if node.shape is not Shape.MAP:
            source.document.mismatch(node, "map[string]any")
        values = source.document.plain(node)
        assert isinstance(values, dict)
        return PluginOptions(values)

    def zero(self) -> PluginOptions:
        """No options."""
        return PluginOptions()

    def show(self, value: PluginOptions) -> object:
        """The options, masked."""
        return value.shown()


@dataclass(frozen=True, kw_only=True)
class PluginSdConfig(HttpClient, SdConfig):
    """Targets from a Python object: `plugin` is an entry point's name or `module:attribute`.

    The HTTP block is for its `context.fetch`.
    """

    yaml_type: ClassVar[str] = "trimon.PluginSDConfig"
    name_field: ClassVar[str] = "plugin"

    plugin: str = setting(Text(), "")
    options: PluginOptions = setting(_Options(), PluginOptions())

    def check(self) -> None:
        """The plug-in is named."""
        HttpClient.check(self)
        if not self.plugin.strip():
            raise self.refuse("plugin", "plugin is missing: an entry point's name or module:attribute")

    def named_discovery(self) -> str:
        """The plug-in."""
        return self.plugin

    def discovery_options(self) -> Mapping[str, object]:
        """As the file has them."""
        return self.options
