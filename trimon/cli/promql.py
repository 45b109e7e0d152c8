"""`trimon promql`: queries as text, and their plans."""

from __future__ import annotations

from pathlib import Path

import click

from trimon.cli.argument import http_config_option
from trimon.cli.askedserver import AskedServer
from trimon.query import engine
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
@http_config_option
def explain(  # click
    server: str,
    expr: str,
    *,
    analyze: bool,
    at: str,
    start: str,
    end: str,
    step: str,
    http_config: Path | None,
) -> None:
    """Show how SERVER would evaluate EXPR, and how much it would read."""
    params = {"query": expr, "analyze": "true" if analyze else "false"}
    if start:
        params |= {"start": start, "end": end, "step": step}
    elif at:
        params["time"] = at
    click.echo(AskedServer(server, http_config).get("/api/v1/explain", params)["text"])
