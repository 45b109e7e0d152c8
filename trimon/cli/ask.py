"""`trimon query`: asks a running server over the HTTP API and prints answers as promtool does."""

from __future__ import annotations

from typing import Any

import click
import httpx

from trimon.errors import OperatingError
from trimon.model.labels import format_labels, labels_of

TIMEOUT_S = 130.0


def get(server: str, path: str, params: dict[str, Any]) -> Any:
    """The `data` of an API answer. Raises OperatingError with the server's own words."""
    return _asked("GET", server, path, params=params)["data"]


def post(server: str, path: str, form: dict[str, Any], timeout_s: float = TIMEOUT_S) -> tuple[Any, list[str]]:
    """The same of a form, which may be long, with the warnings of the answer."""
    body = _asked("POST", server, path, data=form, timeout=timeout_s)
    return body["data"], body.get("warnings", [])


def _asked(method: str, server: str, path: str, **given: Any) -> Any:
    """The body of an answer that says success."""
    url = server.rstrip("/") + path
    if "://" not in url:
        url = "http://" + url
    try:
        answer = httpx.request(method, url, trust_env=False, **{"timeout": TIMEOUT_S, **given})
        body = answer.json()
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
        raise OperatingError(f"{url}: {error}") from None
    if not isinstance(body, dict) or body.get("status") != "success":
        kind = body.get("errorType", "error") if isinstance(body, dict) else "error"
        text = body.get("error", answer.text[:200]) if isinstance(body, dict) else answer.text[:200]
        raise OperatingError(f"{kind}: {text}")
    return body


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
def query() -> None:
    """The group of query commands."""


@query.command("instant")
@click.argument("server")
@click.argument("expr")
@click.option("--time", "at", default="", help="Evaluation time, RFC 3339 or Unix seconds.")
def instant(server: str, expr: str, at: str) -> None:
    """Evaluate EXPR now, or at --time."""
    params = {"query": expr} | ({"time": at} if at else {})
    click.echo(shown(get(server, "/api/v1/query", params)))


@query.command("range")
@click.argument("server")
@click.argument("expr")
@click.option("--start", required=True, help="First evaluation time.")
@click.option("--end", required=True, help="Last evaluation time.")
@click.option("--step", default="15s", help="Time between evaluations.")
def range_(server: str, expr: str, start: str, end: str, step: str) -> None:
    """Evaluate EXPR at every step."""
    params = {"query": expr, "start": start, "end": end, "step": step}
    click.echo(shown(get(server, "/api/v1/query_range", params)))


@query.command("series")
@click.argument("server")
@click.option("--match", "matches", multiple=True, required=True, help="Selector of the series. Repeatable.")
def series(server: str, matches: tuple[str, ...]) -> None:
    """List the series that match."""
    for labels in get(server, "/api/v1/series", {"match[]": list(matches)}):
        click.echo(format_labels(labels_of(labels)))


@query.command("labels")
@click.argument("server")
@click.argument("name")
def labels(server: str, name: str) -> None:
    """List the values of a label."""
    for value in get(server, f"/api/v1/label/{name}/values", {}):
        click.echo(value)
