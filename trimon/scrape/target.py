"""From discovered labels to a target: what to scrape, when, and under which labels."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import field
from typing import Final
from urllib.parse import quote, quote_plus

from trimon.errors import UserError
from trimon.gotext.strings import go_quote
from trimon.model.labels import INSTANCE_LABEL, JOB_LABEL, Labels, labels_of
from trimon.records import dataclass
from trimon.redaction import REDACTOR, shown_url
from trimon.scrape.options import PoolOptions
from trimon.units import format_duration, parse_duration_ms

_ADDRESS = "__address__"
_SCHEME = "__scheme__"
_PATH = "__metrics_path__"
_INTERVAL = "__scrape_interval__"
_TIMEOUT = "__scrape_timeout__"
_PARAM = "__param_"
_UNIX_SOCKET = "__unix_socket__"
_TO_NHCB = "__convert_classic_histograms_to_nhcb__"
_ALWAYS_CLASSIC = "__always_scrape_classic_histograms__"
_NATIVE = "__scrape_native_histograms__"
# Per target what a job says of histograms, with the words of errors about it.
HISTOGRAM_LABELS: Final = {
    _TO_NHCB: "convert classic histograms to nhcb",
    _ALWAYS_CLASSIC: "always scrape classic histograms",
    _NATIVE: "scrape native histograms",
}
_BOOLEANS: Final = {
    **dict.fromkeys(("1", "t", "T", "TRUE", "true", "True"), True),
    **dict.fromkeys(("0", "f", "F", "FALSE", "false", "False"), False),
}
# What a host, and a path, may hold as they are, beside letters and digits.
_HOST_SAFE: Final = "!$&'()*+,;=:[]<>\"-_.~"
_PATH_SAFE: Final = "/$&+,:;=@-_.~"
# Ten slots a second would be cheaper still, but their bursts would be felt by queries.
SLOT_MS = 50


@dataclass(frozen=True, slots=True)
class Target:
    """One endpoint of a job. Equal targets are the same target; `key` is stable over restarts.

    Labels that it was discovered with and that relabeling left out do not count: an annotation of a pod that changes is no
    reason to begin anew.
    """

    job: str
    labels: Labels
    url: str
    interval_ms: int
    timeout_ms: int
    discovered: Labels = field(compare=False)
    key: str
    unix_socket: str = ""
    """Where to connect instead of to the host of the URL."""
    native_histograms: bool = False
    always_classic_histograms: bool = False
    convert_classic_histograms: bool = False

    @property
    def shown_url(self) -> str:
        """Its URL for people: no password, no parameters that look like secrets."""
        return shown_url(self.url)

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
    of_job = {
        _TO_NHCB: options.convert_classic_histograms,
        _ALWAYS_CLASSIC: options.always_classic_histograms,
        _NATIVE: options.native_histograms,
    }
    labels |= {label: "true" if asked else "false" for label, asked in of_job.items()}
    labels |= {_PARAM + name: values[0] for name, values in options.params if values}
    labels = {**labels, **{name: value for name, value in discovered.items() if value}}
    before = labels_of(labels)
    if not options.relabeling.apply(labels):
        return DroppedTarget(options.job, before)
    address = labels.get(_ADDRESS, "")
    if not address:
        raise UserError("no address")
    if not any(not name.startswith("__") for name in labels):
        return DroppedTarget(options.job, before)
    if "/" in address:
        raise UserError(f'"{address}" is not a valid hostname')
    interval_ms = _duration(labels, _INTERVAL, "interval")
    timeout_ms = _duration(labels, _TIMEOUT, "timeout")
    if timeout_ms > interval_ms:
        raise UserError(
            f'scrape timeout cannot be greater than scrape interval ("{labels[_TIMEOUT]}" > "{labels[_INTERVAL]}")'
        )
    histograms = {label: _boolean(labels, label) for label in HISTOGRAM_LABELS}
    url = _url(labels, options)
    if "@" in address:
        REDACTOR.add_url(address)
    if "=" in url:
        REDACTOR.add_url(url)
    labels.setdefault(INSTANCE_LABEL, address)
    unix_socket = labels.get(_UNIX_SOCKET, "")
    final = labels_of({name: value for name, value in labels.items() if not name.startswith("__")})
    identity = repr((final, url, unix_socket) if unix_socket else (final, url)).encode()
    key = hashlib.blake2b(identity, digest_size=8).hexdigest()
    return Target(
        options.job,
        final,
        url,
        interval_ms,
        timeout_ms,
        before,
        key,
        unix_socket,
        native_histograms=histograms[_NATIVE],
        always_classic_histograms=histograms[_ALWAYS_CLASSIC],
        convert_classic_histograms=histograms[_TO_NHCB],
    )


def _boolean(labels: Mapping[str, str], label: str) -> bool:
    """What a label about histograms says; relabeling may have taken it away. Raises UserError for what is no boolean."""
    text = labels.get(label, "")
    if text and text not in _BOOLEANS:
        raise UserError(
            f"error parsing {HISTOGRAM_LABELS[label]}: strconv.ParseBool: parsing {go_quote(text)}: invalid syntax"
        )
    return _BOOLEANS.get(text, False)


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
    written = path if path == "*" else quote(path, safe=_PATH_SAFE)
    if not path.startswith("/"):
        written = "/" + written
    return f"{scheme}://{quote(labels[_ADDRESS], safe=_HOST_SAFE)}{written}" + (f"?{query}" if query else "")
