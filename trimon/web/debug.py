"""/debug: the live supervision tree, crash reports and plug-ins, as JSON. A browser is led to the page of actors."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import quote

import orjson

from trimon.actors.kernel.child import Child
from trimon.actors.kernel.supervisor import Supervisor
from trimon.actors.kernel.tree import locate, node, walk
from trimon.web.context import WebContext
from trimon.web.http.answer import Answer, ApiError, plain_json
from trimon.web.http.endpoint import Access, Endpoint, Role
from trimon.web.http.pieces import gathered
from trimon.web.http.redirects import redirect
from trimon.web.http.request import Request
from trimon.web.pages import pages_are_built


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
        )
        for path, (handler, summary) in rows.items()
    ]


class DebugHandler:
    """What the debug routes answer. Only on the loop's thread."""

    def __init__(self, context: WebContext) -> None:
        self._context = context
        self._has_pages = pages_are_built()

    def _page(self, request: Request, path: str = "") -> Answer | None:
        """Where a browser is led, when there are pages."""
        if not (self._has_pages and _wants_html(request)):
            return None
        search = f"?search={quote(path, safe='')}" if path else ""
        return redirect(302, f"{quote(self._context.options.link_prefix)}/actors{search}", "GET")

    async def actors(self, request: Request) -> Answer:
        """/debug/actors."""
        return self._page(request) or Answer(await gathered(tree_json(self._context.tree())))

    async def actor(self, request: Request) -> Answer:
        """/debug/actors/<path>."""
        path = request.path_values["path"]
        start = locate(self._context.tree(), path)
        if start is None:
            raise ApiError("not_found", f'no actor at "{path}"')
        return self._page(request, path) or Answer(await gathered(tree_json(start)))

    async def crashes(self, _: Request) -> Answer:
        """/debug/crashes."""
        return plain_json([report.as_dict() for report in self._context.tree().reports.latest()])

    async def plugins(self, _: Request) -> Answer:
        """/debug/plugins."""
        return plain_json(list(self._context.plugins()))

    async def queries(self, _: Request) -> Answer:
        """/debug/queries."""
        return plain_json(dict(self._context.queries.inspect()))

    async def memory(self, _: Request) -> Answer:
        """/debug/memory."""
        return plain_json(dict(self._context.memory()))
