"""/consoles: pages made of templates that whoever runs the server has written."""

from __future__ import annotations

from pathlib import Path

from trimon import limits
from trimon.model.snapshot import Snapshot
from trimon.openfiles import read_regular
from trimon.query.execution.budget import Budget
from trimon.rules.alerting import template_query
from trimon.templates.errors import TemplateError
from trimon.web.auth.headers import OWNED_PAGE
from trimon.web.context import WebContext
from trimon.web.directory import NotServed, ServedDirectory
from trimon.web.http.answer import Answer, ApiError, error_text
from trimon.web.http.asking import asker_of
from trimon.web.http.endpoint import Endpoint
from trimon.web.http.request import Request


def console_endpoints(context: WebContext) -> list[Endpoint]:
    """/consoles, where there is a directory of them."""
    where = context.options.console_templates
    if where is None:
        return []
    directory, libraries = ServedDirectory(where), context.options.console_libraries

    async def console(request: Request) -> Answer:
        name = request.path_values.get("file", "")
        try:
            values = request.query()
        except ApiError as error:
            return error_text(error.message, error.status)
        options, now_ms = context.query_options(), context.clock.now_ms()
        origin = context.alert_origin
        parameters = dict(values.lists())

        def work(snapshot: Snapshot, budget: Budget) -> Answer:
            # HTML is escaped by a megabyte of tables and code, and few servers have consoles.
            from trimon.templates.consoles import (  # noqa: PLC0415 # see above
                ConsoleData,
                ConsoleTemplate,
                content_type,
            )

            data = ConsoleData(name, parameters, dict(origin.external_labels()), origin.external_url)
            try:
                text = directory.read(name, limits.CONSOLE_BYTES_MAX).decode("utf-8", "replace")
                template = ConsoleTemplate(name, text, _libraries(libraries))
                page = template.render(data, template_query(snapshot, now_ms, options, budget), now_ms)
            except NotServed as error:
                return error_text(str(error), 404)
            except (TemplateError, OSError) as error:
                return error_text(str(error), 500)
            return Answer(page.encode("utf-8", "surrogateescape"), 200, content_type(page), dict(OWNED_PAGE))

        return context.held(
            await request.attended(
                lambda: context.queries.run(f"console {name}", options, work, asker=asker_of(request))
            )
        )

    summary = "A page made of a console template."
    return [
        Endpoint(path, ("GET",), console, watches_client=True, summary=summary)
        for path in ("/consoles/", "/consoles/<path:file>")
    ]


def _libraries(directory: Path | None) -> list[tuple[str, str]]:
    """The name and text of every library. Raises OSError. Blocks on the disk."""
    if directory is None or not directory.is_dir():
        return []
    return [
        (path.name, read_regular(path, limits.CONSOLE_BYTES_MAX).decode("utf-8", "replace"))
        for path in sorted(directory.glob("*.lib"))
    ]
