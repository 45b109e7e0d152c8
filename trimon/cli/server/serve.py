"""Starting the server: flags to settings, and one clear line for each thing that can be wrong."""

from __future__ import annotations

import math
import os
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import trio

from trimon.cli.server.commandline import ServerFlags
from trimon.cli.server.describedflags import described_flags
from trimon.cli.server.features import enabled_features
from trimon.cli.server.flags import STRICT
from trimon.cli.server.serveroptions import (
    EXEMPLARS,
    alert_settings,
    auto_reload_s,
    check_flags,
    data_path,
    flag_retention,
    grpc_addresses,
    kept_log,
    listen_addresses,
    notifier_settings,
    own_address,
    place_of,
    query_options,
    rule_settings,
    shown_flags,
    store_options,
    warn_of_missing,
    web_options,
    web_security,
)
from trimon.clock import WallClock
from trimon.collector import Collector
from trimon.config.configuration import ConfigError, FlagDefaults
from trimon.config.load import load, load_text
from trimon.discovery.registry import Registry
from trimon.errors import OperatingError, UserError
from trimon.files import DiskFiles
from trimon.log import Log, make_log
from trimon.memory.allocator import configure_allocator
from trimon.memory.limit import memory_limit
from trimon.offload import AbandoningLanes, ThreadOffload
from trimon.problems import RecentProblems
from trimon.query.language.options import QueryOptions
from trimon.redaction import redacted
from trimon.selfmetrics import SelfMetrics
from trimon.server import LoadedConfiguration, Seams, Server, Settings, complete
from trimon.server.configuration import warn_of, with_rules
from trimon.server.descriptors import plan, raise_limit, say
from trimon.server.forcedstop import end_process
from trimon.server.planning.previousfile import finish_rollback
from trimon.storage.options import StoreOptions
from trimon.storage.store import Store
from trimon.web.auth.security import CurrentSecurity
from trimon.web.auth.watch import warn
from trimon.web.http.wire.listening import (
    UNIX,
    Address,
    BoundPaths,
    UnixPath,
    bind,
    is_open,
    shown_address,
    systemd_sockets,
)

EXIT_FAILED: Final = 1
EXIT_USAGE: Final = 2
WRITER_THREADS: Final = 3
PARSE_THREADS: Final = 4
PASSWORD_THREADS: Final = 2
SENDING_THREADS: Final = 4
# Of each kind of discovery, which has its own: one whose library hangs keeps no scrape and no other discovery waiting.
DISCOVERY_THREADS: Final = 16
EMBEDDED: Final = """# The configuration of a server that was given none: it scrapes itself.
global:
  scrape_interval: 15s
  evaluation_interval: 15s
scrape_configs:
  - job_name: trimon
    static_configs:
      - targets: ["{address}"]
"""


def main(flags: ServerFlags) -> int:
    """Runs the server; the exit code."""
    problems = RecentProblems()
    log = make_log(flags["log.level"], flags["log.format"], problems=problems)
    configure_allocator()
    try:
        return _start(flags, log, problems)
    except StartError as error:
        log.error(error.what, **error.fields)
        return error.exit_code
    except UserError as error:
        print(f"trimon: error: {redacted(str(error))}", file=sys.stderr)
        return EXIT_USAGE
    except OperatingError as error:
        print(f"trimon: error: {redacted(str(error))}", file=sys.stderr)
        return EXIT_FAILED


def _start(flags: ServerFlags, log: Log, problems: RecentProblems) -> int:
    check_flags(flags, log)
    warn_of_missing(flags, log)
    features = enabled_features(flags["enable-feature"], log)
    security = _security(flags)
    scheme = "http" if security.now.tls is None else "https"
    handed = systemd_sockets(os.environ) if flags["web.systemd-socket"] else None
    addresses = listen_addresses(flags["web.listen-address"] if handed is None else _names(handed))
    own = own_address(addresses)
    web = web_options(flags, own, addresses, scheme)
    query = query_options(flags, features)
    registry = Registry()
    source = ConfigurationSource(flags, features, own, query, registry)
    loaded = source.at_start(log)
    config = loaded.config
    descriptors = plan(raise_limit(), flags["web.max-connections"])
    say(descriptors, log)
    called = grpc_addresses(flags["otlp.grpc-listen-address"])
    sockets, store = _opened(addresses, handed, store_options(flags, config, features))
    grpc_sockets = _bound_grpc(called, sockets, store)
    _tell_of_prometheus(data_path(flags), store.options.path, log)
    paths = BoundPaths((*(addresses if handed is None else ()), *called))
    warn(log, security.now.cautions)
    _warn_of_open_ports((*sockets, *grpc_sockets), security, log)
    if source.embedded and not (security.now.is_open and security.now.tls is None):
        log.warning("the built-in configuration cannot scrape a server with TLS or users: write one")
    shown = shown_flags(flags, web.route_prefix, store.options)
    settings = Settings(
        web=web,
        query=query,
        queries_max=max(1, flags["query.max-concurrency"]),
        descriptors=descriptors,
        discovery_interval_s=flags["scrape.discovery-reload-interval"] / 1000,
        exemplars=EXEMPLARS in features,
        auto_reload_s=auto_reload_s(flags, features),
        notifier=notifier_settings(flags),
        alerts=alert_settings(flags),
        rules=rule_settings(flags, features),
        agent=flags["agent"],
        memory=memory_limit(flags["storage.memory-max"]),
        kept_log=kept_log(flags),
        keep_bodies=flags["scrape.keep-bodies"],
        flags=shown,
        described_flags=described_flags(flags, shown),
        security=security,
        read_timeout_s=flags["web.read-timeout"] / 1000 or math.inf,
        notify_socket=os.environ.get("NOTIFY_SOCKET", ""),
    )
    seams = Seams(
        clock=WallClock(),
        log=log,
        problems=problems,
        metrics=SelfMetrics(),
        writer_threads=ThreadOffload(WRITER_THREADS),
        query_threads=ThreadOffload(settings.queries_max),
        parse_threads=ThreadOffload(PARSE_THREADS),
        scrape_threads=ThreadOffload(PARSE_THREADS),
        discovery_threads=AbandoningLanes(DISCOVERY_THREADS),
        rule_threads=ThreadOffload(settings.rules_max),
        sending_threads=ThreadOffload(SENDING_THREADS),
        password_threads=ThreadOffload(PASSWORD_THREADS),
        registry=registry,
    )
    place = say_place(addresses, scheme, own, web.route_prefix)
    if grpc_sockets:
        log.info("OTLP is taken over gRPC", addresses=",".join(map(shown_address, grpc_sockets)))
    log.info("trimon is up", url=place, data=str(store.options.path), jobs=len(config.scrape_configs))
    server = Server(settings, seams, store, sockets, loaded, source, grpc_sockets)
    Collector(seams.clock).start()
    code = trio.run(server.run)
    paths.remove()
    if seams.scrape_threads.abandoned:
        end_process(code)  # the interpreter's own end is not made for threads that are at work
    return code


class StartError(UserError):
    """A start that fails with a line in the log."""

    def __init__(self, what: str, exit_code: int, **fields: object) -> None:
        super().__init__(what)
        self.what = what
        self.exit_code = exit_code
        self.fields = fields


def _security(flags: ServerFlags) -> CurrentSecurity:
    try:
        return web_security(flags)
    except UserError as error:
        what = "Unable to validate web configuration file"
        raise StartError(what, EXIT_FAILED, err=error.message, **place_of(error)) from None


class ConfigurationSource:
    """Where the configuration comes from: the file of the flag, or what is built in when there is none."""

    def __init__(
        self,
        flags: ServerFlags,
        features: frozenset[str],
        own: str,
        query: QueryOptions,
        registry: Registry,
    ) -> None:
        self._name: str = flags["config.file"]
        self.embedded = "config.file" not in flags.given and not Path(self._name).exists()
        self._own = own
        self._query = query
        self._registry = registry
        self._defaults = FlagDefaults(
            retention=flag_retention(flags),
            extra_scrape_metrics="extra-scrape-metrics" in features,
            agent=flags["agent"],
            strict=flags["compat"] == STRICT,
        )

    def draft(self, text: str, name: str) -> LoadedConfiguration:
        """The configuration of a text that is to stand in the file; no plug-in is loaded, no log opened. Raises UserError."""
        if self.embedded:
            raise UserError("there is no configuration file that could be replaced")
        config = load_text(text, Path(self._name), defaults=self._defaults, name=name)
        return with_rules(config, self._query)

    @property
    def path(self) -> Path:
        """The file."""
        return Path(self._name)

    def _read(self) -> LoadedConfiguration:
        if self.embedded:
            text = EMBEDDED.format(address=self._own)
            config = load_text(text, Path("embedded.yml").absolute(), defaults=self._defaults)
        elif not self._name:
            raise UserError("open : no such file or directory")
        else:
            config = load(Path(self._name), defaults=self._defaults)
        return complete(config, self._query, self._registry)

    def at_start(self, log: Log) -> LoadedConfiguration:
        """The configuration, everything in it good. Raises StartError."""
        name = self._name
        file = str(Path(name).absolute())
        if name and not self.embedded:
            self._finish_rollback(file, log)
        try:
            loaded = self._read()
        except UserError as error:
            fields = place_of(error)
            what = f"Error loading config (--config.file={name})"
            raise StartError(what, EXIT_USAGE, file=file, err=str(error), **fields) from None
        warn_of(loaded, log)
        if (bad := loaded.config.scrape_files_error) is not None:
            what = f'Error loading dynamic scrape config files from config (--config.file="{name}")'
            raise StartError(what, EXIT_USAGE, file=file, err=bad.message, **place_of(bad))
        if (rules := loaded.rules_error) is not None:
            what = f'Error loading rule file patterns from config (--config.file="{name}")'
            raise StartError(what, EXIT_USAGE, file=file, err=rules.at_start)
        if (unwritable := loaded.logs_error) is not None:
            what = f"Error loading config (--config.file={name})"
            raise StartError(what, EXIT_USAGE, file=file, err=unwritable.message, **place_of(unwritable))
        for part, unusable in loaded.certificate_errors.items():
            fields = {"component": part, "err": unusable.message, **place_of(unusable)}
            raise StartError("Failed to apply configuration", EXIT_FAILED, file=file, **fields)
        return loaded

    def _finish_rollback(self, file: str, log: Log) -> None:
        """A configuration that a process applied and did not watch to the end is no more the one that starts."""
        try:
            done = finish_rollback(self.path, DiskFiles())
        except OperatingError as error:
            log.error("a configuration is not rolled back", file=file, err=str(error))
            return
        if done:
            log.warning("a configuration was applied by a process that was killed", file=file, outcome=done)

    def at_reload(self) -> LoadedConfiguration:
        """The configuration as it is now. Raises UserError."""
        try:
            return self._read()
        except UserError as error:
            message = f'couldn\'t load configuration (--config.file="{self._name}"): {error}'
            raise ConfigError(message, error) from None


def say_place(addresses: Sequence[Address], scheme: str, own: str, prefix: str) -> str:
    """Print where people find the server, and return it: a URL, or the paths of Unix sockets when there are no others."""
    paths = [str(address) for address in addresses if isinstance(address, UnixPath)]
    if len(paths) == len(addresses):
        place = ",".join(paths)
        first = paths[0].removeprefix(UNIX)
        url = f"{scheme}://localhost{prefix}"
        print(f"trimon listens on {place} (curl --unix-socket {first} {url}/api/v1/targets)", flush=True)
        return place
    url = f"{scheme}://{own}{prefix}"
    print(f"trimon listens on {url}/ (targets: {url}/api/v1/targets, actors: {url}/debug/actors)", flush=True)
    return f"{url}/"


def _names(sockets: Sequence[socket.socket]) -> tuple[str, ...]:
    """Where sockets that were handed over listen, as a command line would have it."""
    return tuple(map(shown_address, sockets))


def _opened(
    addresses: Sequence[Address], handed: list[socket.socket] | None, options: StoreOptions
) -> tuple[list[socket.socket], Store]:
    """The listening sockets and the store; no socket stays open when the store can not be opened."""
    sockets = bind(addresses) if handed is None else handed
    try:
        return sockets, Store.open(options, DiskFiles(), WallClock())
    except OperatingError:
        for listener in sockets:
            listener.close()
        raise


def _bound_grpc(
    addresses: Sequence[Address], sockets: Sequence[socket.socket], store: Store
) -> list[socket.socket]:
    """The listening sockets of gRPC; what is open is closed where there are none."""
    try:
        return bind(addresses)
    except OperatingError:
        for listener in sockets:
            listener.close()
        store.close()
        raise


def _tell_of_prometheus(named: Path, own: Path, log: Log) -> None:
    """Say that the data directory is another's, where samples go, and how those of before come along."""
    if own != named:
        log.warning(
            "the data directory is that of a Prometheus, which stays untouched: samples go into a folder of their own inside",
            data=str(own),
            history=f"while no trimon runs on it: trimon tsdb import-prometheus {named}",
        )


def _warn_of_open_ports(sockets: Sequence[socket.socket], security: CurrentSecurity, log: Log) -> None:
    """Say that anybody may ask, when a socket is bound to more than loopback, whatever the flag called it."""
    names = [shown_address(listener) for listener in sockets if is_open(listener)]
    if names and security.now.is_open:
        log.warning(
            "listening on more than loopback without authentication: anybody who reaches the port may read and query",
            addresses=",".join(names),
            see="--web.config.file",
        )
