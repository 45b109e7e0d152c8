"""The description of a block: its `meta.json`, in Prometheus' shape."""

from __future__ import annotations

import threading
import zlib
from collections.abc import Iterable
from dataclasses import field, replace
from typing import Any, Final

import orjson

from trimon.clock import Clock
from trimon.errors import OperatingError
from trimon.random import Randomness
from trimon.records import dataclass
from trimon.storage.block.damage import DamagedError

# The format that is written, and all that are read. Format 1 has no integers of less than a byte, and 2 no shifted ones.
FORMAT: Final = 3
_FORMATS: Final = (1, 2, FORMAT)
_ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
FROM_OUT_OF_ORDER: Final = "from-out-of-order"
# Names from the last half of all times, which no clock has given, leave no room for others after them.
_FOLLOWED_BELOW: Final = "4"


class ForeignBlockError(OperatingError):
    """A block that is none of ours: its `meta.json` says nothing of trimon, as that of Prometheus."""


class BlockNames:
    """The names of new blocks, each above all it gave before: of blocks that overlap the one made first counts."""

    def __init__(self, clock: Clock, randomness: Randomness) -> None:
        self._clock = clock
        self._randomness = randomness
        self._lock = threading.Lock()
        self._last = 0

    def new(self) -> str:
        """A ULID: 48 bits of milliseconds and 80 random bits.

        It sorts by the time it was made, also within a millisecond and when the clock was set back.
        """
        now_ms = self._clock.now_ms()
        number = (now_ms & ((1 << 48) - 1)) << 80 | int.from_bytes(self._randomness.token(10), "big")
        with self._lock:
            if number <= self._last:
                number = self._last + 1 + int.from_bytes(self._randomness.token(8), "big")
            self._last = number
        return _written(number)

    def follow(self, names: Iterable[str]) -> None:
        """New names come after these too, which an earlier process gave, also when the clock was set back meanwhile."""
        with self._lock:
            self._last = max([self._last, *(_number(name) for name in names if name < _FOLLOWED_BELOW)])


def next_ulid(name: str) -> str:
    """The name of what takes the place of a block: it sorts right behind it."""
    return _written(_number(name) + 1)


def _number(name: str) -> int:
    number = 0
    for letter in name:
        number = number << 5 | _ALPHABET.index(letter)
    return number


def _written(number: int) -> str:
    return "".join(_ALPHABET[number >> shift & 31] for shift in range(125, -1, -5))


def is_ulid(name: str) -> bool:
    """Whether a name can be a block's."""
    return len(name) == 26 and name[0] in "01234567" and all(letter in _ALPHABET for letter in name)


def _checksum(document: dict[str, Any]) -> int:
    """CRC-32 of the document without its checksum, members sorted, nothing between them."""
    return zlib.crc32(orjson.dumps(document, option=orjson.OPT_SORT_KEYS))


@dataclass(frozen=True, slots=True)
class BlockMeta:
    """A block's range `[min_ms, max_ms)`, counts and history.

    `epochs` are the runs of the log named `log` whose samples are now in blocks, this one included.
    """

    ulid: str
    min_ms: int
    max_ms: int
    samples: int = 0
    series: int = 0
    chunks: int = 0
    tombstones: int = 0
    level: int = 1
    sources: tuple[str, ...] = ()
    parents: tuple[tuple[str, int, int], ...] = ()
    hints: tuple[str, ...] = ()
    failed: bool = False
    log: str = ""
    epochs: tuple[int, ...] = ()
    size_bytes: int = field(default=0, compare=False)

    def to_json(self) -> bytes:
        """The document as bytes."""
        stats: dict[str, int] = {"numSamples": self.samples, "numFloatSamples": self.samples}
        stats |= {"numSeries": self.series, "numChunks": self.chunks, "numTombstones": self.tombstones}
        compaction: dict[str, Any] = {"level": self.level, "sources": list(self.sources or (self.ulid,))}
        if self.parents:
            compaction["parents"] = [
                {"ulid": ulid, "minTime": min_ms, "maxTime": max_ms} for ulid, min_ms, max_ms in self.parents
            ]
        if self.hints:
            compaction["hints"] = list(self.hints)
        if self.failed:
            compaction["failed"] = True
        document: dict[str, Any] = {
            "ulid": self.ulid,
            "minTime": self.min_ms,
            "maxTime": self.max_ms,
            "stats": {name: value for name, value in stats.items() if value},
            "compaction": compaction,
            "version": 1,
            "trimon": {"format": FORMAT, "log": self.log, "epochs": list(self.epochs)},
        }
        document["trimon"]["checksum"] = _checksum(document)
        return orjson.dumps(document, option=orjson.OPT_INDENT_2)

    @classmethod
    def from_json(cls, data: bytes, *, foreign: bool = False) -> BlockMeta:
        """The meta of a document; with `foreign` also one of Prometheus.

        Raises DamagedError, ForeignBlockError if it is not ours, OperatingError if it is of a version that is not known.
        """
        try:
            document = orjson.loads(data)
            own = document.get("trimon", {})
            if not foreign and "format" not in own:
                raise ForeignBlockError("meta.json says nothing of trimon")
            if not foreign and own.pop("checksum", None) != _checksum(document):
                raise DamagedError("meta.json does not pass its checksum")
            if not foreign and own["format"] not in _FORMATS:
                known = ", ".join(map(str, _FORMATS))
                raise OperatingError(f"meta.json: format {own['format']!r}, known are {known}")
            if document["version"] != 1:
                raise OperatingError(f"meta.json: version {document['version']!r}, known is 1")
            stats, compaction = document.get("stats", {}), document.get("compaction", {})
            return cls(
                ulid=str(document["ulid"]),
                min_ms=int(document["minTime"]),
                max_ms=int(document["maxTime"]),
                samples=int(stats.get("numSamples", 0)),
                series=int(stats.get("numSeries", 0)),
                chunks=int(stats.get("numChunks", 0)),
                tombstones=int(stats.get("numTombstones", 0)),
                level=int(compaction.get("level", 1)),
                sources=tuple(map(str, compaction.get("sources") or ())),
                parents=tuple(
                    (str(parent["ulid"]), int(parent["minTime"]), int(parent["maxTime"]))
                    for parent in compaction.get("parents") or ()
                ),
                hints=tuple(map(str, compaction.get("hints") or ())),
                failed=bool(compaction.get("failed")),
                log=str(own.get("log", "")),
                epochs=tuple(map(int, own.get("epochs", ()))),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise DamagedError(f"meta.json: {error}") from error

    def with_tombstones(self, count: int) -> BlockMeta:
        """The same block after deletions."""
        return replace(self, tombstones=count)
