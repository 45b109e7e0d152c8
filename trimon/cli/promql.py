"""`trimon promql`: queries as text, and their plans."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click

from trimon.cli.argument import http_config_option
from trimon.cli.askedserver import AskedServer
from trimon.errors import UserError
from trimon.model.labels import METRIC_NAME
from trimon.model.matcher import Matcher, MatchType
from trimon.query import engine
from trimon.query.language.nodes import VectorSelector
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


@promql.group("label-matchers", help="Change the label matchers of all selectors of a query.")
def label_matchers() -> None:
    """The group of commands on matchers."""


@label_matchers.command("set")
@click.option(
    "-t", "--type", "kind", default="=", show_default=True, help="How the label is matched: = != =~ !~."
)
@click.argument("query")
@click.argument("name")
@click.argument("value")
def set_(kind: str, query: str, name: str, value: str) -> None:
    """Give every selector of QUERY a matcher of label NAME, in place of those it has."""
    types = {each.value: each for each in MatchType}
    if kind not in types:
        raise UserError(f"invalid label match type: {kind}")
    matcher = Matcher(name, types[kind], value)

    def change(selector: VectorSelector) -> VectorSelector:
        matchers = tuple(matcher if each.name == name else each for each in selector.matchers)
        if matcher not in matchers:
            matchers = (*matchers, matcher)
        return _renamed(selector, matchers)

    click.echo(engine.change_selectors(query, _ALL, change))


@label_matchers.command("delete")
@click.argument("query")
@click.argument("name")
def delete(query: str, name: str) -> None:
    """Take the matchers of label NAME from every selector of QUERY."""

    def change(selector: VectorSelector) -> VectorSelector:
        return _renamed(selector, tuple(each for each in selector.matchers if each.name != name))

    click.echo(engine.change_selectors(query, _ALL, change))


def _renamed(selector: VectorSelector, matchers: tuple[Matcher, ...]) -> VectorSelector:
    """The selector with other matchers, among which its name is, too."""
    names = [each.value for each in matchers if each.name == METRIC_NAME and each.type is MatchType.EQUAL]
    return replace(selector, matchers=matchers, name=names[0] if names and selector.name else "")


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
