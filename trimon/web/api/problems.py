"""/trimon/problems: the last warnings and errors of the log."""

from __future__ import annotations

from trimon.web.context import WebContext
from trimon.web.http.answer import Answer, success
from trimon.web.http.endpoint import API_PREFIX, Access, Endpoint, Role
from trimon.web.http.request import Request


def problem_endpoints(context: WebContext) -> list[Endpoint]:
    """/trimon/problems."""

    async def problems(_: Request) -> Answer:
        return success(
            [
                {
                    "level": each.level,
                    "message": each.message,
                    "fields": dict(each.fields),
                    "first": each.first,
                    "last": each.last,
                    "count": each.count,
                }
                for each in context.problems.latest()
            ]
        )

    return [
        Endpoint(
            API_PREFIX + "/trimon/problems",
            ("GET",),
            problems,
            Access.LOOPBACK,
            Role.DEBUG,
            own=True,
            summary="The last warnings and errors of the log, equal ones counted, the last one first.",
        )
    ]
