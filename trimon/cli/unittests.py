"""`trimon test`: scripts of expected answers, and unit tests of rules, told as promtool tells them."""

from __future__ import annotations

import multiprocessing
import os
import re
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from datetime import datetime
from pathlib import Path

import click

from trimon.cli.argument import ExistingFile
from trimon.cli.findings import compat_option, features_option, ignore_option
from trimon.cli.server.features import named_features
from trimon.cli.server.flags import STRICT
from trimon.errors import UserError
from trimon.query.conformance.script import run_script
from trimon.rules.testing.coverage import Coverage
from trimon.rules.testing.junit import junit_xml
from trimon.rules.testing.run import FileOutcome, RunOptions, run_file


@click.group("test", help="Run tests written as files.")
def test() -> None:
    """The group of test commands."""


@test.command("promql")
@click.argument(
    "files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path)
)
def test_promql(files: tuple[Path, ...]) -> None:
    """Run promqltest scripts against the engine; every eval is a case.

    Prints failures and cases left out, then `N passed, N failed` on a line of its own. The exit code is 1 when a case
    failed.
    """
    passed = failed = 0
    for file in files:
        try:
            report = run_script(file.read_text(encoding="utf-8"))
        except UserError as error:
            click.echo(f"{file}: {error}")
            failed += 1
            continue
        for case in report.cases:
            if case.status != "passed":
                click.echo(f"{file.name}: {case.status} {case.name}: {case.reason}")
        passed += report.passed
        failed += report.failed
    click.echo(f"{passed} passed, {failed} failed")
    sys.exit(1 if failed else 0)


@test.command("rules")
@click.argument("files", nargs=-1, required=True, type=ExistingFile())
@click.option(
    "--run", "selected", multiple=True, help="Run only tests whose names match one of the patterns."
)
@click.option("--diff", "shows_difference", is_flag=True, help="Show what differs as a coloured tree.")
@click.option(
    "--junit", type=click.Path(dir_okay=False, path_type=Path), help="Write JUnit XML to this file."
)
@click.option("--coverage", is_flag=True, help="Tell which rules no test has tried.")
@click.option(
    "--coverage-min",
    type=click.FloatRange(0, 100),
    metavar="PERCENT",
    help="The same, and exit with 1 when fewer rules were tried.",
)
@ignore_option
@features_option
@compat_option
def test_rules(
    files: tuple[Path, ...],
    *,
    selected: tuple[str, ...],
    shows_difference: bool,
    junit: Path | None,
    coverage: bool,
    coverage_min: float | None,
    ignore_unknown_fields: bool,
    features: tuple[str, ...],
    compat: str,
) -> int:
    """Run the unit tests of each FILE, several files side by side. The exit code is 1 when something failed."""
    try:
        patterns = tuple(re.compile(text) for text in selected)
    except re.error as error:
        raise UserError(f"--run: {error}") from None
    options = RunOptions(
        frozenset(named_features(features)),
        patterns,
        shows_difference,
        ignore_unknown_fields,
        strict=compat == STRICT,
    )
    outcomes = []
    for outcome in _outcomes(files, options):
        _tell(outcome)
        outcomes.append(outcome)
    if junit is not None:
        junit.write_text(junit_xml(outcomes, datetime.now()), encoding="utf-8")  # noqa: DTZ005 # JUnit's is local
    covers = True
    if coverage or coverage_min is not None:
        covers = _tell_coverage(outcomes, coverage_min or 0.0)
    return int(not covers or any(outcome.failures for outcome in outcomes))


def _outcomes(files: tuple[Path, ...], options: RunOptions) -> list[FileOutcome]:
    """What the files come to, in order."""
    workers = min(len(files), os.cpu_count() or 1)
    if workers == 1:
        return [run_file(file, options) for file in files]
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
        return list(pool.map(run_file, files, [options] * len(files)))


def _tell_coverage(outcomes: Sequence[FileOutcome], least_percent: float) -> bool:
    """Tells which rules were tried; whether they are enough."""
    every = Coverage()
    for outcome in outcomes:
        every.add(outcome.coverage)
    for line in every.lines():
        click.echo(line)
    enough = every.reaches(least_percent / 100)
    if not enough:
        words = "it is not known whether" if every.unread else "fewer than"
        click.echo(f"  FAILED: {words} {least_percent:g}% of the rules were tried", err=True)
    return enough


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
