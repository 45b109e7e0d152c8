"""Finding discoveries by name: built-in ones, entry points of installed packages, `module:attribute`."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Final, cast

from trimon.config.discovery import FileSdConfig, PluginSdConfig, StaticConfig
from trimon.config.load import Config
from trimon.config.plan import Provider
from trimon.discovery.plugin import Factory
from trimon.errors import UserError

GROUP: Final = "trimon.discovery"

# They go through the same door as everybody's: a reference that is imported when it is needed.
BUILT_IN: Final[Mapping[str, str]] = {
    "static": "trimon.discovery.static:StaticDiscovery",
    "file": "trimon.discovery.file:FileDiscovery",
}


@dataclass(frozen=True, slots=True)
class PluginInfo:
    """One discovery that can be named in the configuration."""

    name: str
    kind: str
    """`built-in`, `entry-point` or `module`."""
    reference: str
    """`module:attribute`."""
    distribution: str = ""
    version: str = ""
    error: str = ""
    """Why it could not be loaded, when that was tried."""


def _installed() -> Iterable[EntryPoint]:
    return entry_points(group=GROUP)


class Registry:
    """The discoveries of this installation. Loading is remembered; a failure is tried again."""

    def __init__(self, installed: Callable[[], Iterable[EntryPoint]] = _installed) -> None:
        self._known: dict[str, PluginInfo] = {
            name: PluginInfo(name, "built-in", reference, "trimon") for name, reference in BUILT_IN.items()
        }
        for point in installed():
            if point.name in self._known:
                continue  # nobody takes the place of a built-in, and of two of a name the first counts
            distribution = point.dist
            self._known[point.name] = PluginInfo(
                point.name,
                "entry-point",
                point.value.partition("[")[0].strip(),
                distribution.name if distribution is not None else "",
                distribution.version if distribution is not None else "",
            )
        self._loaded: dict[str, Factory] = {}

    def factory(self, name: str) -> Factory:
        """The factory of a name; imports it the first time. Raises UserError."""
        loaded = self._loaded.get(name)
        if loaded is not None:
            return loaded
        info = self._known.get(name)
        if info is None:
            if ":" not in name:
                there = ", ".join(sorted(self._known))
                raise UserError(
                    f'discovery plug-in "{name}" not found; there are: {there}; or module:attribute'
                )
            info = PluginInfo(name, "module", name)
        try:
            loaded = _load(info.reference)
        except UserError as error:
            self._known[name] = PluginInfo(
                info.name, info.kind, info.reference, info.distribution, info.version, error.message
            )
            raise
        self._known[name] = PluginInfo(info.name, info.kind, info.reference, info.distribution, info.version)
        self._loaded[name] = loaded
        return loaded

    def listing(self) -> list[PluginInfo]:
        """All that were found or asked for, built-in ones first, then by name."""
        return sorted(self._known.values(), key=lambda info: (info.kind != "built-in", info.name))


def _load(reference: str) -> Factory:
    module_name, _, attribute = reference.partition(":")
    try:
        found: object = importlib.import_module(module_name.strip())
        for part in attribute.strip().split("."):
            found = getattr(found, part)
    except Exception as error:
        raise UserError(f'discovery plug-in "{reference}": {type(error).__name__}: {error}') from error
    if not callable(found):
        raise UserError(
            f'discovery plug-in "{reference}" is a {type(found).__name__}, not something to call with '
            "(options, context)"
        )
    return cast("Factory", found)


def request_of(provider: Provider) -> tuple[str, Mapping[str, object]]:
    """The discovery and its options that a provider of the configuration asks for."""
    first = provider.configs[0]
    match first:
        case StaticConfig():
            groups = [
                {"targets": group.targets, "labels": dict(group.labels)}
                for group in provider.configs
                if isinstance(group, StaticConfig)
            ]
            return "static", {"groups": groups}
        case FileSdConfig():
            return "file", {"files": list(first.files), "refresh_s": first.refresh_interval / 1000}
        case PluginSdConfig():
            return first.plugin, first.options


def check_plugins(config: Config, registry: Registry) -> list[UserError]:
    """An error, with its place, for each plug-in of a configuration that cannot be loaded. Imports them."""
    errors = []
    for job in config.scrape_configs:
        for plugin_sd in job.trimon_sd_configs:
            try:
                registry.factory(plugin_sd.plugin)
            except UserError as error:
                errors.append(UserError(error.message, plugin_sd.place("plugin")))
    return errors
