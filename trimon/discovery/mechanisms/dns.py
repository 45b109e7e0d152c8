"""Targets in records of the DNS (`dns_sd_configs`): A, AAAA, SRV, MX, NS.

Source: RFC 1035, RFC 2782. Labels: `__meta_dns_name`, `__meta_dns_srv_record_target`, `__meta_dns_srv_record_port`,
`__meta_dns_mx_record_target`, `__meta_dns_ns_record_target`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import dns.exception
import dns.message
import dns.rdatatype as types
import trio

from trimon.config.discovery.dns import DnsSdConfig
from trimon.config.discovery.source import config_option
from trimon.discovery.asking.naming import host_port
from trimon.discovery.asking.record import SourceError
from trimon.discovery.asking.refresh import RefreshDiscovery
from trimon.discovery.plugin import Context, TargetGroup
from trimon.peers.resolver import ResolveError, Resolver

PREFIX: Final = "__meta_dns_"
# So many names are asked for at once.
NAMES_AT_ONCE: Final = 64
# More records than this are looked at in a thread.
_INLINE_RECORDS_MAX: Final = 200


class DnsDiscovery(RefreshDiscovery):
    """Asks for the records of each name; a name is a group.

    Names are independent: one that cannot be resolved keeps the targets it had, and the refresh fails when none can.
    One that does not exist has none.
    """

    def __init__(self, options: Mapping[str, object], context: Context) -> None:
        self._config = config_option(options, DnsSdConfig)
        super().__init__(context, self._config.refresh_interval / 1000)
        self._names = tuple(dict.fromkeys(self._config.names))
        self._kind = self._config.type.upper()
        self._resolver = Resolver(context.offload, self._server_failed)
        self._groups: dict[str, TargetGroup] = {}
        self._errors: dict[str, str] = {}

    async def refresh(self) -> list[TargetGroup]:
        """The groups of all names; what is known of those that cannot be resolved now."""
        limit = trio.CapacityLimiter(NAMES_AT_ONCE)
        self._errors = {}
        async with trio.open_nursery() as nursery:
            for name in self._names:
                nursery.start_soon(self._refresh_one, name, limit)
        if len(self._errors) == len(self._names):
            raise SourceError(next(iter(self._errors.values())))
        return list(self._groups.values())

    def inspect(self) -> Mapping[str, object]:
        """The figures of asking, and why names could not be resolved the last time."""
        return {**super().inspect(), "errors": dict(self._errors)}

    async def _refresh_one(self, name: str, limit: trio.CapacityLimiter) -> None:
        async with limit:
            self.stats.counts["lookups"] += 1
            try:
                answer = await self._resolver.ask(name, self._kind)
            except ResolveError as error:
                self.stats.counts["lookup_failures"] += 1
                self._errors[name] = str(error)
                self.context.log.error("Error refreshing DNS targets", err=str(error))
                return
            if answer is None or sum(map(len, answer.answer)) <= _INLINE_RECORDS_MAX:
                targets = self._targets(name, answer)
            else:
                targets = await self.context.offload.run(lambda: self._targets(name, answer))
            self._groups[name] = TargetGroup(name, targets)

    def _targets(self, name: str, answer: dns.message.Message | None) -> list[dict[str, str]]:
        if answer is None:
            return []
        found = (_address(record, self._config.port) for rrset in answer.answer for record in rrset)
        return [{**labels, f"{PREFIX}name": name} for labels in found if labels]

    def _server_failed(self, server: str, name: str, why: str) -> None:
        self.context.log.warning("DNS resolution failed", server=server, name=name, err=why)


def _address(record: Any, port: int) -> dict[str, str]:
    """The target of a record; none for one of another type, such as the aliases on the way to a name."""
    return dict(_labels(record, port))


def _labels(record: Any, port: int) -> Iterator[tuple[str, str]]:
    kind = record.rdtype
    if kind in (types.A, types.AAAA):
        yield "__address__", host_port(record.address, port)
    elif kind == types.SRV:
        target = record.target.to_text()
        yield "__address__", host_port(target.rstrip("."), record.port)
        yield f"{PREFIX}srv_record_target", target
        yield f"{PREFIX}srv_record_port", str(record.port)
    elif kind in (types.MX, types.NS):
        target = (record.exchange if kind == types.MX else record.target).to_text()
        yield "__address__", host_port(target.rstrip("."), port)
        yield f"{PREFIX}{'mx' if kind == types.MX else 'ns'}_record_target", target
