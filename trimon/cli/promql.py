"""`trimon promql` and `trimon test`: queries as text, and scripts of expected answers."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from trimon.cli.ask import get
from trimon.cli.testrules import test_rules
from trimon.errors import UserError
from trimon.query import engine
from trimon.query.conformance.script import run_script
from trimon.query.language.options import ALL_LANGUAGE_FEATURES, QueryOptions

_ALL = QueryOptions(features=ALL_LANGUAGE_FEATURES)


@click.group("promql", help="Work with queries.")
def promql() -> None:
    """The group of query text commands."""


@promql.command("format")
@click.argument("expr")
def format_(expr: str) -> None:
    """Pretty-print EXPR."""
    click.echo(engine.format_query(expr, _ALL))


@promql.command("explain")
@click.argument("server")
@click.argument("expr")
@click.option("--analyze", is_flag=True, help="Run the query and show what each operator cost.")
@click.option("--time", "at", default="", help="Evaluation time of an instant query.")
@click.option("--start", default="", help="Start of a range query.")
@click.option("--end", default="", help="End of a range query.")
@click.option("--step", default="15s", help="Step of a range query.")
def explain(server: str, expr: str, analyze: bool, at: str, start: str, end: str, step: str) -> None:  # click
    """Show how SERVER would evaluate EXPR, and how much it would read."""
    params = {"query": expr, "analyze": "true" if analyze else "false"}
    if start:
        params |= {"start": start, "end": end, "step": step}
    elif at:
        params["time"] = at
    click.echo(get(server, "/api/v1/explain", params)["text"])


@click.group("test", help="Run tests written as files.")
def test() -> None:
    """The group of test commands."""


test.add_command(test_rules)


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
