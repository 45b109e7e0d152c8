"""`trimon check`: looks at files without starting anything."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from trimon.config.load import load
from trimon.discovery.registry import Registry, check_plugins
from trimon.errors import UserError
from trimon.query.language.options import ALL_LANGUAGE_FEATURES, QueryOptions
from trimon.rules.file import RuleDefaults, load_rule_file


@click.group("check", help="Check configuration files.")
def check() -> None:
    """The group of check commands."""


@check.command("config")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
def config(files: tuple[Path, ...]) -> None:
    """Check that each FILE is a configuration that the server would take."""
    failed = False
    registry = Registry()
    for file in files:
        click.echo(f"Checking {file}")
        try:
            loaded = load(file)
            for error in check_plugins(loaded, registry):
                raise error
        except (UserError, OSError) as error:
            click.echo(f"  FAILED: {error}", err=True)
            failed = True
            continue
        count = len(loaded.rule_paths)
        if count:
            click.echo(f"  SUCCESS: {count} rule files found")
        click.echo(f" SUCCESS: {file} is valid prometheus config file syntax\n")
        defaults = RuleDefaults(query=QueryOptions(features=ALL_LANGUAGE_FEATURES))
        checked = [_rule_file(path, defaults) for path in loaded.rule_paths]
        failed = failed or not all(checked)
    sys.exit(1 if failed else 0)


@check.command("rules")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
def rules(files: tuple[Path, ...]) -> None:
    """Check that each FILE is a rule file that the server would take."""
    defaults = RuleDefaults(query=QueryOptions(features=ALL_LANGUAGE_FEATURES))
    good = [_rule_file(file, defaults) for file in files]
    sys.exit(0 if all(good) else 1)


def _rule_file(file: Path, defaults: RuleDefaults) -> bool:
    click.echo(f"Checking {file}")
    try:
        groups = load_rule_file(file, defaults)
    except UserError as error:
        click.echo(f"  FAILED: {error}\n", err=True)
        return False
    click.echo(f"  SUCCESS: {sum(len(group.rules) for group in groups)} rules found\n")
    return True
