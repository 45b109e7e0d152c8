"""The history of alerts, as the API shows it."""

from __future__ import annotations

from typing import Final

from trimon.actors.remoteread.reader import LOCAL_ONLY
from trimon.clock import Clock
from trimon.gotext.strings import go_quote
from trimon.gotext.times import json_time
from trimon.model.matcher import satisfied
from trimon.model.snapshot import Snapshot
from trimon.query.execution.budget import Budget
from trimon.query.language.options import QueryOptions
from trimon.rules.changes import Change
from trimon.rules.history import AlertChange
from trimon.web.api.described import BETWEEN, LIMIT, MATCH
from trimon.web.context import WebContext
from trimon.web.http import parameters
from trimon.web.http.answer import Answer, ApiError, bad_parameter
from trimon.web.http.asking import asker_of
from trimon.web.http.endpoint import API_PREFIX, Endpoint, Parameter
from trimon.web.http.multidict import MultiDict
from trimon.web.http.pieces import success_in_slices
from trimon.web.http.request import Request

CHANGES_DEFAULT: Final = 1000
CHANGES_MAX: Final = 10_000
# Looking for changes takes no longer.
FIND_S: Final = 10.0


class HistoryFilter:
    """Which changes a request asks for. Raises ApiError for parameters that make no sense. Made in a thread."""

    def __init__(self, values: MultiDict[str, str], options: QueryOptions, clock: Clock) -> None:
        self._start_ms = parameters.time_ms(values, "start", 0)
        self._end_ms = parameters.time_ms(values, "end", clock.now_ms())
        self.most = min(parameters.limit(values) or CHANGES_DEFAULT, CHANGES_MAX)
        self._changes = set(values.getlist("state"))
        unknown = self._changes.difference(each.value for each in Change)
        if unknown:
            raise bad_parameter("state", f"not supported value {go_quote(min(unknown))}")
        self._selectors = parameters.selectors(values.getlist("match[]"), Budget(options).check)

    def takes(self, change: AlertChange) -> bool:
        """Whether a change is asked for."""
        if not self._start_ms <= change.event.at_ms <= self._end_ms:
            return False
        if self._changes and change.event.change.value not in self._changes:
            return False
        labels = dict(change.labels)
        return not self._selectors or any(satisfied(each, labels) for each in self._selectors)


def _shown_change(change: AlertChange) -> dict[str, object]:
    return {
        "at": json_time(change.event.at_ms),
        "state": change.event.change.value,
        "file": change.rule.file,
        "group": change.rule.group,
        "alert": change.rule.alert,
        "labels": dict(change.labels),
        "annotations": dict(change.event.annotations),
        "value": change.value,
        "activeAt": json_time(change.active_at_ms),
    }


def alert_history_endpoints(context: WebContext) -> list[Endpoint]:
    """/alerts/history."""
    began_ms = context.clock.now_ms()

    async def history(request: Request) -> Answer:
        values = await request.values(strict=True)
        options = context.query_options().with_(timeout_s=FIND_S)
        wanted = await context.offload.run(lambda: HistoryFilter(values, options, context.clock))

        def work(_: Snapshot, budget: Budget) -> tuple[list[AlertChange], bool, int | None]:
            changes, more = context.alert_history.find(wanted.takes, wanted.most, budget.check)
            return changes, more, context.alert_history.oldest_ms()

        try:
            changes, more, oldest_ms = await request.attended(
                lambda: context.queries.run(
                    "alert history", options, work, asker=asker_of(request), hops=LOCAL_ONLY
                )
            )
        except OSError as error:
            reason = f"the history of alerts cannot be read: {error.strerror or error}"
            raise ApiError("unavailable", reason, 503) from None
        shown = (_shown_change(change) for change in changes)
        # Before the oldest change there may have been others; without one the time since this start is known.
        since_ms = began_ms if oldest_ms is None else min(began_ms, oldest_ms)
        data = {"changes": shown, "more": more, "since": json_time(since_ms)}
        return context.held(await success_in_slices(data))

    return [
        Endpoint(
            API_PREFIX + "/alerts/history",
            ("GET",),
            history,
            own=True,
            summary="Lists changes of the states of alerts, the last one first.",
            parameters=(
                *BETWEEN,
                MATCH,
                Parameter(
                    "state",
                    "States that alerts came into.",
                    repeated=True,
                    choices=("pending", "firing", "resolved", "inactive"),
                ),
                LIMIT,
            ),
        ),
    ]
