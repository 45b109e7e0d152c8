"""What of a replayed head is lost because its log changed after it was replayed: whose, how much, of which time."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import Final, NamedTuple

from trimon.storage.block.damage import Loss

# Whose the parts are of which nobody knows the series: pushed samples, which are of no group.
PUSHED: Final = -1
# What of it is lost, in words; a line about all that is lost of it; how many sections that are since the last call.
TellLost = Callable[[str, str, int], None]


class LostPart(NamedTuple):
    """Sections of the log that cannot be read again; their samples are in the closed interval, which may be too wide."""

    group: int
    """A number of a group of the head, or PUSHED."""
    name: str
    sections: int
    samples: int
    start_ms: int
    end_ms: int

    def with_(self, other: LostPart) -> LostPart:
        """Both as one."""
        return self._replace(
            sections=self.sections + other.sections,
            samples=self.samples + other.samples,
            start_ms=min(self.start_ms, other.start_ms),
            end_ms=max(self.end_ms, other.end_ms),
        )

    def loss(self) -> Loss:
        """As what queries tell."""
        whose = "pushed samples" if self.group == PUSHED else f"samples of group {self.name}"
        what = f"{self.sections} sections with {self.samples} {whose}, which were there when it was replayed,"
        return Loss("", what, self.start_ms, self.end_ms)


def _told_to_nobody(_what: str, _line: str, _sections: int) -> None:
    """For heads that nobody listens to."""


def _by_group(parts: Iterable[LostPart]) -> dict[int, LostPart]:
    """One part for each group."""
    found: dict[int, LostPart] = {}
    for part in parts:
        found[part.group] = found[part.group].with_(part) if part.group in found else part
    return found


class HeadDamage:
    """What was found to be lost of one head since it was replayed. One thread at a time adds; any may read."""

    def __init__(self) -> None:
        self.tell: TellLost = _told_to_nobody
        self._parts: tuple[LostPart, ...] = ()

    def __bool__(self) -> bool:
        return bool(self._parts)

    def lose(self, part: LostPart) -> None:
        """Note what cannot be read again, and tell all that is lost of the same group."""
        self._parts = (*self._parts, part)
        self.tell(part.name, _by_group(self._parts)[part.group].loss().line(), part.sections)

    def losses(self, groups: Collection[int], start_ms: int, end_ms: int) -> tuple[Loss, ...]:
        """What is lost in the closed interval of these groups, and of the pushed samples, which may be of any series."""
        found = _by_group(
            part
            for part in self._parts
            if (part.group == PUSHED or part.group in groups)
            and part.start_ms <= end_ms
            and part.end_ms >= start_ms
        )
        return tuple(part.loss() for part in found.values())

    def all_losses(self) -> tuple[Loss, ...]:
        """What is lost, one entry for each group."""
        return tuple(part.loss() for part in _by_group(self._parts).values())
