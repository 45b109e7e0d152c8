"""Where targets come from: how each provider does, and which targets came and went."""

from __future__ import annotations

from typing import Final

from trimon.actors.discovery.manager import DiscoveryManager
from trimon.actors.kernel.child import Child
from trimon.actors.kernel.lifecycle import State
from trimon.config.discovery import masked_fields
from trimon.discovery.history import ChangeKind, TargetChange
from trimon.discovery.provider import ProviderRun
from trimon.gotext.strings import go_quote
from trimon.gotext.times import json_time
from trimon.model.matcher import satisfied
from trimon.query.execution.budget import Budget
from trimon.redaction import redacted
from trimon.web.api.described import LIMIT, MATCH
from trimon.web.context import WebContext
from trimon.web.http import parameters
from trimon.web.http.answer import Answer, bad_parameter
from trimon.web.http.endpoint import API_PREFIX, Endpoint, Kind, Parameter
from trimon.web.http.multidict import MultiDict
from trimon.web.http.pieces import success_in_slices
from trimon.web.http.request import Request

CHANGES_DEFAULT: Final = 1000
_KINDS: Final = tuple(kind.value for kind in ChangeKind)
_STATS: Final = ("refreshes", "refresh_failures", "last_success_ms", "last_error", "last_error_ms")


class ChangeFilter:
    """Which changes a request asks for. Raises ApiError. Made in a thread."""

    def __init__(self, values: MultiDict[str, str], provider: str, context: WebContext) -> None:
        """`provider` is the id of one, or how it begins."""
        self._start_ms = parameters.time_ms(values, "start", 0)
        self._end_ms = parameters.time_ms(values, "end", context.clock.now_ms() + 1000)
        self._provider = provider
        self._address = values.get("address", "")
        self._kinds = set(values.getlist("kind"))
        if unknown := self._kinds.difference(_KINDS):
            raise bad_parameter("kind", f"not supported value {go_quote(min(unknown))}")
        self._selectors = parameters.selectors(
            values.getlist("match[]"), Budget(context.query_options()).check
        )
        self.most = parameters.limit(values) or CHANGES_DEFAULT

    def takes(self, change: TargetChange, job: str) -> bool:
        """Whether a change is asked for."""
        if not self._start_ms <= change.at_ms <= self._end_ms:
            return False
        if self._provider and not change.provider.startswith(self._provider):
            return False
        if job and job not in change.jobs:
            return False
        if self._kinds and change.kind.value not in self._kinds:
            return False
        labels = change.labels()
        if self._address and labels.get("__address__", "") != self._address:
            return False
        return not self._selectors or any(satisfied(each, labels) for each in self._selectors)


class DiscoveryHandler:
    """Answers about providers. Only on the loop's thread."""

    def __init__(self, context: WebContext) -> None:
        self._context = context

    async def providers(self, request: Request) -> Answer:
        """/discovery."""
        values = request.query(strict=True)
        job, mechanism = values.get("job", ""), values.get("mechanism", "")
        found = (
            self._provider(manager, child, child.actor)
            for manager in self._context.discoveries()
            for child in manager.children()
            if isinstance(child.actor, ProviderRun)
            and (not job or job in child.actor.consumers)
            and (not mechanism or mechanism == child.actor.provider.mechanism)
        )
        return self._context.held(await success_in_slices({"providers": found}))

    async def changes(self, request: Request) -> Answer:
        """/discovery/changes."""
        context, values = self._context, request.query(strict=True)
        job, wanted_provider = values.get("job", ""), values.get("provider", "")
        managers = context.discoveries()
        names = {
            child.actor.provider.name: child.actor.provider.key
            for manager in managers
            for child in manager.children()
            if isinstance(child.actor, ProviderRun)
        }
        provider = names.get(wanted_provider, wanted_provider)

        def work() -> tuple[list[TargetChange], int]:
            wanted = ChangeFilter(values, provider, context)
            found = [
                change
                for manager in managers
                for change in manager.history.changes()
                if wanted.takes(change, job)
            ]
            found.sort(key=lambda change: -change.at_ms)
            return found[: wanted.most], len(found)

        found, count = await context.offload.run(work)
        since_ms = max((manager.history.since_ms for manager in managers), default=0)
        shown = {
            "since": json_time(since_ms),
            "more": count > len(found),
            "changes": (self._change(change) for change in found),
        }
        return context.held(await success_in_slices(shown))

    def _provider(self, manager: DiscoveryManager, child: Child, run: ProviderRun) -> dict[str, object]:
        stats, own = run.stats, run.own_fields()
        known = {name: own[name] for name in _STATS if name in own}
        success_ms = run.last_success_ms(own)
        error = str(known.get("last_error") or "") or _crash(child, success_ms)
        return {
            "id": run.provider.key,
            "name": run.provider.name,
            "index": run.provider.index,
            "address": redacted(run.provider.address()),
            "mechanism": run.provider.mechanism,
            "kind": manager.kind,
            "jobs": list(run.consumers),
            "state": child.state.value,
            "published": manager.hub.published(run.provider.key),
            "targets": manager.hub.held(run.provider.key),
            "groups": stats.groups,
            "publishes": stats.publishes,
            "lastPublish": json_time(run.last_publish_ms),
            "lastSuccess": json_time(success_ms),
            "lastError": redacted(error),
            "lastErrorTime": json_time(_whole(known.get("last_error_ms")) or _crash_ms(child)),
            "refreshes": _whole(known.get("refreshes")),
            "refreshFailures": _whole(known.get("refresh_failures")),
            "restarts": child.restarts,
            "fields": masked_fields({name: value for name, value in own.items() if name not in known}),
        }

    def _change(self, change: TargetChange) -> dict[str, object]:
        mask = self._context.mask
        shown: dict[str, object] = {
            "time": json_time(change.at_ms),
            "provider": change.provider,
            "jobs": list(change.jobs),
            "kind": change.kind.value,
            "source": redacted(change.source),
            "count": change.count,
            "labels": dict(mask(tuple(sorted(change.labels().items())))),
        }
        if change.kind is ChangeKind.CHANGED:
            before = dict(mask(tuple((change.before or {}).items())))
            after = dict(mask(tuple((change.after or {}).items())))
            shown["differing"] = {
                name: {"before": before.get(name), "after": after.get(name)} for name in change.differing()
            }
        return shown


def _crash_ms(child: Child) -> int:
    return int(child.last_crash.at_s * 1000) if child.last_crash is not None else 0


def _crash(child: Child, success_ms: int) -> str:
    """Why a provider is down that does not say it itself, or has not found anything since it was."""
    is_down = child.state in (State.BACKOFF, State.QUARANTINED, State.FAILED)
    if child.last_crash is None or not (is_down or _crash_ms(child) > success_ms):
        return ""
    return child.last_crash.error


def _whole(value: object) -> int:
    return value if isinstance(value, int) else 0


def discovery_endpoints(context: WebContext) -> list[Endpoint]:
    """/discovery and /discovery/changes."""
    handler = DiscoveryHandler(context)
    job = Parameter("job", "A scrape pool or a set of Alertmanagers that has the provider.")
    return [
        Endpoint(
            API_PREFIX + "/discovery",
            ("GET",),
            handler.providers,
            own=True,
            summary="Lists the providers of targets: last success, last error, how much they found.",
            parameters=(job, Parameter("mechanism", "The name of a mechanism.")),
        ),
        Endpoint(
            API_PREFIX + "/discovery/changes",
            ("GET",),
            handler.changes,
            own=True,
            summary="Lists which targets came, went or got other labels in the last hour, the newest first.",
            parameters=(
                job,
                Parameter(
                    "provider", "The name of a provider, its id, or how that begins: the name of a mechanism."
                ),
                Parameter("address", "The `__address__` of a target."),
                Parameter("kind", "What happened.", repeated=True, choices=_KINDS),
                Parameter("start", "Changes since then.", Kind.TIMESTAMP),
                Parameter("end", "Changes until then.", Kind.TIMESTAMP),
                MATCH,
                LIMIT,
            ),
        ),
    ]
