"""How far a queue has come, and the file that says so: three slots of equal size, written in place.

    slot:  "TSP1"  crc32(4)  length(4)  sequence(8)  content(length), JSON    the rest of the slot is of older writes

    time ──>     write 7   sync    write 8   write 9   write 10   sync
    slot 0         7*       7        7         7          7        7
    slot 1         .        .        8*        8          10*      10
    slot 2         6        6        6         9*         9        9

A savepoint follows every request, ten and more a second. A new file each time, synced and renamed, would cost more than the
request. Instead a slot is overwritten that is neither the last one written nor the last one known to be on the medium. So
whoever reads the file finds two that matter, whatever interrupts a write: a process that is killed leaves the last write or, of
one that stopped half way, the one before; a power failure leaves the last synced one at least, which is a second old at the
most. The slot of the highest sequence whose checksum holds counts. The checksum is over sequence and content.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Mapping
from typing import Any, Final

from trimon.errors import OperatingError
from trimon.records import dataclass
from trimon.remote.sending.entries import Counted

VERSION: Final = 1
SLOTS: Final = 3
# A slot is at least as large as what a disk writes at once.
_SLOT_BYTES_MIN: Final = 4096
_MAGIC: Final = b"TSP1"
_HEAD: Final = struct.Struct("<4sIIQ")


@dataclass(frozen=True, slots=True)
class Savepoint:
    """How far a queue has come, as its file says: a position in the log, and what each shard has sent beyond it.

    The counts hold for the same spread over shards and the same rules, which `rules` stands for.
    """

    log_id: str
    done: int
    places: Mapping[int, tuple[int, int]]
    rules: str
    beyond: tuple[Counted, ...] = ()

    def pack(self) -> bytes:
        """The content of the file."""
        content = {
            "version": VERSION,
            "log": self.log_id,
            "done": self.done,
            "places": [[epoch, *place] for epoch, place in sorted(self.places.items())],
            "rules": self.rules,
            "beyond": [list(counted) for counted in self.beyond],
        }
        return json.dumps(content, separators=(",", ":")).encode() + b"\n"

    @classmethod
    def unpack(cls, data: bytes) -> Savepoint:
        """The inverse of `pack`. Raises OperatingError."""
        try:
            content: dict[str, Any] = json.loads(data)
            if content["version"] != VERSION:
                raise OperatingError(f"a savepoint of version {content['version']}, known is {VERSION}")
            return cls(
                str(content["log"]),
                int(content["done"]),
                {int(epoch): (int(segment), int(offset)) for epoch, segment, offset in content["places"]},
                str(content["rules"]),
                tuple(Counted(*map(int, each)) for each in content["beyond"]),
            )
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
            raise OperatingError(f"no savepoint: {str(error)[:200]}") from None


def slot_bytes_for(content_bytes: int) -> int:
    """How large a slot is that has room for this and as much again."""
    size = _SLOT_BYTES_MIN
    while size < 2 * (content_bytes + _HEAD.size):
        size *= 2
    return size


def pack_slot(content: bytes, sequence: int) -> bytes:
    """What is written at the beginning of a slot."""
    return _HEAD.pack(_MAGIC, _checksum(content, sequence), len(content), sequence) + content


def _checksum(content: bytes, sequence: int) -> int:
    return zlib.crc32(content, zlib.crc32(sequence.to_bytes(8, "little")))


def newest_of(data: bytes) -> Savepoint:
    """The savepoint that a file holds. Raises OperatingError where no slot is whole."""
    if data.startswith(b"{"):  # of versions before 0.4, which had no slots
        return Savepoint.unpack(data)
    found: list[tuple[int, bytes]] = []
    size = len(data) // SLOTS
    for begin in range(0, size * SLOTS, max(size, 1)):
        slot = data[begin : begin + size]
        if len(slot) < _HEAD.size:
            continue
        magic, checksum, length, sequence = _HEAD.unpack_from(slot)
        content = slot[_HEAD.size : _HEAD.size + length]
        if magic == _MAGIC and len(content) == length and checksum == _checksum(content, sequence):
            found.append((sequence, content))
    if not found:
        raise OperatingError(f"no savepoint: none of the slots of {len(data)} bytes is whole")
    return Savepoint.unpack(max(found)[1])
