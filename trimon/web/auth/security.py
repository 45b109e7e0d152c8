"""What the web config file means for the listener and its requests, as it was read last."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from trimon.clock import Clock, WallClock
from trimon.config.web.file import RateLimitConfig, WebConfig, load_web_config
from trimon.errors import UserError
from trimon.openfiles import os_errors
from trimon.records import dataclass
from trimon.selfmetrics import MetricFamily
from trimon.web.auth.accounts import Accounts, load_accounts
from trimon.web.auth.tls import Caution, ServerTls, require_possible, server_tls
from trimon.web.http.ratelimit import RateLimit

_WALL: Final = WallClock()
Stamp = tuple[tuple[str, int, int, int], ...]
"""Name, time, size and number of each file."""


@dataclass(frozen=True, slots=True)
class Security:
    """One web config file with all that it names. Without one nobody is asked, and nothing is encrypted."""

    tls: ServerTls | None = None
    accounts: Accounts | None = None
    headers: tuple[tuple[bytes, bytes], ...] = ()
    """What every answer has besides."""
    exempt_paths: frozenset[str] = frozenset()
    """Paths without the route prefix that everybody may read."""
    rate_limit: RateLimit | None = None
    """How often all clients together may ask."""
    cautions: tuple[Caution, ...] = ()

    @property
    def is_open(self) -> bool:
        """Whether whoever reaches the port may ask."""
        return self.accounts is None and not (self.tls is not None and self.tls.requires_certificate)


def load_security(path: Path, *, strict: bool = False, clock: Clock = _WALL) -> Security:
    """What a web config file asks for; what this version cannot do is an error, too. Blocks on the disk. Raises UserError."""
    config = load_web_config(path, strict=strict)
    security = _security(config, datetime.fromtimestamp(clock.now_ms() / 1000, UTC))
    require_possible(config.tls_server_config)
    return security


def _security(config: WebConfig, now: datetime) -> Security:
    http = config.http_server_config
    http2 = http.place("http2") if http.given("http2") and http.http2 else None
    tls, cautions = server_tls(config.tls_server_config, http2, now)
    accounts = load_accounts(config)
    exempt = frozenset(config.trimon.exempt_paths)
    if exempt and accounts is None:
        message = "exempt_paths has no effect: there are neither users nor tokens"
        cautions.append(Caution(message, config.trimon.place("exempt_paths")))
    limit = config.rate_limit
    if limit.interval > 0 and limit.burst < 1:
        cautions.append(
            Caution(f"rate_limit with burst {limit.burst} refuses every request", limit.place("burst"))
        )
    return Security(
        tls,
        accounts,
        tuple((name.lower().encode(), value.encode()) for name, value in http.headers),
        exempt,
        _rate_limit(limit),
        tuple(cautions),
    )


def _rate_limit(config: RateLimitConfig) -> RateLimit | None:
    return RateLimit(1e9 / config.interval, max(0, config.burst)) if config.interval > 0 else None


def stamp_of(path: Path, *, strict: bool = False, before: Stamp = ()) -> Stamp:
    """When the file and those that it names were changed. Blocks on the disk; never raises.

    A file that is as it was `before` names the same ones, and is not read.
    """
    if before and before[0] == _stamp(str(path)):
        return tuple(_stamp(name) for name, *_ in before)
    paths = [str(path)]
    try:
        config = load_web_config(path, strict=strict)
    except UserError:
        pass
    else:
        tls = config.tls_server_config
        paths += [tls.cert_file, tls.key_file, tls.client_ca_file]
        paths += [token.file for token in config.trimon.tokens]
    return tuple(_stamp(name) for name in paths if name)


def _stamp(name: str) -> tuple[str, int, int, int]:
    try:
        with os_errors(name):
            found = Path(name).stat()
    except OSError:
        return name, 0, 0, 0
    return name, found.st_mtime_ns, found.st_size, found.st_ino


@dataclass(slots=True)
class CurrentSecurity:
    """What holds now, for all that look at it. Only on the loop's thread."""

    now: Security = field(default_factory=Security)
    path: Path | None = None
    strict: bool = False
    stamp: Stamp = ()
    """When the files that were read last had been changed."""
    reload_ok: bool = True
    """Whether the file could be taken when it was read last."""
    open_addresses: Callable[[], Sequence[str]] = tuple
    """Addresses that others than this machine can reach."""

    @property
    def open_without_authentication(self) -> bool:
        """Whether others than this machine may ask without saying who they are."""
        return self.now.is_open and bool(self.open_addresses())

    def metrics(self) -> Iterator[MetricFamily]:
        """trimon_web_open_without_authentication, and what is known of the web config file and its certificates."""
        figures = (
            (
                "trimon_web_open_without_authentication",
                "Whether others than this machine can ask without saying who they are.",
                self.open_without_authentication,
            ),
            (
                "trimon_web_config_last_reload_successful",
                "Whether the web config file could be taken when it was read last.",
                self.reload_ok,
            ),
        )
        for name, text, value in figures:
            yield MetricFamily(name, text, "gauge", [((), float(value))])
        tls = self.now.tls
        ends = {"server": tls.ends, "client_ca": tls.authorities_end} if tls is not None else {}
        yield MetricFamily(
            "trimon_web_certificate_expiry_timestamp_seconds",
            "When the first certificate of the listener's chain, or of the authorities of clients, ends.",
            "gauge",
            [((kind,), end.timestamp()) for kind, end in ends.items() if end is not None],
            ("certificate",),
        )


def read_security(path: Path, *, strict: bool = False) -> CurrentSecurity:
    """What a web config file says, to start with. Blocks on the disk. Raises UserError."""
    # The stamp is taken first: what changes while the files are read is seen by the first look.
    stamp = stamp_of(path, strict=strict)
    return CurrentSecurity(load_security(path, strict=strict), path, strict, stamp)
