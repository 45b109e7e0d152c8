"""The section `trimon_receivers`: older ways in which programs push metrics. Ours; each is off unless it is there."""

from __future__ import annotations

import re
from typing import ClassVar, Final

from trimon.config.kinds import DURATION, Listed, Mapped, Number, Of, Pairs, Text, Whole
from trimon.config.model import Model, setting
from trimon.gotext.strings import go_quote
from trimon.model.labels import is_legacy_label_name
from trimon.records import dataclass

_REFERENCE: Final = re.compile(r"\$(?:(\d+)|\{(\d+)\})")
SERIES_MAX: Final = 100_000
_INTERVAL_MS_MIN: Final = 100
_PORT_MAX: Final = 65535


def _address(text: str) -> str | None:
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdigit() or int(port) > _PORT_MAX or ("]" in host) != ("[" in host):
        return f"{go_quote(text)} is no address: host:port is wanted"
    return None


def _label_name(name: str) -> str | None:
    if is_legacy_label_name(name) and not name.startswith("__"):
        return None
    return f"{go_quote(name)} is not a valid label name"


_LABELS: Final = Mapped(Text(), "map[string]string", _label_name)


@dataclass(frozen=True, kw_only=True)
class MappingConfig(Model):
    """From a dotted name to a series: `*` in `match` stands for one part, which `$1`, `$2` ... take up."""

    yaml_type: ClassVar[str] = "config.ReceiverMapping"

    match: str = setting(Text(), "")
    name: str = setting(Text(), "")
    labels: Pairs = setting(_LABELS, ())
    action: str = setting(Text(), "map")

    def check(self) -> None:
        """Both sides are there, and nothing refers to a part that `match` has not."""
        if not self.match:
            raise self.refuse("match", "a mapping needs a match")
        if self.action not in ("map", "drop"):
            raise self.refuse("action", f"unknown action {go_quote(self.action)}: map or drop is wanted")
        if self.action == "map" and not self.name:
            raise self.refuse("name", f"the mapping of {go_quote(self.match)} has no name")
        parts = self.match.count("*")
        for text in (self.name, *(value for _, value in self.labels)):
            for found in _REFERENCE.finditer(text):
                if not 1 <= int(found[1] or found[2]) <= parts:
                    raise self.refuse(
                        "match", f"{go_quote(self.match)} has {parts} parts of *, and {found[0]} is none"
                    )


@dataclass(frozen=True, kw_only=True)
class ListeningConfig(Model):
    """Where lines come in, and what becomes of their names."""

    yaml_type: ClassVar[str] = "config.Receiver"

    listen_address: str = setting(Text(_address), "")
    labels: Pairs = setting(_LABELS, ())
    mappings: tuple[MappingConfig, ...] = setting(Listed(Of(MappingConfig), "[]*config.ReceiverMapping"), ())


@dataclass(frozen=True, kw_only=True)
class GraphiteConfig(ListeningConfig):
    """Graphite's lines of text, over TCP and UDP."""

    section: ClassVar[str] = "graphite"
    yaml_type: ClassVar[str] = "config.GraphiteReceiver"

    listen_address: str = setting(Text(_address), "127.0.0.1:2003")


@dataclass(frozen=True, kw_only=True)
class StatsdConfig(ListeningConfig):
    """StatsD's lines, over UDP and TCP: what they count is stored every `flush_interval`."""

    section: ClassVar[str] = "statsd"
    yaml_type: ClassVar[str] = "config.StatsdReceiver"

    listen_address: str = setting(Text(_address), "127.0.0.1:8125")
    flush_interval: int = setting(DURATION, 10_000)
    ttl: int = setting(DURATION, 300_000)
    timer_buckets: tuple[float, ...] = setting(Listed(Number(), "[]float64"), ())
    series_max: int = setting(Whole(1), SERIES_MAX)

    def check(self) -> None:
        """Intervals are some, buckets ascend."""
        if self.flush_interval <= 0:
            raise self.refuse("flush_interval", "flush_interval must be greater than 0")
        if self.ttl and self.ttl < self.flush_interval:
            raise self.refuse("ttl", "ttl must not be less than flush_interval, but for 0, which is for ever")
        if list(self.timer_buckets) != sorted(set(self.timer_buckets)):
            raise self.refuse("timer_buckets", "timer_buckets must ascend")


@dataclass(frozen=True, kw_only=True)
class InfluxConfig(Model):
    """InfluxDB's line protocol, under `/influx` of the server's own HTTP."""

    section: ClassVar[str] = "influx"
    yaml_type: ClassVar[str] = "config.InfluxReceiver"

    labels: Pairs = setting(_LABELS, ())


@dataclass(frozen=True, kw_only=True)
class PushgatewayConfig(Model):
    """What batch jobs push, under `/metrics/job/` of the server's own HTTP."""

    section: ClassVar[str] = "pushgateway"
    yaml_type: ClassVar[str] = "config.PushgatewayReceiver"

    interval: int = setting(DURATION, 15_000)
    ttl: int = setting(DURATION, 86_400_000)
    series_max: int = setting(Whole(1), SERIES_MAX)

    def check(self) -> None:
        """Intervals are some."""
        if self.interval < _INTERVAL_MS_MIN:
            raise self.refuse("interval", "interval must be at least 100ms")
        if self.ttl and self.ttl < self.interval:
            raise self.refuse("ttl", "ttl must not be less than interval, but for 0, which is for ever")


@dataclass(frozen=True, kw_only=True)
class ReceiversConfig(Model):
    """Everything under `trimon_receivers`; None: not received."""

    section: ClassVar[str] = "trimon_receivers"
    yaml_type: ClassVar[str] = "config.ReceiversConfig"

    graphite: GraphiteConfig | None = setting(Of(GraphiteConfig))
    statsd: StatsdConfig | None = setting(Of(StatsdConfig))
    influx: InfluxConfig | None = setting(Of(InfluxConfig))
    pushgateway: PushgatewayConfig | None = setting(Of(PushgatewayConfig))
