"""`trimon test rules`: unit tests of rules, told as promtool tells them."""

from __future__ import annotations

import multiprocessing
import os
import re
from concurrent.futures import ProcessPoolExecutor
from datetime import datetime
from pathlib import Path

import click

from trimon.cli.argument import ExistingFile
from trimon.errors import UserError
from trimon.query.language.options import QueryOptions
from trimon.rules.testing.junit import junit_xml
from trimon.rules.testing.run import FileOutcome, RunOptions, run_file


@click.command("rules")
@click.argument("files", nargs=-1, required=True, type=ExistingFile())
@click.option(
    "--run", "selected", multiple=True, help="Run only tests whose names match one of the patterns."
)
@click.option("--diff", "shows_difference", is_flag=True, help="Show what differs as a coloured tree.")
@click.option(
    "--junit", type=click.Path(dir_okay=False, path_type=Path), help="Write JUnit XML to this file."
)
@click.option("--ignore-unknown-fields", is_flag=True, help="Take rule files with unknown fields.")
@click.option("--enable-feature", "features", multiple=True, help="As the server's flag; comma separated.")
def test_rules(
    files: tuple[Path, ...],
    *,
    selected: tuple[str, ...],
    shows_difference: bool,
    junit: Path | None,
    ignore_unknown_fields: bool,
    features: tuple[str, ...],
) -> int:
    """Run the unit tests of each FILE, several files side by side. The exit code is 1 when something failed."""
    names = frozenset(name for text in features for name in text.split(","))
    try:
        patterns = tuple(re.compile(text) for text in selected)
    except re.error as error:
        raise UserError(f"--run: {error}") from None
    options = RunOptions(QueryOptions(features=names), patterns, shows_difference, ignore_unknown_fields)
    outcomes = []
    for outcome in _outcomes(files, options):
        _tell(outcome)
        outcomes.append(outcome)
    if junit is not None:
        junit.write_text(junit_xml(outcomes, datetime.now()), encoding="utf-8")  # noqa: DTZ005 # JUnit's is local
    return int(any(outcome.failures for outcome in outcomes))


def _outcomes(files: tuple[Path, ...], options: RunOptions) -> list[FileOutcome]:
    """What the files come to, in order."""
    workers = min(len(files), os.cpu_count() or 1)
    if workers == 1:
        return [run_file(file, options) for file in files]
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
        return list(pool.map(run_file, files, [options] * len(files)))


def _tell(outcome: FileOutcome) -> None:
    for pattern in outcome.unmatched:
        click.echo(f"  WARNING: no file match pattern {pattern}", err=True)
    if not outcome.failures:
        click.echo("  SUCCESS")
    else:
        click.echo("  FAILED:", err=True)
        for failure in outcome.failures:
            click.echo(failure, err=True, color=True)
            click.echo()
    click.echo()
