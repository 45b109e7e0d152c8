"""What of a block cannot be read: noted when a checksum fails, named with its time, told once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

import orjson

from trimon.errors import OperatingError
from trimon.gotext.times import rfc3339
from trimon.records import dataclass

# A line about a page (or what it is) of a block, by the block's name.
Tell = Callable[[str, str], None]
# Written into a block that is set aside: what of it is in no other block. Without it that is all of it.
LOSSES: Final = "losses.json"
WHOLE: Final = "all of it"


class DamagedError(OperatingError):
    """Stored bytes that do not pass their check, or cannot be read; `reason` is why, in a word or two."""

    def __init__(self, text: str, reason: str | None = None) -> None:
        super().__init__(text)
        self.reason = reason or "checksum"


class UnreadableIndexError(DamagedError):
    """A part of a block's index is lost with its copy: nothing of the block can be found any more.

    It is noted in the block before it is raised, which overlaps with nothing from then on: what failed is done again.
    """


@dataclass(frozen=True, slots=True)
class Loss:
    """Samples of a block in a closed interval that cannot be read; `band` is whose (None: perhaps of all series).

    Where `block` is empty they are the write log's.
    """

    block: str
    what: str
    start_ms: int
    end_ms: int
    band: int | None = None

    def line(self) -> str:
        """For people: which block, what of it, which time."""
        times = f"{rfc3339(self.start_ms)} to {rfc3339(self.end_ms)}"
        where = f"block {self.block}" if self.block else "the write log"
        return f"{where}: {self.what} cannot be read: samples from {times} are missing"

    def touches(self, start_ms: int, end_ms: int) -> bool:
        """Whether it lies in the closed interval, or a part of it."""
        return self.start_ms <= end_ms and self.end_ms >= start_ms


def tell_nobody(_block: str, _text: str) -> None:
    """For readers that ask a block for its losses when they are done."""


class BlockDamage:
    """What was found to be damaged in one block since it was opened. Shared by its versions; for any thread."""

    def __init__(self, block: str, tell: Tell) -> None:
        self.block = block
        self.losses: tuple[Loss, ...] = ()
        """Replaced as a whole."""
        self.whole = False
        """Nothing can be read."""
        self._tell = tell
        self._known: set[str] = set()
        self._lock = threading.Lock()

    def lose(self, loss: Loss) -> None:
        """Note a page that cannot be read; told the first time."""
        if self._is_new(loss.what):
            self.losses = (*self.losses, loss)
            self._tell(self.block, loss.line())

    def lose_all(self, what: str, start_ms: int, end_ms: int) -> None:
        """Note that nothing of the block can be read any more; told the first time."""
        self.whole = True
        self.lose(Loss(self.block, what, start_ms, end_ms))

    def survive(self, what: str) -> None:
        """Note damage that costs nothing, since there is a copy; told the first time."""
        if self._is_new(what):
            self._tell(self.block, f"block {self.block}: {what}; nothing is lost")

    def note(self, what: str) -> None:
        """Note damage of which nobody knows yet what it costs; told the first time."""
        if self._is_new(what):
            self._tell(self.block, f"block {self.block}: {what}")

    def _is_new(self, what: str) -> bool:
        with self._lock:
            if what in self._known:
                return False
            self._known.add(what)
            return True


def pack_losses(losses: Sequence[Loss]) -> bytes:
    """The content of the file of losses in a block that is set aside."""
    return orjson.dumps(
        [{"what": loss.what, "minTime": loss.start_ms, "maxTime": loss.end_ms} for loss in losses],
        option=orjson.OPT_INDENT_2,
    )


def unpack_losses(block: str, data: bytes) -> tuple[Loss, ...]:
    """The inverse of `pack_losses`. Raises DamagedError."""
    try:
        listed: Iterable[dict[str, Any]] = orjson.loads(data)
        return tuple(
            Loss(block, str(one["what"]), int(one["minTime"]), int(one["maxTime"])) for one in listed
        )
    except (ValueError, KeyError, TypeError) as error:
        raise DamagedError(f"block {block}: {LOSSES}: {error}") from error
