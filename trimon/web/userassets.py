"""/user: the files of a directory that whoever runs the server wants to be served beside its pages."""

from __future__ import annotations

from trimon.web.auth.headers import OWNED_PAGE
from trimon.web.context import WebContext
from trimon.web.directory import NotServed, ServedDirectory, media_type
from trimon.web.http.answer import Answer, error_text
from trimon.web.http.endpoint import Endpoint
from trimon.web.http.request import Request


def user_asset_endpoints(context: WebContext) -> list[Endpoint]:
    """/user, where there is such a directory."""
    if context.options.user_assets is None:
        return []
    directory = ServedDirectory(context.options.user_assets)

    async def asset(request: Request) -> Answer:
        name = request.path_values["file"]
        try:
            content = await context.offload.run(lambda: directory.read(name))
        except NotServed:
            return error_text("404 page not found", 404)
        answer = Answer(content, 200, media_type(name))
        answer.headers |= OWNED_PAGE
        return context.held(answer)

    return [Endpoint("/user/<path:file>", ("GET",), asset, summary="A file of --web.user-assets.")]
