"""Which targets came, went, or got other labels, in the last hour: why a target vanished.

    Hub.update ─ note(group before, group after): a reference, no work ─ pending ─ work(), in a thread ─ changes

A group may have 100,000 targets, so the difference is never taken where it is noted. What is kept is bounded in time and in
bytes; where changes come too fast for an hour of them, `since_ms` says how far back they reach.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from enum import Enum
from typing import Final

from trimon.clock import Clock
from trimon.discovery.sink import LabelSets
from trimon.records import dataclass

SPAN_MS: Final = 3_600_000
BYTES_MAX: Final = 16 * 2**20
CHANGES_MAX: Final = 50_000
PENDING_TARGETS_MAX: Final = 400_000
_ADDRESS: Final = "__address__"
# What an entry and each of its labels take beside the text of the labels.
_ENTRY_BYTES: Final = 200
_LABEL_BYTES: Final = 100


class ChangeKind(Enum):
    """What happened."""

    FIRST = "first publish"
    """A provider said for the first time what there is; `count` targets."""
    REMOVED = "provider removed"
    """The configuration has the provider no more; it had `count` targets."""
    CAME = "came"
    WENT = "went"
    CHANGED = "changed"
    """The same address with other labels."""


@dataclass(frozen=True, slots=True)
class TargetChange:
    """One change of what a provider found."""

    at_ms: int
    provider: str
    kind: ChangeKind
    source: str = ""
    """The group within the provider."""
    before: Mapping[str, str] | None = None
    after: Mapping[str, str] | None = None
    count: int = 1
    jobs: tuple[str, ...] = ()
    """Who had the provider then."""

    def labels(self) -> Mapping[str, str]:
        """Those of the target, as it is or was last."""
        return self.after or self.before or {}

    def differing(self) -> dict[str, tuple[str | None, str | None]]:
        """The labels that changed, before and after."""
        if self.before is None or self.after is None:
            return {}
        before, after = self.before, self.after
        names = sorted(name for name in {*before, *after} if before.get(name) != after.get(name))
        return {name: (before.get(name), after.get(name)) for name in names}


@dataclass(frozen=True, slots=True)
class _Noted:
    at_ms: int
    provider: str
    source: str
    before: LabelSets
    after: LabelSets
    jobs: tuple[str, ...]

    @property
    def targets(self) -> int:
        return len(self.before) + len(self.after)


class TargetHistory:
    """Changes of all providers. `note` and what reads are for the loop's thread, `work` for any one at a time."""

    def __init__(self, clock: Clock, on_note: Callable[[], object] = lambda: None) -> None:
        self.lost = 0
        """Groups whose changes were not looked at because there were too many."""
        self.on_note = on_note
        self._clock = clock
        self._began_ms = clock.now_ms()
        self._reaches_ms = self._began_ms
        self._pending: deque[_Noted] = deque()
        self._pending_targets = 0
        self._changes: deque[tuple[TargetChange, int]] = deque()
        self._size_bytes = 0
        self._lock = threading.Lock()

    @property
    def since_ms(self) -> int:
        """How far back all changes are there."""
        return max(self._reaches_ms, self._clock.now_ms() - SPAN_MS)

    @property
    def size_bytes(self) -> int:
        """About how much memory the changes take."""
        return self._size_bytes

    def note(
        self, provider: str, source: str, before: LabelSets, after: LabelSets, jobs: tuple[str, ...] = ()
    ) -> None:
        """A group has other targets now."""
        noted = _Noted(self._clock.now_ms(), provider, source, before, after, jobs)
        self._pending.append(noted)
        self._pending_targets += noted.targets
        while self._pending_targets > PENDING_TARGETS_MAX and len(self._pending) > 1:
            self._pending_targets -= self._pending.popleft().targets
            self.lost += 1
        self.on_note()

    def first(self, provider: str, count: int, jobs: tuple[str, ...] = ()) -> None:
        """A provider published for the first time."""
        self._add(TargetChange(self._clock.now_ms(), provider, ChangeKind.FIRST, count=count, jobs=jobs))

    def removed(self, provider: str, targets: LabelSets, jobs: tuple[str, ...] = ()) -> None:
        """The configuration has a provider no more, and its targets went with it."""
        at_ms = self._clock.now_ms()
        if targets:
            self.note(provider, "", targets, (), jobs)
        self._add(TargetChange(at_ms, provider, ChangeKind.REMOVED, count=len(targets), jobs=jobs))

    def work(self) -> None:
        """Finds what changed in all that was noted."""
        while True:
            try:
                noted = self._pending.popleft()
            except IndexError:
                self._pending_targets = 0
                return
            self._pending_targets -= noted.targets
            for change in _differences(noted):
                self._add(change)

    def _add(self, change: TargetChange) -> None:
        size_bytes = _ENTRY_BYTES + sum(
            _LABEL_BYTES + len(name) + len(value)
            for labels in (change.before, change.after)
            if labels is not None
            for name, value in labels.items()
        )
        with self._lock:
            self._changes.append((change, size_bytes))
            self._size_bytes += size_bytes
            oldest_ms = change.at_ms - SPAN_MS
            changes = self._changes
            while len(changes) > 1 and (
                changes[0][0].at_ms < oldest_ms or self._size_bytes > BYTES_MAX or len(changes) > CHANGES_MAX
            ):
                gone, gone_bytes = changes.popleft()
                self._size_bytes -= gone_bytes
                self._reaches_ms = max(self._reaches_ms, gone.at_ms + 1)

    def changes(self) -> list[TargetChange]:
        """The newest first. In a thread where it is to be looked through."""
        with self._lock:
            found = [change for change, _ in self._changes]
        since_ms = self.since_ms
        return [change for change in reversed(found) if change.at_ms >= since_ms]


def _differences(noted: _Noted) -> Iterator[TargetChange]:
    before = {frozenset(labels.items()): labels for labels in noted.before}
    after = {frozenset(labels.items()): labels for labels in noted.after}
    went = [labels for key, labels in before.items() if key not in after]
    came = [labels for key, labels in after.items() if key not in before]
    at, provider, source, jobs = noted.at_ms, noted.provider, noted.source, noted.jobs
    successors: dict[str, list[Mapping[str, str]]] = {}
    for labels in came:
        successors.setdefault(labels.get(_ADDRESS, ""), []).append(labels)
    for labels in went:
        same = successors.get(labels.get(_ADDRESS, ""))
        if same:
            yield TargetChange(at, provider, ChangeKind.CHANGED, source, labels, same.pop(0), jobs=jobs)
        else:
            yield TargetChange(at, provider, ChangeKind.WENT, source, before=labels, jobs=jobs)
    for left in successors.values():
        for labels in left:
            yield TargetChange(at, provider, ChangeKind.CAME, source, after=labels, jobs=jobs)
