"""File descriptors: how many the process may have, and what for.

Everything that takes one has a share: connections of clients, connections that go out (targets, Alertmanagers,
discoveries), and the rest, which is kept back for the log, blocks, files of lines, name servers and libraries. So a crowd
of the one kind never leaves another kind without.
"""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import suppress
from typing import Final

from trimon import limits
from trimon.fetch.budget import ConnectionBudget
from trimon.log import Log
from trimon.records import dataclass
from trimon.selfmetrics import MetricFamily

# More than this nobody uses, and some libraries walk through all that may be open.
LIMIT_MAX: Final = 2**20
KEPT_MAX: Final = 512
KEPT_MIN: Final = 24
# A third, where there are few, for what is kept, and of what is left a third for clients.
SHARE: Final = 3


@dataclass(frozen=True, slots=True)
class DescriptorPlan:
    """How many descriptors each kind of use gets; together they are the limit."""

    limit: int
    clients: int
    outgoing: int
    kept: int
    connections_wanted: int
    """Connections of clients as the flag has them."""

    @property
    def connections_max(self) -> int:
        """Most connections of clients, without those that are kept for probes."""
        return min(self.connections_wanted, self.clients - min(limits.CONNECTIONS_KEPT, self.clients // 4))

    @property
    def connections_kept(self) -> int:
        """Places for probes and for this machine."""
        return self.clients - self.connections_max

    @property
    def is_tight(self) -> bool:
        """Whether somebody gets fewer than wanted."""
        return self.connections_max < self.connections_wanted


def raise_limit() -> int:
    """Raises the soft limit of open files to the hard one; what holds now."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = LIMIT_MAX if hard == resource.RLIM_INFINITY else min(hard, LIMIT_MAX)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return min(soft, LIMIT_MAX) if soft != resource.RLIM_INFINITY else LIMIT_MAX
    with suppress(OSError, ValueError):  # a sandbox may forbid it
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def plan(limit: int, connections_max: int) -> DescriptorPlan:
    """The shares under a limit, for clients who should get so many connections."""
    kept = max(KEPT_MIN, min(KEPT_MAX, limit // SHARE))
    left = max(8, limit - kept)
    wanted = connections_max + limits.CONNECTIONS_KEPT
    clients = max(4, min(wanted, left // SHARE))
    return DescriptorPlan(limit, clients, max(4, left - clients), kept, connections_max)


def say(plan: DescriptorPlan, log: Log) -> None:
    """One line when there are too few."""
    if plan.is_tight:
        log.warning(
            "few files may be open: clients and targets share them, and connections are closed for others",
            limit=plan.limit,
            clients=plan.connections_max,
            outgoing=plan.outgoing,
            kept=plan.kept,
            wanted_for_clients=plan.connections_wanted,
        )


class OutgoingConnections:
    """The budget of connections that go out, with its bound, its line in the log and its metrics."""

    def __init__(self, plan: DescriptorPlan, budget: ConnectionBudget, log: Log) -> None:
        self._budget = budget
        self._log = log
        self._said = False
        budget.configure(plan.outgoing, self._refused)

    def _refused(self) -> None:
        if not self._said:
            self._said = True
            self._log.error(
                "no file is left for a connection that goes out; see trimon_outgoing_connections_refused_total",
                outgoing_max=self._budget.most,
            )

    def metrics(self) -> Iterator[MetricFamily]:
        """trimon_outgoing_connections*."""
        budget = self._budget
        for name, text, kind, value in (
            ("", "Connections to targets, Alertmanagers and discoveries.", "gauge", len(budget)),
            ("_max", "Most such connections at once.", "gauge", budget.most),
            ("_refused_total", "Requests that got no connection in time.", "counter", budget.refused),
            (
                "_closed_total",
                "Such connections that rested and were closed for others.",
                "counter",
                budget.closed,
            ),
        ):
            yield MetricFamily(f"trimon_outgoing_connections{name}", text, kind, [((), float(value))])  # type: ignore[arg-type] # of the table
