"""Admin routes: deletion, tombstone cleaning, snapshots. Off unless `--web.enable-admin-api`."""

from __future__ import annotations

from dataclasses import replace

from trimon.memory.allocator import give_back
from trimon.query.execution.budget import Budget
from trimon.web.api.described import BETWEEN, MATCH
from trimon.web.context import WebContext
from trimon.web.http import parameters
from trimon.web.http.answer import Answer, ApiError, success
from trimon.web.http.endpoint import API_PREFIX, Endpoint, Handler, Kind, Parameter, Role
from trimon.web.http.request import Request

_FOREVER_MS = 2**52


def admin_endpoints(context: WebContext) -> list[Endpoint]:
    """/admin/tsdb/*."""

    def enabled(handler: Handler) -> Handler:
        async def checked(request: Request) -> Answer:
            if not context.options.enable_admin_api:
                raise ApiError("unavailable", "admin APIs disabled")
            context.snapshot()
            return await handler(request)

        return checked

    async def delete_series(request: Request) -> Answer:
        values = await request.values(strict=True)
        if not values.getlist("match[]"):
            raise ApiError("bad_data", "no match[] parameter provided")
        budget = Budget(context.query_options())
        selectors = await context.offload.run(
            lambda: parameters.selectors(values.getlist("match[]"), budget.check, named=True), budget.cancel
        )
        start_ms = parameters.time_ms(values, "start", -_FOREVER_MS)
        end_ms = parameters.time_ms(values, "end", _FOREVER_MS)

        def work() -> None:
            for matchers in selectors:
                context.store.delete_series(matchers, start_ms, end_ms)

        if start_ms <= end_ms:  # there is nothing in other times
            await context.writer.perform("delete series", work)
        return Answer(b"", 204, "")

    async def clean_tombstones(_: Request) -> Answer:
        await context.clean_tombstones()
        return Answer(b"", 204, "")

    async def snapshot(request: Request) -> Answer:
        values = await request.values()
        skip_head = parameters.boolean(values, "skip_head")

        def work() -> str:
            try:
                return context.store.write_snapshot(skip_head=skip_head)
            finally:
                give_back()

        return success({"name": await context.offload.run(work)})

    rows: dict[str, tuple[Handler, str, tuple[Parameter, ...]]] = {
        "delete_series": (
            delete_series,
            "Deletes the samples of series in a range.",
            (replace(MATCH, required=True), *BETWEEN),
        ),
        "clean_tombstones": (clean_tombstones, "Rewrites blocks without what was deleted.", ()),
        "snapshot": (
            snapshot,
            "Copies all data into a directory of its own.",
            (Parameter("skip_head", "Whether what is in no block yet is left out.", Kind.BOOLEAN),),
        ),
    }
    return [
        Endpoint(
            f"{API_PREFIX}/admin/tsdb/{name}",
            ("POST", "PUT"),
            enabled(handler),
            role=Role.ADMIN,
            changes=True,
            summary=summary,
            parameters=given,
        )
        for name, (handler, summary, given) in rows.items()
    ]
