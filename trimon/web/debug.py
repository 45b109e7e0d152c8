"""/debug: the live supervision tree, crash reports and plug-ins, as JSON, or as a plain page for a browser."""

from __future__ import annotations

import html
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Final

import orjson

from trimon.actors.kernel.child import Child
from trimon.actors.kernel.supervisor import Supervisor
from trimon.actors.kernel.tree import Plain, locate, node, walk
from trimon.web.context import WebContext
from trimon.web.http import parameters
from trimon.web.http.answer import Answer, ApiError, plain_json
from trimon.web.http.endpoint import Access, Endpoint, Kind, Parameter, Role
from trimon.web.http.pieces import gathered
from trimon.web.http.request import Request

_STYLE = """
body{font:14px/1.5 system-ui,sans-serif;margin:1.5rem;color:#1b1f24;background:#fff}
table{border-collapse:collapse;width:100%}th,td{text-align:left;padding:.2rem .6rem;border-bottom:1px solid #e3e6ea;
vertical-align:top}th{position:sticky;top:0;background:#f5f7f9}td.n{text-align:right;font-variant-numeric:tabular-nums}
code{font:12px ui-monospace,monospace;white-space:pre-wrap;word-break:break-word}.bad{color:#b3261e;font-weight:600}
.ok{color:#1a7f37}a{color:#0b57d0;text-decoration:none}
@media (prefers-color-scheme:dark){body{color:#e3e6ea;background:#16181c}th{background:#22262c}td,th{border-color:#333}}
"""
# Of actors on a page; a browser takes long for more.
PAGE_ROWS: Final = 1000
ROWS_MAX: Final = 10_000_000
_GOOD = ("running", "stopped")


def tree_json(start: Supervisor | Child) -> Iterator[bytes]:
    """Every node from `start` on, nested under `children`, as JSON over several lines, a node at a time."""
    before = -1
    for depth, here in walk(start):
        for closed in range(before, depth - 1, -1):
            yield (
                (b"" if closed == before else b"\n" + b" " * (4 * closed + 2))
                + b"]\n"
                + b" " * 4 * closed
                + b"}"
            )
        indent = b"\n" + b" " * 4 * depth
        if depth:
            yield (b"," if depth <= before else b"") + indent
        text = orjson.dumps(node(here), option=orjson.OPT_INDENT_2)
        yield (text.removesuffix(b"\n}") + b',\n  "children": [').replace(b"\n", indent)
        before = depth
    for closed in range(before, -1, -1):
        yield (
            (b"" if closed == before else b"\n" + b" " * (4 * closed + 2)) + b"]\n" + b" " * 4 * closed + b"}"
        )


def _wants_html(request: Request) -> bool:
    return "text/html" in request.header("accept")


def _page(title: str, body: str) -> Answer:
    document = (
        f"<!doctype html><meta charset=utf-8><title>{html.escape(title)}</title><style>{_STYLE}</style>"
        f"<h1>{html.escape(title)}</h1>{body}"
    )
    return Answer(document.encode(), 200, "text/html; charset=utf-8")


def _mailbox_cell(mailbox: Plain) -> str:
    if not isinstance(mailbox, dict):
        return "<td></td>"
    used, most, waiting = mailbox["used"], mailbox["max"], mailbox["waiting"]
    jammed = isinstance(used, int) and isinstance(most, int) and (used >= most or bool(waiting))
    detail = f"{mailbox['policy']}, peak {mailbox['peak']}, waiting {waiting}, dropped {mailbox['dropped']}"
    mark = ' class="n bad"' if jammed else ' class="n"'
    return f'<td{mark} title="{html.escape(detail)}">{used}/{most}</td>'


def _row(node: Mapping[str, Plain], prefix: str) -> str:
    path = str(node["path"])
    state = str(node["state"])
    depth = path.count("/")
    crash = node["last_crash"]
    error = str(crash["error"]) if isinstance(crash, dict) else ""
    fields = node["fields"]
    shown = ", ".join(f"{name}={value}" for name, value in fields.items()) if isinstance(fields, dict) else ""
    link = f'<a href="{html.escape(prefix)}/debug/actors/{html.escape(path)}">{html.escape(path)}</a>'
    return (
        f'<tr><td style="padding-left:{0.6 + depth}rem">{link}</td><td>{html.escape(str(node["kind"]))}</td>'
        f'<td class="{"ok" if state in _GOOD else "bad"}">{html.escape(state)}</td>'
        f"<td class=n>{node['attempt']}</td><td class=n>{node['restarts']}</td>{_mailbox_cell(node['mailbox'])}"
        f"<td class=n>{node['handled'] if node['handled'] is not None else ''}</td>"
        f"<td>{html.escape(str(node['in_hand']))}</td><td class=bad>{html.escape(error)}</td>"
        f"<td><code>{html.escape(shown[:600])}</code></td></tr>"
    )


async def _tree_page(found: Sequence[tuple[int, Supervisor | Child]], first: int, prefix: str) -> Answer:
    head = "<tr>" + "".join(
        f"<th>{title}"
        for title in (
            "path",
            "kind",
            "state",
            "attempt",
            "restarts",
            "mailbox",
            "handled",
            "in hand",
            "last crash",
            "fields",
        )
    )
    rows = await gathered(_row(node(here), prefix).encode() for _, here in found[:PAGE_ROWS])
    more = "" if len(found) <= PAGE_ROWS else f'<p><a href="?from={first + PAGE_ROWS}">more</a>'
    return _page("Actors", f"<table>{head}{rows.decode()}</table>{more}")


_FROM: Final = Parameter("from", "The first row of the page.", Kind.INTEGER)


def debug_endpoints(context: WebContext) -> list[Endpoint]:
    """/debug/actors, /debug/actors/<path>, /debug/crashes, /debug/plugins, /debug/queries, /debug/memory."""
    handlers = DebugHandler(context)
    rows = {
        "/debug/actors": (handlers.actors, "Shows the supervision tree."),
        "/debug/actors/<path:path>": (handlers.actor, "Shows one part of the supervision tree."),
        "/debug/crashes": (handlers.crashes, "Lists crash reports."),
        "/debug/plugins": (handlers.plugins, "Lists discoveries."),
        "/debug/queries": (handlers.queries, "Lists queries at work."),
        "/debug/memory": (handlers.memory, "Shows the budget of memory, and who holds how much."),
    }
    return [
        Endpoint(
            path,
            ("GET",),
            handler,
            Access.LOOPBACK,
            Role.DEBUG,
            own=True,
            summary=summary,
            parameters=(_FROM,) if handler == handlers.actors else (),
        )
        for path, (handler, summary) in rows.items()
    ]


class DebugHandler:
    """What the debug routes answer: a page for a browser, JSON for everybody else. Only on the loop's thread."""

    def __init__(self, context: WebContext) -> None:
        self._context = context

    async def actors(self, request: Request) -> Answer:
        """/debug/actors."""
        root = self._context.tree()
        if not _wants_html(request):
            return Answer(await gathered(tree_json(root)))
        first = min(max(0, parameters.integer(request.query().get("from", "")) or 0), ROWS_MAX)
        rows = list(islice(walk(root), first, first + PAGE_ROWS + 1))
        return await _tree_page(rows, first, self._context.options.link_prefix)

    async def actor(self, request: Request) -> Answer:
        """/debug/actors/<path>."""
        path = request.path_values["path"]
        start = locate(self._context.tree(), path)
        if start is None:
            raise ApiError("not_found", f'no actor at "{path}"')
        text = await gathered(tree_json(start))
        return _code_page(path, text) if _wants_html(request) else Answer(text)

    async def crashes(self, request: Request) -> Answer:
        """/debug/crashes."""
        reports = [report.as_dict() for report in self._context.tree().reports.latest()]
        return (
            _code_page("Crashes", plain_json(reports).body) if _wants_html(request) else plain_json(reports)
        )

    async def plugins(self, request: Request) -> Answer:
        """/debug/plugins."""
        found = list(self._context.plugins())
        return _plugins_page(found) if _wants_html(request) else plain_json(found)

    async def queries(self, _: Request) -> Answer:
        """/debug/queries."""
        return plain_json(dict(self._context.queries.inspect()))

    async def memory(self, request: Request) -> Answer:
        """/debug/memory."""
        answer = plain_json(dict(self._context.memory()))
        return _code_page("Memory", answer.body) if _wants_html(request) else answer


def _code_page(title: str, text: bytes) -> Answer:
    return _page(title, f"<code>{html.escape(text.decode())}</code>")


def _plugins_page(found: Sequence[Mapping[str, object]]) -> Answer:
    names = list(found[0]) if found else ["name"]
    head = "".join(f"<th>{html.escape(name)}" for name in names)
    rows = "".join(
        "<tr>" + "".join(f"<td>{html.escape(str(entry.get(name, '')))}" for name in names) for entry in found
    )
    return _page("Discovery plug-ins", f"<table><tr>{head}{rows}</table>")
