"""The figures of a mailbox."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class MailboxStats:
    """A mailbox at one moment. Counts are since the program started."""

    policy: str
    used: int
    max: int
    peak: int
    used_bytes: int
    max_bytes: int | None
    peak_bytes: int
    waiting: int
    dropped: int
    coalesced: int
    refused: int
    lost: int
    handled: int
    in_hand: str
    in_hand_s: float
    closed: bool
