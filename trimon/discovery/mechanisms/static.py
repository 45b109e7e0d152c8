"""Fixed targets: what `static_configs` lists."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from trimon.discovery.plugin import Context, Sink, TargetGroup
from trimon.errors import UserError


class StaticDiscovery:
    """Publishes its groups once; the source of a group is its place in the list.

    Option `groups`: a list of `{targets: [address, ...], labels: {name: value}}`.
    """

    def __init__(self, options: Mapping[str, object], context: Context) -> None:
        groups = options.get("groups")
        if not isinstance(groups, Sequence) or isinstance(groups, str):
            raise UserError(f"{context.name}: option groups is a list of target groups")
        self._groups = [
            TargetGroup.of_addresses(str(index), group["targets"], group.get("labels", {}))
            for index, group in enumerate(groups)
        ]

    async def run(self, sink: Sink) -> None:
        """Publish, and be done."""
        sink.publish(self._groups)
