"""The hub: what all providers know, put together per job. Synchronous; who calls it decides when to look."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import field

from trimon.discovery.history import TargetHistory
from trimon.discovery.sink import LabelSets
from trimon.records import dataclass


@dataclass(slots=True)
class _Known:
    """What one provider said."""

    groups: dict[str, LabelSets] = field(default_factory=dict)
    published: bool = False
    updates: int = 0

    def targets(self) -> LabelSets:
        """All targets, groups in the order of their sources' first appearance."""
        if len(self.groups) == 1:
            return next(iter(self.groups.values()))
        return tuple(labels for group in self.groups.values() for labels in group)


class Hub:
    """Keeps the last good targets of every provider and tells which jobs changed.

    A job sees the union of its providers. While a job changes over to other providers, what it had stays until
    each new one has published: targets that are in both do not miss a scrape. `on_change` is called,
    synchronously, whenever there is something to take, and `on_confirm` when a provider published what is known.
    """

    def __init__(
        self,
        on_change: Callable[[], None] | None = None,
        history: TargetHistory | None = None,
        on_confirm: Callable[[], None] | None = None,
    ) -> None:
        self._on_confirm = on_confirm
        self._history = history
        self._providers: dict[str, _Known] = {}
        self._wiring: dict[str, tuple[str, ...]] = {}
        self._users: dict[str, list[str]] = {}
        self._leaving: dict[str, LabelSets] = {}
        self._changed: dict[str, None] = {}
        self._on_change = on_change
        self.updates = 0
        self.taken = 0

    def wire(self, wiring: Mapping[str, Collection[str]]) -> None:
        """Say which providers each job has; jobs not named are forgotten, providers nobody has too.

        A job without providers has no targets, and that is a change when it is new.
        """
        old = self._wiring
        new = {job: tuple(keys) for job, keys in wiring.items()}
        before = {job: self.targets(job) for job, keys in new.items() if job in old and old[job] != keys}
        self._wiring = new
        users = self._users
        self._users = {}
        for job, keys in new.items():
            for key in keys:
                self._users.setdefault(key, []).append(job)
        wanted = self._users.keys()
        for key in wanted - self._providers.keys():
            self._providers[key] = _Known()
        for key in self._providers.keys() - wanted:
            gone = self._providers.pop(key)
            if self._history is not None:
                self._history.removed(key, gone.targets(), tuple(users.get(key, ())))
        self._leaving = {job: held for job, held in self._leaving.items() if job in self._wiring}
        self._changed = {job: None for job in self._changed if job in self._wiring}
        for job, keys in self._wiring.items():
            if old.get(job) == keys:
                continue
            if job in before and not self._all_published(keys):
                self._leaving[job] = before[job]
            else:
                self._leaving.pop(job, None)
            self._mark(job)

    def update(self, provider: str, groups: Mapping[str, LabelSets], *, complete: bool) -> None:
        """Take what a provider published; one that nobody has any more is ignored."""
        known = self._count(provider)
        if known is None:
            return
        if self._history is not None:
            self._note(self._history, provider, known, groups, complete=complete)
        if complete:
            known.groups = {source: targets for source, targets in groups.items() if targets}
        else:
            for source, targets in groups.items():
                if targets:
                    known.groups[source] = targets
                else:
                    known.groups.pop(source, None)
        known.published = True
        for job in self._users[provider]:
            if job in self._leaving and self._all_published(self._wiring[job]):
                del self._leaving[job]
            self._mark(job)

    def confirm(self, provider: str) -> None:
        """Note that a provider published what is known: nobody's targets change, but they are told to be as they are."""
        if self._count(provider) is not None and self._on_confirm is not None:
            self._on_confirm()

    def _count(self, provider: str) -> _Known | None:
        """Count an update of a provider, of which this is known; None where nobody has it any more."""
        known = self._providers.get(provider)
        if known is not None:
            self.updates += 1
            known.updates += 1
        return known

    def _note(
        self,
        history: TargetHistory,
        provider: str,
        known: _Known,
        groups: Mapping[str, LabelSets],
        *,
        complete: bool,
    ) -> None:
        """Tells the history what an update is about to change."""
        jobs = tuple(self._users[provider])
        if not known.published:
            history.first(provider, sum(map(len, groups.values())), jobs)
            return
        gone = known.groups.keys() - groups.keys() if complete else ()
        for source, targets in (*groups.items(), *((source, ()) for source in gone)):
            before = known.groups.get(source, ())
            # What is not complete names only what changed.
            if not complete or before != targets:
                history.note(provider, source, before, targets, jobs)

    def _all_published(self, keys: tuple[str, ...]) -> bool:
        return all(self._providers[key].published for key in keys)

    def _mark(self, job: str) -> None:
        self._changed[job] = None
        if self._on_change is not None:
            self._on_change()

    def targets(self, job: str) -> LabelSets:
        """All targets of a job now; the mappings are shared and never written."""
        found = [self._providers[key].targets() for key in self._wiring.get(job, ())]
        leaving = self._leaving.get(job)
        if leaving is None:
            return found[0] if len(found) == 1 else tuple(labels for group in found for labels in group)
        seen = {tuple(sorted(labels.items())) for group in found for labels in group}
        kept = [labels for labels in leaving if tuple(sorted(labels.items())) not in seen]
        return (*(labels for group in found for labels in group), *kept)

    def take(self) -> dict[str, LabelSets]:
        """The jobs that changed since the last take, with all their targets."""
        changed, self._changed = self._changed, {}
        self.taken += len(changed)
        return {job: self.targets(job) for job in changed}

    def counts(self) -> dict[str, int]:
        """How many targets every job has."""
        return {
            job: len(self.targets(job))
            if job in self._leaving
            else sum(len(targets) for key in keys for targets in self._providers[key].groups.values())
            for job, keys in self._wiring.items()
        }

    @property
    def consumers(self) -> Collection[str]:
        """The jobs that have providers, or none."""
        return self._wiring.keys()

    @property
    def waiting(self) -> int:
        """Number of jobs that changed and were not taken."""
        return len(self._changed)

    def published(self, provider: str) -> bool:
        """Whether a provider has said what it knows at least once."""
        known = self._providers.get(provider)
        return known is not None and known.published

    def held(self, provider: str) -> int:
        """How many targets of a provider are known, whether it runs now or not."""
        known = self._providers.get(provider)
        return len(known.targets()) if known is not None else 0

    def inspect(self) -> dict[str, object]:
        """Figures for people."""
        return {
            "jobs": len(self._wiring),
            "providers": len(self._providers),
            "unpublished": sum(not known.published for known in self._providers.values()),
            "changing_over": len(self._leaving),
            "waiting": len(self._changed),
            "updates": self.updates,
            "taken": self.taken,
        }
