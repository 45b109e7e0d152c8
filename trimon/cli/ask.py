"""`trimon query`: asks a running server over the HTTP API and prints answers as promtool does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import click

from trimon.cli.argument import header_option, http_config_option, pairs_of
from trimon.cli.askedserver import AskedServer
from trimon.cli.resulttext import result_text
from trimon.clock import WallClock
from trimon.errors import UserError
from trimon.model.labels import format_labels, labels_of

# A range without a start or a step.
RANGE_DEFAULT_MS: Final = 300_000
STEPS_DEFAULT: Final = 250


@click.group("query", help="Ask a running server.")
@http_config_option
@header_option
@click.pass_context
def query(context: click.Context, http_config: Path | None, headers: tuple[str, ...]) -> None:
    """The group of query commands."""
    context.obj = (http_config, pairs_of(headers))


def _server(url: str, http_config: Path | None, own: tuple[str, ...] = ()) -> AskedServer:
    """The server; the file and headers may be named before the command or behind it."""
    general, headers = click.get_current_context().obj
    return AskedServer(url, http_config or general, (*headers, *pairs_of(own)))


_format_option = click.option(
    "-o",
    "--format",
    "as_",
    type=click.Choice(["promql", "json"]),
    default="promql",
    show_default=True,
    help="How answers are printed.",
)


def _print(as_: str, data: Any, text: str) -> None:
    click.echo(json.dumps(data, ensure_ascii=False, separators=(",", ":")) if as_ == "json" else text)


@query.command("instant")
@click.argument("server")
@click.argument("expr")
@click.option("--time", "at", default="", help="Evaluation time, RFC 3339 or Unix seconds.")
@_format_option
@http_config_option
def instant(server: str, expr: str, at: str, as_: str, http_config: Path | None) -> None:
    """Evaluate EXPR now, or at --time."""
    params = {"query": expr} | ({"time": at} if at else {})
    data = _server(server, http_config).get("/api/v1/query", params)
    _print(as_, data["result"], result_text(data))


@query.command("range")
@click.argument("server")
@click.argument("expr")
@click.option(
    "--start", default="", help="First evaluation time, RFC 3339 or Unix seconds; 5 minutes before the end."
)
@click.option("--end", default="", help="Last evaluation time; now.")
@click.option("--step", default="", help="Time between evaluations; a 250th of the range, at least 1s.")
@_format_option
@header_option
@http_config_option
def range_(
    server: str,
    expr: str,
    *,
    start: str,
    end: str,
    step: str,
    as_: str,
    headers: tuple[str, ...],
    http_config: Path | None,
) -> None:
    """Evaluate EXPR at every step."""
    params = {"query": expr, **_range(start, end, step)}
    data = _server(server, http_config, headers).get("/api/v1/query_range", params)
    _print(as_, data["result"], result_text(data))


def _range(start: str, end: str, step: str) -> dict[str, str]:
    """The parameters of a range; what is not given is filled in. Raises ApiError for what is no time."""
    from trimon.web.http.parameters import parse_time_ms  # noqa: PLC0415 # the others do without

    end_ms = parse_time_ms(end) if end else WallClock().now_ms()
    start_ms = parse_time_ms(start) if start else end_ms - RANGE_DEFAULT_MS
    return {
        "start": start or f"{start_ms / 1000:.3f}",
        "end": end or f"{end_ms / 1000:.3f}",
        "step": step or str(max((end_ms - start_ms) // 1000 // STEPS_DEFAULT, 1)),
    }


@query.command("series")
@click.argument("server")
@click.option("--match", "matches", multiple=True, required=True, help="Selector of the series. Repeatable.")
@click.option("--start", default="", help="Series with samples after this time.")
@click.option("--end", default="", help="Series with samples before this time.")
@_format_option
@http_config_option
def series(
    server: str, *, matches: tuple[str, ...], start: str, end: str, as_: str, http_config: Path | None
) -> None:
    """List the series that match."""
    params = {"match[]": list(matches), **_times(start, end)}
    found = _server(server, http_config).get("/api/v1/series", params)
    _print(as_, found, "\n".join(format_labels(labels_of(labels)) for labels in found))


@query.command("labels")
@click.argument("server")
@click.argument("name")
@click.option("--match", "matches", multiple=True, help="Selector of the series. Repeatable.")
@click.option("--start", default="", help="Values of series with samples after this time.")
@click.option("--end", default="", help="Values of series with samples before this time.")
@_format_option
@http_config_option
def labels(
    server: str,
    name: str,
    *,
    matches: tuple[str, ...],
    start: str,
    end: str,
    as_: str,
    http_config: Path | None,
) -> None:
    """List the values of a label."""
    params = {"match[]": list(matches), **_times(start, end)}
    found = _server(server, http_config).get(f"/api/v1/label/{quote(name, safe='')}/values", params)
    _print(as_, found, "\n".join(found))


def _times(start: str, end: str) -> dict[str, str]:
    return {name: text for name, text in (("start", start), ("end", end)) if text}


@query.command("analyze")
@click.option("--server", required=True, help="The server that is asked.")
@click.option("--type", "kind", required=True, help="What is looked at: histogram.")
@click.option("--match", "matches", multiple=True, required=True, help="Selector of the series. Repeatable.")
@click.option("--duration", default="1h", show_default=True, help="How far back is looked.")
@click.option("--time", "at", default="", help="Up to when, RFC 3339 or Unix seconds; now.")
@http_config_option
def analyze(
    *, server: str, kind: str, matches: tuple[str, ...], duration: str, at: str, http_config: Path | None
) -> None:
    """Show how many buckets of histograms are in use."""
    from trimon.cli.histogramstats import FOOT, HEAD, summary, uses_of  # noqa: PLC0415 # the others do without

    if kind != "histogram":
        raise UserError(f"analyze type is {kind}, must be 'histogram'")
    asked = _server(server, http_config)
    every: dict[str, list[Any]] = {"Native": [], "Classic": []}
    click.echo(f"{HEAD}\n")
    for match in matches:
        params = {"query": f"{match}[{duration}]"} | ({"time": at} if at else {})
        for kind_of, uses in zip(every, uses_of(asked.get("/api/v1/query", params)["result"]), strict=True):
            for name, use in uses.items():
                click.echo(f"- {name} ({kind_of.lower()}): {use}")
            every[kind_of] += uses.values()
    click.echo(f"\n{FOOT}")
    for kind_of, found in every.items():
        if text := summary(kind_of, found):
            click.echo(f"\n{text}")
