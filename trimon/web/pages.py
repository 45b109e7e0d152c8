"""The pages for people: one document that every page's path leads to, and the files it is made of.

The document is built from `ui/` into `static/` when the project is packed. Its scripts find the rest by the names in it,
so it alone knows under which path people reach the server:

    /prom/targets ──> index.html with  href="./assets/…"  made  href="/prom/assets/…",
                      the prefix, the title and what else a script cannot ask for in <meta> elements,
                      and a nonce for the style sheets that the editor makes: there is no 'unsafe-inline'
    /prom/assets/index-3f2a.js ──> the file, kept for a year: another content has another name

Where there is no build, every page's path has a page of plain words that says how to get one.
"""

from __future__ import annotations

import html
import re
import secrets
import string
from pathlib import Path
from typing import Final
from urllib.parse import quote

from trimon import __version__
from trimon.web.auth.headers import page_policy
from trimon.web.context import WebContext
from trimon.web.directory import NotServed, ServedDirectory, media_type
from trimon.web.http.answer import Answer, error_text
from trimon.web.http.compression import accepted_encodings
from trimon.web.http.endpoint import Endpoint, Handler
from trimon.web.http.redirects import redirect
from trimon.web.http.request import Request
from trimon.web.permissions import permissions

STATIC: Final = Path(__file__).parent / "static"
# Prometheus' pages under its paths, and ours.
PAGES: Final = {
    "/query": "queries",
    "/explore": "metrics, and what takes series",
    "/alerts": "alerts",
    "/rules": "rules",
    "/targets": "targets",
    "/service-discovery": "where targets come from",
    "/alertmanager-discovery": "Alertmanagers",
    "/actors": "the actors and what each is doing",
    "/queries": "queries at work, and slow ones",
    "/problems": "the last warnings and errors",
    "/tsdb-status": "what is stored",
    "/config": "the configuration",
    "/remote-write": "receivers of remote write",
    "/status": "runtime and build information",
    "/plan": "what another configuration would change",
    "/flags": "flags",
}
# What may be a mistyped page: no file, and nothing below what machines ask.
_PAGE_ADDRESS: Final = re.compile(r"/(?!(?:api|-|assets|debug|metrics|federate|user|consoles)(?:/|$))[^.]*")
_ROOT_FILES: Final = ("favicon.svg", "licences.txt", "theme.js")
# What a query may have as it is; there are no control characters and no spaces in a request line.
_QUERY_SAFE: Final = string.punctuation
# What --web.page-title is where nobody says it.
PROMETHEUS_TITLE: Final = "Prometheus Time Series Collection and Processing Server"
_HTML: Final = "text/html; charset=utf-8"
_FOREVER: Final = {"Cache-Control": "public, max-age=31536000, immutable"}
_ASK_AGAIN: Final = {"Cache-Control": "no-cache"}
_OPEN: Final = (
    "<p role=alert><b>Whoever reaches this server may read and query it</b>: it listens on more than loopback, and asks nobody "
    "who he is. <code>--web.config.file</code> has users.</p>"
)
_MISSING: Final = """<h1>trimon {version} runs without its pages</h1>{banner}
<p>The server works: it scrapes, stores, evaluates rules and answers <a href="{prefix}/api/v1/query?query=up">its API</a>, so
Grafana and promtool can be used as ever. Only the pages were not built when it was installed, because Node's packages could
not be had then.</p>
<p>To get them, install a wheel (<code>pip install trimon</code>), which has them inside, or, in a clone with access to npm's
packages, run <code>TRIMON_UI=required pip install --editable .</code>, which says what fails. Then start the server again.</p>
<p>Until then: <a href="{prefix}/api/v1/targets">targets</a>, <a href="{prefix}/api/v1/rules">rules</a>,
<a href="{prefix}/api/v1/alerts">alerts</a>, <a href="{prefix}/api/v1/status/config">configuration</a>,
<a href="{prefix}/metrics">metrics</a>, <a href="{prefix}/debug/actors">actors</a>.</p>"""


def pages_are_built(static: Path = STATIC) -> bool:
    """Whether there is a build of the pages."""
    return (static / "index.html").is_file()


class Pages:
    """Answers with the document and its files. Only on the loop's thread."""

    def __init__(self, context: WebContext, static: Path) -> None:
        self._context = context
        self._directory = ServedDirectory(static)
        try:
            self._document = (static / "index.html").read_text()
        except OSError:
            self._document = ""
        title = context.options.page_title
        self._title = "" if title == PROMETHEUS_TITLE else title
        self._shown_title = html.escape(self._title or "trimon")
        consoles = context.options.console_templates
        self._has_consoles = consoles is not None and (consoles / "index.html").is_file()

    async def missing(self, request: Request) -> Answer:
        """What is at no address: for a browser that follows a link to a page, a page that says so."""
        inside = request.path.removeprefix(self._context.options.route_prefix)
        wants_page = "text/html" in request.header("accept") and _PAGE_ADDRESS.fullmatch(inside)
        if request.method != "GET" or not wants_page or not self._document:
            return error_text("404 page not found", 404)
        answer = await self.page(request)
        answer.status = 404
        return answer

    async def page(self, request: Request) -> Answer:
        """Any page."""
        open_to_all = self._context.security.open_without_authentication
        prefix = quote(self._context.options.link_prefix)
        if not self._document:
            body = _MISSING.format(
                version=html.escape(__version__),
                prefix=html.escape(prefix),
                banner=_OPEN if open_to_all else "",
            )
            text = (
                f"<!doctype html><html lang=en><meta charset=utf-8><title>{self._shown_title}</title>{body}"
            )
            return Answer(text.encode(), 200, _HTML, dict(_ASK_AGAIN))
        nonce = secrets.token_urlsafe(16)
        return Answer(
            self._filled(prefix, nonce, permissions(self._context, request)).encode(),
            200,
            _HTML,
            {**_ASK_AGAIN, "Content-Security-Policy": page_policy(nonce)},
        )

    def _filled(self, prefix: str, nonce: str, may: frozenset[str]) -> str:
        """The document for one request."""
        told = {
            "trimon-prefix": prefix,
            "trimon-title": self._title,
            "trimon-version": __version__,
            "trimon-consoles": f"{prefix}/consoles/index.html" if self._has_consoles else "",
            "trimon-starting": "" if self._context.ready() else "1",
            "trimon-agent": "1" if self._context.options.agent else "",
            "trimon-nonce": nonce,
            "trimon-may": " ".join(sorted(may)),
        }
        metas = "".join(
            f'<meta name="{name}" content="{html.escape(value)}">' for name, value in told.items()
        )
        document = self._document.replace('="./', f'="{html.escape(prefix)}/')
        return document.replace("<title>trimon</title>", f"<title>{self._shown_title}</title>{metas}", 1)

    async def file(self, request: Request) -> Answer:
        """/assets/<file>, and the few files beside it."""
        name = request.path_values.get("file")
        is_asset = name is not None
        name = f"assets/{name}" if is_asset else request.path.rpartition("/")[2]
        headers = dict(_FOREVER if is_asset else _ASK_AGAIN)
        packed = "gzip" in accepted_encodings(request.header("accept-encoding"))
        try:
            body, is_packed = await self._context.offload.run(lambda: self._read(name, packed))
        except OSError:  # NotServed among them
            return error_text("404 page not found", 404)
        headers["Vary"] = "Accept-Encoding"
        if is_packed:
            headers["Content-Encoding"] = "gzip"
        return self._context.held(Answer(body, 200, media_type(name), headers))

    def _read(self, name: str, packed: bool) -> tuple[bytes, bool]:
        """A file, and whether it is packed. Raises NotServed. Blocks on the disk."""
        if name.endswith(".gz"):
            raise NotServed(0, "no file by itself", name)
        if packed:
            try:
                return self._directory.read(f"{name}.gz"), True
            except NotServed:
                pass  # It was not worth packing, or is not there at all.
        return self._directory.read(name), False


def missing_page(context: WebContext, static: Path = STATIC) -> Handler:
    """The handler of what is at no address."""
    return Pages(context, static).missing


def page_endpoints(context: WebContext, static: Path = STATIC) -> list[Endpoint]:
    """Every page's path, the files of the pages, and where old links lead."""
    pages = Pages(context, static)

    async def to_index(_: Request) -> Answer:
        first = "agent" if context.options.agent else "query"
        return redirect(302, f"{quote(context.options.link_prefix)}/{first}", "GET")

    async def agent(_: Request) -> Answer:
        return redirect(302, f"{quote(context.options.link_prefix)}/targets", "GET")

    async def graph(request: Request) -> Answer:
        query = quote(request.raw_query.encode("latin1"), _QUERY_SAFE)
        where = f"{quote(context.options.link_prefix)}/query"
        return redirect(302, f"{where}?{query}" if query else where, "GET")

    return [
        Endpoint("/", ("GET",), to_index, summary="Leads to the first page."),
        *(
            [Endpoint("/agent", ("GET",), agent, summary="Leads to what an agent does: its targets.")]
            if context.options.agent
            else []
        ),
        Endpoint("/graph", ("GET",), graph, summary="Leads to the page of queries, with its parameters."),
        *(
            Endpoint(path, ("GET",), pages.page, summary=f"The page of {what}.")
            for path, what in PAGES.items()
        ),
        *(
            Endpoint(f"/{name}", ("GET",), pages.file, summary="A file that the pages are made of.")
            for name in _ROOT_FILES
        ),
        Endpoint("/assets/<path:file>", ("GET",), pages.file, summary="A file that the pages are made of."),
    ]
