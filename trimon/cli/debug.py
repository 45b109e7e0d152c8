"""`trimon debug`: fetches what a server tells of itself into one archive."""

from __future__ import annotations

import io
import tarfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from trimon.cli.argument import http_config_option
from trimon.cli.findings import EXIT_FAILED
from trimon.errors import OperatingError
from trimon.redaction import redacted

if TYPE_CHECKING:
    from trimon.cli.askedserver import AskedServer

ARCHIVE: Final = Path("debug.tar.gz")
PROFILES: Final = {
    "/debug/pprof/profile?seconds=30": "cpu.pb",
    "/debug/pprof/block": "block.pb",
    "/debug/pprof/goroutine": "goroutine.pb",
    "/debug/pprof/heap": "heap.pb",
    "/debug/pprof/mutex": "mutex.pb",
    "/debug/pprof/threadcreate": "threadcreate.pb",
    "/debug/pprof/trace?seconds=30": "trace.pb",
}
METRICS: Final = {"/metrics": "metrics.txt"}
BUNDLE: Final = {"/debug/bundle": "bundle.tar.gz"}
"""What a trimon has instead of profiles of the Go runtime."""
# A profile takes half a minute to be made.
TIMEOUT_S: Final = 120.0


@click.group("debug", help="Fetch what a server tells of itself.")
def debug() -> None:
    """The group of debug commands."""


@debug.command("pprof")
@click.argument("server")
@http_config_option
def pprof(server: str, http_config: Path | None) -> int:
    """Fetch the profiles of SERVER; of a trimon, its bundle."""
    return _collect(server, http_config, PROFILES)


@debug.command("metrics")
@click.argument("server")
@http_config_option
def metrics(server: str, http_config: Path | None) -> int:
    """Fetch the metrics of SERVER."""
    return _collect(server, http_config, METRICS)


@debug.command("all")
@click.argument("server")
@http_config_option
def all_(server: str, http_config: Path | None) -> int:
    """Fetch all of it."""
    return _collect(server, http_config, {**PROFILES, **METRICS})


def _collect(server: str, http_config: Path | None, wanted: dict[str, str]) -> int:
    """Writes the archive; a server that is a trimon is asked for its bundle in place of profiles."""
    from trimon.cli.askedserver import AskedServer  # noqa: PLC0415 # the help asks nobody

    asked = AskedServer(server, http_config)
    try:
        if not wanted.keys().isdisjoint(PROFILES) and _is_trimon(asked):
            kept = {path: name for path, name in wanted.items() if path not in PROFILES}
            wanted = {**BUNDLE, **kept}
        with tarfile.open(ARCHIVE, "w:gz") as archive:
            for path, name in wanted.items():
                click.echo(f"collecting: {server.rstrip('/')}{path}")
                _add(archive, name, _fetched(asked, path))
    except OperatingError as error:
        click.echo(f"error completing debug command: {redacted(str(error))}", err=True)
        return EXIT_FAILED
    click.echo(f'Compiling debug information complete, all files written in "{ARCHIVE}".')
    return 0


def _is_trimon(asked: AskedServer) -> bool:
    """Whether a server has no profiles, and is one of ours."""
    return asked.page("/debug/actors", TIMEOUT_S).status == 200


def _fetched(asked: AskedServer, path: str) -> bytes:
    try:
        answer = asked.page(path, TIMEOUT_S)
    except OperatingError as error:
        raise OperatingError(f"error executing HTTP request: {error}") from None
    if answer.status != 200:
        raise OperatingError(f"{path} answered {answer.status_line}")
    return answer.body


def _add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    entry.mtime = int(time.time())
    archive.addfile(entry, io.BytesIO(content))
