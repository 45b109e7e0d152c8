"""Admin routes: deletion, tombstone cleaning, snapshots. Off unless `--web.enable-admin-api`."""

from __future__ import annotations

from quart import Blueprint, Response

from trimon.memory import give_back
from trimon.query.execution.budget import Budget
from trimon.web.context import WebContext
from trimon.web.http import parameters
from trimon.web.http.answer import ApiError, success

_FOREVER_MS = 2**52


def admin_routes(context: WebContext) -> Blueprint:
    """/admin/tsdb/*."""
    blueprint = Blueprint("admin", __name__)

    @blueprint.before_request
    async def enabled() -> None:
        if not context.options.enable_admin_api:
            raise ApiError("unavailable", "admin APIs disabled")
        context.snapshot()

    @blueprint.route("/admin/tsdb/delete_series", methods=["POST", "PUT"])
    async def delete_series() -> Response:
        values = await parameters.parameters()
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
        return Response(b"", status=204)

    @blueprint.route("/admin/tsdb/clean_tombstones", methods=["POST", "PUT"])
    async def clean_tombstones() -> Response:
        await context.offload.run(context.store.clean_tombstones)
        return Response(b"", status=204)

    @blueprint.route("/admin/tsdb/snapshot", methods=["POST", "PUT"])
    async def snapshot() -> Response:
        values = await parameters.parameters()
        skip_head = parameters.boolean(values, "skip_head")

        def work() -> str:
            try:
                return context.store.write_snapshot(skip_head=skip_head)
            finally:
                give_back()

        return success({"name": await context.offload.run(work)})

    return blueprint
