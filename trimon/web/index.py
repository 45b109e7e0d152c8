"""The page at `/`: what can be asked, in plain words."""

from __future__ import annotations

import html
from urllib.parse import quote

from trimon import __version__
from trimon.web.context import WebContext
from trimon.web.http.answer import Answer
from trimon.web.http.endpoint import Endpoint
from trimon.web.http.request import Request

_STYLE = (
    "body{font:16px/1.6 system-ui,sans-serif;max-width:44rem;margin:2rem auto;padding:0 1rem;color:#1b1f24;background:#fff}"
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


def index_endpoints(context: WebContext) -> list[Endpoint]:
    """/."""
    prefix = html.escape(quote(context.options.link_prefix))
    items = "".join(
        f'<li><a href="{prefix}{html.escape(path)}"><code>{html.escape(path)}</code></a> {what}</li>'
        for path, what in _LINKS
    )
    page = (
        f"<!doctype html><html lang=en><meta charset=utf-8><title>trimon</title><style>{_STYLE}</style>"
        f"<h1>trimon {html.escape(__version__)}</h1><p>A monitoring server that does what Prometheus does. "
        f"It has no other pages yet; Grafana, promtool and <code>curl</code> can ask it:</p><ul>{items}</ul>"
    ).encode()

    async def index(_: Request) -> Answer:
        return Answer(page, 200, "text/html; charset=utf-8")

    return [Endpoint("/", ("GET",), index)]
