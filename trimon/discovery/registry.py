"""Finding discoveries by name: built-in ones, entry points of installed packages, `module:attribute`."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from trimon.clock import WallClock
from trimon.config.configuration import Config
from trimon.config.discovery.table import MECHANISMS
from trimon.discovery.calls import PluginCalls
from trimon.discovery.doubles import context_of_doubles
from trimon.discovery.factory import factory_of
from trimon.discovery.modules import (
    FAULTS,
    Stamp,
    described,
    has_changed,
    load_again,
    load_attribute,
    load_past_hanging,
    stamp_of,
)
from trimon.discovery.plugin import Context, Discovery, Factory
from trimon.discovery.providers import Provider, consumer_of, providers_of
from trimon.errors import UserError
from trimon.records import dataclass

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

GROUP: Final = "trimon.discovery"

# They go through the same door as everybody's: a reference that is imported when it is needed.
BUILT_IN: Final[Mapping[str, str]] = {row.name: row.factory for row in MECHANISMS if row.factory}


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


@dataclass(frozen=True, slots=True)
class _Loaded:
    factory: Factory
    stamp: Stamp


def _installed() -> Iterable[EntryPoint]:
    from importlib.metadata import entry_points  # noqa: PLC0415 # plug-ins are looked for after the start, mail and zip come with it

    return entry_points(group=GROUP)


def _found(point: EntryPoint) -> PluginInfo:
    distribution = point.dist
    return PluginInfo(
        point.name,
        "entry-point",
        point.value.partition("[")[0].strip(),
        distribution.name if distribution is not None else "",
        distribution.version if distribution is not None else "",
    )


class Registry:
    """The discoveries of this installation. Loading is remembered; a failure is tried again."""

    def __init__(
        self,
        installed: Callable[[], Iterable[EntryPoint]] = _installed,
        calls: PluginCalls | None = None,
    ) -> None:
        self.calls = calls if calls is not None else PluginCalls()
        self._known: dict[str, PluginInfo] = {
            name: PluginInfo(name, "built-in", reference, "trimon") for name, reference in BUILT_IN.items()
        }
        self._finding = threading.Lock()
        self._installed: Callable[[], Iterable[EntryPoint]] | None = installed
        self._loaded: dict[str, _Loaded] = {}

    def find(self) -> None:
        """Look for what is installed, once: it reads a file of every package, and a start that names none does not wait."""
        with self._finding:
            installed, self._installed = self._installed, None
            for point in installed() if installed is not None else ():
                if (
                    point.name not in self._known
                ):  # nobody takes the place of a built-in, and of two of a name the first counts
                    self._known[point.name] = _found(point)

    def factory(self, name: str) -> Factory:
        """The factory of a name; imports it the first time, which blocks. Raises UserError."""
        loaded = self._loaded.get(name)
        return loaded.factory if loaded is not None else self._load(name, load_attribute)

    def is_built_in(self, name: str) -> bool:
        """Whether a name is one of ours, which is quickly made."""
        return name in BUILT_IN

    def refresh(self, names: Iterable[str]) -> None:
        """Load those anew whose files have changed since they were loaded. Blocks on the disk. Raises UserError."""
        for name in names:
            if name in self._loaded and has_changed(self._loaded[name].stamp):
                self._load(name, load_again)

    def version(self, name: str) -> Stamp:
        """What changes when other code is loaded under a name."""
        loaded = self._loaded.get(name)
        return loaded.stamp if loaded is not None else ()

    def make(self, name: str, options: Mapping[str, object], context: Context) -> Discovery:
        """A discovery that has done nothing yet. Raises UserError when it cannot be loaded or refuses its options.

        It blocks, for as long as a plug-in's constructor may take.
        """
        self.factory(name)
        try:
            return self.made(name, options, context)
        except UserError:
            raise
        except FAULTS as error:
            raise UserError(
                f'discovery "{name}" cannot be made with these options: {described(error)}'
            ) from error

    def made(self, name: str, options: Mapping[str, object], context: Context) -> Discovery:
        """The same, but raises what the constructor raises."""
        factory = self.factory(name)
        if self.is_built_in(name):
            return factory(options, context)
        return self.calls.call(name, "constructor", lambda: factory(options, context))

    def listing(self) -> list[PluginInfo]:
        """All that were found or asked for, built-in ones first, then by name."""
        self.find()
        return sorted(self._known.values(), key=lambda info: (info.kind != "built-in", info.name))

    def _load(self, name: str, load: Callable[[str], object]) -> Factory:
        info = self._info(name)
        if any(call["what"] == "import" for call in self.calls.hanging().get(name, ())):
            load = load_past_hanging
        try:
            if info.kind == "built-in":
                found = load(info.reference)
            else:
                found = self.calls.call(name, "import", lambda: load(info.reference))
            factory = factory_of(info.reference, found)
        except UserError as error:
            self._known[name] = replace(info, error=error.message)
            raise
        self._known[name] = replace(info, error="")
        self._loaded[name] = _Loaded(factory, stamp_of(info.reference))
        return factory

    def _info(self, name: str) -> PluginInfo:
        if name not in self._known:
            self.find()
        info = self._known.get(name)
        if info is None:
            if ":" not in name:
                there = ", ".join(sorted(self._known))
                raise UserError(
                    f'discovery plug-in "{name}" not found; there are: {there}; or module:attribute'
                )
            info = PluginInfo(name, "module", name)
        return info


def check_plugins(config: Config, registry: Registry) -> list[UserError]:
    """An error, with its place, for each discovery of a configuration that cannot be loaded or made.

    Plug-ins whose files have changed are loaded anew. Blocks: imports them, and calls their constructors; one that hangs
    is waited for once, however many jobs name it.
    """
    errors = []
    hang: set[str] = set()
    for provider in providers_of(map(consumer_of, config.scrape_configs)).values():
        name, _ = provider.request()
        # What a built-in discovery finds wrong beyond its model ends that source alone, as in Prometheus.
        if name in hang or registry.is_built_in(name):
            continue
        hung_before = len(registry.calls.hanging().get(name, ()))
        try:
            _check(provider, registry)
        except UserError as error:
            errors.append(error)
            if len(registry.calls.hanging().get(name, ())) > hung_before:
                hang.add(name)
    return errors


def _check(provider: Provider, registry: Registry) -> None:
    name, options = provider.request()
    place = provider.configs[0].place
    of_jobs = "" if registry.is_built_in(name) else f' (job "{", ".join(provider.consumers)}")'
    try:
        registry.refresh([name])
        registry.factory(name)
    except UserError as error:
        raise UserError(error.message + of_jobs, place(provider.configs[0].name_field)) from None
    # A constructor looks at its options and asks nobody; whatever it tries to fetch here is refused.
    context = context_of_doubles(name=provider.key, clock=WallClock())
    try:
        registry.make(name, options, context)
    except UserError as error:
        raise UserError(error.message + of_jobs, place("options")) from None
