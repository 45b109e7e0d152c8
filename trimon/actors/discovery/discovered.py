"""Messages from discovery to those who want targets."""

from __future__ import annotations

from collections.abc import Mapping

from trimon.actors.kernel.mailbox import Mailbox, Overflow
from trimon.records import dataclass


@dataclass(frozen=True, slots=True, eq=False)
class Discovered:
    """All that discovery knows for one consumer now."""

    consumer: str
    """A scrape job, or whatever else has targets."""
    label_sets: tuple[Mapping[str, str], ...]


def discovered_mailbox(name: str) -> Mailbox[Discovered]:
    """The mailbox of who takes targets: for one consumer only the latest state counts."""
    return Mailbox(name, max=10_000, policy=Overflow.COALESCE, key_of=lambda message: message.consumer)
