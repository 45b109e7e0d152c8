"""Rules, as the API shows them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Final

from trimon.actors.remoteread.reader import LOCAL_ONLY
from trimon.gotext.times import json_time
from trimon.model.matcher import satisfied
from trimon.model.snapshot import Snapshot
from trimon.query.execution.budget import Budget
from trimon.query.language.options import QueryOptions
from trimon.rules.alertsession import AlertingSession
from trimon.rules.group import RuleGroup
from trimon.rules.selectors import SelectorUse
from trimon.rules.session import RuleSession
from trimon.web.api.alerting.alerts import shown_alerts
from trimon.web.api.described import RULES
from trimon.web.context import WebContext
from trimon.web.http import parameters
from trimon.web.http.answer import Answer, bad_parameter, seconds
from trimon.web.http.asking import asker_of
from trimon.web.http.endpoint import API_PREFIX, Endpoint, Kind, Parameter
from trimon.web.http.multidict import MultiDict
from trimon.web.http.pieces import success_in_slices
from trimon.web.http.request import Request

# Choosing rules by their labels takes no longer.
FILTER_S: Final = 10.0


def _rule(session: RuleSession, *, with_alerts: bool) -> dict[str, object]:
    spec = session.spec
    shown: dict[str, object]
    if isinstance(session, AlertingSession):
        shown = {
            "state": session.state,
            "name": spec.name,
            "query": session.query,
            "duration": seconds(session.spec.for_ms / 1000),
            "keepFiringFor": seconds(session.spec.keep_firing_for_ms / 1000),
            "labels": dict(spec.labels),
            "annotations": dict(session.spec.annotations),
            "alerts": shown_alerts(session) if with_alerts else None,
            "health": session.health,
        }
    else:
        shown = {
            "name": spec.name,
            "query": session.query,
            "labels": dict(spec.labels),
            "health": session.health,
        }
    if session.last_error:
        shown["lastError"] = session.last_error
    shown["evaluationTime"] = seconds(session.duration_s)
    shown["lastEvaluation"] = json_time(session.last_evaluation_ms)
    shown["type"] = "alerting" if isinstance(session, AlertingSession) else "recording"
    return shown


def _group(group: RuleGroup, rules: list[RuleSession], *, with_alerts: bool) -> dict[str, object]:
    return {
        "name": group.spec.name,
        "file": group.spec.file,
        "rules": (_rule(session, with_alerts=with_alerts) for session in rules),
        "interval": seconds(group.spec.interval_ms / 1000),
        "limit": group.spec.limit,
        "evaluationTime": seconds(group.duration_s),
        "lastEvaluation": json_time(group.last_evaluation_ms),
    }


def page_token(group: RuleGroup) -> str:
    """What names a group as the first of a page."""
    return hashlib.sha256(f"{group.spec.file};{group.spec.name}".encode()).hexdigest()


class RuleFilter:
    """Which rules a request asks for. Raises ApiError for parameters that make no sense. Made in a thread."""

    def __init__(self, values: MultiDict[str, str], options: QueryOptions) -> None:
        kind = values.get("type", "").lower()
        if kind not in ("", "alert", "record"):
            raise bad_parameter("type", f'not supported value "{kind}"')
        excluded = values.get("exclude_alerts", "").lower()
        self.with_alerts = not parameters.boolean_of(
            excluded, "exclude_alerts", "error converting exclude_alerts"
        )
        self._kind = kind
        self._names = set(values.getlist("rule_name[]"))
        self._groups = set(values.getlist("rule_group[]"))
        self._files = set(values.getlist("file[]"))
        self._selectors = parameters.selectors(values.getlist("match[]"), Budget(options).check)

    @property
    def is_dear(self) -> bool:
        """Whether it matches labels, which takes a rule and a selector some time each."""
        return bool(self._selectors)

    def _takes_group(self, group: RuleGroup) -> bool:
        named = not self._groups or group.spec.name in self._groups
        return named and (not self._files or group.spec.file in self._files)

    def chosen(
        self, groups: Sequence[RuleGroup], check: Callable[[], None] = lambda: None
    ) -> list[tuple[RuleGroup, list[RuleSession]]]:
        """The groups that are asked for and have rules that are, with those. In a thread; `check` may raise."""
        found = [
            (group, [session for session in group.rules if self._takes(session, check)])
            for group in groups
            if self._takes_group(group)
        ]
        return [(group, sessions) for group, sessions in found if sessions]

    def _takes(self, session: RuleSession, check: Callable[[], None]) -> bool:
        check()
        spec = session.spec
        alerting = isinstance(session, AlertingSession)
        if self._kind and alerting != (self._kind == "alert"):
            return False
        if self._names and spec.name not in self._names:
            return False
        labels = dict(spec.labels)
        return not self._selectors or any(satisfied(matchers, labels) for matchers in self._selectors)


def _limit(values: MultiDict[str, str]) -> int:
    text = values.get("group_limit", "")
    if not text:
        if values.get("group_next_token", ""):
            raise bad_parameter(
                "group_next_token", "group_limit needs to be present in order to paginate over the groups"
            )
        return 0
    number = parameters.integer(text)
    if number is None:
        reason = f'group_limit needs to be a valid number: strconv.ParseInt: parsing "{text}": invalid syntax'
        raise bad_parameter("group_limit", reason)
    if abs(number) > parameters.INT_MAX:
        reason = (
            f'group_limit needs to be a valid number: strconv.ParseInt: parsing "{text}": value out of range'
        )
        raise bad_parameter("group_limit", reason)
    if number <= 0:
        raise bad_parameter("group_limit", "group_limit needs to be greater than 0")
    return number


def _read_by(group: RuleGroup, sessions: list[RuleSession]) -> dict[str, object]:
    return {
        "name": group.spec.name,
        "file": group.spec.file,
        "rules": (
            {
                "name": session.spec.name,
                "type": "alerting" if isinstance(session, AlertingSession) else "recording",
                "query": session.query,
                "dead": session.selectors.told,
                "unmatched": bool(session.selectors.unmatched()),
                "selectors": [_selector(use) for use in session.selectors.uses],
            }
            for session in sessions
        ),
    }


def _selector(use: SelectorUse) -> dict[str, object]:
    return {
        "selector": use.selector.text,
        "optional": use.selector.optional,
        "matched": use.matched,
        "lastMatched": json_time(use.last_matched_ms) if use.last_matched_ms else None,
        "evaluations": use.evaluations,
    }


def _from_token(groups: Sequence[RuleGroup], token: str) -> list[RuleGroup]:
    """The groups in their order, from that of a token on. Raises ApiError."""
    ordered = sorted(groups, key=lambda group: (group.spec.file, group.spec.name))
    if not token:
        return ordered
    tokens = [page_token(group) for group in ordered]
    if token not in tokens:
        raise bad_parameter(
            "group_next_token", f"invalid group_next_token '{token}'. were rule groups changed?"
        )
    return ordered[tokens.index(token) :]


def rules_endpoints(context: WebContext) -> list[Endpoint]:
    """/rules, and what the rules read."""

    async def chosen(
        request: Request, values: MultiDict[str, str], token: str = ""
    ) -> tuple[RuleFilter, list[tuple[RuleGroup, list[RuleSession]]]]:
        """What a request asks for, from the group of a token on. Raises ApiError."""
        options = context.query_options().with_(timeout_s=FILTER_S)
        wanted = await context.offload.run(lambda: RuleFilter(values, options))
        groups = _from_token(context.rules(), token)
        if not wanted.is_dear:
            return wanted, await context.offload.run(lambda: wanted.chosen(groups))

        def work(_: Snapshot, budget: Budget) -> list[tuple[RuleGroup, list[RuleSession]]]:
            return wanted.chosen(groups, budget.check)

        return wanted, await request.attended(
            lambda: context.queries.run("rules", options, work, asker=asker_of(request), hops=LOCAL_ONLY)
        )

    async def rules(request: Request) -> Answer:
        values = await request.values(strict=True)
        most, token = _limit(values), values.get("group_next_token", "")
        wanted, listed = await chosen(request, values, token)
        shown = [_group(*each, with_alerts=wanted.with_alerts) for each in listed[: most or None]]
        data: dict[str, object] = {"groups": iter(shown)}
        if most and len(listed) > most:
            data["groupNextToken"] = page_token(listed[most][0])
        return context.held(await success_in_slices(data))

    async def selectors(request: Request) -> Answer:
        values = await request.values(strict=True)
        only_dead, only_unmatched = (parameters.boolean(values, name) for name in ("dead", "unmatched"))
        _, listed = await chosen(request, values)
        kept = (
            (
                group,
                [
                    session
                    for session in sessions
                    if (session.selectors.told or not only_dead)
                    and (not only_unmatched or session.selectors.unmatched())
                ],
            )
            for group, sessions in listed
        )
        shown = (_read_by(group, sessions) for group, sessions in kept if sessions)
        return context.held(await success_in_slices({"groups": shown}))

    return [
        Endpoint(
            API_PREFIX + "/rules",
            ("GET",),
            rules,
            summary="Lists rules with their health and alerts.",
            parameters=(
                *RULES,
                Parameter("group_limit", "Most groups of a page.", Kind.INTEGER),
                Parameter("group_next_token", "Where a page begins."),
            ),
        ),
        Endpoint(
            API_PREFIX + "/rules/selectors",
            ("GET",),
            selectors,
            own=True,
            summary="Lists what rules read, and which selectors match nothing.",
            parameters=(
                *RULES[:-1],
                Parameter("dead", "Whether only rules with dead selectors are shown.", Kind.BOOLEAN),
                Parameter(
                    "unmatched",
                    "Whether only rules are shown that can give nothing by what has matched so far.",
                    Kind.BOOLEAN,
                ),
            ),
        ),
    ]
