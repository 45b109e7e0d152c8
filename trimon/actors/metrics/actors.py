"""trimon_actor_*: the mailboxes and restarts of the supervision tree, but for pools, whose actors are as many as targets."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final, Literal

from trimon.actors.kernel.child import Child
from trimon.actors.kernel.pool import Pool
from trimon.actors.kernel.stats import MailboxStats
from trimon.actors.kernel.supervisor import Supervisor
from trimon.selfmetrics import MetricFamily

_LABELS: Final = ("actor",)
_FAMILIES: Final[
    tuple[tuple[str, Literal["gauge", "counter"], str, Callable[[MailboxStats], float]], ...]
] = (
    (
        "trimon_actor_mailbox_messages",
        "gauge",
        "Messages that wait in the mailbox of an actor.",
        lambda stats: stats.used,
    ),
    (
        "trimon_actor_mailbox_capacity",
        "gauge",
        "Most messages that may wait in it.",
        lambda stats: stats.max,
    ),
    (
        "trimon_actor_mailbox_bytes",
        "gauge",
        "Bytes of those that wait, where they are counted.",
        lambda stats: stats.used_bytes,
    ),
    (
        "trimon_actor_mailbox_senders_waiting",
        "gauge",
        "Senders that wait for room in it.",
        lambda stats: stats.waiting,
    ),
    (
        "trimon_actor_messages_total",
        "counter",
        "Messages that an actor has handled.",
        lambda stats: stats.handled,
    ),
    (
        "trimon_actor_messages_lost_total",
        "counter",
        "Messages that no actor handled: refused, dropped, or lost with a crash.",
        lambda stats: stats.refused + stats.dropped + stats.lost,
    ),
)


def watched_actors(root: Supervisor) -> Iterator[Child]:
    """The children of the root and of its groups; of a pool only the pool itself."""
    waiting = list(root.children())
    for child in waiting:
        yield child
        if isinstance(child.actor, Supervisor) and not isinstance(child.actor, Pool):
            waiting += child.actor.children()


def actor_metrics(root: Callable[[], Supervisor]) -> Callable[[], Iterator[MetricFamily]]:
    """Families of all watched actors; reading them waits for nobody."""

    def families() -> Iterator[MetricFamily]:
        actors = list(watched_actors(root()))
        stats = [
            ((child.path,), child.spec.mailbox.stats()) for child in actors if child.spec.mailbox is not None
        ]
        for name, kind, text, value in _FAMILIES:
            samples = [(labels, float(value(each))) for labels, each in stats]
            yield MetricFamily(name, text, kind, samples, label_names=_LABELS)
        restarts = [((child.path,), float(child.restarts)) for child in actors]
        yield MetricFamily(
            "trimon_actor_restarts_total",
            "Restarts of an actor after crashes.",
            "counter",
            restarts,
            label_names=_LABELS,
        )
        pools = [
            ((child.path,), float(len(child.actor.children())))
            for child in actors
            if isinstance(child.actor, Pool)
        ]
        yield MetricFamily(
            "trimon_actor_pool_children", "Actors of a pool.", "gauge", pools, label_names=_LABELS
        )

    return families
