"""Rules, as the API shows them."""

from __future__ import annotations

import hashlib

from werkzeug.datastructures import MultiDict

from trimon.gotext.times import json_time
from trimon.model.matcher import satisfied
from trimon.query.execution.budget import Budget
from trimon.query.language.options import QueryOptions
from trimon.rules.alertsession import AlertingSession
from trimon.rules.group import RuleGroup
from trimon.rules.selectors import SelectorUse
from trimon.rules.session import RuleSession
from trimon.web.api.alerts import shown_alerts
from trimon.web.context import WebContext
from trimon.web.http import parameters
from trimon.web.http.answer import Answer, bad_parameter, seconds
from trimon.web.http.endpoint import API_PREFIX, Endpoint
from trimon.web.http.pieces import success_in_slices
from trimon.web.http.request import Request


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
        self.with_alerts = not parameters.boolean(values, "exclude_alerts")
        self._kind = kind
        self._names = set(values.getlist("rule_name[]"))
        self._groups = set(values.getlist("rule_group[]"))
        self._files = set(values.getlist("file[]"))
        budget = Budget(options)
        self._selectors = parameters.selectors(values.getlist("match[]"), budget.check)

    def takes_group(self, group: RuleGroup) -> bool:
        """Whether a group is asked for."""
        named = not self._groups or group.spec.name in self._groups
        return named and (not self._files or group.spec.file in self._files)

    def rules_of(self, group: RuleGroup) -> list[RuleSession]:
        """The rules of a group that are asked for."""
        return [session for session in group.rules if self._takes(session)]

    def _takes(self, session: RuleSession) -> bool:
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


def rules_endpoints(context: WebContext) -> list[Endpoint]:
    """/rules, and what the rules read."""

    async def rules(request: Request) -> Answer:
        values = await request.values()
        wanted = await context.offload.run(lambda: RuleFilter(values, context.query_options()))
        most, token = _limit(values), values.get("group_next_token", "")
        groups = sorted(context.rules(), key=lambda group: (group.spec.file, group.spec.name))
        if token:
            tokens = [page_token(group) for group in groups]
            if token not in tokens:
                reason = f"invalid group_next_token '{token}'. were rule groups changed?"
                raise bad_parameter("group_next_token", reason)
            groups = groups[tokens.index(token) :]
        shown: list[object] = []
        following = ""
        for group in groups:
            listed = wanted.rules_of(group) if wanted.takes_group(group) else []
            if not listed:
                continue
            if most and len(shown) == most:
                following = page_token(group)
                break
            shown.append(_group(group, listed, with_alerts=wanted.with_alerts))
        data: dict[str, object] = {"groups": iter(shown)}
        if following:
            data["groupNextToken"] = following
        return context.held(await success_in_slices(data))

    async def selectors(request: Request) -> Answer:
        values = await request.values()
        wanted = await context.offload.run(lambda: RuleFilter(values, context.query_options()))
        only_dead = parameters.boolean(values, "dead")
        groups = sorted(context.rules(), key=lambda group: (group.spec.file, group.spec.name))
        listed = (
            (group, [each for each in wanted.rules_of(group) if each.selectors.told or not only_dead])
            for group in groups
            if wanted.takes_group(group)
        )
        shown = (_read_by(group, sessions) for group, sessions in listed if sessions)
        return context.held(await success_in_slices({"groups": shown}))

    return [
        Endpoint(API_PREFIX + "/rules", ("GET",), rules),
        Endpoint(API_PREFIX + "/rules/selectors", ("GET",), selectors),
    ]
