"""From discovered labels to a target: what to scrape, when, and under which labels."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote_plus

from trimon.errors import UserError
from trimon.model.labels import INSTANCE_LABEL, JOB_LABEL, Labels, labels_of
from trimon.scrape.options import PoolOptions
from trimon.units import format_duration, parse_duration_ms

_ADDRESS = "__address__"
_SCHEME = "__scheme__"
_PATH = "__metrics_path__"
_INTERVAL = "__scrape_interval__"
_TIMEOUT = "__scrape_timeout__"
_PARAM = "__param_"
# Ten slots a second would be cheaper still, but their bursts would be felt by queries.
SLOT_MS = 50


@dataclass(frozen=True, slots=True)
class Target:
    """One endpoint of a job. Equal targets are the same target; `key` is stable over restarts."""

    job: str
    labels: Labels
    url: str
    interval_ms: int
    timeout_ms: int
    discovered: Labels
    key: str

    @property
    def group(self) -> str:
        """Name of its scrape group in storage."""
        return f"scrape/{self.job}/{self.key}"

    def offset_ms(self, seed: int) -> int:
        """Its phase in the interval: spreads the targets of a pool, and the servers of a fleet, evenly.

        Phases are multiples of a slot. Targets of one slot are scraped one right after the other, which costs
        less than as many scrapes on their own: one wake-up, one log write, and code that is still in the cache.
        """
        slot_ms = min(SLOT_MS, self.interval_ms)
        return (int(self.key, 16) ^ seed) % self.interval_ms // slot_ms * slot_ms


@dataclass(frozen=True, slots=True)
class DroppedTarget:
    """A discovered target that relabeling dropped."""

    job: str
    discovered: Labels


def schedule_seed(host: str, external_labels: Labels) -> int:
    """The seed of `Target.offset_ms`, from the host's name and the external labels."""
    text = host + repr(external_labels)
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")


def build_target(discovered: Mapping[str, str], options: PoolOptions) -> Target | DroppedTarget:
    """Applies defaults and relabeling to what discovery found. Raises UserError with Prometheus' wording."""
    labels = {
        JOB_LABEL: options.job,
        _SCHEME: options.scheme,
        _PATH: options.metrics_path,
        _INTERVAL: format_duration(options.interval_ms),
        _TIMEOUT: format_duration(options.timeout_ms),
    }
    labels |= {_PARAM + name: values[0] for name, values in options.params if values}
    labels = {**labels, **{name: value for name, value in discovered.items() if value}}
    before = labels_of(labels)
    if not options.relabeling.apply(labels):
        return DroppedTarget(options.job, before)
    if not any(not name.startswith("__") for name in labels):
        return DroppedTarget(options.job, before)
    address = labels.get(_ADDRESS, "")
    if not address:
        raise UserError("no address")
    if "/" in address:
        raise UserError(f'"{address}" is not a valid hostname')
    interval_ms = _duration(labels, _INTERVAL, "interval")
    timeout_ms = _duration(labels, _TIMEOUT, "timeout")
    if timeout_ms > interval_ms:
        raise UserError(
            f'scrape timeout cannot be greater than scrape interval ("{labels[_TIMEOUT]}" > "{labels[_INTERVAL]}")'
        )
    url = _url(labels, options)
    labels.setdefault(INSTANCE_LABEL, address)
    final = labels_of({name: value for name, value in labels.items() if not name.startswith("__")})
    identity = repr((final, url)).encode()
    key = hashlib.blake2b(identity, digest_size=8).hexdigest()
    return Target(options.job, final, url, interval_ms, timeout_ms, before, key)


def _duration(labels: Mapping[str, str], label: str, what: str) -> int:
    try:
        duration_ms = parse_duration_ms(labels.get(label, ""))
    except UserError as error:
        raise UserError(f"error parsing scrape {what}: {error}") from None
    if duration_ms == 0:
        raise UserError(f"scrape {what} cannot be 0")
    return duration_ms


def _url(labels: Mapping[str, str], options: PoolOptions) -> str:
    params = {name: list(values) for name, values in options.params}
    for label, value in labels.items():
        if label.startswith(_PARAM):
            name = label.removeprefix(_PARAM)
            params[name] = [value, *params.get(name, [])[1:]]
    query = "&".join(
        f"{quote_plus(name)}={quote_plus(value)}" for name in sorted(params) for value in params[name]
    )
    scheme = labels.get(_SCHEME) or "http"
    path = labels.get(_PATH) or "/metrics"
    if not path.startswith("/"):
        path = "/" + path
    return f"{scheme}://{labels[_ADDRESS]}{path}" + (f"?{query}" if query else "")
