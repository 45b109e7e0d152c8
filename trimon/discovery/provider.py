"""One provider at work: makes the discovery, runs it against a sink, tells what it does."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from inspect import iscoroutine
from typing import Final

import trio

from trimon.config.discovery import PluginOptions, masked_fields
from trimon.discovery.mask import LabelMask
from trimon.discovery.modules import FAULTS, described
from trimon.discovery.plugin import Context, Discovery
from trimon.discovery.providers import Provider
from trimon.discovery.registry import Registry
from trimon.discovery.sink import BadPublish, CheckedSink, Receiver, SinkStats
from trimon.offload import Offload

# Closing a kept connection is quick; a peer that hangs must not hold a stop up.
CLOSE_S: Final = 1.0


class ProviderRun:
    """One life of a provider: an object with `run` and `inspect`, made anew for each start, with its context.

    Crashes when the discovery raises or breaks the contract; what it said last stays in the receiver.
    """

    def __init__(
        self,
        provider: Provider,
        registry: Registry,
        receiver: Receiver,
        context: Context,
        mask: LabelMask | None = None,
        making: Offload | None = None,
    ) -> None:
        self.provider = provider
        """As it is configured now; consumers may join and leave while it runs."""
        self.metric_name = "+".join(provider.consumers)
        """What metrics call it as long as it runs, whoever joins or leaves."""
        self.crashes = 0
        self._registry = registry
        self._context = context
        self._mask = mask
        self._making = making if making is not None else context.offload
        self._name, self._options = provider.request()
        self._sink = CheckedSink(provider.key, receiver, context.clock)
        self._discovery: Discovery | None = None
        self._published_before_ms = self._succeeded_before_ms = 0

    def follow(self, earlier: ProviderRun) -> None:
        """Say when things went well last in an earlier run, as long as they have not in this one."""
        self._published_before_ms = earlier.last_publish_ms
        self._succeeded_before_ms = earlier.last_success_ms(earlier.own_fields())

    @property
    def consumers(self) -> tuple[str, ...]:
        """Who uses it now."""
        return self.provider.consumers

    @property
    def last_publish_ms(self) -> int:
        """When it published last, in an earlier run if it has not in this one; 0 for never."""
        return self._sink.stats.last_ms or self._published_before_ms

    def last_success_ms(self, own: Mapping[str, object]) -> int:
        """When its source answered last: what the discovery says of it, in `own`, else the last publish; 0 for never."""
        told = own.get("last_success_ms", self._sink.stats.last_ms)
        return (told if isinstance(told, int) else 0) or self._succeeded_before_ms

    @property
    def plugin(self) -> str:
        """Name of the discovery."""
        return self._name

    @property
    def stats(self) -> SinkStats:
        """What it published."""
        return self._sink.stats

    def own_fields(self) -> Mapping[str, object]:
        """The fields of the discovery's own `inspect`, if it has one; not masked. Never raises."""
        try:
            inspect = getattr(self._discovery, "inspect", None)
            own = inspect() if callable(inspect) else None
            if iscoroutine(own):
                own.close()
                return {"inspect_failed": "inspect is async; it has to answer at once"}
            return dict(own) if isinstance(own, Mapping) else {}
        except FAULTS as error:
            return {"inspect_failed": described(error)}

    async def run(self) -> None:
        """Make the discovery and run it. Raises what it raises, UserError when it cannot be made."""
        try:
            self._discovery = await self._make()
            names = getattr(self._discovery, "secret_labels", ())
            if self._mask is not None and isinstance(names, Iterable) and not isinstance(names, str):
                self._mask.add(str(name) for name in names)
            await self._discovery.run(self._sink)
            if not self._sink.published:
                raise BadPublish(f"{self._name} returned without a publish")
        except trio.Cancelled:
            raise
        except FAULTS:
            self.crashes += 1
            raise
        finally:
            with trio.move_on_after(CLOSE_S, shield=True):
                await self._context.fetch.aclose()

    async def _make(self) -> Discovery:
        """The discovery; what is not ours is made in a thread, since its constructor may take its time."""
        if self._registry.is_built_in(self._name):
            return self._registry.made(self._name, self._options, self._context)
        return await self._making.run(lambda: self._registry.made(self._name, self._options, self._context))

    def inspect(self) -> Mapping[str, object]:
        """What it is, for whom, what it found; and the fields of the discovery's own `inspect`, if it has one."""
        stats = self._sink.stats
        fields: dict[str, object] = {
            "plugin": self._name,
            "name": self.provider.name,
            "jobs": list(self.consumers),
            "published": self._sink.published,
            "publishes": stats.publishes,
            "unchanged": stats.unchanged,
            "groups": stats.groups,
            "targets": stats.targets,
            "last_publish_ms": self.last_publish_ms,
        }
        if isinstance(self._options, PluginOptions):
            fields["options"] = self._options.shown()
        if own := self.own_fields():
            fields["fields"] = masked_fields(own)
        return fields
