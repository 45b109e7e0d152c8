"""`trimon_sd_configs`: targets from a Python object of somebody else."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import ClassVar

from trimon.config.discovery.source import SdConfig
from trimon.config.http import HttpClient
from trimon.config.kinds import Text
from trimon.config.model import Source, setting
from trimon.config.secret import MASK, looks_secret
from trimon.config.yaml.tree import Node, Shape
from trimon.records import dataclass
from trimon.redaction import REDACTOR, redacted, shown_url


class PluginOptions(Mapping[str, object]):
    """The options of a plug-in as the file has them: plain values, compared by value, secrets not printed."""

    __slots__ = ("_canonical", "_values")

    def __init__(self, values: Mapping[str, object] | None = None) -> None:
        self._values = dict(values or {})
        self._canonical = json.dumps(self._values, sort_keys=True)
        _remember("", self._values)

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
        """The values, with those masked whose name looks like a secret, and passwords in URLs."""
        return masked_fields(self._values)


def _remember(name: str, value: object) -> None:
    """Tells the redactor what the options hold of secrets, at any depth."""
    if isinstance(value, dict):
        for key, inner in value.items():
            _remember(str(key), inner)
    elif isinstance(value, list):
        for inner in value:
            _remember(name, inner)
    elif isinstance(value, str):
        REDACTOR.add_url(value)
        if looks_secret(name):
            REDACTOR.add(value)


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
    return redacted(shown_url(value)) if isinstance(value, str) else value


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
