"""A group of rules: its schedule, its sessions, and what its last iteration was like."""

from __future__ import annotations

import hashlib
from collections import Counter
from typing import Final

from trimon.query.language.options import QueryOptions
from trimon.rules.file import GroupSpec, RuleSpec
from trimon.rules.recording import RecordingRule
from trimon.rules.session import RuleSession

_CARRIED: Final = ("last_evaluation_ms", "duration_s", "iterations", "missed", "evaluations", "failures")


def _identities(rules: tuple[RuleSpec, ...]) -> list[tuple[str, int]]:
    """Of every rule a digest of name and labels, and how many before it have the same."""
    seen: Counter[str] = Counter()
    out = []
    for rule in rules:
        digest = hashlib.blake2b(repr((rule.record, rule.labels)).encode(), digest_size=6).hexdigest()
        out.append((digest, seen[digest]))
        seen[digest] += 1
    return out


class RuleGroup:
    """The state of one group. Belongs to its actor; the API reads it between two steps of the event loop."""

    def __init__(self, spec: GroupSpec, options: QueryOptions) -> None:
        self.spec = spec
        self.last_evaluation_ms = 0
        self.duration_s = 0.0
        self.iterations = 0
        self.missed = 0
        self.evaluations = 0
        self.failures = 0
        self.leftovers: dict[tuple[str, int], RuleSession] = {}
        """Sessions of rules that a reload took away: their series end with the next iteration."""
        self._identities = _identities(spec.rules)
        self.rules = [
            RuleSession(RecordingRule(rule, options), f"rules/{spec.file}/{spec.name}/{digest}-{number}")
            for rule, (digest, number) in zip(spec.rules, self._identities, strict=True)
        ]

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
        for name in _CARRIED:
            setattr(self, name, getattr(old, name))

    @property
    def samples(self) -> int:
        """Samples that the last evaluations of all rules stored."""
        return sum(session.samples for session in self.rules)
