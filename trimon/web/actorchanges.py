"""The supervision tree as rows, and how the rows change: what a page that watches the actors is told.

A page that asked for all of 5,000 actors every second would get two megabytes a second, most of it as it was. So it gets
all rows once, and then those that differ:

    second 0   {"now_s": …, "rows": [row, row, …], "gone": []}          every actor
    second 1   {"now_s": …, "rows": [row of trimon/storage], "gone": ["trimon/scrape/a/b"]}

A row is read from counters alone: no actor is asked, so that one that hangs is shown as it hangs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final, TypeAlias

from trimon.actors.kernel.child import Child
from trimon.actors.kernel.supervisor import Supervisor
from trimon.actors.kernel.tree import walk

Row: TypeAlias = tuple[object, ...]
COLUMNS: Final = (
    "path",
    "kind",
    "state",
    "since_s",
    "attempt",
    "restarts",
    "policy",
    "used",
    "max",
    "peak",
    "waiting",
    "lost",
    "handled",
    "in_hand",
    "in_hand_s",
    "error",
    "error_at_s",
)
TEXT_CHARACTERS_MAX: Final = 300
_NO_MAILBOX: Final = ("", 0, 0, 0, 0, 0, 0, "", 0.0)


def _kind(of: object) -> str:
    return type(of).__name__ if of is not None else ""


def row(of: Supervisor | Child) -> Row:
    """One actor, in the order of COLUMNS. `lost` counts messages that were dropped or refused."""
    if isinstance(of, Supervisor):
        return (of.path, _kind(of), of.state.value, of.since_s, 1, 0, *_NO_MAILBOX, "", 0.0)
    mailbox = _NO_MAILBOX
    if of.spec.mailbox is not None:
        stats = of.spec.mailbox.stats()
        mailbox = (
            stats.policy,
            stats.used,
            stats.max,
            stats.peak,
            stats.waiting,
            stats.dropped + stats.refused + stats.lost,
            stats.handled,
            stats.in_hand[:TEXT_CHARACTERS_MAX],
            round(stats.in_hand_s, 1),
        )
    crash = of.last_crash
    error = (crash.error[:TEXT_CHARACTERS_MAX], crash.at_s) if crash is not None else ("", 0.0)
    return (of.path, _kind(of.actor), of.state.value, of.since_s, of.attempt, of.restarts, *mailbox, *error)


class ActorChanges:
    """What one watcher knows, and what it is told next. Only on the loop's thread."""

    def __init__(self, tree: Callable[[], Supervisor]) -> None:
        self._tree = tree
        self._known: dict[str, Row] = {}
        self._gone: list[str] = []

    def next(self) -> Iterator[Row]:
        """The rows that differ from those before; `gone` holds when it has ended. The tree may change meanwhile."""
        seen: dict[str, Row] = {}
        for _, here in walk(self._tree()):
            made = row(here)
            path = here.path
            seen[path] = made
            if self._known.get(path) != made:
                yield made
        self._gone = [path for path in self._known if path not in seen]
        self._known = seen

    @property
    def gone(self) -> list[str]:
        """Paths that were there the time before and are no more."""
        return self._gone
