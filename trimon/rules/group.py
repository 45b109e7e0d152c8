"""A group of rules: its schedule, its sessions, and what its last iteration was like."""

from __future__ import annotations

import hashlib
from collections import Counter
from functools import cached_property
from typing import Final

from trimon.model.rows import Row
from trimon.query.language.options import QueryOptions
from trimon.rules.alerting import AlertingRule, AlertOrigin
from trimon.rules.alertsession import AlertingSession
from trimon.rules.dependencies import Batch, batches_of, readings_of
from trimon.rules.recording import RecordingRule
from trimon.rules.session import RecordingSession, RuleSession
from trimon.rules.spec import GroupSpec, RecordingSpec, RuleSpec

_CARRIED: Final = (
    "last_evaluation_ms",
    "duration_s",
    "iterations",
    "missed",
    "evaluations",
    "failures",
    "caught_up",
)


def _identities(rules: tuple[RuleSpec, ...]) -> list[tuple[str, int]]:
    """Of every rule a digest of name and labels, and how many before it have the same."""
    seen: Counter[str] = Counter()
    out = []
    for rule in rules:
        named = (type(rule).__name__, rule.name, rule.labels)
        digest = hashlib.blake2b(repr(named).encode(), digest_size=6).hexdigest()
        out.append((digest, seen[digest]))
        seen[digest] += 1
    return out


class RuleGroup:
    """The state of one group. Belongs to its actor; the API reads it between two steps of the event loop."""

    def __init__(
        self,
        spec: GroupSpec,
        options: QueryOptions,
        origin: AlertOrigin | None = None,
        *,
        restores: bool = False,
    ) -> None:
        """`restores` for a group of the first configuration: it may have been there before a restart."""
        self.spec = spec
        self.restores = restores
        """Whether the alerts of before a restart are still to be looked for."""
        self.catches_up = restores and spec.catch_up
        """Whether iterations that were missed before the start are still to be caught up with."""
        self.caught_up = 0
        self.last_evaluation_ms = 0
        self.duration_s = 0.0
        self.iterations = 0
        self.missed = 0
        self.evaluations = 0
        self.failures = 0
        self.leftovers: dict[tuple[str, int], RuleSession] = {}
        """Sessions of rules that a reload took away: their series end with the next iteration."""
        self.ends: list[Row] = []
        """What ends the series of rules that are gone, as long as storage has not taken it."""
        self._identities = _identities(spec.rules)
        self._options = options
        self.rules = [
            self._session(
                rule, f"rules/{spec.file}/{spec.name}/{digest}-{number}", options, origin or AlertOrigin()
            )
            for rule, (digest, number) in zip(spec.rules, self._identities, strict=True)
        ]

    def _session(
        self, rule: RuleSpec, scrape_group: str, options: QueryOptions, origin: AlertOrigin
    ) -> RuleSession:
        if isinstance(rule, RecordingSpec):
            return RecordingSession(RecordingRule(rule, options), scrape_group)
        alerting = AlertingRule(rule, options, origin)
        return AlertingSession(alerting, scrape_group, restored=not self.restores)

    def miss(self, slots: int) -> None:
        """So many iterations were left out."""
        self.missed += slots

    @cached_property
    def batches(self) -> tuple[Batch, ...]:
        """The rules by what may be evaluated at once."""
        return batches_of(self.spec.rules, self._options)

    @cached_property
    def readings(self) -> tuple[int, ...]:
        """Of every rule the number of the reading that it may share."""
        return readings_of(self.spec.rules, self._options)

    @property
    def alerting(self) -> list[AlertingSession]:
        """The alerting rules."""
        return [session for session in self.rules if isinstance(session, AlertingSession)]

    @property
    def offset_ms(self) -> int:
        """The phase of the group in its interval, from its identity: groups are spread, and stay where they are."""
        digest = hashlib.blake2b(self.spec.key.encode(), digest_size=8).digest()
        return int.from_bytes(digest, "big") % self.spec.interval_ms

    def inherit(self, old: RuleGroup) -> None:
        """Goes on where the same group with other rules ended: rules of the same name and labels keep their series."""
        sessions = {**old.leftovers, **dict(zip(old._identities, old.rules, strict=True))}
        for identity, session in zip(self._identities, self.rules, strict=True):
            predecessor = sessions.pop(identity, None)
            if predecessor is not None:
                session.inherit(predecessor)
        self.leftovers = sessions
        self.take_ends(old)
        self.restores, self.catches_up = old.restores, old.catches_up
        for name in _CARRIED:
            setattr(self, name, getattr(old, name))

    def take_ends(self, old: RuleGroup) -> None:
        """Has what storage has not taken of another group, but for series that a rule here goes on with."""
        mine = {session.group for session in self.rules}
        self.ends += [row for row in old.ends if row.group not in mine]

    @property
    def samples(self) -> int:
        """Samples that the last evaluations of all rules stored."""
        return sum(session.samples for session in self.rules)
