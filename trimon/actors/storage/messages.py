"""What the storage actor is sent, and the mailbox in which it waits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import field
from typing import Final, TypeAlias

from trimon.actors.kernel.mailbox import Mailbox, Overflow
from trimon.actors.kernel.reply import Reply
from trimon.model.rows import Appended, Exemplars, Metadata, Row, SampleBatch
from trimon.records import dataclass

Message: TypeAlias = Row | SampleBatch | Metadata | Exemplars

MAILBOX_MESSAGES_MAX: Final = 4096
MAILBOX_BYTES_MAX: Final = 512 * 2**20
# What a new series weighs beside its sample: labels as Python strings, in transit.
_SERIES_BYTES: Final = 500


@dataclass(frozen=True, slots=True, eq=False)
class Append:
    """Rows and batches that are to be stored together, in order."""

    messages: tuple[Message, ...]
    reply: Reply[tuple[Appended, ...]] = field(default_factory=Reply)


@dataclass(frozen=True, slots=True, eq=False)
class Perform:
    """A piece of work for the writer's turn: installing a block, deleting series. `what` is for people."""

    what: str
    work: Callable[[], object]
    reply: Reply[object] = field(default_factory=Reply)


StorageMessage: TypeAlias = Append | Perform


def _size_bytes(message: StorageMessage) -> int:
    if isinstance(message, Perform):
        return 64
    size = 64
    for part in message.messages:
        if isinstance(part, Row):
            size += part.values.nbytes + part.columns.nbytes + _SERIES_BYTES * len(part.new_series)
        elif isinstance(part, SampleBatch):
            size += part.values.nbytes + part.timestamps_ms.nbytes + _SERIES_BYTES * len(part.series)
        elif isinstance(part, Exemplars):
            size += _SERIES_BYTES * len(part.exemplars)
        else:
            size += 200 * len(part.families)
    return size


def storage_mailbox() -> Mailbox[StorageMessage]:
    """The mailbox of the writer: full means the senders wait, and scrapes slow down."""
    return Mailbox(
        "storage",
        max=MAILBOX_MESSAGES_MAX,
        policy=Overflow.WAIT,
        bytes_max=MAILBOX_BYTES_MAX,
        size_of=_size_bytes,
    )
