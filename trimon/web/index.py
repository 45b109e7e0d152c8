"""The page at `/query`: what can be asked, in plain words; and where old links to pages lead."""

from __future__ import annotations

import html
import string
from typing import Final
from urllib.parse import quote

from trimon import __version__
from trimon.web.context import WebContext
from trimon.web.http.answer import Answer
from trimon.web.http.endpoint import Endpoint
from trimon.web.http.redirects import redirect
from trimon.web.http.request import Request

# What a query may have as it is; there are no control characters and no spaces in a request line.
_QUERY_SAFE: Final = string.punctuation
_STYLE = (
    "body{font:16px/1.6 system-ui,sans-serif;max-width:44rem;margin:2rem auto;padding:0 1rem;color:#1b1f24;background:#fff}"
    ".open{border:2px solid #c5221f;padding:.5rem 1rem}"
    "code{font:14px ui-monospace,monospace}a{color:#0b57d0;text-decoration:none}"
    "@media (prefers-color-scheme:dark){body{color:#e3e6ea;background:#16181c}a{color:#8ab4f8}}"
)
_LINKS = (
    ("/api/v1/query?query=up", "which targets are up"),
    ("/api/v1/targets", "all targets, with their last errors"),
    ("/api/v1/rules", "recording rules"),
    ("/api/v1/status/config", "the configuration in effect"),
    ("/api/v1/status/flags", "the flags in effect"),
    ("/api/v1/status/tsdb", "what takes the most series"),
    ("/api/v1/status/runtimeinfo", "since when and how the server runs"),
    ("/metrics", "the server's own metrics"),
    ("/debug/actors", "every actor and what it is doing"),
    ("/debug/crashes", "crash reports, which should be none"),
    ("/debug/queries", "running queries"),
    ("/debug/memory", "the budget of memory"),
)


_BANNER_PLACE = "<!--banner-->"
_OPEN = (
    "<p role=alert class=open>Whoever reaches this server may read and query it: it listens on more than loopback, and "
    "asks nobody who he is. <code>--web.config.file</code> has users.</p>"
)


def index_endpoints(context: WebContext) -> list[Endpoint]:
    """/."""
    prefix = html.escape(quote(context.options.link_prefix))
    title = html.escape(context.options.page_title or "trimon")
    items = "".join(
        f'<li><a href="{prefix}{html.escape(path)}"><code>{html.escape(path)}</code></a> {what}</li>'
        for path, what in _LINKS
    )
    page = (
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{title}</title><style>{_STYLE}</style>"
        f"<h1>trimon {html.escape(__version__)}</h1>{_BANNER_PLACE}<p>A monitoring server that does what Prometheus does. "
        f"It has no other pages yet; Grafana, promtool and <code>curl</code> can ask it:</p><ul>{items}</ul>"
    ).encode()

    async def index(_: Request) -> Answer:
        banner = _OPEN if context.security.open_without_authentication else ""
        return Answer(page.replace(_BANNER_PLACE.encode(), banner.encode()), 200, "text/html; charset=utf-8")

    async def to_index(_: Request) -> Answer:
        return redirect(302, f"{quote(context.options.link_prefix)}/query", "GET")

    async def graph(request: Request) -> Answer:
        query = quote(request.raw_query.encode("latin1"), _QUERY_SAFE)
        where = f"{quote(context.options.link_prefix)}/query"
        return redirect(302, f"{where}?{query}" if query else where, "GET")

    return [
        Endpoint("/", ("GET",), to_index, summary="Leads to the page of queries."),
        Endpoint("/graph", ("GET",), graph, summary="Leads to the page of queries, with its parameters."),
        Endpoint("/query", ("GET",), index, summary="A page that says what can be asked."),
    ]
