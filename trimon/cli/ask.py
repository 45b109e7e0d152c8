"""`trimon query`: asks a running server over the HTTP API and prints answers as promtool does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from trimon.cli.argument import http_config_option
from trimon.cli.askedserver import AskedServer
from trimon.model.labels import format_labels, labels_of


def shown(data: dict[str, Any]) -> str:
    """A query result in promtool's text form."""
    result = data["result"]
    match data["resultType"]:
        case "scalar":
            return f"scalar: {result[1]} @[{result[0]}]"
        case "string":
            return str(result[1])
        case "vector":
            return "\n".join(
                f"{format_labels(labels_of(entry['metric'])) or '{}'} => {entry['value'][1]} @[{entry['value'][0]}]"
                for entry in result
            )
        case _:
            blocks = []
            for entry in result:
                points = "\n".join(f"{value} @[{time}]" for time, value in entry["values"])
                blocks.append(f"{format_labels(labels_of(entry['metric'])) or '{}'} =>\n{points}")
            return "\n".join(blocks)


@click.group("query", help="Ask a running server.")
@http_config_option
@click.pass_context
def query(context: click.Context, http_config: Path | None) -> None:
    """The group of query commands."""
    context.obj = http_config


def _server(url: str, http_config: Path | None) -> AskedServer:
    """The server; the file may be named before the command or behind it."""
    return AskedServer(url, http_config or click.get_current_context().obj)


@query.command("instant")
@click.argument("server")
@click.argument("expr")
@click.option("--time", "at", default="", help="Evaluation time, RFC 3339 or Unix seconds.")
@http_config_option
def instant(server: str, expr: str, at: str, http_config: Path | None) -> None:
    """Evaluate EXPR now, or at --time."""
    params = {"query": expr} | ({"time": at} if at else {})
    click.echo(shown(_server(server, http_config).get("/api/v1/query", params)))


@query.command("range")
@click.argument("server")
@click.argument("expr")
@click.option("--start", required=True, help="First evaluation time.")
@click.option("--end", required=True, help="Last evaluation time.")
@click.option("--step", default="15s", help="Time between evaluations.")
@http_config_option
def range_(server: str, expr: str, start: str, end: str, step: str, http_config: Path | None) -> None:
    """Evaluate EXPR at every step."""
    params = {"query": expr, "start": start, "end": end, "step": step}
    click.echo(shown(_server(server, http_config).get("/api/v1/query_range", params)))


@query.command("series")
@click.argument("server")
@click.option("--match", "matches", multiple=True, required=True, help="Selector of the series. Repeatable.")
@http_config_option
def series(server: str, matches: tuple[str, ...], http_config: Path | None) -> None:
    """List the series that match."""
    for labels in _server(server, http_config).get("/api/v1/series", {"match[]": list(matches)}):
        click.echo(format_labels(labels_of(labels)))


@query.command("labels")
@click.argument("server")
@click.argument("name")
@http_config_option
def labels(server: str, name: str, http_config: Path | None) -> None:
    """List the values of a label."""
    for value in _server(server, http_config).get(f"/api/v1/label/{name}/values", {}):
        click.echo(value)
