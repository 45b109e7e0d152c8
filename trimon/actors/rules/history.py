"""The history of alerts: every change of a state, kept through restarts."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import Final

from trimon.actors.kernel.mailbox import Mailbox, MessageTooLarge, Overflow
from trimon.actors.kernel.reply import ActorGone
from trimon.log import Log
from trimon.model.labels import Labels
from trimon.offload import Offload
from trimon.records import dataclass
from trimon.rules.alert import Alert, AlertState
from trimon.rules.changes import AlertEvent, Change
from trimon.rules.history import AlertChange, HistoryFiles, RuleName, value_text

MAILBOX_MAX: Final = 10_000
BATCH_MAX: Final = 500
LOOKED_AT_MAX: Final = 200_000
"""So many changes are looked at for those that a request asks for, and at the start for alerts that are still active."""

_ACTIVE: Final = {AlertState.PENDING: Change.PENDING, AlertState.FIRING: Change.FIRING}


@dataclass(frozen=True, slots=True)
class RuleChanges:
    """What an evaluation changed, or, if it is `complete`, all alerts that a rule has now: what is not among them is over."""

    rule: RuleName
    at_ms: int
    events: Sequence[tuple[Alert, AlertEvent]] = ()
    alerts: Sequence[Alert] = ()
    complete: bool = False


def history_mailbox() -> Mailbox[RuleChanges]:
    """The mailbox of the history: on a slow disk the oldest changes are lost, and counted; no rule waits."""
    return Mailbox("alert-history", max=MAILBOX_MAX, policy=Overflow.DROP_OLDEST)


class AlertHistory:
    """Writes changes of states, and reads them again.

    Owns: the files of the history, and the last known state of every alert that is active.
    Receives: RuleChanges.
    Sends: nothing.
    Crashes when: it has a bug; files that cannot be written are logged once, and tried again with the next change.
    On restart: the last known states are read from the files.
    """

    def __init__(
        self, files: HistoryFiles, mailbox: Mailbox[RuleChanges], offload: Offload, log: Log
    ) -> None:
        self.written = 0
        self.failures = 0
        self._files = files
        self._mailbox = mailbox
        self._offload = offload
        self._log = log
        self._error = ""
        self._known: dict[RuleName, dict[Labels, AlertChange]] = {}

    def tell(self, changes: RuleChanges) -> None:
        """Takes changes. Never waits."""
        with contextlib.suppress(ActorGone, MessageTooLarge):
            self._mailbox.send_nowait(changes)

    @property
    def dropped(self) -> int:
        """Messages that were lost because the disk is too slow."""
        return self._mailbox.stats().dropped

    async def run(self) -> None:
        """Writes until the mailbox is closed and empty."""
        self._known = await self._offload.run(self._last_states)
        try:
            while True:
                messages = await self._mailbox.receive_batch(BATCH_MAX)
                changes = [change for message in messages for change in self._news(message)]
                if changes:
                    await self._offload.run(lambda changes=changes: self._write(changes))  # type: ignore[misc] # mypy cannot infer it
        finally:
            self._files.close()

    def _news(self, message: RuleChanges) -> list[AlertChange]:
        """What is not known yet of what a rule tells."""
        known = self._known.setdefault(message.rule, {})
        told = list(message.events)
        active = [alert for alert in message.alerts if alert.state in _ACTIVE]
        # What fired before a restart is pending for some evaluations after it, and fires on for whoever reads the history.
        told += [
            (alert, _standing(alert, message.at_ms))
            for alert in active
            if alert.labels not in known or known[alert.labels].event.change is not Change.FIRING
        ]
        changes: list[AlertChange] = []
        for alert, event in told:
            before = known.get(alert.labels)
            if before is not None and before.event.change is event.change:
                continue
            if event.is_end and before is not None:
                event = replace(event, change=_end_of(before))
            value = value_text(event.value)
            changes.append(AlertChange(message.rule, alert.labels, event, alert.active_at_ms, value))
        if message.complete:
            labels_now = {alert.labels for alert in active}
            changes += [
                _over(change, message.at_ms) for labels, change in known.items() if labels not in labels_now
            ]
        for change in changes:
            if change.event.is_end:
                known.pop(change.labels, None)
            else:
                known[change.labels] = change
        if not known:
            del self._known[message.rule]
        return changes

    def _write(self, changes: Sequence[AlertChange]) -> None:
        try:
            self._files.append(changes)
        except OSError as error:
            self.failures += len(changes)
            reason = error.strerror or str(error)
            if reason != self._error:
                self._log.error("the history of alerts cannot be written", err=reason)
            self._error = reason
        else:
            self.written += len(changes)
            self._error = ""

    def _last_states(self) -> dict[RuleName, dict[Labels, AlertChange]]:
        seen: set[tuple[RuleName, Labels]] = set()
        known: dict[RuleName, dict[Labels, AlertChange]] = {}
        try:
            for change in islice(self._files.newest_first(), LOOKED_AT_MAX):
                if change is None:
                    continue
                key = (change.rule, change.labels)
                if key not in seen and not change.event.is_end:
                    known.setdefault(change.rule, {})[change.labels] = change
                seen.add(key)
        except OSError as error:
            self._log.error("the history of alerts cannot be read", err=error.strerror or str(error))
        if self._files.damaged_lines:
            self._log.warning(
                "damaged lines of the history of alerts are left out", count=self._files.damaged_lines
            )
        return known

    def find(
        self, wanted: Callable[[AlertChange], bool], most: int, check: Callable[[], None] = lambda: None
    ) -> tuple[list[AlertChange], bool]:
        """The newest changes that are wanted, the last one first, and whether there are or may be more.

        In a thread; `check` is called for each change and may raise. Raises OSError.
        """
        found: list[AlertChange] = []
        for number, change in enumerate(self._files.newest_first()):
            check()
            if number >= LOOKED_AT_MAX:
                return found, True
            if change is not None and wanted(change):
                if len(found) == most:
                    return found, True
                found.append(change)
        return found, False

    def oldest_ms(self) -> int | None:
        """The time of the oldest change that is kept; None where there is none. In a thread. Raises OSError."""
        return self._files.oldest_ms()

    def inspect(self) -> Mapping[str, object]:
        """What was written, and what is wrong."""
        return {
            "written": self.written,
            "failures": self.failures,
            "error": self._error,
            "active": sum(map(len, self._known.values())),
        }


def _standing(alert: Alert, at_ms: int) -> AlertEvent:
    return AlertEvent(_ACTIVE[alert.state], at_ms, alert.value, alert.annotations)


def _end_of(change: AlertChange) -> Change:
    return Change.RESOLVED if change.event.change is Change.FIRING else Change.INACTIVE


def _over(change: AlertChange, at_ms: int) -> AlertChange:
    """The end of an alert of which only the history knows."""
    event = AlertEvent(_end_of(change), at_ms, change.event.value, change.event.annotations)
    return AlertChange(change.rule, change.labels, event, change.active_at_ms, change.value)
