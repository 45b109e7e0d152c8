"""`trimon check metrics` and `trimon push metrics`."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from trimon.cli.argument import header_option, http_config_option, pairs_of
from trimon.cli.findings import EXIT_FAILED, EXIT_LINT
from trimon.errors import OperatingError, TrimonError, UserError
from trimon.redaction import redacted
from trimon.units import parse_duration_ms

if TYPE_CHECKING:
    from trimon.cli.askedserver import AskedServer

MESSAGE: Final = "prometheus.WriteRequest"
_HEADERS: Final = (
    ("Content-Encoding", "snappy"),
    ("Content-Type", "application/x-protobuf"),
    ("X-Prometheus-Remote-Write-Version", "0.1.0"),
)


@click.command("metrics")
@click.option("--extended", is_flag=True, help="Show how many series each metric has, when all is well.")
@click.option(
    "--lint", type=click.Choice(["all", "none"]), default="all", show_default=True, help="What to look for."
)
def check_metrics(*, extended: bool, lint: str) -> int:
    """Look over metrics that are given on standard input: `curl -s .../metrics | trimon check metrics`."""
    from trimon.cli.metrics.families import read_families  # noqa: PLC0415 # checks of files read no metrics
    from trimon.cli.metrics.lint import cardinality_table, problems  # noqa: PLC0415 # the same

    try:
        families = read_families(sys.stdin.buffer.read()).values()
    except UserError as error:
        click.echo(f"error while linting: {error.message}", err=True)
        return EXIT_FAILED
    found = problems(families) if lint == "all" else []
    for name, problem in found:
        click.echo(f"{name} {problem}", err=True)
    if found:
        return EXIT_LINT
    if extended:
        click.echo(cardinality_table(family for family in families if family.samples))
    return 0


@click.group("push", help="Send to a server.")
def push() -> None:
    """The group of push commands."""


@push.command("metrics")
@click.argument("server")
@click.argument("files", nargs=-1)
@click.option(
    "--label",
    "labels",
    multiple=True,
    default=("job=promtool",),
    show_default=True,
    help="A label of all series. Repeatable.",
)
@click.option("--timeout", default="30s", show_default=True, help="How long a request may take.")
@click.option(
    "--remote-write.path",
    "path",
    default="/api/v1/write",
    show_default=True,
    help="Where the server takes samples.",
)
@click.option(
    "--protobuf_message",
    "message",
    type=click.Choice([MESSAGE]),
    default=MESSAGE,
    show_default=True,
    help="The version of remote write.",
)
@header_option
@http_config_option
def push_metrics(
    server: str,
    files: tuple[str, ...],
    *,
    labels: tuple[str, ...],
    timeout: str,
    path: str,
    message: str,  # noqa: ARG001 # there is one, and click has refused any other
    headers: tuple[str, ...],
    http_config: Path | None,
) -> int:
    """Send metrics in text, of FILEs or standard input, to SERVER by remote write."""
    from trimon.cli.askedserver import AskedServer  # noqa: PLC0415 # checks of files ask nobody
    from trimon.cli.metrics.families import read_families  # noqa: PLC0415 # the same
    from trimon.cli.metrics.push import write_request  # noqa: PLC0415 # the same

    timeout_s = parse_duration_ms(timeout) / 1000
    asked = AskedServer(server, http_config, pairs_of(headers))
    common = dict(pairs_of(labels))
    failed = False
    for file in files or ("",):
        try:
            text = Path(file).read_bytes() if file else sys.stdin.buffer.read()
        except OSError as error:
            click.echo(f"  FAILED: open {file}: {(error.strerror or str(error)).lower()}", err=True)
            failed = True
            continue
        what = f"metrics file {file}" if file else "metrics"
        click.echo(f"Parsing {what}" if file else "Parsing standard input")
        try:
            body = write_request(read_families(text).values(), common, time.time_ns() // 1_000_000)
            _post(asked, path, body, timeout_s)
        except TrimonError as error:
            click.echo(f"  FAILED: {redacted(str(error))}", err=True)
            failed = True
        else:
            click.echo(f"  SUCCESS: {what} pushed to remote write.")
    return EXIT_FAILED if failed else 0


def _post(asked: AskedServer, path: str, body: bytes, timeout_s: float) -> None:
    answer = asked.send(path, body, _HEADERS, timeout_s)
    if not 200 <= answer.status < 300:
        text = answer.body[:256].decode(errors="replace").strip()
        raise OperatingError(
            f"{asked.address(path)}: server returned HTTP status {answer.status_line}: {text}"
        )
