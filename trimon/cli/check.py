"""`trimon check`: looks at files without starting anything."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from trimon.config.load import load
from trimon.errors import UserError


@click.group("check", help="Check configuration files.")
def check() -> None:
    """The group of check commands."""


@check.command("config")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
def config(files: tuple[Path, ...]) -> None:
    """Check that each FILE is a configuration that the server would take."""
    failed = False
    for file in files:
        click.echo(f"Checking {file}")
        try:
            loaded = load(file)
        except (UserError, OSError) as error:
            click.echo(f"  FAILED: {error}", err=True)
            failed = True
            continue
        count = len(loaded.rule_paths)
        if count:
            click.echo(f"  SUCCESS: {count} rule files found")
        click.echo(f" SUCCESS: {file} is valid prometheus config file syntax\n")
    sys.exit(1 if failed else 0)
