"""What batch jobs push, as a Pushgateway takes it: behind `trimon_receivers.pushgateway`."""

from __future__ import annotations

from typing import Final

from trimon import limits
from trimon.actors.kernel.ask import AskTimeout
from trimon.actors.kernel.mailbox import MailboxFull
from trimon.actors.kernel.reply import ActorGone
from trimon.actors.receivers.pushgroups import PushGroups
from trimon.errors import OperatingError, UserError
from trimon.fetch.request import BodyError, BodyTooBig
from trimon.gotext.times import rfc3339
from trimon.scrape.pushed import PushedBody, grouping_of, read_push
from trimon.web.api.remote.packedbody import unpacked_body
from trimon.web.api.remote.refusals import Refusals
from trimon.web.context import WebContext
from trimon.web.http.answer import Answer, ApiError, error_text, success
from trimon.web.http.endpoint import API_PREFIX, Endpoint, Role
from trimon.web.http.request import BodyTooLong, Request

DISABLED: Final = "metrics are not pushed here: the configuration has no trimon_receivers.pushgateway"
# A smaller body is read on the loop: some milliseconds where none of its series is known.
INLINE_BYTES_MAX: Final = 4 * 1024


class PushHandler:
    """What /metrics/job/... answers. Only on the loop's thread; big bodies are read in a worker."""

    def __init__(self, context: WebContext) -> None:
        self._context = context
        self._refusals = Refusals(context.log)

    async def change(self, request: Request) -> Answer:
        """/metrics/job/...; errors are plain text."""
        groups = self._context.pushes()
        if groups is None:
            return error_text(DISABLED, 404)
        try:
            return await self._change(request, groups)
        except UserError as error:
            return self._refused(request, error.message, 400)
        except (BodyTooLong, BodyTooBig):
            most = limits.PUSH_BODY_BYTES_MAX
            return self._refused(request, f"request body exceeds the {most} bytes limit", 413)
        except BodyError as error:
            return self._refused(request, str(error), 400)
        except (OperatingError, MailboxFull, ActorGone, AskTimeout) as error:
            answer = self._refused(request, str(error), 503)
            answer.headers["Retry-After"] = "5"
            return answer

    def _refused(self, request: Request, message: str, status: int) -> Answer:
        group = f"job{request.path_values['job']}"[:200]
        self._refusals.tell("a push is refused", message, status=status, group=group, request=request)
        return error_text(message, status)

    async def _change(self, request: Request, groups: PushGroups) -> Answer:
        labels = grouping_of(f"job{request.path_values['job']}")
        if request.method == "DELETE":
            await groups.delete(labels)
            return Answer(b"", 202, "")
        body = await unpacked_body(self._context, request, limits.PUSH_BODY_BYTES_MAX)
        content_type, now_ms = request.header("content-type"), self._context.clock.now_ms()

        def read() -> PushedBody:
            return read_push(body, content_type, labels, now_ms)

        try:
            found = read() if len(body) <= INLINE_BYTES_MAX else await self._context.offload.run(read)
        except UserError:
            groups.fail(labels)
            raise
        await groups.push(labels, found, replaces=request.method == "PUT")
        return Answer(b"", 200, "")

    async def listing(self, _: Request) -> Answer:
        """/trimon/pushed."""
        groups = self._context.pushes()
        if groups is None:
            raise ApiError("not_found", DISABLED)
        return success(
            [
                {
                    "labels": dict(group.labels),
                    "series": group.series,
                    "pushed": rfc3339(group.pushed_ms),
                    "failed": rfc3339(group.failed_ms) if group.failed_ms else None,
                    "families": sorted(group.families),
                }
                for group in groups.groups.values()
            ]
        )


def pushgateway_endpoints(context: WebContext) -> list[Endpoint]:
    """/metrics/job..., /trimon/pushed."""
    handler = PushHandler(context)
    return [
        Endpoint(
            "/metrics/job<path:job>",
            ("PUT", "POST", "DELETE"),
            handler.change,
            role=Role.WRITE,
            changes=True,
            watches_client=True,
            summary="Replaces, adds to or ends the metrics of a group, which are shown until then.",
        ),
        Endpoint(
            API_PREFIX + "/trimon/pushed",
            ("GET",),
            handler.listing,
            own=True,
            summary="Lists the groups that were pushed.",
        ),
    ]
