"""The `trimon` command: without a subcommand it is the server, with Prometheus' flags."""

from __future__ import annotations

import sys
from typing import Any

import click

from trimon import PROMETHEUS_VERSION, __version__
from trimon.cli.ask import query
from trimon.cli.check import check
from trimon.cli.flags import server_options
from trimon.cli.promql import promql, test
from trimon.cli.tsdb import tsdb
from trimon.errors import TrimonError


class Trimon(click.Group):
    """A group whose own options are the server's."""

    def main(self, *args: Any, **kwargs: Any) -> Any:  # click's own signature
        """As click's, with one clear line for every expected error."""
        try:
            return super().main(*args, **kwargs)
        except TrimonError as error:
            click.echo(f"trimon: error: {error}", err=True)
            sys.exit(1)


@click.pass_context
def _serve(context: click.Context, /, **flags: Any) -> None:
    if context.invoked_subcommand is not None:
        return
    from trimon.cli.serve import main as serve  # noqa: PLC0415 # the server's imports take longer than a `check`

    sys.exit(serve(flags))


def _version(context: click.Context, _: click.Parameter, value: bool) -> None:  # click's signature
    if value:
        click.echo(f"trimon, version {__version__} (speaks as prometheus, version {PROMETHEUS_VERSION})")
        context.exit()


main = Trimon(
    name="trimon",
    callback=_serve,
    invoke_without_command=True,
    params=[
        *server_options(),
        click.Option(
            ["--version"],
            is_flag=True,
            is_eager=True,
            expose_value=False,
            callback=_version,
            help="Show the version.",
        ),
    ],
    commands=[check, promql, query, test, tsdb],
    help="A monitoring server: a drop-in for Prometheus. Without a command it serves.",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120},
)
