"""Answers to remote reads: samples in one message, or chunks in frames that are checked one by one."""

from __future__ import annotations

from dataclasses import field, replace
from typing import Final

from trimon import limits
from trimon.errors import UserError
from trimon.model.components import is_component
from trimon.model.labels import Labels, labels_of
from trimon.model.rows import SampleBatch
from trimon.records import dataclass
from trimon.remote.snappy import CORRUPT, EXPANSION_MAX, CorruptError, decompress, decompressed_size
from trimon.remote.write_request import WriteDecoder
from trimon.wire import LENGTH, VARINT, FieldCount, WireError, block, skip, varint

STREAMED_TYPE: Final = "application/x-streamed-protobuf; proto=prometheus.ChunkedReadResponse"
SAMPLED_TYPE: Final = "application/x-protobuf"
# Fields of an answer that are read one by one: ten for each of the chunks of two million series.
FIELDS_MAX: Final = 20_000_000
_CHECKSUM_BYTES: Final = 4


@dataclass(slots=True)
class FrameList:
    """Where the frames of a streamed answer are, and what their checksums are to be."""

    starts: list[int] = field(default_factory=list)
    lengths: list[int] = field(default_factory=list)
    checksums: list[int] = field(default_factory=list)


@dataclass(slots=True)
class ChunkList:
    """The chunks of a streamed answer: bytes of `data`, each of a series and of a kind."""

    data: bytes
    series: dict[Labels, int] = field(default_factory=dict)
    """Distinct label sets, numbered."""
    owners: list[int] = field(default_factory=list)
    starts: list[int] = field(default_factory=list)
    lengths: list[int] = field(default_factory=list)
    kinds: list[int] = field(default_factory=list)


def frames_of(data: bytes, frame_bytes_max: int) -> FrameList:
    """The frames of a streamed answer; nobody has looked at their checksums yet. Raises WireError."""
    found = FrameList()
    position, end = 0, len(data)
    while position < end:
        size, position = varint(data, position)
        if size > frame_bytes_max:
            raise WireError(
                f"chunkedReader: message size exceeded the limit {frame_bytes_max} bytes; got: {size} bytes"
            )
        start = position + _CHECKSUM_BYTES
        if start + size > end:
            raise WireError("unexpected EOF")
        found.checksums.append(int.from_bytes(data[position:start], "big"))
        found.starts.append(start)
        found.lengths.append(size)
        position = start + size
    return found


def chunks_of(data: bytes, listed: FrameList, without: frozenset[str]) -> ChunkList:
    """The chunks of all frames, of series without some labels. Raises WireError."""
    found = ChunkList(data)
    fields = FieldCount(FIELDS_MAX)
    for start, length in zip(listed.starts, listed.lengths, strict=True):
        position, end = start, start + length
        while position < end:
            tag, position = fields.tag(data, position)
            if tag == 1 << 3 | LENGTH:
                begin, position = block(data, position, end)
                _series(found, begin, position, without, fields)
            else:
                position = skip(data, position, end, tag & 7)
    return found


def _series(found: ChunkList, position: int, end: int, without: frozenset[str], fields: FieldCount) -> None:
    data = found.data
    pairs: list[tuple[str, str]] = []
    begins: list[tuple[int, int]] = []
    while position < end:
        tag, position = fields.tag(data, position)
        if tag & 7 != LENGTH:
            position = skip(data, position, end, tag & 7)
            continue
        start, position = block(data, position, end)
        if tag >> 3 == 1:
            pairs.append(_pair(data, start, position, fields))
            if len(pairs) > limits.LABELS_PER_SERIES_MAX:
                raise WireError(f"more than {limits.LABELS_PER_SERIES_MAX} labels in a series")
        elif tag >> 3 == 2:
            begins.append((start, position))
    labels = labels_of((name, value) for name, value in pairs if name not in without)
    if is_component(labels):
        raise WireError("a label without a name")
    owner = found.series.setdefault(labels, len(found.series))
    for start, stop in begins:
        _chunk(found, owner, start, stop, fields)


def _pair(data: bytes, position: int, end: int, fields: FieldCount) -> tuple[str, str]:
    texts = {1: b"", 2: b""}
    while position < end:
        tag, position = fields.tag(data, position)
        if tag & 7 == LENGTH and tag >> 3 in texts:
            start, position = block(data, position, end)
            texts[tag >> 3] = data[start:position]
        else:
            position = skip(data, position, end, tag & 7)
    try:
        return texts[1].decode(), texts[2].decode()
    except UnicodeDecodeError:
        raise WireError("a label is not valid UTF-8") from None


def _chunk(found: ChunkList, owner: int, position: int, end: int, fields: FieldCount) -> None:
    data = found.data
    kind, begin, stop = 0, 0, 0
    while position < end:
        tag, position = fields.tag(data, position)
        if tag == 3 << 3 | VARINT:
            kind, position = varint(data, position)
        elif tag == 4 << 3 | LENGTH:
            begin, position = block(data, position, end)
            stop = position
        else:
            position = skip(data, position, end, tag & 7)
    found.owners.append(owner)
    found.starts.append(begin)
    found.lengths.append(stop - begin)
    found.kinds.append(min(kind, 255))


def sampled_size(body: bytes) -> int:
    """How many bytes an answer of samples claims to hold, decompressed. Raises UserError, also for more than it can hold."""
    size_bytes = decompressed_size(body)
    if size_bytes > len(body) * EXPANSION_MAX:
        raise CorruptError(CORRUPT)
    return size_bytes


def samples_of(body: bytes, bytes_max: int, without: frozenset[str]) -> SampleBatch:
    """The samples of an answer, of series without some labels; histograms as components behind them. Raises UserError."""
    data = decompress(body, bytes_max)
    fields = FieldCount(FIELDS_MAX)
    position, end = 0, len(data)
    results: list[bytes] = []
    while position < end:
        tag, position = fields.tag(data, position)
        if tag == 1 << 3 | LENGTH:
            start, position = block(data, position, end)
            results.append(data[start:position])
        else:
            position = skip(data, position, end, tag & 7)
    # a result has its series in the very field in which a write request has them
    read = WriteDecoder(nameless=True).decode(b"".join(results), FIELDS_MAX)
    if read.invalid_series:
        raise UserError(f"{read.invalid_series} series have no labels that a series may have")
    if not without:
        return read.batch
    return replace(
        read.batch,
        series=tuple(
            tuple(pair for pair in labels if pair[0] not in without) for labels in read.batch.series
        ),
    )
