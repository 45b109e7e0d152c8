"""What the last scrapes of a target were like: times of all parts, sizes, the verdict, and bodies that are kept.

    every scrape ─ a row of 14 numbers in a ring, its texts shared with the scrape before
    its body ───── as it came over the connection, where that was gzip: nothing is copied or compressed for it
                   else compressed, but only of failed scrapes, of those asked for, and every five minutes
    two bodies a target: the last one, and the last one of a failed scrape
    all bodies ─── one budget; what was kept longest goes first

A row takes a microsecond and 112 bytes, so that a fleet of 20,000 targets has its last ten scrapes in 25 MB.
"""

from __future__ import annotations

from array import array
from collections import OrderedDict
from collections.abc import Callable
from typing import Final, Literal

import zstandard

from trimon import limits
from trimon.fetch.inflater import inflated
from trimon.fetch.request import Response
from trimon.fetch.times import ExchangeTimes
from trimon.records import dataclass
from trimon.scrape.fault import BodyFault

RECORDS_MAX: Final = 10
"""How many scrapes of a target are remembered."""
# Compressing a body costs a fifth of reading it when it is known.
COMPRESSED_EVERY_MS: Final = 300_000
KEPT_BODY_BYTES_MAX: Final = 4 * 2**20
_LEVEL: Final = 1
_WIDTH: Final = 14

Kind = Literal["last", "failed"]


@dataclass(frozen=True, slots=True)
class ScrapeRecord:
    """One scrape as it was. Times in seconds, 0 for what there was not."""

    at_ms: int
    """When it began: its name within its target."""
    duration_s: float
    resolve_s: float
    connect_s: float
    tls_s: float
    first_byte_s: float
    body_s: float
    read_s: float
    """Reading the body."""
    store_s: float
    """Waiting until it was stored."""
    status: int
    """Of the answer; 0 without one."""
    wire_bytes: int
    body_bytes: int
    samples: int
    series: int
    content_type: str
    error: str
    """As `lastError` of the targets: empty when all is well, a remark when `is_up`."""
    is_up: bool
    fault: BodyFault | None


@dataclass(slots=True)
class ScrapeParts:
    """What is learned of a scrape on its way."""

    at_ms: int
    duration_s: float = 0.0
    times: ExchangeTimes | None = None
    status: int = 0
    content_type: str = ""
    wire_bytes: int = 0
    body_bytes: int = 0
    read_s: float = 0.0
    store_s: float = 0.0

    def answered(self, answer: Response, read_s: float) -> None:
        """There was an answer, and so long it took to read it."""
        self.times, self.status, self.content_type = answer.times, answer.status, answer.content_type
        self.wire_bytes, self.body_bytes = answer.wire_bytes, len(answer.body)
        self.read_s = read_s

    def failed(self, times: ExchangeTimes | None) -> None:
        """There was none, or none that could be used."""
        self.times = times
        if times is not None:
            self.status, self.content_type = times.status, times.content_type
            self.wire_bytes = times.received_bytes


class ScrapeRecords:
    """The last scrapes of one target, in a ring."""

    def __init__(self) -> None:
        self._rows = array("d")
        self._texts: list[tuple[str, str, bool, BodyFault | None]] = []
        self._next = 0
        self._waiting: list[Callable[[], object]] = []

    def add(
        self,
        parts: ScrapeParts,
        *,
        is_up: bool,
        error: str,
        samples: int,
        series: int,
        fault: BodyFault | None,
    ) -> None:
        """Takes a scrape in; whoever waits for one is told."""
        times = parts.times
        exchange = (
            (times.resolve_s, times.connect_s, times.tls_s, times.first_byte_s, times.body_s)
            if times is not None
            else (0.0, 0.0, 0.0, 0.0, 0.0)
        )
        sizes = (parts.status, parts.wire_bytes, parts.body_bytes, samples, series)
        row = array("d", (parts.at_ms, parts.duration_s, *exchange, parts.read_s, parts.store_s, *sizes))
        texts = (parts.content_type, error, is_up, fault)
        at = self._next
        if self._texts and (last := self._texts[at - 1]) == texts:
            texts = last
        if len(self._texts) < RECORDS_MAX:
            self._rows.extend(row)
            self._texts.append(texts)
        else:
            self._rows[at * _WIDTH : (at + 1) * _WIDTH] = row
            self._texts[at] = texts
        self._next = (at + 1) % RECORDS_MAX
        waiting, self._waiting = self._waiting, []
        for call in waiting:
            call()

    def all(self) -> list[ScrapeRecord]:
        """The newest first."""
        count = len(self._texts)
        return [self._record((self._next - 1 - back) % count) for back in range(count)]

    def last(self) -> ScrapeRecord | None:
        """The newest; None before the first."""
        return self._record((self._next - 1) % len(self._texts)) if self._texts else None

    def on_next(self, call: Callable[[], object]) -> None:
        """Calls when the next scrape is taken in."""
        self._waiting.append(call)

    def _record(self, at: int) -> ScrapeRecord:
        row = self._rows[at * _WIDTH : (at + 1) * _WIDTH]
        content_type, error, is_up, fault = self._texts[at]
        status, wire_bytes, body_bytes, samples, series = map(int, row[9:])
        return ScrapeRecord(
            at_ms=int(row[0]),
            duration_s=row[1],
            resolve_s=row[2],
            connect_s=row[3],
            tls_s=row[4],
            first_byte_s=row[5],
            body_s=row[6],
            read_s=row[7],
            store_s=row[8],
            status=status,
            wire_bytes=wire_bytes,
            body_bytes=body_bytes,
            samples=samples,
            series=series,
            content_type=content_type,
            error=error,
            is_up=is_up,
            fault=fault,
        )


@dataclass(frozen=True, slots=True)
class KeptBody:
    """A body of a scrape, compressed."""

    at_ms: int
    """The scrape's."""
    content_type: str
    data: bytes
    coding: Literal["gzip", "zstd"]

    def body(self) -> bytes:
        """As it was read. To be called in a thread: it may take a while."""
        most = limits.SCRAPE_BODY_BYTES_MAX
        if self.coding == "gzip":
            return b"".join(inflated(self.data, most))
        return zstandard.ZstdDecompressor().decompress(self.data, max_output_size=most)


class KeptBodies:
    """Bodies of all targets within one budget. Only on the loop's thread, but for `of` and `packed`."""

    def __init__(self, size_bytes_max: int) -> None:
        self.size_bytes_max = size_bytes_max
        self.size_bytes = 0
        self._kept: OrderedDict[tuple[str, Kind], KeptBody] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def wants(self, target: str, at_ms: int, *, compressed: bool, asked: bool) -> bool:
        """Whether the body of a good scrape is to be kept; one that came uncompressed only now and then."""
        if not self.size_bytes_max:
            return False
        if compressed or asked:
            return True
        last = self._kept.get((target, "last"))
        return last is None or not 0 <= at_ms - last.at_ms < COMPRESSED_EVERY_MS

    def keep(self, target: str, kind: Kind, body: KeptBody) -> None:
        """Takes a body in, in place of the last one of its kind; one too big for it is left out."""
        self._drop((target, kind))
        if len(body.data) > min(KEPT_BODY_BYTES_MAX, self.size_bytes_max):
            return
        self._kept[target, kind] = body
        self.size_bytes += len(body.data)
        while self.size_bytes > self.size_bytes_max:
            self._drop(next(iter(self._kept)))

    def of(self, target: str) -> dict[int, KeptBody]:
        """The bodies of a target, by the time of their scrapes. From any thread: each look is atomic."""
        both = (self._kept.get((target, kind)) for kind in ("failed", "last"))
        return {body.at_ms: body for body in both if body is not None}

    def last_good(self, target: str) -> KeptBody | None:
        """The newest body that is kept of a good scrape. From any thread."""
        return self._kept.get((target, "last"))

    def forget(self, target: str) -> None:
        """The target is gone."""
        self._drop((target, "last"))
        self._drop((target, "failed"))

    def clear(self) -> None:
        """Forgets all: the memory is needed."""
        self._kept.clear()
        self.size_bytes = 0

    def _drop(self, key: tuple[str, Kind]) -> None:
        gone = self._kept.pop(key, None)
        if gone is not None:
            self.size_bytes -= len(gone.data)


def packed(at_ms: int, answer: Response) -> KeptBody:
    """A body to keep: as it came where it came compressed. From any thread; some milliseconds a megabyte."""
    if answer.is_compressed and answer.wire_body:
        return KeptBody(at_ms, answer.content_type, answer.wire_body, "gzip")
    data = zstandard.ZstdCompressor(level=_LEVEL).compress(answer.body)
    return KeptBody(at_ms, answer.content_type, data, "zstd")
